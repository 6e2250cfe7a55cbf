"""Lower convex hull of a free energy over composition."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.hull import lower_vertices

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Facet:
    """A straight part of the hull between two vertices; depth: largest height of the curve above it, at the index `deepest`."""

    left: int
    right: int
    deepest: int
    depth: float


def lower_hull(x: Float, f: Float) -> NDArray[np.int64]:
    """Indices of the vertices of the lower hull of points (x ascending, f), both ends included."""
    if len(x) < 3:
        return np.arange(len(x))
    above = f - np.interp(x, x[[0, -1]], f[[0, -1]])  # energies per ion may be thousands of eV
    return lower_vertices((x - x[0]) / np.ptp(x), (above - above.min()) / (np.ptp(above) or 1.0))


def hull_values(x: Float, f: Float, vertices: NDArray[np.int64]) -> Float:
    """The hull at every x."""
    return np.interp(x, x[vertices], f[vertices])


def facets(x: Float, f: Float, vertices: NDArray[np.int64], wider_than: float = 0.0, deeper_than: float = -np.inf) -> list[Facet]:
    """All parts between neighbouring vertices that are wider in x and deeper than this."""
    above = f - hull_values(x, f, vertices)
    depth = np.maximum.reduceat(above, vertices[:-1])
    result = []
    for k in np.flatnonzero((np.diff(x[vertices]) > wider_than * (1 + 1e-9)) & (depth > deeper_than)):
        a, b = int(vertices[k]), int(vertices[k + 1])
        result.append(Facet(a, b, a + int(np.argmax(above[a : b + 1])), float(depth[k])))
    return result
