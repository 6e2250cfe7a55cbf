"""Curves over composition or chemical potential."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...runtime.results import Group
from ...runtime.results.canonical import Canonical
from ...units import fraction
from .style import (
    PALETTE,
    colour_of,
    draw_curves,
    hatch_untrusted,
    legend_above,
    one_column,
    plot_trusted,
    rows_asked,
    side_by_side,
    spread_over,
)

SPLIT = {
    "entropy_kB": "joint",
    "entropy_ion_kB": "ions",
    "entropy_electron_kB": "electrons",
    "entropy_electron_given_ion_kB": "electrons | ions",
    "mutual_information_kB": "mutual information",
}
MOST_PANELS = 4


def mixing_free_energy(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups:
        return None
    figure, axes = draw_curves(groups, "canonical", "mixing_free_energy_eV", 1e3)
    group, rows = groups["canonical"], rows_asked(groups["canonical"])
    for k, row in enumerate(rows):
        hull = 1e3 * (group["mixing_free_energy_eV"][row] - groups["hull"]["energy_above_hull_eV"][row])
        axes.plot(group["x"], hull, color=colour_of(k, len(rows)), lw=0.7, ls="--")
    axes.set(ylabel="mixing free energy (meV/fu)")
    return figure


def mixing_enthalpy(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups:
        return None
    figure, axes = draw_curves(groups, "canonical", "mixing_energy_eV", 1e3)
    axes.set(ylabel="enthalpy of mixing (meV/fu)")
    return figure


def ground_states(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    group = groups.get("ground_states")
    if group is None:
        return None
    figure, axes = one_column()
    x, energy, corner = group["x"], 1e3 * group["formation_energy_eV"], group["on_hull"]
    for mask, face, label in ((group["listed"], PALETTE[0], "all states listed"), (~group["listed"], "none", "annealed")):
        if mask.any():
            axes.plot(x[mask], energy[mask], "o", ms=2.5, color=PALETTE[0], mfc=face, mew=0.5, alpha=0.7, label=label)
    axes.plot(x[corner], energy[corner], "-s", ms=4, color=PALETTE[1], label="hull")
    for k in np.flatnonzero(corner):
        axes.annotate(fraction(x[k]), (x[k], energy[k]), xytext=(0, -10), textcoords="offset points", ha="center", fontsize=7)
    axes.set(xlabel="x (ions per formula unit)", ylabel="formation energy (meV/fu)")
    axes.margins(y=0.12)
    legend_above(figure)
    return figure


def scans(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups or "scan_up_mixing_free_energy_eV" not in groups["canonical"]:
        return None
    group = groups["canonical"]
    figure, axes = one_column()
    rows = rows_asked(group)
    for k, row in enumerate(rows):
        colour = colour_of(k, len(rows))
        axes.plot(
            group["x"],
            1e3 * group["mixing_free_energy_eV"][row],
            color=colour,
            lw=1.3,
            label=f"{group['temperature_K'][row]:g} K",
        )
        for side, style in (("up", ":"), ("down", "--")):
            axes.plot(group["x"], 1e3 * group[f"scan_{side}_mixing_free_energy_eV"][row], style, color=colour, lw=0.7)
    axes.set(xlabel="x (ions per formula unit)", ylabel="mixing free energy (meV/fu)")
    legend_above(figure)
    return figure


def isotherms(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "semigrand" not in groups or "chemical_potential_eV" not in groups["semigrand"]:
        return None
    group = groups["semigrand"]
    figure, axes = one_column()
    canonical = groups.get("canonical")
    rows = rows_asked(canonical) if canonical else np.arange(len(group["temperature_K"]))
    mu = group["chemical_potential_eV"]
    for k, row in enumerate(rows):
        colour, good = colour_of(k, len(rows)), group["trusted"][row]
        label = f"{group['temperature_K'][row]:g} K"
        if canonical:
            axes.plot(canonical["chemical_potential_eV"][row], canonical["x"], color=colour, lw=0.9, alpha=0.8)
        for mask, face in ((good, colour), (~good, "white")):
            axes.errorbar(
                mu[mask],
                group["x"][row][mask],
                group["x_error"][row][mask],
                fmt="o",
                color=colour,
                mfc=face,
                ms=3,
                mew=0.7,
                lw=0.7,
            )
        axes.plot([], [], "o-", color=colour, ms=3, label=label)
    axes.set(xlabel="chemical potential (eV)", ylabel="x (ions per formula unit)")
    axes.set_title("vibrations in the lines alone" if "vibrations" in group.attributes else "")
    legend_above(figure)
    return figure


def voltage(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "voltage" not in groups:
        return None
    figure, axes = draw_curves(groups, "voltage", "voltage_V")
    axes.set(ylabel="voltage (V)")
    group = groups["voltage"]
    per_x = float(group["capacity_mAh_per_g"][-1] / group["x"][-1])
    axes.secondary_xaxis("top", functions=(lambda x: np.multiply(x, per_x), lambda q: np.divide(q, per_x))).set_xlabel(
        "capacity (mAh/g)"
    )
    return figure


def differential_capacity(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "differential_capacity" not in groups:
        return None
    group, figure, axes = groups["differential_capacity"], *one_column()
    rows, v, name = rows_asked(groups["canonical"]), group["voltage_V"], "differential_capacity_mAh_per_g_per_V"
    for k, row in enumerate(rows):
        value, error, colour = group[name][row], group[f"{name}_error"][row], colour_of(k, len(rows))
        plot_trusted(axes, v, value, group["trusted"][row], colour, f"{group['temperature_K'][row]:g} K")
        axes.fill_between(v, value - 2 * error, value + 2 * error, color=colour, alpha=0.25, lw=0)
    highest = np.nanmax(group[name][rows], initial=1e-9)
    axes.set(yscale="log", ylim=(1e-3 * highest, 2 * highest), xlabel="voltage (V)", ylabel="−dQ/dV (mAh g$^{-1}$ V$^{-1}$)")
    legend_above(figure)
    return figure


def entropy_coefficient(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "entropy_coefficient_V_per_K" not in groups.get("voltage", ()):
        return None
    figure, axes = draw_curves(groups, "voltage", "entropy_coefficient_V_per_K", 1e3)
    axes.set(ylabel="dV/dT (mV/K)")
    return figure


def _without_vibrations(canonical: Group) -> Group:
    """With entropy_kB of ions and electrons alone."""
    if not isinstance(canonical, Canonical) or canonical.vibrational is None:
        return canonical
    return replace(canonical, entropy_kB=canonical.entropy_kB - canonical.vibrational.entropy_kB)


def entropy(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups:
        return None
    figure, axes = draw_curves({"canonical": _without_vibrations(groups["canonical"])}, "canonical", "entropy_kB")
    axes.set(ylabel="joint entropy ($k_B$/fu)", ylim=(0, None))
    return figure


def entropy_split(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    group = groups.get("canonical")
    if group is None or "entropy_electron_given_ion_kB" not in group:
        return None
    group = _without_vibrations(group)
    rows = spread_over(rows_asked(group), MOST_PANELS)
    figure, panels = side_by_side(len(rows), 2.5, sharey=True)
    x = group["x"]
    for panel, row in zip(panels[0], rows):
        for colour, (name, label) in zip(PALETTE, SPLIT.items()):
            if name not in group:
                continue
            value, error = group[name][row], group[f"{name}_error"][row]
            panel.plot(x, value, color=colour, ls="--" if "given" in name else "-", label=label)
            panel.fill_between(x, value - 2 * error, value + 2 * error, color=colour, alpha=0.2, lw=0)
        hatch_untrusted(panel, x, group["entropy_split_trusted"][row], "not trusted")
        panel.set(title=f"{group['temperature_K'][row]:g} K", xlabel="x (ions per fu)")
    panels[0, 0].set(ylabel="entropy ($k_B$/fu)")
    legend_above(figure)
    return figure
