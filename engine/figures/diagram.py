"""Phase diagrams and hysteresis."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..results import Group
from .style import PALETTE, colour_of, plain, rows_asked

SHOWN = 0.9  # share of the resamples that must show an invariant point for it to be drawn


def phase_diagram(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "phase_diagram" not in groups:
        return None
    figure, axes = plt.subplots()
    _draw_diagram(axes, groups["phase_diagram"])
    if "phase_diagram_second" in groups:
        _outline(axes, groups["phase_diagram_second"])
    axes.set(title="Phase diagram (incoherent)")
    return figure


def phase_diagrams(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "phase_diagram_beside" not in groups:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), sharey=True)
    other = groups["phase_diagram_beside"]
    _draw_diagram(left, groups["phase_diagram"])
    _draw_diagram(right, other)
    left.set(title="This run (incoherent)")
    right.set(title=f"{plain(str(other.attributes['title']))} (incoherent)", ylabel="")
    t = np.concatenate([groups["phase_diagram"]["temperature_K"], other["temperature_K"]])
    left.set_ylim(t.min() - 0.04 * np.ptp(t), t.max() + 0.04 * np.ptp(t))
    return figure


def _draw_diagram(axes: Axes, group: Group) -> None:
    """Two-phase regions of /phase_diagram and invariant points; what is not trusted hatched."""
    t, x, trusted, sampled = (group[name] for name in ("temperature_K", "x", "trusted", "sampled_temperature_K"))
    if not trusted.all() and len(sampled) > 1:
        axes.contourf(x, sampled, np.where(trusted, 0.0, 1.0), levels=[0.5, 1.5], colors="none", hatches=["////"])
    temperature, boundary, error = (group[f"boundary_{name}"] for name in ("temperature_K", "x", "x_error"))
    for region in np.unique(group["boundary_region"]):
        mine = group["boundary_region"] == region
        colour = PALETTE[int(region) % len(PALETTE)]
        left, right = (mine & (group["boundary_side"] == side) for side in (0, 1))
        axes.fill_betweenx(temperature[left], boundary[left], boundary[right], color=colour, alpha=0.18)
        for side in (left, right):
            axes.plot(boundary[side], temperature[side], color=colour, lw=1)
            low, high = boundary[side] - error[side], boundary[side] + error[side]
            axes.fill_betweenx(temperature[side], low, high, color=colour, alpha=0.35, lw=0)
            for good, face in ((True, colour), (False, "white")):
                mask = side & (group["boundary_trusted"] == good) & np.isin(temperature, sampled)
                axes.plot(boundary[mask], temperature[mask], "o", ms=4, color=colour, mfc=face, zorder=3)
    axes.plot(group["spinodal_x"], group["spinodal_temperature_K"], ".", color="0.35", ms=1.5)
    _draw_invariants(axes, group)
    for value in sampled:
        axes.axhline(value, color="0.6", lw=0.5, ls=":", zorder=0)
    axes.set(xlim=(x[0], x[-1]), xlabel="x (ions per formula unit)", ylabel="temperature (K)")
    margin = 0.04 * (t.max() - t.min() + 1)
    axes.set_ylim(t.min() - margin, t.max() + margin)


def _outline(axes: Axes, group: Group) -> None:
    """Boundaries of the smaller cell, dashed."""
    label: str | None = str(group.attributes["title"])
    for region in np.unique(group["boundary_region"]):
        for side in (0, 1):
            mine = (group["boundary_region"] == region) & (group["boundary_side"] == side)
            axes.plot(group["boundary_x"][mine], group["boundary_temperature_K"][mine], "k--", lw=0.9, label=label)
            label = None
    if label is None:
        axes.legend(fontsize=8, loc="upper right", frameon=True)


def couplings(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    """Mixing free energies and boundaries with bands of one standard deviation over draws of the couplings."""
    if "boundary_x_couplings" not in groups.get("phase_diagram", {}):
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4))
    canonical, diagram = groups["canonical"], groups["phase_diagram"]
    rows = rows_asked(canonical)
    for k, row in enumerate(rows):
        f, error = (1e3 * canonical[f"mixing_free_energy_eV{name}"][row] for name in ("", "_couplings"))
        left.plot(canonical["x"], f, color=colour_of(k, len(rows)), lw=1.2, label=f"{canonical['temperature_K'][row]:g} K")
        left.fill_between(canonical["x"], f - error, f + error, color=colour_of(k, len(rows)), alpha=0.2, lw=0)
    left.set(xlabel="x (ions per formula unit)", ylabel="mixing free energy (meV/fu)", title="Mixing free energy")
    left.legend(fontsize=7)
    temperature, x, band = (diagram[f"boundary_{name}"] for name in ("temperature_K", "x", "x_couplings"))
    for region in np.unique(diagram["boundary_region"]):
        colour = PALETTE[int(region) % len(PALETTE)]
        for side in (0, 1):
            mine = (diagram["boundary_region"] == region) & (diagram["boundary_side"] == side)
            right.plot(x[mine], temperature[mine], color=colour, lw=1.2)
            right.fill_betweenx(temperature[mine], (x - band)[mine], (x + band)[mine], color=colour, alpha=0.25, lw=0)
    points = np.flatnonzero(diagram["invariant_found"] > SHOWN)
    t, middle, error = (diagram[f"invariant_{name}"][points] for name in ("temperature_K", "x", "temperature_K_couplings"))
    right.errorbar(middle[:, 1], t, yerr=np.nan_to_num(error), fmt=".", color="k", lw=0.8, ms=3)
    right.set(
        xlim=tuple(canonical["x"][[0, -1]]), xlabel="x (ions per formula unit)", ylabel="temperature (K)", title="Boundaries"
    )
    return figure


def hysteresis(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "hysteresis" not in groups:
        return None
    group = groups["hysteresis"]
    figure, axes = plt.subplots()
    apart = 1e3 * (group["energy_heating_eV"] - group["energy_cooling_eV"])
    error = 1e3 * np.hypot(group["energy_heating_eV_error"], group["energy_cooling_eV_error"])
    for k, x in enumerate(group["x"]):
        colour = colour_of(k, len(group["x"]))
        axes.errorbar(group["temperature_K"], apart[:, k], yerr=error[:, k], color=colour, lw=1.2, label=f"{x:.2f}")
        mask = group["hysteresis"][:, k]
        axes.plot(group["temperature_K"][mask], apart[mask, k], "o", ms=4, color=colour)
    axes.set(xlabel="temperature (K)", ylabel="energy, heating less cooling (meV/fu)", title="Hysteresis in temperature")
    axes.legend(fontsize=7, ncol=3, title="x")
    return figure


def _draw_invariants(axes: Axes, group: Group) -> None:
    marks = {"eutectoid": "v", "peritectoid": "^", "critical": "*", "congruent": "D"}
    for k in np.flatnonzero(group["invariant_found"] > SHOWN):
        kind = str(group["invariant_kind"][k])
        if kind not in marks:
            continue
        value, error, x = group["invariant_temperature_K"][k], group["invariant_temperature_K_error"][k], group["invariant_x"][k]
        known, face = x[np.isfinite(x)], "k" if group["invariant_trusted"][k] else "white"
        axes.plot(known, np.full(len(known), value), color="k", lw=0.8)
        axes.errorbar(x[1], value, yerr=error, fmt=marks[kind], color="k", mfc=face, ms=6, lw=0.8, zorder=4)
