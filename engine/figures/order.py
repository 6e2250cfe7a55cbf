"""Figures of order, of pairs in the dilute limits and of solubility limits, from results.h5 alone."""

from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..results import Group, Results
from ..thermodynamics.dilute import SIDES, solubility_limit
from ..thermodynamics.phases import HALVES, wave
from .style import PALETTE, save_figures

MARKERS = "osD^vP*"


def draw_order(results: Results, folder: Path) -> dict[str, str]:
    """Draw what there is data for; returns name -> caption."""
    return save_figures({n: (partial(draw, results.groups), caption) for n, (draw, caption) in FIGURES.items()}, folder)


def order_parameters(groups: dict[str, Group]) -> Figure | None:
    """Over (x, T), with a mark for each order that is found at most places."""
    if "order" not in groups:
        return None
    group = groups["order"]
    halves = [h for h in HALVES if f"{h}_ordered" in group]
    figure, axes = plt.subplots(
        1, len(halves), figsize=(1.2 + 4.6 * len(halves), 4.8), sharey=True, squeeze=False, layout="constrained"
    )
    waves, x, t = _commonest(group, halves), group["x"], np.arange(len(group["temperature_K"]))
    for panel, half in zip(axes[0], halves):
        value = np.ma.masked_invalid(group[f"{half}_order_parameter"])
        image = panel.pcolormesh(x, t, value, vmin=0, vmax=1, cmap="Greys", shading="nearest")
        _mark_orders(panel, group, half, waves)
        panel.set(title=f"order of {group.attributes[f'{half}_species']}", xlabel="x (ions per formula unit)")
        panel.set_yticks(t, [f"{v:.0f}" for v in group["temperature_K"]])
        panel.grid(False)
        if panel.get_legend_handles_labels()[1]:
            panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    axes[0, 0].set(ylabel="temperature (K)")
    figure.colorbar(image, ax=axes[0].tolist(), label="order parameter of the strongest waves")
    return figure


def _commonest(group: Group, halves: list[str]) -> NDArray[np.float64]:
    """The wave vectors (waves, 3) recognised at most points, first those of the most."""
    recognised = np.concatenate([group[f"{h}_order_q"][group[f"{h}_ordered"]] for h in halves])
    found, counts = np.unique(recognised, axis=0, return_counts=True)
    return found[np.argsort(-counts, kind="stable")[: len(MARKERS)]]


def _mark_orders(axes: Axes, group: Group, half: str, waves: NDArray[np.float64]) -> None:
    ordered, q, separated = (group[f"{half}_{name}"] for name in ("ordered", "order_q", "separated"))
    for q0, marker, colour in zip(waves, MARKERS, PALETTE):
        rows, columns = np.nonzero(ordered & (q == q0).all(axis=-1))
        if len(rows):
            axes.plot(group["x"][columns], rows, marker, ms=4, color=colour, label=f"q = {wave(q0)}")
    rows, columns = np.nonzero(separated)
    if len(rows):
        axes.plot(group["x"][columns], rows, "_", ms=5, color="0.3", label="phases or domains side by side")


def short_range_order(groups: dict[str, Group]) -> Figure | None:
    """The nearest shell of each pair over x, at the lowest and the highest temperature."""
    if "order" not in groups:
        return None
    group = groups["order"]
    figure, axes = plt.subplots()
    pairs = group["shell_pair"].tolist()
    nearest = [pairs.index(p) for p in dict.fromkeys(pairs)]
    for colour, shell in zip(PALETTE, nearest):
        for row, style in ((0, "-"), (-1, ":")):
            value, error = (group[name][row, :, shell] for name in ("short_range_order", "short_range_order_error"))
            seen = np.isfinite(value)
            label = f"{pairs[shell]}, {group['shell_distance_A'][shell]:.2f} Å, {group['temperature_K'][row]:g} K"
            axes.errorbar(group["x"][seen], value[seen], np.nan_to_num(error[seen]), fmt=style, color=colour, lw=1.2, label=label)
    axes.axhline(0, color="0.6", lw=0.6)
    axes.set(xlabel="x (ions per formula unit)", ylabel="Warren-Cowley parameter", title="Short-range order, nearest neighbours")
    axes.legend(fontsize=7)
    return figure


def dilute_limits(groups: dict[str, Group]) -> Figure | None:
    if "dilute" not in groups:
        return None
    group = groups["dilute"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.2))
    for k, side in enumerate(s for s in SIDES if f"{s}_pair" in group.attributes):
        pair, distance = str(group.attributes[f"{side}_pair"]), group[f"{side}_distance_A"]
        energy = 1e3 * group[f"{side}_binding_energy_eV"]
        reach = distance <= 1.25 * distance[np.flatnonzero(np.abs(energy) > 1e-3).max(initial=0)]
        left.plot(distance[reach], energy[reach], "os"[k], ms=5, mfc=("none", PALETTE[1])[k], color=PALETTE[k], label=pair)
        enhanced = group[f"{side}_probability"][:, 0] / group[f"{side}_random_probability"][0]
        label = f"{pair}, {distance[0]:.2f} Å"
        right.semilogy(1000 / group["temperature_K"], enhanced, "-" + "os"[k], ms=4, color=PALETTE[k], label=label)
    left.axhline(0, color="0.6", lw=0.6)
    left.set(xlabel="distance (Å)", ylabel="energy above the farthest pair (meV)", title="Binding of a single pair")
    right.axhline(1, color="0.6", lw=0.6)
    right.set(xlabel="1000 K / T", ylabel="nearest shell: probability / random", title="Association of a single pair")
    for panel in (left, right):
        panel.legend(fontsize=8)
    return figure


def solubility(groups: dict[str, Group]) -> Figure | None:
    """Both limits on a logarithmic scale; no more than the whole end where the boundary is the end itself."""
    diagram = groups.get("phase_diagram")
    if diagram is None or not len(diagram["boundary_x"]):
        return None
    figure, axes = plt.subplots()
    for side, label in enumerate(("x, dissolved at the low end", "1 - x, dissolved at the high end")):
        limit = solubility_limit(diagram, side)
        inverse, colour, known = 1000 / limit.temperature_K, PALETTE[side], limit.x > 0
        axes.plot(inverse[known], limit.x[known], "-", lw=1, color=colour, label=label)
        for good, face in ((True, colour), (False, "white")):
            m = known & (limit.trusted == good)
            below = np.minimum(limit.error[m], 0.9 * limit.x[m])
            axes.errorbar(inverse[m], limit.x[m], [below, limit.error[m]], fmt="o", ms=4, color=colour, mfc=face)
        axes.plot(inverse[~known], limit.error[~known], "v", ms=6, color=colour, mfc="white")
    axes.set(yscale="log", xlabel="1000 K / T", ylabel="x at the boundary", title="Solubility limits")
    axes.legend(fontsize=8)
    return figure


FIGURES = {
    "order": (
        order_parameters,
        "Order parameter of the strongest waves; marked where long-range order is recognised, by its wave vector. A bar: one long wave across the cell, that is two phases, or two domains of an order, side by side.",
    ),
    "short_range_order": (
        short_range_order,
        "Warren-Cowley parameters of nearest neighbours at the lowest and the highest temperature; above zero the two species seek each other.",
    ),
    "dilute": (
        dilute_limits,
        "One ion with its electron in the empty host, one vacancy with its hole in the full one: energies by distance, exact, and how often they are nearest neighbours.",
    ),
    "solubility": (
        solubility,
        "Limits of solubility at both ends, logarithmic; open: not trusted, triangle: less than the error of the end itself.",
    ),
}
