"""Comparison of two phase diagrams: transitions of one kind near the same composition, and differences of their boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.phase_diagram import PhaseDiagram

Float = NDArray[np.float64]
SAME_X = 0.15  # largest distance in x of matching points, beside SIGNIFICANT errors
SIGNIFICANT = 3.0
SHOWN = 0.5  # least share of the resamples with an invariant point for it to be compared


@dataclass(frozen=True)
class Point:
    """A transition. of: what is ordered there, or which phase; empty: an invariant point. x: of the middle phase of three."""

    kind: str
    of: str
    x: float
    x_error: float
    temperature_K: float
    error_K: float


@dataclass(frozen=True)
class Pair:
    """A transition in the first diagram and in the second one; None: it has none of this kind near this x."""

    here: Point | None
    there: Point | None

    @property
    def either(self) -> Point:
        found = self.here or self.there
        assert found is not None
        return found

    @property
    def difference_K(self) -> float:
        """Second less first; nan: one of them has none."""
        return self.there.temperature_K - self.here.temperature_K if self.here and self.there else float("nan")

    @property
    def difference_error_K(self) -> float:
        return float(np.hypot(self.here.error_K, self.there.error_K)) if self.here and self.there else float("nan")


def matched(ours: Sequence[Point], theirs: Sequence[Point]) -> list[Pair]:
    """By kind and by what they are of, the nearest in x first; then what one of them alone has. Ascending in temperature."""
    near = [
        (abs(a.x - b.x), abs(a.temperature_K - b.temperature_K), i, k)
        for i, a in enumerate(ours)
        for k, b in enumerate(theirs)
        if (a.kind, a.of) == (b.kind, b.of) and abs(a.x - b.x) <= _reach(a, b)
    ]
    partner: dict[int, int] = {}
    for _, _, i, k in sorted(near):
        if i not in partner and k not in partner.values():
            partner[i] = k
    pairs = [Pair(a, theirs[partner[i]] if i in partner else None) for i, a in enumerate(ours)]
    pairs += [Pair(None, b) for k, b in enumerate(theirs) if k not in partner.values()]
    return sorted(pairs, key=lambda p: p.either.temperature_K)


def _reach(a: Point, b: Point) -> float:
    return SAME_X + SIGNIFICANT * float(np.hypot(*np.nan_to_num([a.x_error, b.x_error])))


def invariant_points(diagram: PhaseDiagram) -> list[Point]:
    """Those that most resamples show."""
    i = diagram.invariant
    rows = zip(i.kind, i.x[:, 1], i.x_error[:, 1], i.temperature_K, i.temperature_K_error, i.found)
    return [Point(str(kind), "", float(x), float(e), float(t), float(s)) for kind, x, e, t, s, share in rows if share > SHOWN]


def with_size(diagram: PhaseDiagram, second: PhaseDiagram) -> PhaseDiagram:
    """With the shifts of the boundaries in the diagram of a smaller cell; half of each beyond its error is added to the error."""
    shift, error = boundary_shifts(diagram, second)
    beyond = np.nan_to_num(np.maximum(shift**2 - error**2, 0.0)) / 4
    total = np.sqrt(diagram.boundary.x_error**2 + beyond)
    return replace(diagram, boundary=replace(diagram.boundary, x_finite_size=shift, x_error=total))


def boundary_shifts(first: PhaseDiagram, second: PhaseDiagram) -> tuple[Float, Float]:
    """x of the second diagram's boundaries minus that of the first's, at every point of the first, with errors; nan: none there.

    Two-phase regions are matched by their overlap in x, at the temperature of the second diagram nearest to the point's.
    """
    own_points, other = first.boundary, second.boundary
    shifts, errors = np.full((2, len(own_points.x)), np.nan)
    t, t_other = own_points.temperature_K, second.temperature_K
    for k in np.flatnonzero(own_points.side == 0):
        row = t_other[np.argmin(np.abs(t_other - t[k]))]
        if abs(row - t[k]) > np.diff(t_other).max(initial=0.0):
            continue
        own = own_points.x[[k, k + 1]]
        low = np.flatnonzero((other.temperature_K == row) & (other.side == 0))
        theirs = np.array([other.x[[i, i + 1]] for i in low]).reshape(-1, 2)
        overlap = np.minimum(theirs[:, 1], own[1]) - np.maximum(theirs[:, 0], own[0])
        if len(overlap) and overlap.max() > 0:
            best = low[np.argmax(overlap)]
            shifts[[k, k + 1]] = other.x[[best, best + 1]] - own
            errors[[k, k + 1]] = np.hypot(other.x_error[[best, best + 1]], own_points.x_error[[k, k + 1]])
    return shifts, errors
