"""Two phase diagrams: how far apart their boundaries and their transition temperatures are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.results import Group

Float = NDArray[np.float64]
SAME_X = 0.15  # invariant points of one kind whose middle phases are no further apart than this in x are the same


@dataclass(frozen=True)
class Transition:
    """An invariant point of the first diagram and of the second; nan in one of them: it has none. All in K but x."""

    kind: str
    x: float
    temperature_K: tuple[float, float]
    error_K: tuple[float, float]

    @property
    def difference_K(self) -> float:
        """Of the second from the first."""
        return self.temperature_K[1] - self.temperature_K[0]

    @property
    def difference_error_K(self) -> float:
        return float(np.hypot(*self.error_K))


def transitions(first: Group, second: Group) -> list[Transition]:
    """Every invariant point that half of the resamples show, matched by kind and x; ascending in temperature."""
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


def _points(diagram: Group) -> list[tuple[str, float, float, float]]:
    names = ("invariant_kind", "invariant_x", "invariant_temperature_K", "invariant_temperature_K_error", "invariant_found")
    rows = zip(*(diagram[name] for name in names))
    return [(str(kind), float(x[1]), float(t), float(e)) for kind, x, t, e, share in rows if share > 0.5]


def boundary_shifts(first: Group, second: Group) -> Float:
    """x of the second diagram's boundaries less that of the first's, at every boundary point of the first; nan: it has none there.

    Two-phase regions are matched by their overlap in x; the second diagram is read at the nearest temperature that it has.
    """
    shifts = np.full(len(first["boundary_x"]), np.nan)
    t, t_other = first["boundary_temperature_K"], second["temperature_K"]
    for k in np.flatnonzero(first["boundary_side"] == 0):
        row = t_other[np.argmin(np.abs(t_other - t[k]))]
        if abs(row - t[k]) > np.diff(t_other).max(initial=0.0):
            continue
        own = first["boundary_x"][[k, k + 1]]
        low = np.flatnonzero((second["boundary_temperature_K"] == row) & (second["boundary_side"] == 0))
        theirs = np.array([second["boundary_x"][[i, i + 1]] for i in low]).reshape(-1, 2)
        overlap = np.minimum(theirs[:, 1], own[1]) - np.maximum(theirs[:, 0], own[0])
        if len(overlap) and overlap.max() > 0:
            shifts[[k, k + 1]] = theirs[np.argmax(overlap)] - own
    return shifts
