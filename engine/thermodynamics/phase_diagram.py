"""Two-phase regions of an isotherm, and the diagram that they make over temperature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .hull import Facet, facets, lower_hull

Float = NDArray[np.float64]
DISTINCT_KT = 5.0  # height of a gap over the whole cell, in kT: below it the cell hops freely between the two phases
SIGNIFICANCE = 3.0  # standard errors by which the curve must lie above a facet


@dataclass(frozen=True)
class Gap:
    """A two-phase region at one temperature: x of both phases with errors, height of F above the common tangent (eV)."""

    x: tuple[float, float]
    x_error: tuple[float, float]
    height_eV: float
    region: int = -1


def find_gaps(
    x: Float, f_eV: Float, f_bootstrap_eV: Float, f_halves_eV: Float, spacing: float, least_height_eV: float
) -> list[Gap]:
    """Gaps of F (n,) that are wider than `spacing` in x, higher than least_height and higher than the noise.

    The noise is that of F_bootstrap (samples, n), or half of what the two halves of the walkers, f_halves (2, n), differ
    by, whichever is larger: a few walkers that have not met would fool the bootstrap.
    """
    if not np.isfinite(f_eV).all():
        return []
    gaps = []
    usable = f_bootstrap_eV[np.isfinite(f_bootstrap_eV).all(axis=1)]
    hulls = [lower_hull(x, f) for f in usable]
    for facet in facets(x, f_eV, lower_hull(x, f_eV)):
        if x[facet.right] - x[facet.left] <= spacing * (1 + 1e-9) or facet.depth <= least_height_eV:
            continue
        noise = max(
            _heights(x, usable, facet).std(ddof=1) if len(usable) > 1 else 0.0, float(np.ptp(_heights(x, f_halves_eV, facet))) / 2
        )
        if facet.depth > SIGNIFICANCE * noise:
            ends = np.array([_facet_around(x, h, facet.deepest) for h in hulls])
            error = ends.std(axis=0, ddof=1) if len(ends) > 1 else np.zeros(2)
            half_step = (x[1] - x[0]) / 2
            left, right = np.maximum(error, half_step).tolist()
            gaps.append(Gap((float(x[facet.left]), float(x[facet.right])), (left, right), facet.depth))
    return gaps


def _heights(x: Float, f: Float, facet: Facet) -> Float:
    """Heights of the curves f (curves, n) above their chords between the facet's own ends."""
    t = (x[facet.deepest] - x[facet.left]) / (x[facet.right] - x[facet.left])
    return f[:, facet.deepest] - (1 - t) * f[:, facet.left] - t * f[:, facet.right]


def _facet_around(x: Float, vertices: NDArray[np.int64], index: int) -> tuple[float, float]:
    right = int(np.searchsorted(vertices, index, side="left"))
    right = min(max(right, 1), len(vertices) - 1)
    return float(x[vertices[right - 1]]), float(x[vertices[right]])


def join_regions(gaps: list[list[Gap]]) -> list[list[Gap]]:
    """Number the regions: gaps of neighbouring temperatures that overlap in x are one region."""
    joined: list[list[Gap]] = []
    count = 0
    for row in gaps:
        below = joined[-1] if joined else []
        named: list[Gap] = []
        for gap in row:
            overlap = [(min(gap.x[1], g.x[1]) - max(gap.x[0], g.x[0]), g.region) for g in below]
            best = max(overlap, default=(0.0, -1))
            region = best[1] if best[0] > 0 and best[1] not in [n.region for n in named] else count
            count = max(count, region + 1)
            named.append(Gap(gap.x, gap.x_error, gap.height_eV, region))
        joined.append(named)
    return joined
