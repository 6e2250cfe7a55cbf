"""The `label` stage and data sets of finished calculations, with springs for a potential."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from redoxmc.engine.cli import main
from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.potentials.calculations import read_calculations
from redoxmc.engine.potentials.dataset import read_frame_table
from redoxmc.engine.potentials.labels import Labels
from redoxmc.engine.potentials.potential import LabelledCalculator

from ..helpers.command import LABELLED_LATTICE, command, environment, ranks_of
from ..helpers.command import run as run_command
from ..helpers.paths import STRUCTURE

pytestmark = pytest.mark.runs

INPUT = f"""\
{LABELLED_LATTICE}  supercell: [1, 1, 1]
potential:
  model: tests.helpers.toy_calculator.Springs
  options: {{structure: {STRUCTURE}}}
relaxation: {{largest_force_eV_per_A: 0.03}}
label: {{configurations: 12, supercells: [[1, 1, 1], [1, 2, 1]]}}
energy:
  cluster_expansion: {{cutoffs_A: [3.5]}}
sampling:
  temperature_K: [300, 600]
"""


# The stage, from the input file.


def write_input(folder: Path, text: str = INPUT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "input.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run until label. Copied by those who change it."""
    path = write_input(tmp_path_factory.mktemp("label"))
    assert main([str(path), "--until", "label"]) == 0
    return path.parent


@pytest.fixture
def copy(labelled: Path, tmp_path: Path) -> Path:
    """The input in a folder with the finished run."""
    return Path(shutil.copytree(labelled, tmp_path / "copy")) / "input.yaml"


def times(folder: Path, pattern: str = "*") -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob(pattern) if p.is_file() and p.name not in ("run.log", "run.lock")}


