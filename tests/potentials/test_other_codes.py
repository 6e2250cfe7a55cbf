"""Outputs of other codes than VASP: what is read, and what is left out with the reason."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from redoxmc.engine.potentials.calculations import Calculation, label_calculation, read_calculations

from ..helpers.other_codes import BFGS_ENDS, write_aims, write_espresso
from .test_calculations import relaxation
from .test_charges import FE


def last(path: Path) -> Calculation:
    (found,) = read_calculations(path, every_step=False)
    return found


@dataclass(frozen=True)
class Case:
    relaxes: bool
    end: str
    failed: tuple[int, ...]
    reason: str | None


@pytest.mark.parametrize(
    "case",
    [
        Case(False, "", (), None),
        Case(False, "", (0,), "convergence NOT achieved after 100 iterations"),
        Case(True, BFGS_ENDS.format(n=3), (), None),
        Case(True, "", (), "the relaxation did not converge in 3 steps: it was stopped or killed"),
        Case(
            True,
            "     The maximum number of steps has been reached.\n     End of BFGS Geometry Optimization\n",
            (),
            "nstep was reached",
        ),
        Case(True, "", (2,), "convergence NOT achieved after 100 iterations"),
    ],
)
def test_espresso(tmp_path: Path, case: Case) -> None:
    given = relaxation()[: 3 if case.relaxes else 1]
    write_espresso(tmp_path / "cell.pwo", given, case.relaxes, case.end, case.failed)
    found = last(tmp_path / "cell.pwo")
    assert found.name == "cell" and found.index == len(given) and found.atoms is not None
    assert (found.left_out is None) if case.reason is None else (case.reason in str(found.left_out))
    if case.reason is None:
        assert np.allclose(found.atoms.positions, given[-1].positions, atol=1e-5)
        assert found.atoms.get_potential_energy() == pytest.approx(given[-1].get_potential_energy(), abs=1e-4)  # Rydberg
        assert np.allclose(found.atoms.get_forces(), given[-1].get_forces(), atol=1e-5)
        assert np.allclose(found.atoms.get_magnetic_moments(), given[-1].get_magnetic_moments(), atol=1e-4)  # of the last table
        assert label_calculation(found, FE).atoms is not None
    steps = read_calculations(tmp_path / "cell.pwo", every_step=True)
    assert [bool(c.left_out) for c in steps] == [k in case.failed for k in range(len(given))]


def test_hubbard_parameters_of_espresso(tmp_path: Path) -> None:
    write_espresso(tmp_path / "a.pwo", relaxation()[:1], end="     U(Fe-3d) =  5.3000\n")
    assert last(tmp_path / "a.pwo").settings["U of Fe"] == "U = 5.3 eV"
    table = "     atomic species    L          U    alpha       J0     beta\n"
    table += "        Fe             2     4.0000   0.0000   0.0000   0.0000\n"
    write_espresso(tmp_path / "b.pwo", relaxation()[:1], end=table)
    assert {k: v for k, v in last(tmp_path / "b.pwo").settings.items() if v != "U = 0"} == {"U of Fe": "U = 4 eV"}


@pytest.mark.parametrize(
    "converged, complete, reason",
    [
        (True, True, None),
        (False, True, "Self-consistency cycle not yet converged"),
        (True, False, "did not complete successfully"),
    ],
)
def test_aims(tmp_path: Path, converged: bool, complete: bool, reason: str | None) -> None:
    given = relaxation()[0]
    write_aims(tmp_path / "aims.out", given, converged, complete)
    found = last(tmp_path / "aims.out")
    assert (found.left_out is None) if reason is None else (reason in str(found.left_out))
    if complete:
        assert found.atoms is not None and np.allclose(found.atoms.get_forces(), given.get_forces())
        assert found.atoms.get_potential_energy() == pytest.approx(given.get_potential_energy())
        assert "magmoms" not in found.atoms.calc.results


def test_cp2k_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cp2k.log").write_text(" CP2K| version string:   CP2K version 2024.1\n *** SCF run NOT converged ***\n")
    found = last(tmp_path / "cp2k.log")
    assert found.atoms is None and "its SCF run did NOT converge; ASE reads no outputs of CP2K" in str(found.left_out)
    (tmp_path / "cp2k.log").write_text(" CP2K| version string:   CP2K version 2024.1\n")
    assert str(last(tmp_path / "cp2k.log").left_out).startswith("ASE reads no outputs of CP2K: write structures")


def test_a_file_of_structures_has_no_energy(tmp_path: Path) -> None:
    relaxation()[0].write(tmp_path / "POSCAR")
    assert last(tmp_path / "POSCAR").left_out == "no energy"
    Atoms("Na", cell=[4, 4, 4], pbc=True).write(tmp_path / "cell.cif")
    assert last(tmp_path / "cell.cif").left_out == "no energy"


def test_outputs_without_spin(tmp_path: Path) -> None:
    write_espresso(tmp_path / "cell.pwo", relaxation()[:1], spin=False)
    write_aims(tmp_path / "aims.out", relaxation()[0], spin=False)
    for name in ("cell.pwo", "aims.out"):
        assert "without spin polarisation" in str(label_calculation(last(tmp_path / name), FE).left_out)
