"""Lines and areas of a phase diagram: two-phase fields with tie lines, boundaries, transitions, invariant points."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ...runtime.results.phase_diagram import Boundaries, Invariants, PhaseDiagram
from ...runtime.results.transitions import Transitions

Float = NDArray[np.float64]
SHOWN = 0.9  # least share of the resamples with an invariant point for it to be drawn
INVARIANTS = {"eutectoid": "v", "peritectoid": "^", "critical": "*", "congruent": "D"}
THREE_PHASES, MEETING = ("eutectoid", "peritectoid"), ("critical", "congruent")
FIELD, LINE, BAND, TIE = "#DFE5F2", "#1B2A4A", "#7C8DB5", "#A9B5D0"
TIES = 28  # tie lines that would fill the height of the diagram
LEAST_HEIGHT = 0.02  # of the range of T that a field covers
CAP = 0.15  # of the range of T: a critical point that is farther from a boundary is not joined to it
LEAST_OF_A_LINE = 3  # transitions of one order that are joined by a line
DRAWN = 200  # points of a smooth line


@dataclass(frozen=True)
class Outline:
    """A two-phase field: its two boundaries x and their errors (temperatures, 2), continued to a point in which they meet."""

    temperature_K: Float
    x: Float
    error: Float


@dataclass(frozen=True)
class Line:
    """Transitions of one order by ascending x, as a smooth line if there are enough of them, with the error of T."""

    x: Float
    temperature_K: Float
    error_K: Float
    first_order: bool

    @property
    def is_point(self) -> bool:
        return len(self.x) < DRAWN


def outlines(diagram: PhaseDiagram, band: Float | None = None) -> list[Outline]:
    """Two-phase fields that cover LEAST_HEIGHT or more; band: errors other than those of the boundaries."""
    points, found = diagram.boundary, []
    error = points.x_error if band is None else band
    for region in np.unique(points.region):
        low, high = (np.flatnonzero((points.region == region) & (points.side == side)) for side in (0, 1))
        if np.ptp(points.temperature_K[low]) > LEAST_HEIGHT * np.ptp(diagram.temperature_K):
            pair = np.column_stack([low, high])
            found.append(_capped(Outline(points.temperature_K[low], points.x[pair], error[pair]), diagram.invariant))
    return found


def _capped(outline: Outline, points: Invariants) -> Outline:
    """The field continued to the critical or congruent point in which it ends, as |x - x_c| ~ |T_c - T|^b, b from its slope."""
    t, x = outline.temperature_K, outline.x
    for k in np.flatnonzero(np.isin(points.kind, MEETING) & (points.found > SHOWN)):
        top, middle = points.temperature_K[k], points.x[k, 1]
        if not (x[-1, 0] < middle < x[-1, 1] and 0 < top - t[-1] < CAP * np.ptp([*t, top])):
            continue
        before = np.searchsorted(t, t[-1] - (top - t[-1]))
        before = min(int(before), len(t) - 2)
        steps = np.log((top - t[-1]) / (top - t[before]))
        power = np.clip(np.log(np.clip((x[-1] - middle) / (x[before] - middle), 1e-3, 1)) / steps, 1 / 20, 1)
        above = top - (top - t[-1]) * np.linspace(1, 0, 60)[1:, None] ** 4
        cap = middle + (x[-1] - middle) * ((top - above) / (top - t[-1])) ** power
        error = np.repeat(outline.error[-1:], len(above), axis=0) * (top - above) / (top - t[-1])
        return Outline(np.append(t, above), np.vstack([x, cap]), np.vstack([outline.error, error]))
    return outline


def draw_fields(axes: Axes, fields: list[Outline]) -> None:
    """Two-phase fields with tie lines, and their boundaries with bands of one standard error."""
    low, high = axes.get_ylim()
    spacing = (high - low) / TIES
    for field in fields:
        t, (left, right) = field.temperature_K, field.x.T
        axes.fill_betweenx(t, left, right, color=FIELD, lw=0, zorder=1)
        ties = np.arange(np.ceil(t[0] / spacing), np.ceil(t[-1] / spacing)) * spacing
        axes.hlines(ties, np.interp(ties, t, left), np.interp(ties, t, right), color=TIE, lw=0.4, zorder=1.1)
        for side, x in enumerate((left, right)):
            error = field.error[:, side]
            axes.fill_betweenx(t, x - error, x + error, color=BAND, alpha=0.5, lw=0, zorder=1.2)
            axes.plot(x, t, color=LINE, lw=1.0, zorder=2)


def draw_boundaries(axes: Axes, points: Boundaries, band: Float) -> None:
    """Shade the regions and draw their boundaries with bands (boundary points,) in x."""
    temperature, x = points.temperature_K, points.x
    for region in np.unique(points.region):
        mine = points.region == region
        left, right = (mine & (points.side == side) for side in (0, 1))
        axes.fill_betweenx(temperature[left], x[left], x[right], color=FIELD, lw=0)
        for side in (left, right):
            axes.plot(x[side], temperature[side], color=LINE, lw=0.9)
            axes.fill_betweenx(temperature[side], (x - band)[side], (x + band)[side], color=BAND, alpha=0.5, lw=0)


def transition_lines(found: Transitions) -> list[Line]:
    """A line for each order and kind of transition."""
    keys = np.column_stack([found.species, found.q.round(6).astype(str), found.kind])
    return [line for key in np.unique(keys, axis=0) for line in _smooth(found, (keys == key).all(axis=1))]


def _smooth(found: Transitions, mine: NDArray[np.bool_]) -> Iterator[Line]:
    """The smoothest cubic that deviates from the points by their errors; the points themselves if they are few."""
    from scipy.interpolate import UnivariateSpline

    at = np.flatnonzero(mine)[np.argsort(found.x[mine], kind="stable")]
    at = at[np.append(True, np.diff(found.x[at]) > 1e-9)]
    x, t = found.x[at], found.temperature_K[at]
    first_order = bool(found.kind[at[0]] == "first order")
    slope = np.gradient(t, x) if len(at) > 1 else np.zeros(1)
    error = np.hypot(found.temperature_K_error[at], slope * found.x_error[at])
    if len(at) < LEAST_OF_A_LINE:
        yield from (Line(x[k : k + 1], t[k : k + 1], error[k : k + 1], first_order) for k in range(len(at)))
        return
    weight = 1 / np.maximum(np.nan_to_num(error), 0.002 * t)
    curve = UnivariateSpline(x, t, w=weight, k=min(3, len(x) - 1), s=float(len(x)))
    fine = np.linspace(x[0], x[-1], DRAWN)
    yield Line(fine, curve(fine), np.interp(fine, x, error), first_order)


def draw_lines(axes: Axes, lines: list[Line]) -> None:
    """First-order transitions full, continuous ones dashed, with bands of one standard error; single ones as points."""
    for line in lines:
        label = ("first-order" if line.first_order else "continuous") + " transition"
        if line.is_point:
            look: Any = {"fmt": "o", "ms": 2.8, "mfc": "white", "mew": 0.8, "elinewidth": 0.7}
            axes.errorbar(line.x, line.temperature_K, line.error_K, color=LINE, zorder=2, label=label, **look)
            continue
        low, high = line.temperature_K - line.error_K, line.temperature_K + line.error_K
        axes.fill_between(line.x, low, high, color=BAND, alpha=0.4, lw=0, zorder=1.2)
        style = "-" if line.first_order else "--"
        axes.plot(line.x, line.temperature_K, style, color=LINE, lw=1.0, zorder=2, label=label)


def draw_three_phases(axes: Axes, diagram: PhaseDiagram) -> None:
    """The isotherms of three phases that lie within the diagram."""
    points, (low, high) = diagram.invariant, diagram.temperature_K[[0, -1]]
    for k in np.flatnonzero(np.isin(points.kind, THREE_PHASES) & (points.found > SHOWN)):
        known = points.x[k][np.isfinite(points.x[k])]
        if low < points.temperature_K[k] < high:
            axes.plot(known, np.full(len(known), points.temperature_K[k]), color=LINE, lw=1.0, zorder=2)


def draw_invariants(axes: Axes, diagram: PhaseDiagram) -> None:
    """Marks of the invariant points, with errors."""
    points = diagram.invariant
    for k in np.flatnonzero((points.found > SHOWN) & np.isin(points.kind, list(INVARIANTS))):
        kind, value, x = str(points.kind[k]), points.temperature_K[k], points.x[k, 1]
        axes.errorbar(
            x, value, points.temperature_K_error[k], points.x_error[k, 1], fmt="none", ecolor="k", elinewidth=0.7, zorder=4
        )
        axes.plot(x, value, INVARIANTS[kind], color="k", ms=4.5, mew=0.7, zorder=4, label=kind)


def draw_second(axes: Axes, diagram: PhaseDiagram) -> None:
    """Boundaries of the second cell, dotted."""
    label, points = diagram.title, diagram.boundary
    for region in np.unique(points.region):
        for side in (0, 1):
            mine = (points.region == region) & (points.side == side)
            axes.plot(points.x[mine], points.temperature_K[mine], ":", color="0.35", lw=0.9, label=label)
            label = None
