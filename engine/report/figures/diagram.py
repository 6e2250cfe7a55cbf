"""Phase diagrams: two-phase regions, invariant points, numbers of the single phases, and what was measured."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...runtime.results import Group
from ...thermodynamics.phase_diagram.diagram import height_vanishes_K
from .experiment import draw_experiment
from .style import SERIES, legend_above, one_column, plain, side_by_side

SHOWN = 0.9  # share of the resamples that must show an invariant point for it to be drawn
INVARIANTS = {"eutectoid": "v", "peritectoid": "^", "critical": "*", "congruent": "D"}
LEAST_FIELD = 0.08  # of the range of x: what is narrower has no room for its number


def phase_diagram(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "phase_diagram" not in groups:
        return None
    figure, axes = one_column(3.0)
    draw_diagram(axes, groups["phase_diagram"])
    _number_fields(axes, groups["phase_diagram"])
    if "phase_diagram_second" in groups:
        _outline(axes, groups["phase_diagram_second"])
    if "experiment" in groups:
        draw_experiment(axes, groups["experiment"])
    legend_above(figure)
    return figure


def phase_diagrams(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "phase_diagram_beside" not in groups:
        return None
    figure, panels = side_by_side(2, 3.0, sharey=True)
    (left, right), other = panels[0], groups["phase_diagram_beside"]
    for panel, group, title in (
        (left, groups["phase_diagram"], "this run"),
        (right, other, plain(str(other.attributes["title"]))),
    ):
        draw_diagram(panel, group)
        panel.set_title(title, wrap=True)
        if "experiment" in groups:
            draw_experiment(panel, groups["experiment"])
    right.set(ylabel="")
    _cover(left, np.concatenate([groups["phase_diagram"]["temperature_K"], other["temperature_K"]]), groups.get("experiment"))
    legend_above(figure)
    return figure


def draw_diagram(axes: Axes, group: Group) -> None:
    """Two-phase regions of /phase_diagram and invariant points; what is not trusted hatched."""
    x, trusted, sampled = (group[name] for name in ("x", "trusted", "sampled_temperature_K"))
    if not trusted.all() and len(sampled) > 1:
        hatched = axes.contourf(
            x, sampled, np.where(trusted, 0.0, 1.0), levels=[0.5, 1.5], colors="none", hatches=["////"], zorder=0
        )
        hatched.set(edgecolor="0.75", linewidth=0)
    draw_boundaries(axes, group, "boundary_x_error")
    temperature, boundary = group["boundary_temperature_K"], group["boundary_x"]
    for region in np.unique(group["boundary_region"]):
        colour = colour_of_region(region)
        for good, face in ((True, colour), (False, "white")):
            mine = (group["boundary_region"] == region) & (group["boundary_trusted"] == good) & np.isin(temperature, sampled)
            axes.plot(boundary[mine], temperature[mine], "o", ms=2.5, mew=0.7, color=colour, mfc=face, zorder=3)
    axes.plot(group["spinodal_x"], group["spinodal_temperature_K"], ".", color="0.35", ms=1.2, mew=0)
    _draw_invariants(axes, group)
    axes.set_yticks(sampled, minor=True)
    axes.set(xlim=(x[0], x[-1]), xlabel="x (ions per formula unit)", ylabel="temperature (K)")
    _cover(axes, group["temperature_K"], None)


def draw_boundaries(axes: Axes, group: Group, error: str) -> None:
    """Regions shaded, their boundaries with bands of one `error`."""
    temperature, x, band = group["boundary_temperature_K"], group["boundary_x"], group[error]
    for region in np.unique(group["boundary_region"]):
        mine, colour = group["boundary_region"] == region, colour_of_region(region)
        left, right = (mine & (group["boundary_side"] == side) for side in (0, 1))
        axes.fill_betweenx(temperature[left], x[left], x[right], color=colour, alpha=0.15, lw=0)
        for side in (left, right):
            axes.plot(x[side], temperature[side], color=colour, lw=0.9)
            axes.fill_betweenx(temperature[side], (x - band)[side], (x + band)[side], color=colour, alpha=0.3, lw=0)


def colour_of_region(region: Any) -> str:
    return SERIES[int(region) % len(SERIES)]


def _cover(axes: Axes, temperature_K: Any, experiment: Group | None) -> None:
    """Limits that leave out nothing."""
    t = np.concatenate([temperature_K, experiment["temperature_K"] if experiment else []])
    margin = 0.04 * (np.ptp(t) or 1.0)
    axes.set_ylim(t.min() - margin, t.max() + margin)


def _outline(axes: Axes, group: Group) -> None:
    """Boundaries of the smaller cell, dashed."""
    label: str | None = str(group.attributes["title"])
    for region in np.unique(group["boundary_region"]):
        for side in (0, 1):
            mine = (group["boundary_region"] == region) & (group["boundary_side"] == side)
            axes.plot(group["boundary_x"][mine], group["boundary_temperature_K"][mine], "k--", lw=0.7, label=label)
            label = None


def _number_fields(axes: Axes, group: Group) -> None:
    """Each single phase by its number in the report's table, where it is widest, if there is room."""
    x, t, number = group["x"], group["sampled_temperature_K"], group["phase_number"]
    for k in range(len(group["phase_name"])):
        width, middle, height = max(
            _room(number == k, row, span, x, t) for row in range(len(t)) for span in _runs(number[row] == k)
        )
        if width > LEAST_FIELD:
            box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "0.4", "lw": 0.5, "alpha": 0.85}
            axes.text(middle, height, str(k), fontsize=7, ha="center", va="center", bbox=box, zorder=5)


