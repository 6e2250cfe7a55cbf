"""Phase diagrams: two-phase regions, invariant points, numbers of the single-phase fields, experiments."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Results
from ...runtime.results.phase_diagram import Boundaries, PhaseDiagram
from ...runtime.results.transitions import Transitions
from ...thermodynamics.phase_diagram.phases import wave
from .experiment import draw_experiment
from .style import SERIES, legend_above, one_column, plain, side_by_side

Float = NDArray[np.float64]
SHOWN = 0.9  # least share of the resamples with an invariant point for it to be drawn
INVARIANTS = {"eutectoid": "v", "peritectoid": "^", "critical": "*", "congruent": "D"}
LEAST_FIELD = 0.08  # of the range of x: narrower fields have no room for their number


def phase_diagram(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    diagram = results.phase_diagram
    if diagram is None:
        return None
    figure, axes = one_column(3.0)
    draw_diagram(axes, diagram)
    _number_fields(axes, diagram)
    if results.transitions is not None:
        _draw_transitions(axes, results.transitions)
    if results.phase_diagram_second is not None:
        _outline(axes, results.phase_diagram_second)
    if results.experiment is not None:
        draw_experiment(axes, results.experiment)
    legend_above(figure)
    return figure


def phase_diagrams(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """This diagram and that of another run, with the same axes."""
    own, other, experiment = results.phase_diagram, results.phase_diagram_beside, results.experiment
    if own is None or other is None:
        return None
    figure, panels = side_by_side(2, 3.0, sharey=True)
    left, right = panels[0]
    for panel, diagram, title in ((left, own, "this run"), (right, other, plain(str(other.title)))):
        draw_diagram(panel, diagram)
        panel.set_title(title, wrap=True)
        if experiment is not None:
            draw_experiment(panel, experiment)
    right.set(ylabel="")
    measured = experiment.temperature_K if experiment is not None else np.zeros(0)
    _cover(left, np.concatenate([own.temperature_K, other.temperature_K, measured]))
    legend_above(figure)
    return figure


def draw_diagram(axes: Axes, diagram: PhaseDiagram) -> None:
    """Two-phase regions and invariant points; regions that are not trusted are hatched."""
    x, sampled, points = diagram.x, diagram.sampled_temperature_K, diagram.boundary
    if not diagram.trusted.all() and len(sampled) > 1:
        doubtful = np.where(diagram.trusted, 0.0, 1.0)
        hatched = axes.contourf(x, sampled, doubtful, levels=[0.5, 1.5], colors="none", hatches=["////"], zorder=0)
        hatched.set(edgecolor="0.75", linewidth=0)
    draw_boundaries(axes, points, points.x_error)
    for region in np.unique(points.region):
        colour = colour_of_region(region)
        for good, face in ((True, colour), (False, "white")):
            mine = (points.region == region) & (points.trusted == good) & np.isin(points.temperature_K, sampled)
            axes.plot(points.x[mine], points.temperature_K[mine], "o", ms=2.5, mew=0.7, color=colour, mfc=face, zorder=3)
    axes.plot(diagram.spinodal.x, diagram.spinodal.temperature_K, ".", color="0.35", ms=1.2, mew=0)
    _draw_invariants(axes, diagram)
    axes.set_yticks(sampled, minor=True)
    axes.set(xlim=(x[0], x[-1]), xlabel="x (ions per formula unit)", ylabel="temperature (K)")
    _cover(axes, diagram.temperature_K)


def draw_boundaries(axes: Axes, points: Boundaries, band: Float) -> None:
    """Shade the regions and draw their boundaries with bands (boundary points,) in x."""
    temperature, x = points.temperature_K, points.x
    for region in np.unique(points.region):
        mine, colour = points.region == region, colour_of_region(region)
        left, right = (mine & (points.side == side) for side in (0, 1))
        axes.fill_betweenx(temperature[left], x[left], x[right], color=colour, alpha=0.15, lw=0)
        for side in (left, right):
            axes.plot(x[side], temperature[side], color=colour, lw=0.9)
            axes.fill_betweenx(temperature[side], (x - band)[side], (x + band)[side], color=colour, alpha=0.3, lw=0)


def colour_of_region(region: Any) -> str:
    return SERIES[int(region) % len(SERIES)]


def _cover(axes: Axes, temperature_K: Float) -> None:
    """Set limits that contain all temperatures."""
    margin = 0.04 * (np.ptp(temperature_K) or 1.0)
    axes.set_ylim(temperature_K.min() - margin, temperature_K.max() + margin)


def _outline(axes: Axes, diagram: PhaseDiagram) -> None:
    """Boundaries of the smaller cell, dashed."""
    label, points = diagram.title, diagram.boundary
    for region in np.unique(points.region):
        for side in (0, 1):
            mine = (points.region == region) & (points.side == side)
            axes.plot(points.x[mine], points.temperature_K[mine], "k--", lw=0.7, label=label)
            label = None


def _draw_transitions(axes: Axes, found: Transitions) -> None:
    """Temperatures at which an order ends, joined by dashed lines."""
    orders = np.unique(np.column_stack([found.species, found.q.round(6).astype(str)]), axis=0)
    for k, order in enumerate(orders):
        mine = (np.column_stack([found.species, found.q.round(6).astype(str)]) == order).all(axis=1)
        mine = np.flatnonzero(mine)[np.argsort(found.chemical_potential_eV[mine])]
        label, colour = f"end of {order[0]} order, q = {wave(found.q[mine[0]])}", SERIES[-1 - k % len(SERIES)]
        axes.errorbar(
            found.x[mine], found.temperature_K[mine], yerr=found.temperature_K_error[mine], xerr=found.x_error[mine],
            fmt="s--", ms=2.5, mfc="white", color=colour, lw=0.9, elinewidth=0.7, label=label,
        )  # fmt: skip


def _number_fields(axes: Axes, diagram: PhaseDiagram) -> None:
    """Write the number of each single-phase field, as in the report's table, where the field is widest and if there is room."""
    x, t, number = diagram.x, diagram.sampled_temperature_K, diagram.phase_number
    for k in range(len(diagram.phase_name)):
        width, middle, height = max(
            _room(number == k, row, span, x, t) for row in range(len(t)) for span in _runs(number[row] == k)
        )
        if width > LEAST_FIELD:
            box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "0.4", "lw": 0.5, "alpha": 0.85}
            axes.text(middle, height, str(k), fontsize=7, ha="center", va="center", bbox=box, zorder=5)


