"""Symmetry-distinct supercells of a given size, and the periods that fit into a supercell."""

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from .lattice import Lattice, Supercell, hermite_form
from .symmetry import space_group


def hermite_forms(n_cells: int) -> Iterator[NDArray[np.int64]]:
    """Hermite normal forms (3, 3) of all superlattices with n_cells cells (Hart, Forcade, Phys. Rev. B 77, 224115, 2008)."""
    for a in _divisors(n_cells):
        for b in _divisors(n_cells // a):
            c = n_cells // a // b
            yield from (np.array([[a, i, j], [0, b, k], [0, 0, c]]) for i in range(b) for j in range(c) for k in range(c))


def distinct_supercells(supercells: list[Supercell]) -> list[Supercell]:
    """The first of each set of supercells that the space group maps onto each other, by ascending size."""
    distinct: dict[tuple[int, ...], Supercell] = {}
    for s in supercells:
        images = [hermite_form(s.hermite @ rotation.T) for rotation in space_group(s.lattice.atoms)[0]]
        distinct.setdefault(min(tuple(h.ravel().tolist()) for h in images), s)
    return [distinct[h] for h in sorted(distinct, key=lambda h: (distinct[h].n_cells, h))]


def fits(order: NDArray, supercell: NDArray[np.int64], lattice: Lattice, repeats: NDArray | None = None) -> bool:
    """Whether an ordered structure fits into a supercell (3, 3), in any of its symmetry-equivalent orientations.

    The rows of `order` (3, 3) are the periods of the ordered structure; `repeats` (k, 3) are further periods within its cell.
    Both are in cells of the lattice, and may be fractions. It fits if every vector of the supercell is a period.
    """
    within = np.zeros((1, 3), np.int64) if repeats is None else repeats
    for rotation in space_group(lattice.atoms)[0]:
        left = (supercell[:, None] - (within @ rotation.T)[None]) @ np.linalg.inv(order @ rotation.T)
        if np.isclose(left, np.rint(left), atol=1e-6).all(axis=2).any(axis=1).all():
            return True
    return False


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def supercells_of(lattice: Lattice, n_cells: int) -> list[Supercell]:
    """All distinct supercells of n_cells cells, Minkowski-reduced; the one with the shortest longest vector comes first."""
    found = distinct_supercells([Supercell(lattice, h) for h in hermite_forms(n_cells)])
    return sorted((reduced(s) for s in found), key=lambda s: (_longest_A(s), s.hermite.ravel().tolist()))


def reduced(supercell: Supercell) -> Supercell:
    """The same supercell with reduced, right-handed vectors, each along the cell axis that it is closest to."""
    _, combination = minkowski_reduce(supercell.hermite @ np.asarray(supercell.lattice.atoms.cell))
    matrix = np.rint(combination).astype(np.int64) @ supercell.hermite
    turned = [np.array(s)[:, None] * matrix[list(p)] for p, s in product(permutations(range(3)), product((1, -1), repeat=3))]
    return Supercell(supercell.lattice, max((m for m in turned if np.linalg.det(m) > 0), key=np.trace))


def _longest_A(supercell: Supercell) -> float:
    vectors = supercell.matrix @ np.asarray(supercell.lattice.atoms.cell)
    return round(float(np.linalg.norm(vectors, axis=1).max()), 6)  # equal lengths must not be ordered by their last digits
