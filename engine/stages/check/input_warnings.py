"""Warnings about an input that is valid, known before anything runs. --check prints them; the report lists them."""

from math import ceil

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states
from ...crystal.primitive import primitive_lattice
from ...crystal.supercells import fits
from ...crystal.symmetry import space_group
from ...sampling.diagnostics import LEAST_UNITS
from ...sampling.replicas.segments import blocks_of
from ...units import fraction
from ..shared.fit_record import ground_states, mixing
from ..shared.run import RootData, Run

COLD_K = 100.0
ROUNDING_X = 1e-6
DEPTH_EV = 1e-3  # of a corner of the hull that matters
LEAST_COHESION_EV = 1.0  # per atom: total energies are larger
LEAST_END_EV = 0.3  # per formula unit: formation energies vanish at the ends


def input_warnings(run: Run, data: RootData) -> list[str]:
    """Each says what to change. None for an input that samples nothing."""
    if run.config.sampling is None:
        return []
    of_fit = data.fit_data.warnings if data.fit_data else ()
    found = (
        run.lattice.symmetry_note,
        _cold(run),
        _few_parts(run),
        _own_images(run),
        _small_energies(run, data),
        _ends(run, data),
        *_orders(run, data),
        *of_fit,
    )
    return [text for text in found if text]


def _cold(run: Run) -> str | None:
    coldest = min(run.config.sampler.temperature_K)
    if coldest >= COLD_K:
        return None
    return (
        f"the lowest temperature_K is {coldest:g} K, where ions are frozen and atoms no longer classical; "
        "if degrees Celsius were meant, add 273"
    )


def _few_parts(run: Run) -> str | None:
    """A warning if too few independent parts may be left for any free energy to be trusted, since half can be equilibration."""
    given = run.config.sampler
    bin_sweeps, measure = blocks_of(given.exchange_every).bin_sweeps, given.sweeps.measure
    bins = ceil(measure / bin_sweeps)
    fewest = given.walkers * ceil(bins / 2)
    if len(run.ions) != 1 or fewest >= LEAST_UNITS:
        return None
    enough = (2 * ceil(LEAST_UNITS / given.walkers) - 1) * bin_sweeps
    return (
        f"{measure} sweeps of {given.walkers} walkers may leave {fewest} independent parts after equilibration, and below "
        f"{LEAST_UNITS} nothing is trusted; sweeps.measure should be {enough} or more, or walkers more"
    )


def _own_images(run: Run) -> str | None:
    """A warning if the supercell repeats within the range of the energy."""
    lattice, energy = run.lattice, run.config.energy
    given = energy.cluster_expansion if energy else None
    reach = max([*((given.cutoffs_A or ()) if given else ()), *(p.r_A[1] for p in (energy.pairs if energy else ()))], default=0.0)
    vectors, _ = minkowski_reduce(run.matrix @ np.asarray(lattice.atoms.cell))
    period = float(np.linalg.norm(vectors, axis=1).min())
    if period > reach:
        return None
    repeats = [int(np.ceil(2 * reach / length)) for length in lattice.atoms.cell.lengths()]
    return (
        f"the supercell repeats after {period:.1f} A, within the range of the energy, {reach:g} A: ions meet their own images; "
        f"lattice.supercell should be {repeats} or larger"
    )


def _small_energies(run: Run, data: RootData) -> str | None:
    """A warning if the energies of the data are neither total energies nor formation energies."""
    if data.fit_data is None:
        return None
    lattice, cells = run.lattice, data.fit_data.data
    per_atom = float(np.abs(cells.energies_eV).max()) * lattice.n_formula_units / len(lattice.atoms)
    if per_atom > LEAST_COHESION_EV or np.abs(cells.energies_eV).min() < LEAST_END_EV:
        return None
    return (
        f"the energies of the data are {per_atom:.2f} eV per atom at most, little for a solid; "
        "`energy` must be eV of the whole cell, not per atom"
    )


def _ends(run: Run, data: RootData) -> str | None:
    """A warning if the data do not reach the ends of composition that are sampled."""
    if data.fit_data is None or len(run.ions) != 1:
        return None
    supercell = Supercell(run.lattice, run.matrix)
    wanted = count_neutral_states(supercell, run.ions[0])[0][[0, -1]] / supercell.n_formula_units
    x = data.fit_data.data.fraction(run.lattice.species_named(run.ions[0]).symbol)
    missing = [fraction(float(end)) for end in wanted if np.abs(x - end).min() > ROUNDING_X]
    if not missing:
        return None
    return (
        f"the data set has no cell at x = {' and '.join(missing)}, which the run samples: its energy is extrapolated, and mixing "
        f"energies of the data lie above a line from x = {x.min():.3g} to {x.max():.3g}; add that cell"
    )


def _orders(run: Run, data: RootData) -> list[str]:
    """Warnings about ordered ground states of the data that do not fit into the supercell."""
    fit_data, lattice = data.fit_data, run.lattice
    if fit_data is None or len(run.ions) != 1:
        return []
    known = fit_data.data
    x = known.fraction(lattice.species_named(run.ions[0]).symbol)
    energy = mixing(x, known.energies_eV)
    said = []
    for corner, depth in zip(*ground_states(x, energy)):
        cells = [c for c, level, e in zip(known.cells, x, energy) if np.isclose(level, corner) and e <= depth + DEPTH_EV]
        periods = [_periods(c, lattice) for c in cells]
        if depth < -DEPTH_EV and not any(fits(cell, run.matrix, lattice, repeats) for cell, repeats in periods):
            said.append(cell_too_small(float(corner), periods[0][0], run.matrix))
    return said


def _periods(cell: Atoms, lattice: Lattice) -> tuple[NDArray, NDArray]:
    """Vectors (3, 3) of a cell on ideal positions, and translations (k, 3) that map it on itself, in cells of the lattice.

    They are fractions if the cell of the lattice is not primitive.
    """
    parts = len(lattice.atoms) // len(primitive_lattice(lattice).atoms)
    matrix = np.rint(parts * (np.asarray(cell.cell) @ np.linalg.inv(np.asarray(lattice.atoms.cell))))
    rotations, shifts = space_group(cell)
    moves = shifts[(rotations == np.eye(3, dtype=int)).all(axis=(1, 2))] @ matrix
    whole = np.isclose(moves, np.rint(moves), atol=1e-3).all(axis=1)
    found = matrix.astype(np.int64), np.rint(moves[whole]).astype(np.int64)
    return found if parts == 1 else (found[0] / parts, found[1] / parts)


def cell_too_small(x: float, order: NDArray, supercell: NDArray[np.int64]) -> str:
    return (
        f"the ground state at x = {fraction(x)} has the cell {order.tolist()}, "
        f"which does not fit into lattice.supercell {supercell.tolist()}: that order cannot form; give multiples of its cell"
    )
