"""Invariant points, with their errors: where two-phase regions open, close, split and merge over temperature.

- Two regions that become one on heating lose the phase between them (peritectoid); one that becomes two gains it (eutectoid).
- A region that shrinks to a point ends in a critical point, or in a congruent one if its two phases have different order.
- A region that is still wide when its free-energy barrier drops below the limit of this cell can no longer be resolved. A
  closing (or opening) gives the last temperature at which it is resolved, and the one at which the extrapolated barrier
  vanishes. A finite cell keeps a barrier beyond the end in the infinite crystal, so that the end lies between the two.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..free_energy.hull import facets, lower_hull
from .boundaries import DISTINCT_KT, Gap
from .trace import Trace

Float = NDArray[np.float64]
LEAST_FOUND = 0.5  # share of the resamples that must show where a region begins or ends
REACH_K = 80.0  # largest distance of an event in a resample
NARROW = 0.02  # a region narrower than this in x where it is last resolved ends in a point
HISTORY_K = 15.0  # range of temperatures from which its width is extrapolated
EXPONENTS = (0.326, 0.5)
HEIGHT_EXPONENTS = (1.0, 2.0)
NONE = float("nan")


@dataclass(frozen=True)
class Invariant:
    """One invariant point. kind: eutectoid, peritectoid, critical, congruent, closing or opening.

    x: of the low, middle and high phase; nan: no such phase. error_K: standard deviation over the resamples, or half the
    difference between the walkers from either end if that is larger, combined with interpolation_K, by the interpolation
    between temperatures, and size_K, by the size of the cell (nan: not known). regions: numbers of the two-phase regions that
    meet. found: share of the resamples that show
    it within REACH_K. vanishes_K: range in which the barrier of a closing or opening vanishes; infinite: it does not
    decrease; nan: other kinds.
    """

    kind: str
    temperature_K: float
    error_K: float
    x: tuple[float, float, float]
    x_error: tuple[float, float, float]
    regions: tuple[int, ...]
    found: float
    vanishes_K: tuple[float, float] = (NONE, NONE)
    interpolation_K: float = NONE
    size_K: float = NONE


Spans = Callable[[int], list[Float]]  # row of the trace -> per curve the ends in x of its gaps, (gaps, 2)


def invariants(trace: Trace, rows: list[list[Gap]]) -> list[Invariant]:
    """All invariant points. rows: numbered gaps at every temperature of the trace."""
    least_height_eV = DISTINCT_KT / trace.per_kT
    events: list[Invariant] = []
    spans = cache(lambda row: [_spans(trace, f, float(least_height_eV[row])) for f in trace.resampled[row]])
    rules = cache(lambda row: [_spans(trace, f[row], float(least_height_eV[row])) for f in (trace.value, trace.cubic)])
    ends_of_walkers = cache(lambda row: [_spans(trace, f, float(least_height_eV[row])) for f in trace.from_either_end[row]])
    for k, (low, high) in enumerate(zip(rows, rows[1:])):
        t = float(trace.temperature_K[k : k + 2].mean())
        for event, count, colder in _events(low, high, t):
            found = _resampled(event, count, colder, trace.temperature_K, k, spans)
            by_rule, apart = (_width(_found_at(event, count, colder, trace.temperature_K, s)) for s in (rules, ends_of_walkers))
            interpolation_K = float(np.hypot(found.interpolation_K, by_rule))
            error_K = float(np.hypot(max(found.error_K, apart / 2), interpolation_K))
            events.append(replace(found, error_K=error_K, interpolation_K=interpolation_K))
    ends = ("closing", "opening")
    known = [e for e in events if e.kind not in ends or e.found >= LEAST_FOUND]
    return [_shrinking(e, rows, trace.temperature_K) if e.kind in ends else e for e in known]


def _events(low: list[Gap], high: list[Gap], t: float) -> list[tuple[Invariant, int, bool]]:
    """Events between two rows: each with the larger number of gaps in its range of x, and whether the colder row has it."""
    found = []
    for gap in high:
        parents = [g for g in low if _same(g, gap)]
        if len(parents) > 1:
            found.append((_three_phases("peritectoid", t, parents[0], parents[-1]), len(parents), True))
        elif not parents and not _beside(gap, low):
            found.append((_point("opening", t, gap), 1, False))
    for gap in low:
        children = [g for g in high if _same(g, gap)]
        if len(children) > 1:
            found.append((_three_phases("eutectoid", t, children[0], children[-1]), len(children), False))
        elif not children:
            found.append((_point("closing", t, gap), 1, True))
    return found


def _beside(gap: Gap, others: list[Gap]) -> bool:
    return any(gap.overlap(g) > 0 for g in others)


def _same(a: Gap, b: Gap) -> bool:
    """Whether one covers most of the other, so that it is not a neighbour whose boundary moved by a step."""
    return a.overlap(b) > min(a.x[1] - a.x[0], b.x[1] - b.x[0]) / 2


def _three_phases(kind: str, t: float, left: Gap, right: Gap) -> Invariant:
    middle = (left.x[1] + right.x[0]) / 2
    half = abs(right.x[0] - left.x[1]) / 2
    error = (left.x_error[0], float(np.hypot(max(left.x_error[1], right.x_error[0]), half)), right.x_error[1])
    return Invariant(kind, t, 0.0, (left.x[0], middle, right.x[1]), error, (left.region, right.region), 0.0)


def _point(kind: str, t: float, gap: Gap) -> Invariant:
    error = float(np.hypot(max(gap.x_error), (gap.x[1] - gap.x[0]) / 4))
    return Invariant(kind, t, 0.0, (NONE, sum(gap.x) / 2, NONE), (NONE, error, NONE), (gap.region,), 0.0)


def _shrinking(event: Invariant, rows: list[list[Gap]], t: Float) -> Invariant:
    """A critical point, where the extrapolated width vanishes, if the region shrinks to a point; else the event with vanishes_K.

    The last part of the region is too shallow to be resolved. Width^(1/exponent) is linear in T near a critical point, with an
    exponent between 0.326, of the 3D Ising model (Pelissetto, Vicari, Phys. Rep. 368, 549, 2002), and 1/2, of mean-field theory.
    Height^(1/exponent) is linear likewise: 1 for the tension of a 2D Ising interface (Onsager, Phys. Rev. 65, 117, 1944), 2 for a
    homogeneous mean-field solution. The exponents of interfaces in 3D, 1.26, and in mean-field theory, 3/2, lie between.
    """
    order = range(len(rows)) if event.kind == "opening" else range(len(rows) - 1, -1, -1)
    seen = [(t[k], g.x[1] - g.x[0], g.height_eV) for k in order for g in rows[k] if g.region == event.regions[0]]
    t_last, last, low = seen[0]
    t_before, before, high = next((at for at in seen if abs(at[0] - t_last) >= HISTORY_K), seen[-1])
    shrinks = last < before or last < NARROW
    ahead = _ahead(t_last, t_before, last, before, EXPONENTS) if before > last else np.zeros(2)
    if not shrinks or (max(np.abs(ahead)) > abs(t_last - t_before) and last >= NARROW):
        never = np.full(2, -np.inf if event.kind == "opening" else np.inf)
        gone = t_last + (_ahead(t_last, t_before, low, high, HEIGHT_EXPONENTS) if high > low else never)
        return replace(event, vanishes_K=(float(gone.min()), float(gone.max())))
    beyond_K = float(np.ptp(ahead) / 2)
    return replace(
        event,
        kind="critical",
        temperature_K=float(t_last + np.mean(ahead)),
        error_K=float(np.hypot(event.error_K, beyond_K)),
        interpolation_K=float(np.hypot(event.interpolation_K, beyond_K)),
    )


def _ahead(t_last: float, t_before: float, last: float, before: float, exponents: tuple[float, float]) -> Float:
    """Distance beyond t_last at which a value vanishes that is `before` at t_before and `last` at t_last, for each exponent."""
    return np.array([(t_last - t_before) / ((before / last) ** (1 / e) - 1) for e in exponents])


def _resampled(event: Invariant, count: int, colder: bool, t: Float, k: int, spans: Spans) -> Invariant:
    """The event with its error by the sampling, and that by the step in T, and its share of the resamples."""
    found, step = _found_at(event, count, colder, t, spans), float(t[k + 1] - t[k])
    spread = float(np.sqrt(np.mean((found - event.temperature_K) ** 2))) if len(found) > 1 else REACH_K
    return replace(event, error_K=spread, interpolation_K=step / np.sqrt(12), found=len(found) / max(len(spans(k)), 1))


def _width(temperatures_K: Float) -> float:
    return float(np.ptp(temperatures_K)) if len(temperatures_K) else 0.0


def _found_at(event: Invariant, count: int, colder: bool, t: Float, spans: Spans) -> Float:
    """Temperatures within REACH_K at which curves have the event: where the number of gaps reaches `count` or drops below it."""
    known = [v for v in event.x if np.isfinite(v)]
    window = (min(known), max(known)) if len(known) == 3 else (known[0] - event.x_error[1], known[0] + event.x_error[1])
    rows = np.flatnonzero(np.abs(t - event.temperature_K) <= REACH_K)
    many = np.array([[np.sum((s[:, 0] < window[1]) & (s[:, 1] > window[0])) >= count for s in spans(int(r))] for r in rows])
    found = []
    between = (t[rows[:-1]] + t[rows[1:]]) / 2
    for curve in many.T.astype(int):
        changes = between[np.diff(curve) == (-1 if colder else 1)]
        if len(changes):
            found.append(changes[np.argmin(np.abs(changes - event.temperature_K))])
    return np.array(found)


def _spans(trace: Trace, f: Float, least_height_eV: float) -> Float:
    """Ends in x of a curve's gaps, (gaps, 2)."""
    x = trace.x
    wide = facets(x, f, lower_hull(x, f), trace.spacing, least_height_eV) if np.isfinite(f).all() else []
    return np.array([(x[g.left], x[g.right]) for g in wide]).reshape(-1, 2)
