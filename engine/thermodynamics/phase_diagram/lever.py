"""The lever rule: the phases at (T, x), and the share of each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import RedoxError
from ...runtime.results import Results
from ...runtime.results.phase_diagram import PhaseDiagram


class PhaseShare(NamedTuple):
    """A phase at composition x, and its share of the formula units."""

    x: float
    fraction: float


class GapAt(NamedTuple):
    """A two-phase region at one temperature; not certain: it ends somewhere between here and the last temperature that has it."""

    low: float
    high: float
    certain: bool


def lever_rule(results: Results, temperature_K: float, x: float) -> tuple[PhaseShare, ...]:
    """One phase of composition x, or two on the boundaries of a two-phase region, low x first; shares add up to 1.

    Raises RedoxError outside the temperatures and compositions of the run, where the free energy is not trusted, and where a
    region may have ended already: between the last temperature that has it and the next one of the diagram.
    """
    diagram, canonical = results.phase_diagram, results.canonical
    if diagram is None or canonical is None:
        raise RedoxError("these results have no phase diagram")
    for what, value, known in (("x", x, canonical.x), ("temperature_K", temperature_K, diagram.temperature_K)):
        if not known.min() <= value <= known.max():
            raise RedoxError(f"{what}: found {value:g}; allowed: {known.min():g} to {known.max():g}, the range of the run")
    for gap in gaps_at(diagram, temperature_K):
        if gap.low < x < gap.high:
            if not gap.certain:
                raise RedoxError(
                    f"at x = {x:g} a two-phase region ends between two temperatures of the diagram, "
                    f"above or below {temperature_K:g} K"
                )
            right = (x - gap.low) / (gap.high - gap.low)
            return PhaseShare(gap.low, 1 - right), PhaseShare(gap.high, right)
    if not _trusted(diagram, temperature_K, x):
        raise RedoxError(f"at {temperature_K:g} K and x = {x:g} the free energy is not trusted: sample longer")
    return (PhaseShare(float(x), 1.0),)


def _trusted(diagram: PhaseDiagram, temperature_K: float, x: float) -> bool:
    """At the sampled temperatures and compositions around this point."""
    rows, columns = (_around(axis, at) for axis, at in ((diagram.sampled_temperature_K, temperature_K), (diagram.x, x)))
    return bool(diagram.trusted[np.ix_(rows, columns)].all())


def _around(axis: NDArray[np.float64], at: float) -> list[int]:
    """Index of a value, or of both its neighbours."""
    k = int(np.clip(np.searchsorted(axis, at), 0, len(axis) - 1))
    return [k] if axis[k] == at or k == 0 else [k - 1, k]


def gaps_at(diagram: PhaseDiagram, temperature_K: float) -> list[GapAt]:
    """Two-phase regions of /phase_diagram, ascending in x; boundaries are straight between a region's own temperatures."""
    temperatures, points, found = diagram.temperature_K, diagram.boundary, []
    for region in np.unique(points.region):
        sides = [(points.region == region) & (points.side == side) for side in (0, 1)]
        low, high = (float(np.interp(temperature_K, *_ascending(points.temperature_K[s], points.x[s]))) for s in sides)
        first, last = points.temperature_K[sides[0]].min(), points.temperature_K[sides[0]].max()
        certain = bool(first <= temperature_K <= last)
        gone = (temperatures > last) & (temperatures <= temperature_K) | (temperatures < first) & (temperatures >= temperature_K)
        if certain or not gone.any():
            found.append(GapAt(low, high, certain))
    return sorted(found)


def _ascending(temperature_K: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(temperature_K)
    return temperature_K[order], x[order]
