"""Frames of extxyz files, databases and trajectories: which are steps, what they are called, where their results stand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import Trajectory, write
from ase.optimize import BFGS

from redoxmc.engine.input.reader import InputFile
from redoxmc.engine.potentials.calculations import Calculation, other_energy_keys, read_all, read_calculations
from redoxmc.engine.potentials.readers.names import file_names


def cell(energy: float | None = -1.0, a: float = 4.0, **info: Any) -> Atoms:
    atoms = Atoms("NaO", [[0, 0, 0], [0, 0, a / 2]], cell=[a] * 3, pbc=True, info=info)
    if energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((2, 3)))
    return atoms


def names(path: Path, every_step: bool = False) -> list[str]:
    return [c.name for c in read_calculations(path, every_step)]


def test_frames_that_share_a_name_are_cells_unless_they_are_steps(tmp_path: Path) -> None:
    write(tmp_path / "a.extxyz", [cell(config="batch"), cell(config="batch"), cell(config="one")])
    assert names(tmp_path / "a.extxyz") == ["batch-1", "batch-2", "one"]
    assert names(tmp_path / "a.extxyz", every_step=True) == ["batch", "batch", "one"]  # for the split of a training
    write(tmp_path / "b.extxyz", [cell(config="batch", step=0), cell(config="batch", step=0)])
    assert names(tmp_path / "b.extxyz") == ["batch-1", "batch-2"]
    steps = [cell(-k, config="run", ionic_step=k) for k in (1, 3, 2)]
    write(tmp_path / "c.extxyz", [*steps, cell(config="other", ionic_step=1)])
    found = read_calculations(tmp_path / "c.extxyz", every_step=False)
    assert [(c.name, c.index) for c in found] == [("run", 2), ("other", 4)]  # the highest step
    write(tmp_path / "d.extxyz", [cell(config="x"), cell(config="x"), cell(config="x-1"), cell()])
    assert names(tmp_path / "d.extxyz") == ["x-1", "x-2", "x-1'", "d-4"]


def test_trajectories(tmp_path: Path) -> None:
    """Separate cells, one relaxation, two relaxations in one file, one that has not finished."""
    write(tmp_path / "cells.traj", [cell(-k) for k in range(7)])
    assert names(tmp_path / "cells.traj") == [f"cells-{k + 1}" for k in range(7)]

    def relax(path: Path, symbols: str, steps: int, mode: str = "w", apart: float = 1.3) -> int:
        atoms = Atoms(symbols, [[0, 0, 0], [0, 0, apart], [0, apart, 0]], cell=[9] * 3, pbc=True)
        atoms.calc = LennardJones(sigma=1.0)
        with Trajectory(path, mode, atoms) as trajectory:
            BFGS(atoms, trajectory=trajectory, logfile=None).run(fmax=0.01, steps=steps)
        return len(trajectory) if mode == "w" else -1

    n = relax(tmp_path / "one.traj", "NaOO", 50)
    (found,) = read_calculations(tmp_path / "one.traj", every_step=False)
    assert found.index == n > 2 and found.left_out is None and found.name == "one"
    assert len(read_calculations(tmp_path / "one.traj", every_step=True)) == n
    relax(tmp_path / "one.traj", "KOO", 1, mode="a")
    relax(tmp_path / "one.traj", "KOO", 1, mode="a", apart=2.2)  # the atoms jump
    found_all = read_calculations(tmp_path / "one.traj", every_step=False)
    assert [c.index for c in found_all][0] == n and [str(c.atoms.symbols) for c in found_all if c.atoms] == ["NaO2", "KO2", "KO2"]
    relax(tmp_path / "short.traj", "NaOO", 1)
    (short,) = read_calculations(tmp_path / "short.traj", every_step=False)
    assert "the relaxation has not finished: the largest force is" in str(short.left_out)


@pytest.mark.parametrize("name", ["cells.db", "cells.json"])
def test_databases_keep_their_key_value_pairs(tmp_path: Path, name: str) -> None:
    with connect(tmp_path / name) as database:
        database.write(cell(-1), config="a")
        database.write(cell(-2), config="b")
        database.write(cell(None), REF_energy=-3.0)
    found = read_calculations(tmp_path / name, every_step=False)
    assert [c.name for c in found] == ["a", "b", "cells-3"]
    assert all("different keys: REF_energy, energy" in str(c.left_out) for c in found)


def energy(frame: Atoms, tmp_path: Path, **info: Any) -> Calculation:
    frame.info |= info
    write(tmp_path / "one.extxyz", frame)
    (found,) = read_calculations(tmp_path / "one.extxyz", every_step=False)
    return found


@pytest.mark.parametrize("key", ["REF_energy", "ref_energy", "dft_energy", "DFT_energy", "total_energy", "free_energy"])
def test_energies_by_other_names(tmp_path: Path, key: str) -> None:
    found = energy(cell(None), tmp_path, **{key: -2.5})
    assert found.left_out is None and found.energy_key == key
    assert other_energy_keys([found]) == [f"energies are those of the key {key} in {tmp_path / 'one.extxyz'}"]
    assert found.atoms is not None and found.atoms.get_potential_energy() == -2.5 and key not in found.atoms.info


def test_energies_that_are_not_used_are_named(tmp_path: Path) -> None:
    found = energy(cell(-2.4), tmp_path, REF_energy=-2.5)
    assert found.left_out == "different energies: energy = -2.400000 eV, REF_energy = -2.500000 eV; keep the one that is meant"
    same = energy(cell(-2.5), tmp_path, REF_energy=-2.5)
    assert same.left_out is None and other_energy_keys([same]) == []
    assert energy(cell(-2.5), tmp_path, free_energy=-2.6).left_out is None  # with the entropy of smearing
    found = energy(cell(None), tmp_path, my_energy=-2.5, natoms=2)
    assert found.left_out == "no energy; found my_energy = -2.5: name it energy if it is that of the cell in eV"
    assert energy(cell(None), tmp_path, label="x").left_out == "no energy"


def test_forces_and_stress_by_other_names(tmp_path: Path) -> None:
    forces = np.arange(6.0).reshape(2, 3)
    for prefix in ("REF_", "dft_"):
        frame = cell(None)
        frame.arrays[f"{prefix}forces"] = forces
        stress = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3.0]])
        found = energy(frame, tmp_path, **{f"{prefix}energy": -2.5, f"{prefix}stress": stress})
        assert found.atoms is not None and np.array_equal(found.atoms.get_forces(), forces)
        assert found.atoms.get_stress().tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("key", ["magmom", "magnetic_moments", "REF_magmoms"])
def test_moments_by_other_names(tmp_path: Path, key: str) -> None:
    frame = cell(None if key.startswith("REF_") else -1.0)
    frame.arrays[key] = np.array([0.0, 2.5])
    found = energy(frame, tmp_path, **({"REF_energy": -1.0} if key.startswith("REF_") else {}))
    assert found.atoms is not None and found.atoms.get_magnetic_moments().tolist() == [0, 2.5]


@pytest.mark.parametrize("key", ["virial", "virials", "REF_virials"])
def test_virials(tmp_path: Path, key: str) -> None:
    """A virial is -volume times the stress: positive where the cell pushes outwards."""
    volume, virial = 64.0, np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3.0]])
    energies = {"REF_energy": -1.0} if key.startswith("REF_") else {}
    found = energy(cell(None if energies else -1.0), tmp_path, **{key: virial}, **energies)
    assert found.atoms is not None and found.left_out is None
    assert found.atoms.get_stress() == pytest.approx(-np.array([1, 2, 3, 4, 5, 6]) / volume)
    frame = cell(-1.0)
    frame.calc.results["stress"] = np.array([1, 2, 3, 4, 5, 6]) / volume
    assert "do not agree" in str(energy(frame, tmp_path, virials=virial).left_out)
    assert "has 6 numbers; allowed: 9" in str(energy(cell(), tmp_path, virials=np.arange(6.0)).left_out)


def test_names_of_files() -> None:
    def short(*paths: str) -> list[str]:
        return file_names([Path("/data") / p for p in paths])

    assert short("a/final.extxyz") == ["final"] and short("dft/a/OUTCAR.gz") == ["a"]
    assert short("r/a/relax/final.extxyz", "r/b/relax/final.extxyz") == ["a", "b"]
    assert short("dft/a/OUTCAR", "dft/b/vasprun.xml", "more/c.extxyz") == ["a", "b", "c"]
    assert short("x/a/relax/OUTCAR", "x/b/relax/OUTCAR", "x/b/static/OUTCAR") == ["a/relax", "b/relax", "b/static"]
    assert short("x/1/OUTCAR", "y/1/OUTCAR", "y/2/OUTCAR") == ["x/1", "y/1", "y/2"]


def test_names_differ_between_files_and_are_read_back(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"run{k}/relax").mkdir(parents=True)
        write(tmp_path / f"run{k}/relax/final.extxyz", [cell(-k), cell(-k - 1)] if k == 2 else cell(-k))
    paths = sorted(tmp_path.glob("*/relax/final.extxyz"))
    found = read_all(paths, every_step=False)
    assert [c.name for c in found] == ["run0", "run1", "run2-1", "run2-2"]
    write(tmp_path / "labelled.extxyz", [c.atoms for c in found if c.atoms])
    assert names(tmp_path / "labelled.extxyz") == [c.name for c in found]
    assert {c.name for c in read_all(paths, every_step=True)} == {"run0", "run1", "run2"}
    for k in range(2):
        write(tmp_path / f"run{k}/relax/final.extxyz", cell(-k, config="cell"))
    assert [c.name for c in read_all(paths[:2], False)] == ["run0/cell", "run1/cell"]
    assert len(read_all([paths[0], paths[0]], False)) == 1


def test_paths_and_patterns(tmp_path: Path) -> None:
    source = InputFile(tmp_path / "input.yaml", "", {}, None)  # type: ignore[arg-type]
    for name in (
        "data[v2].extxyz",
        "data2.extxyz",
        "dft/a/OUTCAR",
        "dft/a/vasprun.xml",
        "dft/b/c/vasprun.xml.gz",
        "dft/notes.txt",
        "a[1]/x/OUTCAR",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {
        pattern: [p.relative_to(tmp_path).as_posix() for p in source.files((pattern,))]
        for pattern in (
            "data[v2].extxyz",
            "data[2].extxyz",
            "dft/a",
            "dft/b/*",
            "dft/**/vasprun*",
            "data?.extxyz",
            "a[1]/*/OUTCAR",
        )
    }
    assert found == {
        "data[v2].extxyz": ["data[v2].extxyz"],
        "data[2].extxyz": ["data2.extxyz"],
        "dft/a": ["dft/a/OUTCAR"],
        "dft/b/*": ["dft/b/c/vasprun.xml.gz"],
        "dft/**/vasprun*": ["dft/a/vasprun.xml", "dft/b/c/vasprun.xml.gz"],
        "data?.extxyz": ["data2.extxyz"],
        "a[1]/*/OUTCAR": ["a[1]/x/OUTCAR"],
    }
    assert len(source.files(("data2.extxyz", "data?.extxyz"))) == 1
