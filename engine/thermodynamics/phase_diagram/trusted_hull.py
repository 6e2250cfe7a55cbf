"""Where the hull of F(T, x) rests on trusted free energies."""

import numpy as np
from numpy.typing import NDArray

from ..free_energy.hull import lower_hull
from ..free_energy.isotherms import Isotherms
from .trusted import LEAST_INSIDE

Bool = NDArray[np.bool_]


def trusted_hull(isotherms: Isotherms, trusted: Bool) -> Bool:
    """(rungs, x): whether the facets around a composition of the grid are trusted. trusted (rungs, x): of /canonical."""
    return np.array([_of_rung(isotherms, row, trusted[row]) for row in range(len(isotherms.rungs))])


def trusted_steps(isotherms: Isotherms, row: int, trusted: Bool) -> Bool:
    """(n-1,): whether the facet of the hull over a step of the count is trusted at both ends and mostly between; trusted (x,)."""
    x, f = isotherms.x, isotherms.free_energy(isotherms.curves[row].all, isotherms.rungs[row])
    if not np.isfinite(f).all():
        return np.zeros(len(x) - 1, bool)
    nearest = np.rint(np.interp(x, isotherms.x_grid, np.arange(len(isotherms.grid)))).astype(int)
    vertices, good = lower_hull(x, f), trusted[nearest]
    facets = [good[a] and good[b] and good[a : b + 1].mean() > LEAST_INSIDE for a, b in zip(vertices, vertices[1:])]
    return np.repeat(facets, np.diff(vertices))


def _of_rung(isotherms: Isotherms, row: int, trusted: Bool) -> Bool:
    steps, grid, half = trusted_steps(isotherms, row, trusted), isotherms.grid, max(isotherms.half_step, 1)
    return np.array([steps[max(g - half, 0) : g + half].all() for g in grid])
