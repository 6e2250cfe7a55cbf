"""The primitive cell of a lattice, in its own orientation and with its own origin."""

from itertools import combinations, product

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from .lattice import Lattice, Supercell, build_lattice
from .symmetry import space_group


def primitive_lattice(lattice: Lattice) -> Lattice:
    """The same sites described by the smallest cell that repeats them; the lattice itself if its cell is the smallest."""
    rotations, shifts = space_group(lattice.atoms)
    translations = shifts[(rotations == np.eye(3, dtype=int)).all(axis=(1, 2))]
    if len(translations) == 1:
        return lattice
    basis = _shortest_basis(translations, np.asarray(lattice.atoms.cell))
    symbols, places = np.array(lattice.atoms.get_chemical_symbols()), lattice.atoms.positions @ np.linalg.inv(basis)
    kept: list[int] = []
    for k in range(len(symbols)):
        apart = places[kept] - places[k]
        distances_A = np.linalg.norm((apart - np.rint(apart)) @ basis, axis=1)
        if not (distances_A[symbols[kept] == symbols[k]] < 0.1).any():
            kept.append(k)
    atoms = Atoms(symbols[kept].tolist(), positions=lattice.atoms.positions[kept], cell=basis, pbc=True)
    return build_lattice(atoms, lattice.sublattices, lattice.spectators)


def sites_in_primitive(primitive: Lattice, lattice: Lattice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each site of a lattice the site (sites,) of its primitive lattice and the cell (sites, 3) in which it lies there."""
    basis = np.asarray(primitive.atoms.cell)
    apart = lattice.atoms.positions[lattice.site_atom][:, None] - primitive.atoms.positions[primitive.site_atom]
    cells = apart @ np.linalg.inv(basis)
    distance_A = np.linalg.norm((cells - np.rint(cells)) @ basis, axis=-1)
    alike = lattice.site_sublattice[:, None] == primitive.site_sublattice
    site = np.where(alike, distance_A, np.inf).argmin(axis=1)
    return site, np.rint(cells[np.arange(len(site)), site]).astype(np.int64)


def on_primitive(supercell: Supercell) -> tuple[Supercell, NDArray[np.int64]]:
    """The same supercell of the primitive lattice, and the number there (n_sites,) of each of its sites."""
    primitive = primitive_lattice(supercell.lattice)
    vectors = np.asarray(supercell.lattice.atoms.cell) @ np.linalg.inv(np.asarray(primitive.atoms.cell))
    whole = np.rint(vectors).astype(np.int64)
    same = Supercell(primitive, supercell.matrix @ whole)
    site, offset = sites_in_primitive(primitive, supercell.lattice)
    cells = same.cell_index((supercell.cells @ whole)[:, None] + offset)
    return same, (cells * primitive.n_sites + site).ravel()


def _shortest_basis(translations: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Short vectors (3, 3) that span the translations (k, 3), given in fractional coordinates of the cell (3, 3)."""
    shifts = np.array(list(product((-1, 0, 1), repeat=3)))
    reduced, combination = minkowski_reduce(cell)
    fractions = translations @ np.linalg.inv(combination)
    vectors = ((fractions - np.rint(fractions))[:, None] + shifts).reshape(-1, 3) @ reduced
    lengths_A = np.linalg.norm(vectors, axis=1)
    order = [k for k in np.lexsort((*vectors.round(6).T, lengths_A.round(6))) if lengths_A[k] > 1e-3]
    volume = abs(np.linalg.det(cell)) / len(translations)
    for last in range(2, len(order)):
        for first, second in combinations(order[:last], 2):
            basis = vectors[[first, second, order[last]]]
            if np.isclose(abs(np.linalg.det(basis)), volume, rtol=1e-3):
                return basis * np.sign(np.linalg.det(basis))
    raise AssertionError("the translations of a lattice contain a basis of it")
