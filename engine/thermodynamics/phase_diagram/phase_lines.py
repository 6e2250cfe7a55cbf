"""Two-phase regions between phases of different order, from points of their first-order lines."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..phases.lines import Along, Crossing
from .boundaries import Gap
from .invariants import NONE, Invariant

Float = NDArray[np.float64]
FARTHEST_STEP = 1.5  # between neighbouring points of a line, over the usual distance of T (in its logarithm) or of mu
LEAST_WIDTH = 2e-4  # in x: narrower regions are not drawn


def gaps_of_lines(lines: Sequence[Crossing], temperature_K: Float) -> list[list[Gap]]:
    """At each temperature (ascending), by linear interpolation between neighbouring points of a line."""
    rows: list[list[Gap]] = [[] for _ in temperature_K]
    for one, other in _neighbours(lines):
        t = sorted((float(one.temperature_K[0]), float(other.temperature_K[0])))
        for k in np.flatnonzero((temperature_K >= t[0]) & (temperature_K < t[1])).tolist():
            gap = _between(one, other, float(temperature_K[k]))
            if gap.x[1] - gap.x[0] > LEAST_WIDTH and not meets(gap, rows[k]):
                rows[k].append(gap)
    return [sorted(row, key=lambda g: g.x) for row in rows]


def beside(regions: list[Gap], of_phases: list[Gap]) -> list[Gap]:
    """Those of phases, and the other regions that do not meet them."""
    return sorted([*of_phases, *(g for g in regions if not meets(g, of_phases))], key=lambda g: g.x)


def meets(gap: Gap, others: Sequence[Gap]) -> bool:
    return any(gap.overlap(g) > 0 for g in others)


def congruent_points(lines: Sequence[Crossing], rows: list[list[Gap]], temperature_K: Float) -> list[Invariant]:
    """The highest point of a line along which both phases come to have one composition."""
    found = []
    for points in _chains(lines, Along.TEMPERATURE):
        top = max(points, key=lambda c: float(c.temperature_K[0]))
        width = top.x[1] - top.x[0]
        if len(points) < 3 or top in (points[0], points[-1]) or width[0] > 2 * width[1:].std(ddof=1) + LEAST_WIDTH:
            continue
        t, x = top.temperature_K, top.x.mean(axis=0)
        row = rows[int(np.clip(np.searchsorted(temperature_K, t[0]) - 2, 0, len(rows) - 1))]
        near = min(row, key=lambda g: abs(sum(g.x) / 2 - x[0]), default=None)
        regions = (near.region,) if near is not None else (-1,)
        error = (NONE, float(x[1:].std(ddof=1)), NONE)
        found.append(
            Invariant("congruent", float(t[0]), float(t[1:].std(ddof=1)), (NONE, float(x[0]), NONE), error, regions, 1.0)
        )
    return found


def _neighbours(lines: Sequence[Crossing]) -> list[tuple[Crossing, Crossing]]:
    return [pair for along in Along for chain in _chains(lines, along) for pair in pairwise(chain)]


def _chains(lines: Sequence[Crossing], along: Along) -> list[list[Crossing]]:
    """Points of one line each, ordered by T if mu was varied, by mu if T was."""
    chains = []
    pairs = {frozenset(c.phases) if along is Along.TEMPERATURE else c.phases for c in lines if c.along is along}
    for pair in sorted(pairs, key=sorted):
        own = [c for c in lines if c.along is along and (c.phases == pair or frozenset(c.phases) == pair)]
        own = sorted(own, key=lambda c: c.fixed)
        place = np.array([np.log(c.fixed) if along is Along.MU else c.fixed for c in own])
        usual = _usual_step(lines, along)
        cuts = np.flatnonzero(np.diff(place) > FARTHEST_STEP * usual) + 1
        chains += [own[a:b] for a, b in pairwise([0, *cuts.tolist(), len(own)])]
    return chains


def _usual_step(lines: Sequence[Crossing], along: Along) -> float:
    """Smallest distance of the grid points at which there are lines."""
    fixed = np.unique([round(c.fixed, 9) for c in lines if c.along is along])
    steps = np.diff(np.log(fixed) if along is Along.MU else fixed)
    return float(steps.min()) if len(steps) else np.inf


def _between(one: Crossing, other: Crossing, temperature_K: float) -> Gap:
    t = (temperature_K - one.temperature_K[0]) / (other.temperature_K[0] - one.temperature_K[0])
    x = (1 - t) * one.x + t * other.x
    error = x[:, 1:].std(axis=1, ddof=1)
    low, high = (0, 1) if x[0, 0] <= x[1, 0] else (1, 0)
    return Gap((float(x[low, 0]), float(x[high, 0])), (float(error[low]), float(error[high])), NONE, NONE, of_phases=True)
