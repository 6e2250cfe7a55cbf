"""Mapping from the unit cell of another description of the same crystal to the sites of the lattice."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from .terms import Site

TOLERANCE_A = 0.05  # far below the distance between two sites


@dataclass(frozen=True)
class CellMapping:
    """Position of another cell in the cell of the lattice, which consists of one or several of the other cells.

    Fractional coordinates x of the other cell are x @ matrix + shift in the cell of the lattice; matrix (3, 3), shift (3,).
    """

    lattice: Lattice
    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]

    @cached_property
    def n_cells(self) -> int:
        """Number of other cells in one cell of the lattice."""
        return round(1 / abs(float(np.linalg.det(self.matrix))))

    @cached_property
    def _translations(self) -> NDArray[np.int64]:
        """One translation (n_cells, 3) of the other cell for each of the other cells in a cell of the lattice."""
        n = self.n_cells
        points = np.indices((n, n, n)).reshape(3, -1).T  # n times any vector of the other lattice is a vector of ours
        where = np.rint(n * (points @ self.matrix)).astype(int) % n
        _, first = np.unique(where, axis=0, return_index=True)
        if len(first) != n:
            raise RedoxError("the structure is not a whole number of the cells of the cluster expansion")
        return points[first]

    @cached_property
    def _sites(self) -> NDArray[np.float64]:
        return np.asarray(self.lattice.atoms.get_scaled_positions(wrap=False)[self.lattice.site_atom], np.float64)

    def site(self, fractional: NDArray[np.float64]) -> Site:
        """The site at fractional coordinates (3,) of the other cell. Raises RedoxError if the structure has no site there."""
        delta = fractional @ self.matrix + self.shift - self._sites
        distance = np.linalg.norm((delta - np.rint(delta)) @ np.asarray(self.lattice.atoms.cell), axis=1)
        nearest = int(np.argmin(distance))
        if distance[nearest] > TOLERANCE_A:
            raise RedoxError("the structure lacks a site of the cluster expansion")
        a, b, c = np.rint(delta[nearest]).astype(int).tolist()
        return nearest, (a, b, c)

    def copies(self, fractional: NDArray[np.float64]) -> list[tuple[Site, ...]]:
        """The cluster at fractional coordinates (k, 3) of the other cell, in each of the other cells in a cell of the lattice."""
        return [tuple(self.site(x + t) for x in fractional) for t in self._translations]