def _room(field: Any, row: int, span: tuple[int, int], x: Any, t: Any) -> tuple[float, float, float]:
    """Of a stretch along x of a field: how much room is around its middle, as a share of the diagram, and where that is."""
    column = sum(span) // 2
    low, high = next(run for run in _runs(field[:, column]) if run[0] <= row <= run[1])
    wide, tall = np.ptp(x[list(span)]) / np.ptp(x), (t[high] - t[low]) / (np.ptp(t) or 1.0)
    return min(wide, LEAST_FIELD + tall), (x[span[0]] + x[span[1]]) / 2, (t[low] + t[high]) / 2


def _runs(mask: Any) -> list[tuple[int, int]]:
    """First and last place of every stretch that is True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in steps.reshape(-1, 2)]


def _draw_invariants(axes: Axes, group: Group) -> None:
    """Points; and from where a region is lost to sight, dotted, to where its height vanishes, or as far as is known."""
    vanishes_K = height_vanishes_K(group)
    for k in np.flatnonzero(~np.isnan(vanishes_K).any(axis=1) & (group["invariant_found"] > SHOWN)):
        ends = np.clip(vanishes_K[k], *group["temperature_K"][[0, -1]])
        seen, x = group["invariant_temperature_K"][k], group["invariant_x"][k, 1]
        axes.plot([x, x], [seen, max(ends, key=lambda t: abs(t - seen))], ":", color="0.4", lw=0.9)
    for k in np.flatnonzero(group["invariant_found"] > SHOWN):
        kind = str(group["invariant_kind"][k])
        if kind not in INVARIANTS:
            continue
        value, error, x = group["invariant_temperature_K"][k], group["invariant_temperature_K_error"][k], group["invariant_x"][k]
        known, face = x[np.isfinite(x)], "k" if group["invariant_trusted"][k] else "white"
        axes.plot(known, np.full(len(known), value), color="k", lw=0.7)
        axes.errorbar(x[1], value, yerr=error, fmt="none", ecolor="k", elinewidth=0.7, zorder=4)
        axes.plot(x[1], value, INVARIANTS[kind], color="k", mfc=face, ms=4.5, mew=0.7, zorder=4, label=kind)
