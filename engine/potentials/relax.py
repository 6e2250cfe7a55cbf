"""Relaxation that keeps the labels: from the ideal lattice, octahedra distorted by charge, to a checked minimum."""

import warnings
from dataclasses import dataclass

import ase.optimize
import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from numpy.typing import NDArray

from ..crystal.lattice import VACANCY, Supercell
from ..input.schema import RelaxationInput
from .charges import anion_bonds, states_by_bond_length, states_by_moment
from .dataset import LARGEST_SHIFT_A
from .labels import Labels
from .potential import LabelledCalculator

DISTORTION_A_PER_CHARGE = 0.16  # Shannon radii: Fe2+ (VI, high spin) is 0.135 A larger than Fe3+
RATTLE_A = 0.01  # off saddle points that symmetry would hold
LONGEST_STEP_A = 0.1


@dataclass(frozen=True)
class Relaxed:
    """A relaxed labelled cell.

    energy_eV per cell; moments_muB (atoms,) if the potential has them; by_bond, by_moment (atoms,): charges that the relaxed
    structure shows; problem: why it must not be used, or None.
    """

    cell: Atoms
    energy_eV: float
    steps: int
    moments_muB: NDArray[np.float64] | None
    by_bond: NDArray[np.int64]
    by_moment: NDArray[np.int64] | None
    problem: str | None


def ions_per_fu(supercell: Supercell, occupation: NDArray[np.int8]) -> float:
    """Filled sites of the sublattices that may be empty, per formula unit."""
    lattice = supercell.lattice
    filled = 0
    for g, sublattice in enumerate(lattice.sublattices):
        names = [sp.name for sp in sublattice.species]
        if VACANCY in names:
            filled += int(np.sum(occupation[supercell.site_sublattice == g] != names.index(VACANCY)))
    return filled / supercell.n_formula_units


def start(supercell: Supercell, occupation: NDArray[np.int8], labels: Labels, settings: RelaxationInput) -> Atoms:
    """The labelled structure to relax: ideal sites, cell lengths by Vegard, anions shifted by the charge that they surround."""
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
    """Positions and cell to the largest force asked for (steps: 0: nothing moves); then: every ion on its site, charge order as labelled.

    The same start gives the same energy on the same machine, bit for bit; on others to rounding.
    """
    atoms = begin.copy()
    atoms.calc = calculator
    optimiser = getattr(ase.optimize, settings.optimiser)(FrechetCellFilter(atoms), logfile=None, maxstep=LONGEST_STEP_A)
    problem = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "logm result")  # of the filter's strain, at 1e-13
            converged = optimiser.run(fmax=settings.largest_force_eV_per_A, steps=settings.steps)
            if settings.steps and not converged:
                problem = f"not converged in {settings.steps} steps"
    except (ValueError, FloatingPointError, np.linalg.LinAlgError, RuntimeError) as error:
        problem = f"the relaxation broke down: {type(error).__name__}: {error}"
    energy = float(calculator.results.get("energy", np.nan))
    moments = calculator.results.get("magmoms")
    cell = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    if not (np.isfinite(energy) and np.isfinite(cell.positions).all() and np.isfinite(cell.cell.array).all()):
        problem = "the relaxation broke down: energy or positions are no numbers"
        cell, energy, moments = begin.copy(), np.nan, None
    labels, prepared = calculator.labels, calculator.labels.charges(cell)
    by_bond = states_by_bond_length(cell, labels, prepared)
    by_moment = states_by_moment(cell, labels, prepared, moments) if moments is not None else None
    if problem is None and settings.steps:
        problem = _left_lattice(begin, cell) or _order_lost(prepared, by_bond, by_moment)
    return Relaxed(cell, energy, optimiser.nsteps, moments, by_bond, by_moment, problem)


def _left_lattice(begin: Atoms, end: Atoms) -> str | None:
    moved = end.get_scaled_positions(wrap=False) - begin.get_scaled_positions(wrap=False)
    moved -= moved.mean(axis=0)
    distances = np.linalg.norm(moved @ np.asarray(end.cell), axis=1)
    worst = int(np.argmax(distances))
    if not distances[worst] < LARGEST_SHIFT_A:
        return f"{end.symbols[worst]} {worst} moved {distances[worst]:.2f} A and left its site"
    return None


def _order_lost(prepared: NDArray[np.int64], by_bond: NDArray[np.int64], by_moment: NDArray[np.int64] | None) -> str | None:
    for shown, what in ((by_bond, "bond lengths"), (by_moment, "moments")):
        if shown is not None and (lost := int(np.sum(shown != prepared))):
            return f"charge order lost: {lost} ions show another charge by their {what}"
    return None
