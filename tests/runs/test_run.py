"""Whole runs: same result on any number of ranks, however often extended; results that others can read."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from ..helpers.command import SMALL, environment, hashes, run, write_input
from ..helpers.paths import ROOT
from ..helpers.shared import analysed, made_once

pytestmark = pytest.mark.runs


@pytest.fixture(scope="module")
def reference(common: Path) -> dict[str, str]:
    """Hashes of an undisturbed run of 1200 sweeps."""
    return hashes(made_once(common, "analysed", analysed) / "out/results.h5")


def test_results_do_not_depend_on_the_number_of_ranks(reference: dict[str, str], tmp_path: Path) -> None:
    for ranks in (2, 3):
        path = write_input(tmp_path / str(ranks), 1200)
        done = run(path, ranks, "--until", "analyse")
        assert done.returncode == 0, done.stderr
        assert hashes(path.parent / "out/results.h5") == reference


def test_more_sweeps_extend_a_run(reference: dict[str, str], tmp_path: Path) -> None:
    path = write_input(tmp_path, 600)
    assert run(path, 1, "--until", "analyse").returncode == 0
    assert hashes(tmp_path / "out/results.h5") != reference
    write_input(tmp_path, 1200)
    assert run(path, 2, "--until", "analyse").returncode == 0
    assert hashes(tmp_path / "out/results.h5") == reference
    before = (tmp_path / "out/results.h5").stat().st_mtime_ns
    done = run(path, 1, "--until", "analyse")
    assert done.returncode == 0 and "nothing has changed" in done.stderr
    assert (tmp_path / "out/results.h5").stat().st_mtime_ns == before


def test_a_changed_hamiltonian_is_refused(tmp_path: Path) -> None:
    path = write_input(tmp_path, 40, text=SMALL)
    assert run(path, 1, "--until", "sample").returncode == 0
    path.write_text(path.read_text().replace("-0.03}", "-0.04}"))
    done = run(path, 1, "--until", "analyse")
    assert done.returncode == 2
    assert "-0.03" in done.stderr and "-0.04" in done.stderr and "--fresh" in done.stderr
    assert run(path, 1, "--fresh", "--until", "sample").returncode == 0


def test_a_changed_analysis_is_redone(tmp_path: Path) -> None:
    path = write_input(tmp_path, 40)
    assert run(path, 1, "--until", "analyse").returncode == 0
    samples = {p: p.stat().st_mtime_ns for p in (tmp_path / "out/samples").rglob("*.h5")}
    path.write_text(path.read_text().replace("compositions: 9", "compositions: 5"))
    assert run(path, 1, "--until", "analyse").returncode == 0
    assert samples == {p: p.stat().st_mtime_ns for p in (tmp_path / "out/samples").rglob("*.h5")}
    with h5py.File(tmp_path / "out/results.h5") as file:
        assert file["canonical/x"].shape == (5,)


def test_results_file_is_readable_by_xarray(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    path = write_input(tmp_path, 200)
    assert run(path).returncode == 0
    results = tmp_path / "out/results.h5"
    with h5py.File(results) as file:
        for key in ("format_version", "redoxmc_version", "input", "config", "seed", "git_commit", "packages", "file_hashes"):
            assert key in file.attrs
        assert json.loads(file.attrs["config"])["seed"] == 3
        for group in file.values():
            for dataset in group.values():
                assert "units" in dataset.attrs and dataset.attrs["long_name"]
    for group, dims in (
        ("canonical", {"temperature_K", "x"}),
        ("semigrand", {"temperature_K", "chemical_potential_eV"}),
        ("vcsgc", {"temperature_K", "target_x"}),
        ("hull", set()),
        ("voltage", set()),
    ):
        data = xarray.open_dataset(results, group=group, engine="h5netcdf", phony_dims="sort")
        assert dims <= set(data.dims), data
        assert all(
            f"{name}_error" in data or name.endswith("_error")
            for name in data
            if name in ("free_energy_eV", "x", "voltage_V") and name not in data.coords
        )
    canonical = xarray.open_dataset(results, group="canonical", engine="h5netcdf", phony_dims="sort")
    assert np.isfinite(canonical.free_energy_eV.sel(x=0.5, method="nearest")).all()
    for name in ("report.html", "figures/phase_diagram.svg", "figures/voltage.png", "exports/phase_diagram_400K.json", "run.log"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    page = (tmp_path / "out/report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "Limitations of this run" in page


def test_examples_start_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), str(ROOT / "inputs/small.yaml"), "--check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0 and "Nothing was run" in done.stdout
