"""Another description of the same crystal: where its fractional coordinates lie in our cell."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from .terms import Site

TOLERANCE_A = 0.05  # far below the distance of two sites


@dataclass(frozen=True)
class Frame:
    """Fractional coordinates of the other cell, x @ matrix + shift in ours, which holds one or several of the other.

    matrix (3, 3); shift (3,).
    """

    lattice: Lattice
    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]

    @cached_property
    def n_cells(self) -> int:
        """Cells of the other per cell of ours."""
        return round(1 / abs(float(np.linalg.det(self.matrix))))

    @cached_property
    def _translations(self) -> NDArray[np.int64]:
        """One translation of the other cell to each of those in our cell, (n_cells, 3), wherever its copy in our lattice."""
        n = self.n_cells
        points = np.indices((n, n, n)).reshape(3, -1).T  # n times any vector of the other lattice belongs to ours
        where = np.rint(n * (points @ self.matrix)).astype(int) % n
        _, first = np.unique(where, axis=0, return_index=True)
        if len(first) != n:
            raise RedoxError("the structure is not a whole number of the cells of the cluster expansion")
        return points[first]

    @cached_property
    def _sites(self) -> NDArray[np.float64]:
        return np.asarray(self.lattice.atoms.get_scaled_positions(wrap=False)[self.lattice.site_atom], np.float64)

    def site(self, fractional: NDArray[np.float64]) -> Site:
        """The site at (3,) of the other cell. Raises RedoxError where the structure has none."""
        delta = fractional @ self.matrix + self.shift - self._sites
        distance = np.linalg.norm((delta - np.rint(delta)) @ np.asarray(self.lattice.atoms.cell), axis=1)
        nearest = int(np.argmin(distance))
        if distance[nearest] > TOLERANCE_A:
            raise RedoxError("the structure lacks a site of the cluster expansion")
        a, b, c = np.rint(delta[nearest]).astype(int).tolist()
        return nearest, (a, b, c)

    def copies(self, fractional: NDArray[np.float64]) -> list[tuple[Site, ...]]:
        """A cluster of sites (k, 3) of the other cell, and its translations into every other cell that ours holds."""
        return [tuple(self.site(x + t) for x in fractional) for t in self._translations]
