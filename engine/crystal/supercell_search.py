"""Supercells of a lattice whose vectors have the lengths and angles of a given cell, in any orientation."""

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from .lattice import Lattice
from .symmetry import space_group

Float = NDArray[np.float64]
Integer = NDArray[np.int64]
_FACTORS = np.array([0x9E3779B97F4A7C15 * (k + 1) ** 5 % 2**63 | 1 for k in range(9)], np.int64)  # sums wrap around


def strain_of(cell: Float, matrix: Integer, basis: Float) -> float:
    """Largest principal strain from the supercell `matrix` (3, 3) of `basis` (3, 3) to `cell` (3, 3); rotations do not count."""
    deformation = np.linalg.solve(matrix @ basis, cell)
    return float(np.abs(np.linalg.svd(deformation, compute_uv=False) - 1).max())


class SupercellSearch:
    """Finds supercells of one lattice, one of each set that its point group makes equivalent."""

    def __init__(self, lattice: Lattice) -> None:
        self._cell = np.asarray(lattice.atoms.cell)
        self._rotations = np.unique(space_group(lattice.atoms)[0], axis=0)
        self._is_chiral = bool((np.linalg.det(self._rotations) > 0).all())

    def unrotated(self, cell: Float, n_cells: int) -> list[Integer]:
        """The supercell of n_cells cells that is closest to `cell` (3, 3) as it is oriented, if there is one."""
        matrix = np.rint(cell @ np.linalg.inv(self._cell)).astype(np.int64)
        return [matrix] if round(abs(np.linalg.det(matrix))) == n_cells else []

    def rotated(self, cell: Float, n_cells: int, largest_strain: float) -> list[Integer]:
        """Supercells (3, 3) of n_cells cells within a strain of `cell` (3, 3), Minkowski-reduced; the least strained first."""
        lengths_A = np.linalg.norm(cell, axis=1)
        vectors = self._vectors_up_to(lengths_A.max() * (1 + largest_strain))
        cartesian = vectors @ self._cell
        size_A = np.linalg.norm(cartesian, axis=1)
        choices = [np.flatnonzero(np.abs(size_A / length - 1) <= largest_strain) for length in lengths_A]
        choices[0] = self._distinct(vectors, choices[0])
        shear = largest_strain * (2 + largest_strain)  # bound of F^T F - 1
        matrices = []
        for a in choices[0]:
            second, third = (k[self._angles_agree(cartesian, a, k, cell, (0, n), shear)] for n, k in enumerate(choices[1:], 1))
            crossed = np.cross(vectors[a], vectors[second])
            pairs = np.argwhere(np.abs(crossed @ vectors[third].T) == n_cells)
            b, c = second[pairs[:, 0]], third[pairs[:, 1]]
            wanted = cell[1] @ cell[2]
            agree = np.abs((cartesian[b] * cartesian[c]).sum(axis=1) - wanted) <= shear * size_A[b] * size_A[c]
            matrices.append(
                np.stack([np.broadcast_to(vectors[a], (agree.sum(), 3)), vectors[b[agree]], vectors[c[agree]]], axis=1)
            )
        return self._least_strained(np.concatenate(matrices), cell, largest_strain) if matrices else []

    def _vectors_up_to(self, length_A: float) -> Integer:
        """All lattice vectors (k, 3) up to a length."""
        reduced, combination = minkowski_reduce(self._cell)
        most = np.ceil(length_A * np.linalg.norm(np.linalg.inv(reduced), axis=0)).astype(int)
        grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), axis=-1).reshape(-1, 3)
        kept = np.linalg.norm(grid @ reduced, axis=1) <= length_A
        return grid[kept] @ np.rint(combination).astype(np.int64)

    def _distinct(self, vectors: Integer, chosen: Integer) -> Integer:
        """One of each set of equivalent vectors."""
        images = vectors[chosen] @ self._rotations.transpose(0, 2, 1)  # (rotations, vectors, 3)
        own, least = _codes(vectors[chosen]), _codes(images).min(axis=0)
        return chosen[own == least]

    @staticmethod
    def _angles_agree(
        cartesian: Float, a: np.signedinteger, others: Integer, cell: Float, which: tuple[int, int], shear: float
    ) -> NDArray[np.bool_]:
        found, wanted = cartesian[others] @ cartesian[a], cell[which[0]] @ cell[which[1]]
        sizes = np.linalg.norm(cartesian[others], axis=1) * np.linalg.norm(cartesian[a])
        return np.asarray(np.abs(found - wanted) <= shear * sizes)

    def _least_strained(self, matrices: Integer, cell: Float, largest_strain: float) -> list[Integer]:
        """Those within the strain, one of each equivalent set, in order of their strain."""
        if self._is_chiral:
            matrices = matrices[np.linalg.det(matrices @ self._cell) * np.linalg.det(cell) > 0]
        if not len(matrices):
            return []
        deformations = np.linalg.solve(matrices @ self._cell, np.broadcast_to(cell, matrices.shape))
        strains = np.abs(np.linalg.svd(deformations, compute_uv=False) - 1).max(axis=1)
        kept = strains <= largest_strain
        matrices, strains = matrices[kept], strains[kept].round(9)
        images = matrices[None] @ self._rotations.transpose(0, 2, 1)[:, None]
        names = _codes(images.reshape(len(self._rotations), -1, 9)).min(axis=0)
        _, first = np.unique(names, return_index=True)
        return [matrices[k] for k in first[np.argsort(strains[first], kind="stable")]]


def _codes(rows: Integer) -> Integer:
    """A number (...) for every row (..., k) of integers: equal for equal rows, and different for others in all likelihood."""
    return np.asarray((rows * _FACTORS[: rows.shape[-1]]).sum(axis=-1))
