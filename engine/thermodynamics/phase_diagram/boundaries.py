"""Two-phase regions of an isotherm, and how they connect over temperature."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .hull import Facet, facets, lower_hull
from .trace import Trace

Float = NDArray[np.float64]
DISTINCT_KT = 5.0  # least barrier of a gap in the whole cell, in kT: below it the cell changes freely between the two phases
SIGNIFICANCE = 3.0  # standard errors by which the curve must lie above a facet
FLICKER_K = 12.0  # longest interruption of a region, by noise, that is filled in


@dataclass(frozen=True)
class Gap:
    """A two-phase region at one temperature: x of both phases with errors, height of F above the common tangent (eV).

    certain: higher than the noise by SIGNIFICANCE; others count only as the continuation of a certain one.
    """

    x: tuple[float, float]
    x_error: tuple[float, float]
    height_eV: float
    region: int = -1
    certain: bool = True

    def overlap(self, other: "Gap") -> float:
        """Length in x that both cover; if negative, the distance between them."""
        return min(self.x[1], other.x[1]) - max(self.x[0], other.x[0])


def gaps_of(trace: Trace, least_height_eV: Float) -> list[list[Gap]]:
    """Gaps at every temperature of the trace; least_height_eV (temperatures,).

    A gap that becomes lower than the noise before it closes is followed to where it closes: all gaps are kept that are
    connected, from temperature to temperature, with a certain one.
    """
    rows = [
        find_gaps(trace.x, value, resampled, either, cubic, trace.spacing, float(least))
        for value, resampled, either, cubic, least in zip(
            trace.value, trace.resampled, trace.from_either_end, trace.cubic, least_height_eV
        )
    ]
    for order in (rows, rows[::-1]):
        for row, after in zip(order, order[1:]):
            after[:] = [replace(g, certain=g.certain or any(g.overlap(h) > 0 for h in row if h.certain)) for g in after]
    return [[g for g in row if g.certain] for row in rows]


def find_gaps(
    x: Float, f_eV: Float, f_bootstrap_eV: Float, f_ends_eV: Float, f_cubic_eV: Float, spacing: float, least_height_eV: float
) -> list[Gap]:
    """Gaps of F (n,) wider than `spacing` in x and higher than least_height_eV and than the noise; certain: by SIGNIFICANCE.

    The noise is that of f_bootstrap_eV (samples, n), or half the difference between the walkers that started at either end,
    f_ends_eV (2, n), if that is larger: the bootstrap misses it while few walkers have met. The difference of
    f_cubic_eV (n,), by a lower order of interpolation in temperature, is added to it and to the errors in x.
    """
    if not np.isfinite(f_eV).all():
        return []
    wide = facets(x, f_eV, lower_hull(x, f_eV), spacing, least_height_eV)
    if not wide:
        return []
    gaps = []
    usable = f_bootstrap_eV[np.isfinite(f_bootstrap_eV).all(axis=1)]
    hulls = [lower_hull(x, f) for f in usable]
    cubic = lower_hull(x, f_cubic_eV)
    for facet in wide:
        statistical = _heights(x, usable, facet).std(ddof=1) if len(usable) > 1 else 0.0
        rule = abs(float(_heights(x, f_cubic_eV[None], facet)[0]) - facet.depth)
        noise = max(statistical, float(np.ptp(_heights(x, f_ends_eV, facet))) / 2) + rule
        if facet.depth <= noise:
            continue
        ends = np.array([_facet_around(x, h, facet.deepest) for h in hulls])
        error = ends.std(axis=0, ddof=1) if len(ends) > 1 else np.zeros(2)
        shift = np.array(_facet_around(x, cubic, facet.deepest)) - x[[facet.left, facet.right]]
        left, right = np.maximum(np.hypot(error, shift), (x[1] - x[0]) / 2).tolist()
        certain = bool(facet.depth > SIGNIFICANCE * noise)
        gaps.append(Gap((float(x[facet.left]), float(x[facet.right])), (left, right), facet.depth, certain=certain))
    return gaps


def _heights(x: Float, f: Float, facet: Facet) -> Float:
    """Heights of the curves f (curves, n) above their chords between the ends of the facet."""
    t = (x[facet.deepest] - x[facet.left]) / (x[facet.right] - x[facet.left])
    return f[:, facet.deepest] - (1 - t) * f[:, facet.left] - t * f[:, facet.right]


def _facet_around(x: Float, vertices: NDArray[np.int64], index: int) -> tuple[float, float]:
    right = int(np.searchsorted(vertices, index, side="left"))
    right = min(max(right, 1), len(vertices) - 1)
    return float(x[vertices[right - 1]]), float(x[vertices[right]])


def boundaries_drawn(x: Float, curves: Float, gap: Gap) -> Float:
    """Ends in x, (curves, 2), of the facet of each of the curves (curves, n) at the gap."""
    middle = int(np.argmin(np.abs(x - sum(gap.x) / 2)))
    return np.array([_facet_around(x, lower_hull(x, f), middle) for f in curves])


def without_flicker(gaps: list[list[Gap]], temperature_K: Float) -> list[list[Gap]]:
    """Fill in regions that noise hides between two temperatures at which they are found, at most FLICKER_K apart."""
    rows = [list(row) for row in gaps]
    for k, row in enumerate(gaps[:-1]):
        for gap in row:
            if any(gap.overlap(g) > 0 for g in rows[k + 1]):
                continue
            end = int(np.searchsorted(temperature_K, temperature_K[k] + FLICKER_K, side="right"))
            for later in range(k + 2, end):
                again = max(gaps[later], key=gap.overlap, default=None)
                if again is not None and gap.overlap(again) > 0:
                    for between in range(k + 1, later):
                        rows[between].append(_mean(gap, again, (between - k) / (later - k)))
                        rows[between].sort(key=lambda g: g.x)
                    break
    return rows


def _mean(a: Gap, b: Gap, t: float) -> Gap:
    def mix(p: tuple[float, float], q: tuple[float, float]) -> tuple[float, float]:
        return (1 - t) * p[0] + t * q[0], (1 - t) * p[1] + t * q[1]

    return Gap(mix(a.x, b.x), mix(a.x_error, b.x_error), (1 - t) * a.height_eV + t * b.height_eV)


def connect_regions(gaps: list[list[Gap]]) -> list[list[Gap]]:
    """Number the regions: gaps at neighbouring temperatures that overlap in x are one region."""
    connected: list[list[Gap]] = []
    count = 0
    for row in gaps:
        below = connected[-1] if connected else []
        pairs = sorted(((g.overlap(b), i, b.region) for i, g in enumerate(row) for b in below if g.overlap(b) > 0), reverse=True)
        number: dict[int, int] = {}
        for _, i, region in pairs:
            if i not in number and region not in number.values():
                number[i] = region
        for i in range(len(row)):
            if i not in number:
                number[i], count = count, count + 1
        connected.append([replace(g, region=number[i]) for i, g in enumerate(row)])
    return connected
