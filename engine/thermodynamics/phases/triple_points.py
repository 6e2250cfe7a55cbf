"""Points where three phases have one grand potential: where two first-order lines with a phase in common meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from .lines import Crossing, Line

Float = NDArray[np.float64]
BEYOND = 1.001  # share of its last step by which a line is continued
ANYWHERE = 12**-0.5  # standard deviation of a place in an interval, over its length
DISTINCT = 2.0  # standard errors by which the three compositions must differ


@dataclass(frozen=True, eq=False)
class TriplePoint:
    """phases: numbers in the catalogue by ascending x. temperature_K, mu_eV (1 + resamples,); x (3, 1 + resamples).

    interpolation_K: standard error of T by the distance to the points of the lines. middle_below: whether the phase between the
    other two is stable below (peritectoid), else above (eutectoid).
    """

    phases: tuple[int, int, int]
    temperature_K: Float
    mu_eV: Float
    x: Float
    interpolation_K: float
    middle_below: bool

    @property
    def kind(self) -> str:
        return "peritectoid" if self.middle_below else "eutectoid"

    @property
    def sampling_K(self) -> float:
        """Standard error of T by the sampling."""
        return float(self.temperature_K[1:].std(ddof=1))

    def on(self, line: Line) -> Crossing | None:
        """The point as one of a line between two of its phases; None if the line is another one."""
        if not {*line[0].phases} <= {*self.phases}:
            return None
        rows = sorted(self.phases.index(p) for p in line[0].phases)
        pair = self.phases[rows[0]], self.phases[rows[1]]
        return Crossing(pair, self.temperature_K, self.mu_eV, self.x[rows], line[0].along)


def triple_points(lines: Sequence[Line]) -> list[TriplePoint]:
    """Of all pairs of lines with one phase in common, each triple of phases once: where it needs the least continuation."""
    found = [p for one, other in combinations(lines, 2) for p in _meetings(one, other)]
    best: dict[frozenset[int], TriplePoint] = {}
    for point in sorted(found, key=lambda p: p.interpolation_K):
        best.setdefault(frozenset(point.phases), point)
    return sorted(best.values(), key=lambda p: float(p.temperature_K[0]))


def extended(lines: Sequence[Line], points: Sequence[TriplePoint]) -> Iterator[Line]:
    """Lines with the points where three phases meet, if these lie at most the last step beyond their ends."""
    for line in lines:
        ends = [c for p in points if (c := p.on(line)) is not None]
        first, last = (abs(a.fixed - b.fixed) * BEYOND for a, b in ((line[:2][-1], line[0]), (line[-2:][0], line[-1])))
        before = [c for c in ends if 0 < line[0].fixed - c.fixed < first]
        after = [c for c in ends if 0 < c.fixed - line[-1].fixed < last]
        yield (*before[:1], *line, *after[:1])


def _meetings(one: Line, other: Line) -> Iterator[TriplePoint]:
    if len({*one[0].phases, *other[0].phases}) != 3:
        return
    for a in _segments(one):
        for b in _segments(other):
            point = _meeting(a, b)
            if point is not None:
                yield point


@dataclass(frozen=True)
class _Segment:
    """Of a line, from its point `start` to its point `end`; reach: of the parameter, 0 at start and 1 at end."""

    start: Crossing
    end: Crossing
    reach: tuple[float, float]

    @property
    def places(self) -> Float:
        """T and mu at both ends, (ends, 2, 1 + resamples)."""
        return np.array([[c.temperature_K, c.mu_eV] for c in (self.start, self.end)])

    def x(self, phase: int, at: Float) -> Float:
        first, last = (c.x[c.phases.index(phase)] for c in (self.start, self.end))
        return np.asarray((1 - at) * first + at * last)

    def off_K(self, at: float) -> float:
        """Distance in T to the nearest of both points."""
        t = [float(c.temperature_K[0]) for c in (self.start, self.end)]
        here = (1 - at) * t[0] + at * t[1]
        return min(abs(here - v) for v in t)


def _segments(line: Line) -> list[_Segment]:
    last = len(line) - 2
    return [
        _Segment(a, b, (-BEYOND if k == 0 else 0.0, 1 + BEYOND if k == last else 1.0)) for k, (a, b) in enumerate(pairwise(line))
    ]


def _meeting(one: _Segment, other: _Segment) -> TriplePoint | None:
    """Of the straight lines through both, if it lies within their reach."""
    (p, p_end), (q, q_end) = one.places, other.places
    u, v, w = p_end - p, q_end - q, q - p
    determinant = u[0] * v[1] - u[1] * v[0]
    if determinant[0] == 0:
        return None
    s, t = (_quotient(w[0] * a[1] - w[1] * a[0], determinant) for a in (v, u))
    if not (one.reach[0] <= s[0] <= one.reach[1] and other.reach[0] <= t[0] <= other.reach[1]):
        return None
    temperature_K, mu_eV = p + s * u
    common = next(iter({*one.start.phases} & {*other.start.phases}))
    x = {phase: one.x(phase, s) for phase in one.start.phases}
    x |= {phase: other.x(phase, t) if phase != common else (x[phase] + other.x(phase, t)) / 2 for phase in other.start.phases}
    phases = sorted(x, key=lambda phase: float(x[phase][0]))
    values = np.array([x[phase] for phase in phases])
    steps = np.diff(values, axis=0)
    if not (temperature_K[0] > 0 and (steps[:, 0] > DISTINCT * steps[:, 1:].std(axis=1, ddof=1)).all()):
        return None
    off_K = ANYWHERE * max(one.off_K(float(s[0])), other.off_K(float(t[0])))
    below = _middle_is_below(phases[1], (one, other), float(temperature_K[0]))
    return TriplePoint((phases[0], phases[1], phases[2]), temperature_K, mu_eV, values, off_K, below)


def _quotient(a: Float, b: Float) -> Float:
    """Of the first values, with deviations of the others to first order."""
    return np.asarray((a + a[0] * (1 - b / b[0])) / b[0])


def _middle_is_below(middle: int, both: tuple[_Segment, _Segment], temperature_K: float) -> bool:
    """Both lines of the middle phase lie on the side where it is stable; one of an outer pair lies on the other side."""
    for line in both:
        centre = float(np.mean([c.temperature_K[0] for c in (line.start, line.end)]))
        if middle not in line.start.phases:
            return centre > temperature_K
    return float(np.mean([c.temperature_K[0] for line in both for c in (line.start, line.end)])) < temperature_K
