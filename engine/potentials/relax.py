"""Relaxation of a charge-labelled structure, from ideal sites distorted according to charge, with checks of the result."""

import warnings
from dataclasses import dataclass
from enum import StrEnum

import ase.optimize
import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from numpy.typing import NDArray

from ..crystal.lattice import VACANCY, Supercell, bare_copy
from ..input.schema import RelaxationInput
from .charges import anion_bonds, states_by_bond_length, states_by_moment
from .labels import Labels
from .potential import LabelledCalculator
from .site_mapping import LARGEST_SHIFT_A

DISTORTION_A_PER_CHARGE = 0.16  # Shannon radii: Fe2+ (VI, high spin) is 0.135 A larger than Fe3+
RATTLE_A = 0.01  # moves the atoms off saddle points that symmetry would preserve
LONGEST_STEP_A = 0.1


class FailureKind(StrEnum):
    """Why a relaxed structure cannot be used as a label."""

    NOT_CONVERGED = "not converged"
    CALCULATION_FAILED = "calculation failed"
    LEFT_SITE = "an atom left its site"
    CHARGE_ORDER_LOST = "charge order lost"


@dataclass(frozen=True)
class RelaxationFailure:
    """The kind of a failure, and what happened in this relaxation."""

    kind: FailureKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


@dataclass(frozen=True)
class Relaxed:
    """A relaxed labelled cell.

    energy_eV: of the cell. moments_muB (atoms,): None if the potential has no moments. by_bond, by_moment (atoms,): charges
    read off the bond lengths and the moments of the relaxed structure. failure: None if the structure can be used.
    """

    cell: Atoms
    energy_eV: float
    steps: int
    moments_muB: NDArray[np.float64] | None
    by_bond: NDArray[np.int64]
    by_moment: NDArray[np.int64] | None
    failure: RelaxationFailure | None


def ions_per_fu(supercell: Supercell, occupation: NDArray[np.int8]) -> float:
    """Occupied sites, per formula unit, of the sublattices that allow vacancies."""
    lattice = supercell.lattice
    filled = 0
    for g, sublattice in enumerate(lattice.sublattices):
        names = [sp.name for sp in sublattice.species]
        if VACANCY in names:
            filled += int(np.sum(occupation[supercell.site_sublattice == g] != names.index(VACANCY)))
    return filled / supercell.n_formula_units


def start(supercell: Supercell, occupation: NDArray[np.int8], labels: Labels, settings: RelaxationInput) -> Atoms:
    """The labelled structure from which a relaxation starts.

    Atoms sit on ideal sites, cell lengths follow Vegard's law, and anions are shifted outward from the lower charge states.
    """
    atoms = supercell.to_atoms(occupation)
    if settings.cell_lengths_A:
        atoms.set_cell(_vegard_cell(supercell, ions_per_fu(supercell, occupation), settings), scale_atoms=True)
    del atoms[atoms.symbols == "X"]
    shift = np.zeros((len(atoms), 3))
    for i in labels.redox_atoms(atoms):
        species = labels.ions[atoms.symbols[i]]
        states = [s.charge for s in labels.redox[species.element]]
        out_A = DISTORTION_A_PER_CHARGE * ((min(states) + max(states)) / 2 - species.charge)
        neighbours, vectors = anion_bonds(atoms, labels, int(i))
        np.add.at(shift, neighbours, out_A * vectors / np.linalg.norm(vectors, axis=1)[:, None])
    atoms.positions += shift
    if settings.steps:
        atoms.rattle(RATTLE_A, seed=1)
    return atoms


def _vegard_cell(supercell: Supercell, x: float, settings: RelaxationInput) -> NDArray[np.float64]:
    known = sorted(settings.cell_lengths_A)
    lengths = np.array([np.interp(x, known, [settings.cell_lengths_A[k][axis] for k in known]) for axis in range(3)])
    given = np.asarray(supercell.lattice.atoms.cell)
    return supercell.matrix @ (given * (lengths / np.linalg.norm(given, axis=1))[:, None])


def relax(begin: Atoms, calculator: LabelledCalculator, settings: RelaxationInput) -> Relaxed:
    """Relax positions and cell, then check that every atom is on its site and the charge order is the prepared one.

    With settings.steps = 0 the energy is that of the start, and nothing is checked. On one machine the same start gives the
    same energy bit for bit; on different machines energies agree to rounding.
    """
    atoms = begin.copy()
    atoms.calc = calculator
    optimiser = getattr(ase.optimize, settings.optimiser)(FrechetCellFilter(atoms), logfile=None, maxstep=LONGEST_STEP_A)
    failure = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "logm result")  # inaccuracy of 1e-13 in the strain
            converged = optimiser.run(fmax=settings.largest_force_eV_per_A, steps=settings.steps)
            if settings.steps and not converged:
                detail = f"forces above {settings.largest_force_eV_per_A:g} eV/A after {settings.steps} steps"
                failure = RelaxationFailure(FailureKind.NOT_CONVERGED, detail)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError, RuntimeError) as error:
        failure = RelaxationFailure(FailureKind.CALCULATION_FAILED, f"{type(error).__name__}: {error}")
    energy = float(calculator.results.get("energy", np.nan))
    moments = calculator.results.get("magmoms")
    cell = bare_copy(atoms)
    if not (np.isfinite(energy) and np.isfinite(cell.positions).all() and np.isfinite(cell.cell.array).all()):
        if failure is None or failure.kind is not FailureKind.CALCULATION_FAILED:
            failure = RelaxationFailure(FailureKind.CALCULATION_FAILED, "energy or positions are not finite")
        cell, energy, moments = begin.copy(), np.nan, None
    labels, prepared = calculator.labels, calculator.labels.charges(cell)
    by_bond = states_by_bond_length(cell, labels, prepared)
    by_moment = states_by_moment(cell, labels, prepared, moments) if moments is not None else None
    if failure is None and settings.steps:
        failure = _left_site(begin, cell) or _order_lost(prepared, by_bond, by_moment)
    return Relaxed(cell, energy, optimiser.nsteps, moments, by_bond, by_moment, failure)


def _left_site(begin: Atoms, end: Atoms) -> RelaxationFailure | None:
    moved = end.get_scaled_positions(wrap=False) - begin.get_scaled_positions(wrap=False)
    moved -= moved.mean(axis=0)
    distances = np.linalg.norm(moved @ np.asarray(end.cell), axis=1)
    worst = int(np.argmax(distances))
    if not distances[worst] < LARGEST_SHIFT_A:
        return RelaxationFailure(FailureKind.LEFT_SITE, f"{end.symbols[worst]} {worst} moved {distances[worst]:.2f} A")
    return None


def _order_lost(
    prepared: NDArray[np.int64], by_bond: NDArray[np.int64], by_moment: NDArray[np.int64] | None
) -> RelaxationFailure | None:
    for shown, what in ((by_bond, "bond lengths"), (by_moment, "moments")):
        if shown is not None and (lost := int(np.sum(shown != prepared))):
            return RelaxationFailure(FailureKind.CHARGE_ORDER_LOST, f"{lost} ions have the {what} of another charge")
    return None
