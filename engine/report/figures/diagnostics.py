"""What a phase diagram rests on: which points are trusted, the second cell, limits of stability, what is not resolved."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ...runtime.results import Results
from ...runtime.results.phase_diagram import Boundaries, PhaseDiagram
from ...runtime.results.transitions import Transitions
from .diagram import x_label
from .fields import LINE, SHOWN, draw_invariants, draw_second
from .style import SERIES, legend_above, one_column


def phase_diagram_diagnostics(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    diagram, found = results.phase_diagram, results.transitions
    if diagram is None:
        return None
    figure, axes = one_column(3.0)
    _draw_untrusted(axes, diagram)
    points = diagram.boundary
    sampled = np.isin(points.temperature_K, diagram.sampled_temperature_K)
    axes.plot(points.x, points.temperature_K, ".", color=LINE, ms=1, mew=0)
    _with_errors(axes, points, sampled, "o", LINE, "boundaries")
    if results.phase_diagram_second is not None:
        draw_second(axes, results.phase_diagram_second)
    if len(diagram.spinodal.x):
        axes.plot(diagram.spinodal.x, diagram.spinodal.temperature_K, ".", color=SERIES[1], ms=1.5, mew=0)
        axes.plot([], [], ".", color=SERIES[1], ms=4, mew=0, label="spinodal of the cell")
    if found is not None:
        _with_errors(axes, found, np.ones(len(found.x), bool), "s", SERIES[2], "crossings of cumulants")
    draw_unresolved_ends(axes, diagram)
    draw_invariants(axes, diagram)
    axes.set_yticks(diagram.sampled_temperature_K, minor=True)
    axes.set(xlim=(diagram.x[0], diagram.x[-1]), xlabel=x_label(results), ylabel="temperature (K)")
    legend_above(figure)
    return figure


def _with_errors(axes: Axes, points: Boundaries | Transitions, shown: Any, marker: str, colour: str, label: str) -> None:
    error_K = points.temperature_K_error[shown] if isinstance(points, Transitions) else None
    x, t, x_error = points.x[shown], points.temperature_K[shown], points.x_error[shown]
    if len(x):
        look: Any = {"fmt": marker, "ms": 2.2, "mfc": "white", "mew": 0.7, "elinewidth": 0.7}
        axes.errorbar(x, t, error_K, x_error, color=colour, label=label, **look)


def _draw_untrusted(axes: Axes, diagram: PhaseDiagram) -> None:
    x, t = diagram.x, diagram.sampled_temperature_K
    margin = 0.04 * (np.ptp(t) or 1.0)
    axes.set_ylim(t.min() - margin, t.max() + margin)
    if not diagram.trusted.all() and len(t) > 1:
        grey, untrusted = ListedColormap(["0.9"]), np.where(diagram.trusted, np.nan, 0.0)
        axes.pcolormesh(x, t, untrusted, cmap=grey, shading="nearest", rasterized=True, zorder=0)
        axes.fill_between([], [], color="0.9", label="not trusted")


def draw_unresolved_ends(axes: Axes, diagram: PhaseDiagram) -> None:
    """Dotted, the temperatures between which a region that is not resolved ends."""
    points = diagram.invariant
    for k in np.flatnonzero(~np.isnan(points.height_vanishes_K).any(axis=1) & (points.found > SHOWN)):
        ends = np.clip(points.height_vanishes_K[k], *diagram.temperature_K[[0, -1]])
        start, x = points.temperature_K[k], points.x[k, 1]
        axes.plot([x, x], [start, max(ends, key=lambda t: abs(t - start))], ":", color="0.4", lw=0.9)
