"""Transitions of two runs, such as with and without electronic entropy, and the differences of their temperatures.

Invariant points, tricritical intervals and ends of phases are matched by kind and by the nearest x. Order–disorder transitions
are points of lines T(x), at other x in either run: the temperature there is read off between the points of the other line.
"""

import numpy as np
from numpy.typing import NDArray

from ...runtime.results import Results
from ...runtime.results.comparison import TransitionsCompared
from ...runtime.results.phases import Phases
from ...runtime.results.transitions import Transitions
from ..order.transitions import TRICRITICAL
from .compare import SAME_X, Pair, Point, invariant_points, matched
from .phases import wave

Float = NDArray[np.float64]
ORDER = "order–disorder"
PHASE_ENDS = "phase ends"
ANYWHERE = 12**-0.5  # standard deviation of a place in an interval, over its length
SAME_POINT = 1e-6  # in x
EXACT_K = 1e-6  # error of a temperature that was not varied


def compared(own: Results, other: Results) -> TransitionsCompared | None:
    """Of two runs with phase diagrams; None where neither has a transition."""
    pairs = matched(_points(own), _points(other)) + along_lines(*(order_points(r.transitions) for r in (own, other)))
    if not pairs:
        return None
    here, there = (
        np.array([(p.temperature_K, p.error_K) if p else (np.nan, np.nan) for p in side])
        for side in ([p.here for p in pairs], [p.there for p in pairs])
    )
    return TransitionsCompared(
        kind=np.array([p.either.kind for p in pairs]),
        of=np.array([p.either.of for p in pairs]),
        x=np.array([p.either.x for p in pairs]),
        temperature_K=here[:, 0],
        temperature_K_error=here[:, 1],
        temperature_there_K=there[:, 0],
        temperature_there_K_error=there[:, 1],
        difference_K=np.array([p.difference_K for p in pairs]),
        difference_K_error=np.array([p.difference_error_K for p in pairs]),
        title=other.attributes.title,
        tolerance_x=SAME_X,
    )


def _points(results: Results) -> list[Point]:
    """All but order–disorder transitions."""
    diagram = results.phase_diagram
    found = invariant_points(diagram) if diagram is not None else []
    return found + order_points(results.transitions, tricritical=True) + phase_ends(results.phases)


def order_points(found: Transitions | None, tricritical: bool = False) -> list[Point]:
    """Order–disorder transitions of any kind, or the tricritical intervals."""
    if found is None:
        return []
    columns = zip(found.species, found.q, found.x, found.x_error, found.temperature_K, found.temperature_K_error, found.kind)
    return [
        Point(TRICRITICAL if tricritical else ORDER, f"{species}, q = {wave(q)}", float(x), float(dx), float(t), float(dt))
        for species, q, x, dx, t, dt, kind in columns
        if (kind == TRICRITICAL) == tricritical
    ]


def along_lines(ours: list[Point], theirs: list[Point]) -> list[Pair]:
    """Order by order, at the points of that line which has more of them between the ends of the other.

    Points beyond the other line are in one run only. A line of one point is matched as an invariant point.
    """
    found = []
    for of in sorted({p.of for p in [*ours, *theirs]}):
        own, other = (_line(points, of) for points in (ours, theirs))
        if min(len(own), len(other)) < 2:
            found += matched(own, other)
            continue
        inner, theirs_inner = ([p for p in a if b[0].x <= p.x <= b[-1].x] for a, b in ((own, other), (other, own)))
        if len(inner) >= len(theirs_inner):
            found += [Pair(p, _read_off(other, p)) for p in inner]
        else:
            found += [Pair(_read_off(own, p), p) for p in theirs_inner]
        found += [Pair(p, None) for p in own if p not in inner] + [Pair(None, p) for p in other if p not in theirs_inner]
    return found


def _line(points: list[Point], of: str) -> list[Point]:
    """Of one order, by ascending x, without points at one x."""
    found = sorted((p for p in points if p.of == of), key=lambda p: p.x)
    return [p for k, p in enumerate(found) if k == 0 or p.x - found[k - 1].x > SAME_POINT]


def _read_off(line: list[Point], at: Point) -> Point:
    """The line at x of the point, by the parabola through the two points around it and the nearest other one.

    The difference from the straight line between both is part of the error, and so are the errors in x, by its slope.
    """
    k = min(max(int(np.searchsorted([p.x for p in line], at.x)), 1), len(line) - 1)
    low, high = line[k - 1 : k + 1]
    third = min([*line[: k - 1], *line[k + 1 :]], key=lambda p: abs(p.x - at.x), default=None)
    slope = (high.temperature_K - low.temperature_K) / (high.x - low.x)
    chord = low.temperature_K + slope * (at.x - low.x)
    near = [low, high] if third is None else [low, high, third]
    weights = _lagrange(np.array([p.x for p in near]), at.x)
    t = float(weights @ [p.temperature_K for p in near])
    errors = weights * [np.hypot(p.error_K, slope * np.nan_to_num(p.x_error)) for p in near]
    error_K = float(np.linalg.norm([*errors, slope * np.nan_to_num(at.x_error), t - chord]))
    return Point(at.kind, at.of, at.x, at.x_error, t, error_K)


def _lagrange(x: Float, at: float) -> Float:
    """Weights of the values at x (k,) in the polynomial through them."""
    others = [np.delete(x, k) for k in range(len(x))]
    return np.array([np.prod((at - rest) / (own - rest)) for own, rest in zip(x, others)])


def phase_ends(phases: Phases | None) -> list[Point]:
    """Highest temperature of the lines of each ordered phase, if it is below the temperatures of the run.

    A line that is found at fixed temperatures ends between two of them. One that is found at fixed chemical potentials is highest
    at the vertex of the parabola through its three highest points.
    """
    if phases is None:
        return []
    line, found = phases.line, []
    for number, name in enumerate(phases.name[1:], 1):
        mine = np.flatnonzero((line.low_phase == number) | (line.high_phase == number))
        if not len(mine):
            continue
        top = mine[line.temperature_K[mine].argmax()]
        t, error_K = float(line.temperature_K[top]), float(line.temperature_K_error[top])
        above = phases.temperature_K[phases.temperature_K > t * (1 + 1e-9)]
        if not len(above):
            continue
        if error_K < EXACT_K:
            step = float(above[0]) - t
            t, error_K = t + step / 2, step * ANYWHERE
        else:
            melts = mine[line.temperature_K_error[mine] >= EXACT_K]
            higher = _vertex_K(line.chemical_potential_eV[melts], line.temperature_K[melts]) - t
            t, error_K = t + higher, float(np.hypot(error_K, higher))
        side = int(line.high_phase[top] == number)
        found.append(Point(PHASE_ENDS, str(name), float(line.x[top, side]), float(line.x_error[top, side]), t, error_K))
    return found


def _vertex_K(mu_eV: Float, temperature_K: Float) -> float:
    """Of the parabola through the highest point and its neighbours in mu; the highest point itself where it has one neighbour."""
    order = np.argsort(mu_eV, kind="stable")
    k = int(temperature_K[order].argmax())
    mu, t = (values[order][max(k - 1, 0) : k + 2] for values in (mu_eV, temperature_K))
    if len(np.unique(mu)) < 3:
        return float(temperature_K.max())
    a, b, c = np.polyfit((mu - mu[1]) / np.ptp(mu), t, 2)
    return float(c - b**2 / (4 * a)) if a < 0 else float(t[1])
