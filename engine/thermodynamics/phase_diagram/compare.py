"""Comparison of two phase diagrams: differences of their boundaries and of their transition temperatures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.phase_diagram import PhaseDiagram

Float = NDArray[np.float64]
SAME_X = 0.15  # largest distance in x of the middle phases of matching invariant points


@dataclass(frozen=True)
class Transition:
    """A pair of matching invariant points. temperature_K, error_K: in the first diagram and in the second; nan: it has none."""

    kind: str
    x: float
    temperature_K: tuple[float, float]
    error_K: tuple[float, float]

    @property
    def difference_K(self) -> float:
        """Second minus first."""
        return self.temperature_K[1] - self.temperature_K[0]

    @property
    def difference_error_K(self) -> float:
        return float(np.hypot(*self.error_K))


def transitions(first: PhaseDiagram, second: PhaseDiagram) -> list[Transition]:
    """All invariant points that more than half of the resamples show, matched by kind and x; ascending in temperature."""
    ours, theirs = _points(first), _points(second)
    found = []
    for kind, x, t, error in ours:
        same = [p for p in theirs if p[0] == kind and abs(p[1] - x) <= SAME_X]
        best = min(same, key=lambda p: abs(p[2] - t), default=None)
        if best is not None:
            theirs.remove(best)
        found.append(Transition(kind, x, (t, best[2] if best else np.nan), (error, best[3] if best else np.nan)))
    found += [Transition(kind, x, (np.nan, t), (np.nan, error)) for kind, x, t, error in theirs]
    return sorted(found, key=lambda p: np.nanmin(p.temperature_K))


def _points(diagram: PhaseDiagram) -> list[tuple[str, float, float, float]]:
    """Kind, x of the middle phase, temperature and its error."""
    i = diagram.invariant
    rows = zip(i.kind, i.x[:, 1], i.temperature_K, i.temperature_K_error, i.found)
    return [(str(kind), float(x), float(t), float(e)) for kind, x, t, e, share in rows if share > 0.5]


def boundary_shifts(first: PhaseDiagram, second: PhaseDiagram) -> Float:
    """x of the second diagram's boundaries minus that of the first's, at every point of the first; nan: the second has none.

    Two-phase regions are matched by their overlap in x, at the temperature of the second diagram nearest to the point's.
    """
    own_points, other = first.boundary, second.boundary
    shifts = np.full(len(own_points.x), np.nan)
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
            shifts[[k, k + 1]] = theirs[np.argmax(overlap)] - own
    return shifts
