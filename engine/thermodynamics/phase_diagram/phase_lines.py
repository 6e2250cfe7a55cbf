"""Two-phase regions between phases of different order, from points of their first-order lines."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..phases.lines import Along, Crossing, Line
from ..phases.triple_points import TriplePoint
from .boundaries import Gap
from .invariants import NONE, Invariant

Float = NDArray[np.float64]
LEAST_WIDTH = 2e-4  # in x: narrower regions are not drawn


def gaps_of_lines(lines: Sequence[Line], temperature_K: Float) -> list[list[Gap]]:
    """At each temperature (ascending), by linear interpolation between neighbouring points of a line."""
    rows: list[list[Gap]] = [[] for _ in temperature_K]
    for one, other in (pair for line in lines for pair in pairwise(line)):
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


def congruent_points(lines: Sequence[Line], rows: list[list[Gap]], temperature_K: Float) -> list[Invariant]:
    """The highest point of a line along which both phases come to have one composition."""
    found = []
    for points in (line for line in lines if line[0].along is Along.TEMPERATURE):
        top = max(points, key=lambda c: float(c.temperature_K[0]))
        width = top.x[1] - top.x[0]
        if len(points) < 3 or top in (points[0], points[-1]) or width[0] > 2 * width[1:].std(ddof=1) + LEAST_WIDTH:
            continue
        t, x = top.temperature_K, top.x.mean(axis=0)
        row = rows[int(np.clip(np.searchsorted(temperature_K, t[0]) - 2, 0, len(rows) - 1))]
        near = min(row, key=lambda g: abs(sum(g.x) / 2 - x[0]), default=None)
        regions = (near.region,) if near is not None else (-1,)
        error, sampling_K = (NONE, float(x[1:].std(ddof=1)), NONE), float(t[1:].std(ddof=1))
        found.append(Invariant("congruent", float(t[0]), sampling_K, (NONE, float(x[0]), NONE), error, regions, 1.0))
    return found


def three_phase_points(
    points: Sequence[TriplePoint], smaller: Sequence[TriplePoint], rows: list[list[Gap]], temperature_K: Float
) -> list[Invariant]:
    """Eutectoid and peritectoid points between phases of known grand potentials. smaller: those in a smaller cell.

    The error has parts by the sampling, by the distance to the points of the lines, and half the shift by the size of the cell.
    """
    of_smaller = {p.phases: float(p.temperature_K[0]) for p in smaller}
    found = []
    for p in points:
        t, x = float(p.temperature_K[0]), p.x[:, 0].tolist()
        size_K = abs(of_smaller.get(p.phases, NONE) - t) / 2
        near = rows[int(np.abs(temperature_K - t).argmin())]
        regions = tuple(g.region for g in near if g.of_phases and g.overlap(Gap((x[0], x[2]), (0, 0), 0)) > 0)
        parts = [p.sampling_K, p.interpolation_K, size_K]
        found.append(
            Invariant(
                p.kind,
                t,
                float(np.sqrt(np.nansum(np.square(parts)))),
                (x[0], x[1], x[2]),
                tuple(p.x[:, 1:].std(axis=1, ddof=1).tolist()),
                regions,
                1.0,
                interpolation_K=p.interpolation_K,
                size_K=size_K,
            )
        )
    return found


def _between(one: Crossing, other: Crossing, temperature_K: float) -> Gap:
    """At a temperature between two points of a line. Errors in T of the points become errors in x and in mu."""
    step_K = other.temperature_K[0] - one.temperature_K[0]
    t = (temperature_K - one.temperature_K[0]) / step_K
    here_K = (1 - t) * one.temperature_K + t * other.temperature_K
    t = t - (here_K - temperature_K) / step_K
    x = (1 - t) * one.x + t * other.x
    error = x[:, 1:].std(axis=1, ddof=1)
    low, high = (0, 1) if x[0, 0] <= x[1, 0] else (1, 0)
    ends, errors = (float(x[low, 0]), float(x[high, 0])), (float(error[low]), float(error[high]))
    mu_eV = tuple(((1 - t) * one.mu_eV + t * other.mu_eV).tolist())
    return Gap(ends, errors, NONE, NONE, of_phases=True, mu_eV=mu_eV)
