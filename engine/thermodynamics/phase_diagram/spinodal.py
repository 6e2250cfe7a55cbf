"""Spinodals of the cell: where F(T, x) loses its convexity inside a two-phase region.

In a finite cell that can hold both phases side by side, F is flat there. These are then the limits up to which *this cell*
stays one phase. They lie between the boundary and the spinodal of the homogeneous solution, nearer to the latter in a smaller
cell.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from ...units import BOLTZMANN_EV_PER_K
from .boundaries import Gap
from .trace import Trace

Float = NDArray[np.float64]
SMOOTH_X = 0.06  # width in x of the local cubics


@dataclass(frozen=True)
class Spinodal:
    """Both limits of stability inside one two-phase region at one temperature, with errors."""

    temperature_K: float
    region: int
    x: tuple[float, float]
    x_error: tuple[float, float]


def spinodals(trace: Trace, rows: list[list[Gap]], log_states_per_fu: Float) -> list[Spinodal]:
    """All limits of stability; log_states_per_fu (x of the trace,): ln of the number of states per formula unit.

    The entropy of these states is the ideal part of F, which is exact: only the rest is differentiated numerically.
    """
    found = []
    for k, (t, row) in enumerate(zip(trace.temperature_K, rows)):
        if not row:
            continue
        ideal = -BOLTZMANN_EV_PER_K * t * log_states_per_fu
        x, curvature = _curvature(trace.x, np.vstack([trace.value[k], trace.resampled[k]]), ideal)
        for gap in row:
            ends = [e for c in curvature if (e := _unstable(x, c, gap)) is not None]
            if len(ends) > len(curvature) / 2 and _unstable(x, curvature[0], gap) is not None:
                left, right = np.std(ends[1:], axis=0, ddof=1).tolist() if len(ends) > 2 else (0.0, 0.0)
                step = float(x[1] - x[0]) / 2
                found.append(Spinodal(float(t), gap.region, ends[0], (max(left, step), max(right, step))))
    return found


def _curvature(x: Float, f: Float, ideal: Float) -> tuple[Float, Float]:
    """Second derivative of the curves f (curves, x), on evenly spaced x inside the ends."""
    from scipy.signal import savgol_filter  # slow to import

    even = np.linspace(x[0], x[-1], len(x))
    window = max(int(round(SMOOTH_X / (even[1] - even[0]))) | 1, 5)
    if window > len(x):
        return even, np.zeros((len(f), len(x)))
    excess = CubicSpline(x, f - ideal, axis=1)(even)
    smooth = savgol_filter(excess, window, 3, deriv=2, delta=float(even[1] - even[0]), axis=1)
    part = CubicSpline(x, ideal)(even)
    h = even[1] - even[0]
    exact = np.full(len(even), np.inf)
    exact[1:-1] = (part[2:] - 2 * part[1:-1] + part[:-2]) / h**2
    return even, smooth + exact


def _unstable(x: Float, curvature: Float, gap: Gap) -> tuple[float, float] | None:
    """Ends of the range of negative curvature inside a gap."""
    inside = np.flatnonzero((x > gap.x[0]) & (x < gap.x[1]) & (curvature < 0))
    return (float(x[inside[0]]), float(x[inside[-1]])) if len(inside) > 1 else None
