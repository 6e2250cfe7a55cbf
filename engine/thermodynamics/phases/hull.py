"""The hull at temperature: free energies of all phases, stable or not, above their common lower convex hull."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..free_energy.hull import hull_values, lower_hull
from .grand_potential import GrandPotential

Float = NDArray[np.float64]


def free_energies_eV(g: GrandPotential) -> Float:
    """F = phi + mu x, (1 + resamples, beta, mu), eV/fu, at the compositions of the surface; nan where the phase is not known."""
    known = np.where(g.surface.exists, g.value_eV, np.nan)
    return np.asarray(known + g.surface.mu_eV * g.surface.x)


def above_hull_eV(found: Sequence[GrandPotential], temperatures: int) -> list[Float]:
    """F of each phase above the lower hull of all, (1 + resamples, temperatures, mu), at the last points in beta."""
    x = [g.surface.x[:, -temperatures:] for g in found]
    f = [free_energies_eV(g)[:, -temperatures:] for g in found]
    above = [np.full_like(values, np.nan) for values in f]
    for row in range(temperatures):
        at = [np.isfinite(values[:, row]).all(axis=0) for values in f]
        all_x, all_f = (np.concatenate([v[:, row, k] for v, k in zip(values, at)], axis=1) for values in (x, f))
        cuts = np.cumsum([int(k.sum()) for k in at])[:-1]
        heights = np.split(np.array([_heights(a, b) for a, b in zip(all_x, all_f)]), cuts, axis=1)
        for values, k, height in zip(above, at, heights):
            values[:, row, k] = height
    return above


def _heights(x: Float, f: Float) -> Float:
    """Of points (n,) above their lower hull."""
    order = np.lexsort((f, x))
    first = order[np.append(True, np.diff(x[order]) > 0)] if len(order) else order
    if len(first) < 2:
        return np.zeros(len(x))
    return np.asarray(f - np.interp(x, x[first], hull_values(x[first], f[first], lower_hull(x[first], f[first]))))
