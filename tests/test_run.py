"""Whole runs: same result on any number of ranks, after any interruption; faults end all ranks with one message."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from redoxmc.engine.storage import TEMPORARY, SampleStore

from .conftest import ROOT
from .runs import command, environment, hashes, mpirun, run, write_input


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of an undisturbed run of 1200 sweeps."""
    path = write_input(tmp_path_factory.mktemp("reference"), 1200)
    done = run(path, 1, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    return hashes(path.parent / "out/results.h5")


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
    done = run(path)
    assert done.returncode == 0 and "nothing has changed" in done.stderr
    assert (tmp_path / "out/results.h5").stat().st_mtime_ns == before


def test_a_changed_hamiltonian_is_refused(tmp_path: Path) -> None:
    path = write_input(tmp_path, 40)
    assert run(path, 1, "--until", "analyse").returncode == 0
    path.write_text(path.read_text().replace("-0.03}", "-0.04}"))
    done = run(path, 1, "--until", "analyse")
    assert done.returncode == 2
    assert "-0.03" in done.stderr and "-0.04" in done.stderr and "--fresh" in done.stderr
    assert run(path, 1, "--fresh").returncode == 0


def test_a_changed_analysis_is_redone(tmp_path: Path) -> None:
    path = write_input(tmp_path, 40)
    assert run(path, 1, "--until", "analyse").returncode == 0
    samples = {p: p.stat().st_mtime_ns for p in (tmp_path / "out/samples").rglob("*.h5")}
    path.write_text(path.read_text().replace("compositions: 9", "compositions: 5"))
    assert run(path, 1, "--until", "analyse").returncode == 0
    assert samples == {p: p.stat().st_mtime_ns for p in (tmp_path / "out/samples").rglob("*.h5")}
    with h5py.File(tmp_path / "out/results.h5") as file:
        assert file["canonical/x"].shape == (5,)


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Process numbers of the Python ranks below mpirun."""
    parent, arguments = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                arguments[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
    below, found = {process.pid}, []
    while grown := {child for child, p in parent.items() if p in below} - below:
        below |= grown
    for number in sorted(below - {process.pid}):
        words = arguments.get(number, [])
        if any(w.endswith("run.py") for w in words) and "python" in Path(words[0]).name:
            found.append(number)
    return found


def start(path: Path, ranks: int = 2) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(path, ranks),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(REDOXMC_COMMIT_S="0.05"),
    )


def wait_for_samples(folder: Path, process: subprocess.Popen[str], segments: int = 1) -> None:
    store = SampleStore(folder / "out/samples")
    while store.committed() < segments and process.poll() is None:
        time.sleep(0.02)


@pytest.mark.parametrize("target", ["ranks", "mpirun"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_commit_and_ask_for_requeue(number: signal.Signals, target: str, tmp_path: Path) -> None:
    path = write_input(tmp_path, 2_000_000)
    process = start(path)
    wait_for_samples(tmp_path, process)
    ranks = ranks_of(process)
    assert len(ranks) == 2
    for receiver in ranks if target == "ranks" else [process.pid]:
        os.kill(receiver, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert SampleStore(tmp_path / "out/samples").committed() > 0


def test_walltime_commits_and_asks_for_requeue(tmp_path: Path, reference: dict[str, str]) -> None:
    path = write_input(tmp_path, 1200)
    text = path.read_text()
    path.write_text(text.replace("  walkers: 2", "  walkers: 2\n  walltime_s: 0.01"))
    assert run(path, 2, "--until", "analyse").returncode == 75
    path.write_text(text)
    assert run(path, 1, "--until", "analyse").returncode == 0
    assert hashes(tmp_path / "out/results.h5") == reference


def test_twenty_kills(tmp_path: Path, reference: dict[str, str]) -> None:
    """kill -9 of one rank, and of mpirun, in turn, at random moments; then the run is finished and compared."""
    path, moments = write_input(tmp_path, 1200), random.Random(5)
    for k in range(20):
        process = start(path)
        if k % 3:
            wait_for_samples(tmp_path, process)
            time.sleep(moments.uniform(0.0, 0.6))
        else:
            time.sleep(moments.uniform(0.5, 4.0))
        ranks = ranks_of(process)
        victims = [process.pid, *ranks] if k % 2 else ranks[:1] or [process.pid]
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.communicate(timeout=60)
    for segment in (tmp_path / "out").rglob("segment_*.h5"):
        if TEMPORARY not in segment.name:
            with h5py.File(segment) as file:
                assert len(file) > 0
    done = run(path, 2)
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "out/results.h5") == reference
    assert not list((tmp_path / "out").rglob("*.partial*"))


FAULTY = """
import sys
from mpi4py import MPI
from redoxmc.engine.sampling import replicas
intact, calls = replicas.advance_together, []
def faulty(*arguments):
    calls.append(1)
    if MPI.COMM_WORLD.rank == 1 and len(calls) > 30:
        raise ArithmeticError("injected")
    return intact(*arguments)
replicas.advance_together = faulty
from redoxmc.engine.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_exception_on_one_rank_ends_the_run(tmp_path: Path) -> None:
    path = write_input(tmp_path, 100_000)
    run(path, 1, "--until", "fit")
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    begin = time.monotonic()
    done = subprocess.run(
        [*mpirun(), "-n", "3", sys.executable, str(script), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        check=False,
    )
    assert done.returncode != 0
    assert "error on rank 1: ArithmeticError: injected" in done.stderr
    assert "Traceback" not in done.stderr
    started = (tmp_path / "out/samples/ladder.h5").stat().st_mtime
    assert time.time() - started < 10 or time.monotonic() - begin < 10


def test_damaged_segment_is_named(tmp_path: Path) -> None:
    path = write_input(tmp_path, 40)
    assert run(path, 1, "--until", "analyse").returncode == 0
    victim = next((tmp_path / "out/samples/replica_000").glob("*.h5"))
    victim.write_bytes(victim.read_bytes()[:500])
    (tmp_path / "out/results.h5").unlink()
    done = run(path)
    assert done.returncode == 2 and str(victim) in done.stderr and "Traceback" not in done.stderr


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
    assert "http://" not in page.replace("http://www.w3.org", "") and "What to distrust" in page


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