def test_label_makes_a_data_set(labelled: Path, olivine: Lattice, labels: Labels, springs: LabelledCalculator) -> None:
    out = labelled / "out"
    frames = read(out / "labelled.extxyz", ":")
    assert len(frames) == 12 and len({f.info["config"] for f in frames}) == 12
    assert {len(f) // 20 for f in frames} == {1, 2}
    assert {"Fe", "Ga"} < {s for f in frames for s in f.symbols}
    for frame in frames:
        assert labels.charges(frame).sum() == 0 and frame.pbc.all()
        springs.calculate(frame)
        assert frame.get_potential_energy() == pytest.approx(springs.results["energy"], abs=1e-5)
    assert len(read_frame_table([out / "labelled.extxyz"], olivine).frames) == 12
    record = json.loads((out / "label.json").read_text())
    assert (record["configurations"], record["kept"], record["rejected"]) == (12, 12, [])
    n = sum(len(labels.redox_atoms(f)) for f in frames)
    shown = record["charge_labels"]
    assert (shown["kept"], shown["labels"], shown["share"]) == (n, n, 1) and 0.8 < shown["low"] < 1
    assert record["relaxations_per_hour_and_core"] > 0 and 0 < record["median_steps"] < 300
    assert len(list((out / "relaxations").iterdir())) == 12
    assert not (out / "samples").exists() and not (out / "fit.json").exists()


def test_a_second_run_does_nothing(copy: Path) -> None:
    before = times(copy.parent)
    assert main([str(copy), "--until", "label"]) == 0
    assert times(copy.parent) == before


def test_the_data_set_is_fitted(copy: Path) -> None:
    before = times(copy.parent)
    assert main([str(copy), "--until", "fit"]) == 0
    fit = json.loads((copy.parent / "out/fit.json").read_text())
    assert 0 < fit["validation_rmse_eV"] < 0.1
    assert before.items() <= times(copy.parent).items()


CHANGES = {
    "force": ("largest_force_eV_per_A: 0.03", "largest_force_eV_per_A: 0.02"),
    "options": ("NaFePO4.cif}", "NaFePO4.cif, strength_eV_A: 2.0}"),
    "configurations": ("configurations: 12", "configurations: 11"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_labels_are_made_anew(name: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or refused where only the fit is asked for; never reused."""
    out, (old, new) = copy.parent / "out", CHANGES[name]
    before, relaxations = (out / "labelled.extxyz").read_bytes(), times(out / "relaxations")
    assert INPUT.count(old) == 1
    copy.write_text(INPUT.replace(old, new))
    assert main([str(copy), "--only", "fit"]) == 2
    assert "no labelled configurations of this input yet" in capsys.readouterr().err
    assert main([str(copy), "--until", "label"]) == 0
    assert (out / "labelled.extxyz").read_bytes() != before
    after = times(out / "relaxations")
    assert relaxations.items() <= after.items()
    if name == "configurations":
        assert len(after) < 24
    else:
        assert len(after) == 24
    copy.write_text(INPUT)
    assert main([str(copy), "--until", "label"]) == 0
    assert (out / "labelled.extxyz").read_bytes() == before and times(out / "relaxations") == after


def test_damage_is_named_and_mended_by_deletion(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = copy.parent / "out"
    before = (out / "labelled.extxyz").read_bytes()
    victim = sorted((out / "relaxations").iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:200])
    (out / "labelled.extxyz").unlink()
    assert main([str(copy), "--until", "label"]) == 2
    message = capsys.readouterr().err
    assert str(victim) in message and "damaged" in message and "Traceback" not in message
    victim.unlink()
    assert main([str(copy), "--until", "label"]) == 0
    assert (out / "labelled.extxyz").read_bytes() == before


def test_lost_charge_orders_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With swapped lengths only cells of one charge state can be kept."""
    path = write_input(
        tmp_path,
        INPUT.replace("NaFePO4.cif}", "NaFePO4.cif, swapped: true}").replace(", [1, 2, 1]", "").replace("[3.5]", "[3.2]"),
    )
    assert main([str(path), "--until", "label"]) == 0
    record = json.loads((tmp_path / "out/label.json").read_text())
    assert (record["configurations"], record["kept"], len(record["rejected"])) == (12, 2, 10)
    assert all(r["config"] and r["reason"].startswith("charge order lost: ") for r in record["rejected"])
    assert len(read(tmp_path / "out/labelled.extxyz", ":")) == 2
    assert record["charge_labels"]["share"] < 0.7  # the cells of one charge state are counted too
    assert "10 rejected: charge order lost" in capsys.readouterr().err
    assert main([str(path), "--until", "fit"]) == 2
    assert "allowed: at least 10" in capsys.readouterr().err


def test_nothing_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_input(tmp_path, INPUT.replace("0.03}", "0.0001, steps: 1}").replace(", [1, 2, 1]", "").replace("[3.5]", "[3.2]"))
    assert main([str(path), "--until", "label"]) == 2
    assert (
        "none of 12 relaxations can be used; the first: not converged: forces above 0.0001 eV/A after 1 steps"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out/labelled.extxyz").exists()


def test_potentials_that_cannot_be_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model, words in (
        ("tests.helpers.toy_calculator.Missing", "cannot import tests.helpers.toy_calculator.Missing"),
        ("no_such_package.Potential", "No module named"),
        ("ase.calculators.lj.Nothing", "cannot import"),
        ("tests.helpers.toy_calculator.Tether", "tests.helpers.toy_calculator.Tether with"),
    ):
        path = write_input(tmp_path, INPUT.replace("tests.helpers.toy_calculator.Springs", model))
        assert main([str(path), "--until", "label"]) == 2
        message = capsys.readouterr().err
        assert words in message and "Traceback" not in message


def test_two_ranks_write_the_same_bytes(labelled: Path, importable: str, tmp_path: Path) -> None:
    path = write_input(tmp_path)
    done = run_command(path, 2, "--until", "label", PYTHONPATH=importable)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/labelled.extxyz").read_bytes() == (labelled / "out/labelled.extxyz").read_bytes()


def test_a_killed_run_goes_on(labelled: Path, importable: str, tmp_path: Path) -> None:
    """kill -9 of all of it after the first relaxations; then the same command in this process."""
    path, folder = write_input(tmp_path), tmp_path / "out/relaxations"
    process = subprocess.Popen(
        command(path, 2, "--until", "label"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        text=True, env=environment(PYTHONPATH=importable),
    )  # fmt: skip
    while process.poll() is None and len(list(folder.glob("*"))) < 2:
        time.sleep(0.01)
    for victim in (*ranks_of(process), process.pid):
        os.kill(victim, signal.SIGKILL)
    process.wait(30)
    kept = {p: t for p, t in times(tmp_path / "out/relaxations").items() if "partial" not in p.name}
    assert 1 <= len(kept) and not (tmp_path / "out/labelled.extxyz").exists()
    assert main([str(path), "--until", "label"]) == 0
    assert kept.items() <= times(folder).items() and len(list(folder.iterdir())) == 12
    assert (tmp_path / "out/labelled.extxyz").read_bytes() == (labelled / "out/labelled.extxyz").read_bytes()


# Data sets of finished calculations.


def test_frames_without_a_name_are_cells_of_their_own(relaxed: list[Atoms], olivine: Lattice, tmp_path: Path) -> None:
    for frame in (nameless := [f.copy() for f in relaxed]):
        frame.info.clear()
    for frame, source in zip(nameless, relaxed):
        frame.calc = source.calc
    write(tmp_path / "cells.extxyz", nameless, format="extxyz")
    table = read_frame_table([tmp_path / "cells.extxyz"], olivine)
    assert not table.left_out and [f.calculation.name for f in table.frames] == [f"cells-{k + 1}" for k in range(len(relaxed))]
    energies = [f.relaxed.get_potential_energy() for f in table.frames if f.relaxed]
    assert np.allclose(energies, [f.get_potential_energy() for f in relaxed])
    write(tmp_path / "one.extxyz", nameless[:1], format="extxyz")
    assert [c.name for c in read_calculations(tmp_path / "one.extxyz", False)] == ["one"]
    assert {c.name for c in read_calculations(tmp_path / "cells.extxyz", True)} == {"cells"}
    for k, frame in enumerate(nameless):
        frame.info["config"] = f"cell {k % 3}"
    write(tmp_path / "named.extxyz", nameless, format="extxyz")
    names = [c.name for c in read_calculations(tmp_path / "named.extxyz", False)]
    assert names == [f"cell {k % 3}-{k + 1}" for k in range(len(relaxed))]
