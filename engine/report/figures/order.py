"""Figures of order, of pairs in the dilute limits and of solubility limits."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Results
from ...runtime.results.order import LongRangeOrder
from ...thermodynamics.order.dilute import solubility_limit
from ...thermodynamics.phase_diagram.phases import wave
from .style import PALETTE, SERIES, legend_above, one_column, rung_ticks, side_by_side

MARKERS = "osD^vP*"


def order_parameters(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """Order parameters of ions and electrons over (x, T), with a mark for each of the most frequent orders."""
    group = results.order
    if group is None:
        return None
    parts = [part for part in (group.ion, group.electron) if part is not None]
    figure, panels = side_by_side(len(parts), 3.2, sharey=True)
    waves, t = _most_frequent(parts), np.arange(len(group.temperature_K))
    for panel, part in zip(panels[0], parts):
        value = np.ma.masked_invalid(part.order_parameter)
        image = panel.pcolormesh(group.x, t, value, vmin=0, vmax=1, cmap="Greys", shading="nearest", rasterized=True)
        _mark_orders(panel, group.x, part, waves)
        panel.set(title=f"order of {part.species}", xlabel="x (ions per formula unit)")
        rung_ticks(panel, group.temperature_K)
        panel.grid(False)
    panels[0, 0].set(ylabel="temperature (K)")
    figure.colorbar(image, ax=panels[0].tolist(), label="order parameter")
    legend_above(figure)
    return figure


def _most_frequent(parts: list[LongRangeOrder]) -> NDArray[np.float64]:
    """The wave vectors (waves, 3) of long-range order, the most frequent first."""
    recognised = np.concatenate([part.order_q[part.ordered] for part in parts])
    found, counts = np.unique(recognised, axis=0, return_counts=True)
    return found[np.argsort(-counts, kind="stable")[: len(MARKERS)]]


def _mark_orders(axes: Axes, x: NDArray[np.float64], part: LongRangeOrder, waves: NDArray[np.float64]) -> None:
    for q0, marker, colour in zip(waves, MARKERS, PALETTE):
        rows, columns = np.nonzero(part.ordered & (part.order_q == q0).all(axis=-1))
        if len(rows):
            axes.plot(x[columns], rows, marker, ms=3, mew=0.4, mec="white", color=colour, label=f"q = {wave(q0)}")
    rows, columns = np.nonzero(part.separated)
    if len(rows):
        axes.plot(x[columns], rows, "_", ms=4, mew=0.8, color="0.3", label="phases or domains side by side")


def short_range_order(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """The nearest shell of each pair over x, at the lowest and the highest temperature."""
    group = results.order
    if group is None:
        return None
    figure, axes = one_column()
    pairs, t = group.shell_pair.tolist(), group.temperature_K
    nearest = [pairs.index(p) for p in dict.fromkeys(pairs)]
    for colour, shell in zip(SERIES, nearest):
        for row, style in ((0, "-"), (-1, ":")):
            value, error = group.short_range_order[row, :, shell], group.short_range_order_error[row, :, shell]
            seen = np.isfinite(value)
            x, value, error = group.x[seen], value[seen], np.nan_to_num(error[seen])
            axes.plot(x, value, style, color=colour)
            axes.fill_between(x, value - 2 * error, value + 2 * error, color=colour, alpha=0.15, lw=0)
        axes.plot([], [], color=colour, label=f"{pairs[shell]}, {group.shell_distance_A[shell]:.2f} Å")
    for row, style in ((0, "-"), (-1, ":")):
        axes.plot([], [], style, color="0.3", label=f"{t[row]:g} K")
    axes.axhline(0, color="0.6", lw=0.6)
    axes.set(xlabel="x (ions per formula unit)", ylabel="Warren-Cowley parameter")
    legend_above(figure)
    return figure


def dilute_limits(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.dilute
    if group is None:
        return None
    figure, panels = side_by_side(2)
    left, right = panels[0]
    for k, host in enumerate(part for part in (group.low, group.high) if part is not None):
        pair, distance, energy = host.pair, host.distance_A, 1e3 * host.binding_energy_eV
        reach = distance <= 1.25 * distance[np.flatnonzero(np.abs(energy) > 1e-3).max(initial=0)]
        left.plot(
            distance[reach], energy[reach], "os"[k], ms=(4, 2.5)[k], mfc=("none", PALETTE[1])[k], color=PALETTE[k], label=pair
        )
        enhanced = host.probability[:, 0] / host.random_probability[0]
        label = f"{pair}, {distance[0]:.2f} Å"
        right.semilogy(1000 / group.temperature_K, enhanced, "-" + "os"[k], color=PALETTE[k], label=label)
    left.axhline(0, color="0.6", lw=0.6)
    left.set(xlabel="distance (Å)", ylabel="energy above the farthest pair (meV)")
    right.axhline(1, color="0.6", lw=0.6)
    right.set(xlabel="1000 K / T", ylabel="nearest shell: probability / random")
    for panel in (left, right):
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3, ncols=2)
    return figure


def solubility(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """Both limits on a logarithmic scale; no more than the whole end where the boundary is the end itself."""
    diagram = results.phase_diagram
    if diagram is None or not len(diagram.boundary.x):
        return None
    figure, axes = one_column()
    for side, label in enumerate(("x, dissolved at the low end", "1 - x, dissolved at the high end")):
        limit = solubility_limit(diagram, side)
        inverse, colour, known = 1000 / limit.temperature_K, PALETTE[side], limit.x > 0
        axes.plot(inverse[known], limit.x[known], "-", lw=1, color=colour, label=label)
        for good, face in ((True, colour), (False, "white")):
            m = known & (limit.trusted == good)
            below = np.minimum(limit.error[m], 0.9 * limit.x[m])
            axes.errorbar(
                inverse[m], limit.x[m], [below, limit.error[m]], fmt="o", ms=2.5, mew=0.7, lw=0.7, color=colour, mfc=face
            )
        axes.plot(inverse[~known], limit.error[~known], "v", ms=4.5, color=colour, mfc="white")
    axes.set(yscale="log", xlabel="1000 K / T", ylabel="x at the boundary")
    legend_above(figure)
    return figure
