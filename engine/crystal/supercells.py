"""Supercells of a given size, one of each kind that symmetry tells apart."""

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from .lattice import Lattice, Supercell
from .symmetry import distinct_supercells, space_group


def hermite_forms(n_cells: int) -> Iterator[NDArray[np.int64]]:
    """All lattices of n_cells cells, each once (Hart, Forcade, Phys. Rev. B 77, 224115, 2008)."""
    for a in _divisors(n_cells):
        for b in _divisors(n_cells // a):
            c = n_cells // a // b
            yield from (np.array([[a, i, j], [0, b, k], [0, 0, c]]) for i in range(b) for j in range(c) for k in range(c))


def fits(
    order: NDArray[np.int64], supercell: NDArray[np.int64], lattice: Lattice, repeats: NDArray[np.int64] | None = None
) -> bool:
    """Whether an order with the periods `order` (3, 3), and `repeats` (k, 3) within these, or one that the space group makes of it, fits
    into a supercell (3, 3): whether the supercell's vectors are periods."""
    within = np.zeros((1, 3), np.int64) if repeats is None else repeats
    for rotation in space_group(lattice.atoms)[0]:
        left = (supercell[:, None] - (within @ rotation.T)[None]) @ np.linalg.inv(order @ rotation.T)
        if np.isclose(left, np.rint(left), atol=1e-6).all(axis=2).any(axis=1).all():
            return True
    return False


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def supercells_of(lattice: Lattice, n_cells: int) -> list[Supercell]:
    """The distinct ones in their shortest vectors (Minkowski's), the most compact first: that with the shortest longest vector."""
    found = distinct_supercells([Supercell(lattice, h) for h in hermite_forms(n_cells)])
    return sorted((_reduced(s) for s in found), key=lambda s: (_longest_A(s), s.hermite.ravel().tolist()))


def _reduced(supercell: Supercell) -> Supercell:
    """Right-handed, each vector with the axis of the cell that it is most of."""
    _, combination = minkowski_reduce(supercell.hermite @ np.asarray(supercell.lattice.atoms.cell))
    matrix = np.rint(combination).astype(np.int64) @ supercell.hermite
    turned = [np.array(s)[:, None] * matrix[list(p)] for p, s in product(permutations(range(3)), product((1, -1), repeat=3))]
    return Supercell(supercell.lattice, max((m for m in turned if np.linalg.det(m) > 0), key=np.trace))


def _longest_A(supercell: Supercell) -> float:
    vectors = supercell.matrix @ np.asarray(supercell.lattice.atoms.cell)
    return round(float(np.linalg.norm(vectors, axis=1).max()), 6)  # equal lengths must not be ordered by their last digits
