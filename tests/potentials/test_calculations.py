"""Finished calculations as they are read: OUTCAR, vasprun.xml, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from pymatgen.io.vasp import Outcar

from redoxmc.engine.potentials.calculations import label_calculation, read_calculations
from redoxmc.engine.potentials.readers.codes import outcar_beside

from ..helpers.vasp_files import Printed, write_outcar, write_vasprun
from .test_charges import FE, FRAMES


def frames_of(path: Path, every_step: bool = True) -> list[Atoms]:
    """Frames of a file of which none is left out."""
    found = read_calculations(path, every_step)
    assert not [c.left_out for c in found if c.left_out]
    return [c.atoms for c in found if c.atoms is not None]


def test_last_step_of_every_config() -> None:
    """A rattled cell, with step -1, comes before the steps of its relaxation; one that has not finished is left out."""
    every, last = frames_of(FRAMES), read_calculations(FRAMES, False)
    steps: dict[str, list[int]] = {}
    for frame in every:
        steps.setdefault(frame.info["config"], []).append(frame.info["step"])
    assert len(every) == 12 and {c.name: c.atoms.info["step"] for c in last if c.atoms} == {n: max(s) for n, s in steps.items()}
    left_out = {c.name: c.left_out for c in last if c.left_out}
    assert left_out.keys() == {"s11-0011", "s11-0019"} and all("the largest force is" in str(why) for why in left_out.values())


def relaxation() -> list[Atoms]:
    """Three steps of one cell, grouped by element."""
    frame = next(f for f in read(FRAMES, ":") if len(f) == 26)
    steps = []
    for k in range(3):
        step = frame[np.argsort(frame.get_chemical_symbols(), kind="stable")]
        order = np.argsort(frame.get_chemical_symbols(), kind="stable")
        step.calc = SinglePointCalculator(
            step,
            energy=-160.0 - k,
            forces=frame.get_forces()[order] + k,
            stress=frame.get_stress() * (k + 1),
            magmoms=np.round(frame.get_magnetic_moments()[order] - 0.01 * k, 3),
        )
        steps.append(step)
    return steps


def same(found: Atoms, given: Atoms) -> None:
    assert found.get_chemical_symbols() == given.get_chemical_symbols()
    assert np.allclose(found.positions, given.positions, atol=1e-5) and np.allclose(found.cell, given.cell)
    assert found.get_potential_energy() == pytest.approx(given.get_potential_energy())
    assert np.allclose(found.get_forces(), given.get_forces(), atol=1e-6)
    assert np.allclose(found.get_stress(), given.get_stress(), atol=1e-7)


@pytest.mark.parametrize("name", ["OUTCAR", "OUTCAR.gz"])
def test_outcar(tmp_path: Path, name: str) -> None:
    given = relaxation()
    path = tmp_path / "cell_3" / name
    path.parent.mkdir()
    write_outcar(path, given)
    # The writer itself: two independent readers see the same.
    assert np.allclose([float(row["tot"]) for row in Outcar(str(path)).magnetization], given[-1].get_magnetic_moments())
    for found, step in zip(read(path, ":", format="vasp-out"), given, strict=True):
        same(found, step)
        assert np.allclose(found.get_magnetic_moments(), step.get_magnetic_moments())
    frames = frames_of(path)
    for k, (found, step) in enumerate(zip(frames, given, strict=True)):
        same(found, step)
        assert np.allclose(found.get_magnetic_moments(), step.get_magnetic_moments())
        assert found.info == {"config": "cell_3", "step": k}
    (last,) = frames_of(path, False)
    assert last.info["step"] == 2 and last.get_potential_energy() == -162
    assert all(label_calculation(c, FE).atoms for c in read_calculations(path, every_step=True))


@pytest.mark.parametrize(
    "printed, known", [("every step", [True] * 3), ("at the end", [False, False, True]), ("never", [False] * 3)]
)
def test_vasprun_takes_the_moments_of_the_outcar(tmp_path: Path, printed: Printed, known: list[bool]) -> None:
    given = relaxation()
    write_vasprun(tmp_path / "vasprun.xml", given)
    assert not any("magmoms" in f.calc.results for f in frames_of(tmp_path / "vasprun.xml"))
    write_outcar(tmp_path / "OUTCAR", given, printed)
    for name in ("vasprun.xml", "OUTCAR"):
        frames = frames_of(tmp_path / name)
        assert ["magmoms" in f.calc.results for f in frames] == known
        for found, step in zip(frames, given, strict=True):
            same(found, step)
            if "magmoms" in found.calc.results:
                assert np.allclose(found.get_magnetic_moments(), step.get_magnetic_moments())


def test_noncollinear_outcar(tmp_path: Path) -> None:
    given = relaxation()[:1]
    moments = given[0].get_magnetic_moments()[:, None] * np.array([0.6, 0.0, -0.8])
    given[0].calc.results["magmoms"] = moments
    write_outcar(tmp_path / "OUTCAR", given, "at the end")
    (frame,) = frames_of(tmp_path / "OUTCAR")
    assert np.allclose(frame.get_magnetic_moments(), moments, atol=5.1e-4)
    assert label_calculation(read_calculations(tmp_path / "OUTCAR", True)[0], FE).atoms


def test_outcar_of_another_run_is_not_believed(tmp_path: Path) -> None:
    write_vasprun(tmp_path / "vasprun.xml.gz", relaxation())
    write_outcar(tmp_path / "OUTCAR", relaxation()[:2])
    frames = frames_of(tmp_path / "vasprun.xml.gz")
    assert len(frames) == 3 and not any("magmoms" in f.calc.results for f in frames)
    assert {f.info["config"] for f in frames} == {tmp_path.name}


def test_the_outcar_beside_a_vasprun_counts_for_the_identity(tmp_path: Path) -> None:
    for name in ("vasprun.xml", "vasprun.xml.gz", "OUTCAR"):
        assert outcar_beside(tmp_path / name) is None
    (tmp_path / "OUTCAR.gz").touch()
    assert (
        outcar_beside(tmp_path / "vasprun.xml.gz") == tmp_path / "OUTCAR.gz" and outcar_beside(tmp_path / "data.extxyz") is None
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text("nothing\n")
    for name in ("OUTCAR", "missing.extxyz"):
        (found,) = read_calculations(tmp_path / name, True)
        assert (
            found.atoms is None
            and found.left_out
            and ("no such file" if "missing" in name else "cannot be read: ") in found.left_out
        )
        assert found.described == f"config {tmp_path.name if name == 'OUTCAR' else 'missing'} ({tmp_path / name}, frame 1)"
