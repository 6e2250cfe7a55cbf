"""Finished calculations as they are read: OUTCAR, vasprun.xml, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from pymatgen.io.vasp import Outcar

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.calculations import label_frames, read_calculations

from ..helpers.vasp_files import Printed, write_outcar, write_vasprun
from .test_charges import FE, FRAMES


def test_last_step_of_every_config() -> None:
    every, last = read_calculations(FRAMES, True), read_calculations(FRAMES, False)
    assert len(every) == 12 and len(last) == len({f.info["config"] for f in every}) < 12
    assert [f.info for f in last] == list({f.info["config"]: f.info for f in every}.values())


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
    frames = read_calculations(path, every_step=True)
    for k, (found, step) in enumerate(zip(frames, given, strict=True)):
        same(found, step)
        assert np.allclose(found.get_magnetic_moments(), step.get_magnetic_moments())
        assert found.info == {"config": "cell_3", "step": k}
    (last,) = read_calculations(path, every_step=False)
    assert last.info["step"] == 2 and last.get_potential_energy() == -162
    assert len(label_frames(frames, FE)[0]) == 3


@pytest.mark.parametrize(
    "printed, known", [("every step", [True] * 3), ("at the end", [False, False, True]), ("never", [False] * 3)]
)
def test_vasprun_takes_the_moments_of_the_outcar(tmp_path: Path, printed: Printed, known: list[bool]) -> None:
    given = relaxation()
    write_vasprun(tmp_path / "vasprun.xml", given)
    assert not any("magmoms" in f.calc.results for f in read_calculations(tmp_path / "vasprun.xml", True))
    write_outcar(tmp_path / "OUTCAR", given, printed)
    for name in ("vasprun.xml", "OUTCAR"):
        frames = read_calculations(tmp_path / name, True)
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
    (frame,) = read_calculations(tmp_path / "OUTCAR", True)
    assert np.allclose(frame.get_magnetic_moments(), moments, atol=5.1e-4)
    assert len(label_frames([frame], FE)[0]) == 1


def test_outcar_of_another_run_is_not_believed(tmp_path: Path) -> None:
    write_vasprun(tmp_path / "vasprun.xml.gz", relaxation())
    write_outcar(tmp_path / "OUTCAR", relaxation()[:2])
    frames = read_calculations(tmp_path / "vasprun.xml.gz", True)
    assert len(frames) == 3 and not any("magmoms" in f.calc.results for f in frames)
    assert {f.info["config"] for f in frames} == {tmp_path.name}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text("nothing\n")
    for name in ("OUTCAR", "missing.extxyz"):
        with pytest.raises(RedoxError, match=f"cannot read the calculation .*{name}"):
            read_calculations(tmp_path / name, True)
