"""The phase diagram of one cell: two-phase regions over temperature, invariant points and spinodals."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.order import Order
from ...sampling.order_scans.gap_scan import GapScan
from ..free_energy.isotherms import Isotherms
from ..phases.phases import Phases
from .boundaries import Gap, connect_regions, gaps_of, without_flicker
from .ends import before_ends
from .invariants import Invariant, invariants
from .phase_lines import beside, congruent_points, gaps_of_lines, meets, three_phase_points
from .sizes import Judged, judged, layers_of, with_crossings
from .spinodal import Spinodal, spinodals
from .trace import Trace, trace

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Diagram:
    """The two-phase regions at every temperature of the trace, numbered, and the invariant points where they meet or end.

    unresolved: gaps at every temperature of which two sizes of the cell do not tell whether they exist in the infinite crystal;
    empty with one size.
    """

    trace: Trace
    rows: list[list[Gap]]
    invariants: list[Invariant]
    spinodals: list[Spinodal]
    unresolved: list[list[Gap]]
    two_sizes: bool


@dataclass(frozen=True)
class Beside:
    """What the diagram rests on beside F(T, n) of the cell.

    smaller: F(T, n) of a smaller cell, by which regions are told from effects of the finite cell. Without it a region is what
    has a barrier of DISTINCT_KT. phases: their lines take the place of regions of F(T, x). ends: of gaps, beyond which none is
    unresolved.
    """

    smaller: Isotherms | None = None
    phases: Phases | None = None
    ends: tuple[GapScan, ...] = ()


ALONE = Beside()


def build_diagram(isotherms: Isotherms, also: Beside = ALONE) -> Diagram:
    """Trace F(T, x) over temperature, and find its two-phase regions and their invariant points."""
    traced, lines = trace(isotherms), also.phases.larger.lines if also.phases else ()
    other = trace(also.smaller, traced.temperature_K) if also.smaller is not None else None
    found = Judged(gaps_of(traced), [[] for _ in traced.temperature_K])
    if also.smaller is not None and other is not None:
        found = judged(traced, other, layers_of(isotherms.system.supercell, also.smaller.system.supercell))
    of_f = without_flicker(found.regions, traced.temperature_K)
    of_phases = gaps_of_lines(lines, traced.temperature_K)
    rows = connect_regions([beside(row, own) for row, own in zip(of_f, of_phases)])
    unresolved = [[g for g in row if not meets(g, own)] for row, own in zip(found.unresolved, of_phases)]
    unresolved = [before_ends(row, t, also.ends) for row, t in zip(unresolved, traced.temperature_K.tolist())]
    known = [[g for g in row if not g.of_phases] for row in rows]
    points = invariants(traced, known)
    points = points if other is None else with_crossings(points, known, traced, other)
    if also.phases is not None:
        points += congruent_points(lines, rows, traced.temperature_K)
        points += three_phase_points(also.phases.larger.points, also.phases.smaller.points, rows, traced.temperature_K)
    counts, log_states = isotherms.system.neutral_counts
    ideal = np.interp(traced.x * isotherms.n_fu, counts, log_states) / isotherms.n_fu
    return Diagram(traced, rows, points, spinodals(traced, known, ideal), unresolved, other is not None)


def congruent(point: Invariant, diagram: Diagram, order: Order) -> Invariant:
    """The point, called congruent if it is a critical point between phases of different order.

    One of these transforms into the other at one composition.

    The orders are compared where the region is wide enough: at the rung nearest to the point at which /order resolves both
    its sides.
    """
    spans = {t: g.x for t, row in zip(diagram.trace.temperature_K, diagram.rows) for g in row if g.region == point.regions[0]}
    spacing = np.diff(order.x).max(initial=0.0)
    rungs = [k for k, t in enumerate(order.temperature_K) if t in spans and spans[t][1] - spans[t][0] > 2 * spacing]
    if point.kind != "critical" or not rungs:
        return point
    row = min(rungs, key=lambda k: abs(order.temperature_K[k] - point.temperature_K))
    sides = [order_at(order, row, x) for x in spans[order.temperature_K[row]]]
    return replace(point, kind="congruent") if sides[0] != sides[1] else point


def order_at(order: Order, row: int, x: float) -> tuple[tuple[float, ...] | None, ...]:
    """Wave vectors of the orders of ions and electrons (None: not ordered) at the sampled composition of /order nearest to x."""
    seen = np.flatnonzero(order.chains[row] > 0)
    if not len(seen):
        return tuple(None for _ in order.long_range)
    column = seen[np.abs(order.x[seen] - x).argmin()]
    return tuple(tuple(o.order_q[row, column].tolist()) if o.ordered[row, column] else None for o in order.long_range)
