"""Relaxed cells of the reference, as configurations of the lattice."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ...crystal.lattice import VACANCY, Lattice, Supercell
from ...errors import RedoxError
from ...potentials.dataset import DataSet
from ...potentials.labelling.configurations import Configuration

LARGEST_MISFIT = 1e-3  # of scaled positions, for a cell on ideal positions


@dataclass(frozen=True)
class ReferenceCell:
    """A configuration whose charge order survived relaxation with the reference; x and energy_eV per formula unit."""

    configuration: Configuration
    x: float
    energy_eV: float


def configuration_of(cell: Atoms, lattice: Lattice, name: str) -> Configuration:
    """The configuration that a cell on ideal positions shows (data-set symbols, vacancies X).

    Raises RedoxError if its vectors or its atoms are not those of the lattice.
    """
    host = np.asarray(lattice.atoms.cell)
    matrix = np.asarray(cell.cell) @ np.linalg.inv(host)
    whole = np.rint(matrix).astype(np.int64)
    if np.abs(matrix - whole).max() > LARGEST_MISFIT:
        raise RedoxError(f"configuration {name}: its cell is no supercell of the lattice")
    supercell = Supercell(lattice, whole)
    ideal = supercell.to_atoms(np.zeros(supercell.n_sites, np.int8))
    if len(ideal) != len(cell):
        raise RedoxError(f"configuration {name}: {len(cell)} sites, not {len(ideal)}")
    found, wanted = (a.get_scaled_positions() for a in (cell, ideal))
    gaps = wanted[:, None] - found[None]
    gaps = np.linalg.norm((gaps - np.rint(gaps)) @ np.asarray(ideal.cell), axis=2)
    nearest = gaps.argmin(axis=1)
    if len(set(nearest)) < len(nearest) or gaps.min(axis=1).max() > 0.1:
        raise RedoxError(f"configuration {name}: its atoms are not on the sites of the lattice")
    symbols = np.array(cell.get_chemical_symbols())[nearest].reshape(supercell.n_cells, -1)[:, lattice.site_atom]
    tables = [{sp.symbol: k for k, sp in enumerate(s.species)} for s in lattice.sublattices]
    try:
        species = [tables[g][s] for s, g in zip(symbols.ravel(), supercell.site_sublattice)]
    except KeyError as strange:
        raise RedoxError(f"configuration {name}: {strange.args[0]} is not allowed on its site") from None
    return Configuration(tuple(tuple(int(v) for v in row) for row in whole), np.array(species, np.int8).tobytes(), name)


def reference_cells(data: DataSet, lattice: Lattice) -> list[ReferenceCell]:
    """The labelled relaxed cells of the reference."""
    result = []
    for cell, name, energy in zip(data.cells, data.names, data.energies_eV):
        configuration = configuration_of(cell, lattice, name)
        result.append(ReferenceCell(configuration, configuration.composition(lattice), float(energy)))
    return result


def ions_of(configuration: Configuration, lattice: Lattice) -> bytes:
    """Occupation of the sublattices with vacancies: the same for all charge orders at one ion arrangement."""
    supercell = configuration.supercell(lattice)
    may_be_empty = np.array([any(sp.name == VACANCY for sp in s.species) for s in lattice.sublattices])
    return configuration.occupation()[may_be_empty[supercell.site_sublattice]].tobytes()


def series(cells: list[ReferenceCell], lattice: Lattice, least: int) -> list[list[int]]:
    """Groups of at least `least` cells that differ only by their charge order."""
    groups: dict[tuple[object, bytes], list[int]] = defaultdict(list)
    for k, cell in enumerate(cells):
        groups[(cell.configuration.matrix, ions_of(cell.configuration, lattice))].append(k)
    return [g for g in groups.values() if len(g) >= least]


def formation_energies(x: NDArray[np.float64], energy_eV: NDArray[np.float64]) -> NDArray[np.float64]:
    """eV per fu above the line between the lowest cells at the ends of x; nan if an end is not there.

    x, energy_eV (cells,): ions and energy per formula unit; nan energies are passed on.
    """
    low, high = x.min(), x.max()
    if high == low:
        return np.full(len(x), np.nan)
    ends = [np.nanmin(energy_eV[x == end]) if np.isfinite(energy_eV[x == end]).any() else np.nan for end in (low, high)]
    share = (x - low) / (high - low)
    return energy_eV - (1 - share) * ends[0] - share * ends[1]
