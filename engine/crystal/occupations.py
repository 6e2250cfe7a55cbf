"""Occupations of a supercell: the species on its sites, and the atoms that they stand for."""

from collections import Counter

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from .lattice import VACANCY, Species, Supercell


def species_on_sites(supercell: Supercell, species: NDArray[np.int8]) -> list[Species]:
    """The species on every site of the occupation (n_sites,), which holds species indices."""
    return [supercell.lattice.sublattices[g].species[k] for g, k in zip(supercell.site_sublattice, species)]


def species_of_atoms(supercell: Supercell, species: NDArray[np.int8]) -> list[Species]:
    """Species of every atom of the full occupation when its sites hold the occupation (n_sites,); vacancies are included."""
    spectators = supercell.lattice.spectators
    found = [Species(s, spectators.get(s, 0)) for s in full_occupation(supercell).get_chemical_symbols()]
    for atom, sp in zip(active_atoms(supercell).tolist(), species_on_sites(supercell, species)):
        found[atom] = sp
    return found


def full_occupation(supercell: Supercell) -> Atoms:
    """The supercell with the atoms of the structure file on all sites."""
    atoms = supercell.to_atoms(np.zeros(supercell.n_sites, np.int8))
    atoms.symbols = supercell.lattice.atoms.get_chemical_symbols() * supercell.n_cells
    return atoms


def active_atoms(supercell: Supercell) -> NDArray[np.int64]:
    """Atom of the full occupation at each site (n_sites,)."""
    cells = np.arange(supercell.n_cells)[:, None] * len(supercell.lattice.atoms)
    return (cells + supercell.lattice.site_atom).ravel()


def formula_unit(supercell: Supercell, species: NDArray[np.int8]) -> dict[str, float]:
    """Atoms per formula unit by element, in the order of the structure file, of the occupation (n_sites,).

    A species whose name is no element counts as the element of its sublattice.
    """
    places = zip(full_occupation(supercell).get_chemical_symbols(), species_of_atoms(supercell, species))
    counts = Counter(sp.element if sp.element in atomic_numbers else own for own, sp in places if sp.name != VACANCY)
    order = dict.fromkeys([*supercell.lattice.formula_unit, *counts])
    return {element: counts[element] / supercell.n_formula_units for element in order if counts[element]}
