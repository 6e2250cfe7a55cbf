"""What of a phase diagram follows from trusted free energies alone."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.canonical import Canonical
from .boundaries import Gap
from .diagram import Diagram
from .invariants import Invariant

Bool = NDArray[np.bool_]
LEAST_INSIDE = 0.5  # share of the compositions inside a two-phase region, where chains are slowest, that must be trusted
BESIDE_K = 2.0  # from an invariant point to the rows of the trace that show its regions


@dataclass(frozen=True)
class Kept:
    """diagram: trusted regions, numbered anew, with the invariant points and spinodals between them.

    left_out: number of gaps (rows of the trace times regions) and of invariant points that are not trusted. trusted
    (temperatures of /canonical, x): as there, and not inside a region that was left out or is not resolved.
    """

    diagram: Diagram
    left_out: tuple[int, int]
    trusted: Bool


def trusted_part(diagram: Diagram, canonical: Canonical) -> Kept:
    """A region is trusted at a temperature if F is at both its ends and at most compositions inside, at the rungs around it."""
    t = diagram.trace.temperature_K
    doubted = [[[] if g.of_phases else _doubted_at(canonical, float(at), g.x) for g in row] for at, row in zip(t, diagram.rows)]
    good = [[not rungs for rungs in row] for row in doubted]
    trusted = canonical.trusted.copy()
    for at, row, of_row in zip(t, diagram.rows, doubted):
        for gap, rungs in zip(row, of_row):
            if rungs:
                trusted[canonical.temperature_K == at] &= (canonical.x <= gap.x[0]) | (canonical.x >= gap.x[1])
    for at, row in zip(t, diagram.unresolved):
        for gap in row:
            trusted[canonical.temperature_K == at] &= (canonical.x <= gap.x[0]) | (canonical.x >= gap.x[1])
    rows = [[g for g, kept in zip(row, mask) if kept] for row, mask in zip(diagram.rows, good)]
    points = [i for i in diagram.invariants if _point_trusted(canonical, diagram, i)]
    present = sorted({g.region for row in rows for g in row})
    number = {region: k for k, region in enumerate(present)}
    shown = {(float(at), g.region) for at, row in zip(t, rows) for g in row}
    found = Diagram(
        diagram.trace,
        [[replace(g, region=number[g.region]) for g in row] for row in rows],
        [replace(i, regions=tuple(number.get(r, -1) for r in i.regions)) for i in points],
        [replace(s, region=number[s.region]) for s in diagram.spinodals if (s.temperature_K, s.region) in shown],
        diagram.unresolved,
        diagram.two_sizes,
    )
    gaps = sum(len(mask) - sum(mask) for mask in good)
    return Kept(found, (gaps, len(diagram.invariants) - len(points)), trusted)


def rungs_around(canonical: Canonical, temperature_K: float) -> list[int]:
    """Rows of /canonical at this temperature, or on both sides of it."""
    t = canonical.temperature_K
    at = int(np.clip(np.searchsorted(t, temperature_K), 0, len(t) - 1))
    return [at] if t[at] == temperature_K or at == 0 else [at - 1, at]


def _doubted_at(canonical: Canonical, temperature_K: float, x: tuple[float, float]) -> list[int]:
    """Rungs around this temperature at which F is not trusted at both compositions, or not at most of those between."""
    ends = np.concatenate([np.flatnonzero(np.abs(canonical.x - v) == np.abs(canonical.x - v).min()) for v in x])
    inside = (canonical.x >= x[0]) & (canonical.x <= x[1])
    rows = ((k, canonical.trusted[k]) for k in rungs_around(canonical, temperature_K))
    return [k for k, row in rows if not row[ends].all() or (inside.any() and row[inside].mean() <= LEAST_INSIDE)]


def _point_trusted(canonical: Canonical, diagram: Diagram, point: Invariant) -> bool:
    """Whether all regions that meet there are trusted, at the rungs on both sides."""
    t = diagram.trace.temperature_K
    near = np.flatnonzero(np.abs(t - t[np.abs(t - point.temperature_K).argmin()]) <= BESIDE_K)
    gaps: list[Gap] = [g for k in near for g in diagram.rows[k] if g.region in point.regions]
    if not gaps:  # a critical point beyond the last row that resolves its region
        rows = [row for row in diagram.rows if any(g.region in point.regions for g in row)]
        gaps = [g for row in (rows[:1], rows[-1:]) for one in row for g in one if g.region in point.regions]
    return not any(_doubted_at(canonical, point.temperature_K, g.x) for g in gaps)