def _room(field: Any, row: int, span: tuple[int, int], x: Any, t: Any) -> tuple[float, float, float]:
    """Room around the middle of an interval in x of a field, as a share of the diagram, and the middle (x, T)."""
    column = sum(span) // 2
    low, high = next(run for run in _runs(field[:, column]) if run[0] <= row <= run[1])
    wide, tall = np.ptp(x[list(span)]) / np.ptp(x), (t[high] - t[low]) / (np.ptp(t) or 1.0)
    return min(wide, LEAST_FIELD + tall), (x[span[0]] + x[span[1]]) / 2, (t[low] + t[high]) / 2


def _runs(mask: Any) -> list[tuple[int, int]]:
    """First and last index of every interval that is True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in steps.reshape(-1, 2)]


def _draw_invariants(axes: Axes, diagram: PhaseDiagram) -> None:
    """Invariant points; dotted, the temperatures between which a region that is not resolved ends."""
    points = diagram.invariant
    shown = points.found > SHOWN
    for k in np.flatnonzero(~np.isnan(points.height_vanishes_K).any(axis=1) & shown):
        ends = np.clip(points.height_vanishes_K[k], *diagram.temperature_K[[0, -1]])
        start, x = points.temperature_K[k], points.x[k, 1]
        axes.plot([x, x], [start, max(ends, key=lambda t: abs(t - start))], ":", color="0.4", lw=0.9)
    for k in np.flatnonzero(shown):
        kind = str(points.kind[k])
        if kind not in INVARIANTS:
            continue
        value, error, x = points.temperature_K[k], points.temperature_K_error[k], points.x[k]
        known, face = x[np.isfinite(x)], "k" if points.trusted[k] else "white"
        axes.plot(known, np.full(len(known), value), color="k", lw=0.7)
        axes.errorbar(x[1], value, yerr=error, fmt="none", ecolor="k", elinewidth=0.7, zorder=4)
        axes.plot(x[1], value, INVARIANTS[kind], color="k", mfc=face, ms=4.5, mew=0.7, zorder=4, label=kind)
