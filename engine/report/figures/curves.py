"""Curves over composition or chemical potential."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Results
from ...runtime.results.canonical import Canonical, EntropySplit
from ...runtime.results.electrochemistry import Voltage
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

Float = NDArray[np.float64]
MOST_PANELS = 4


def mixing_free_energy(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    if results.canonical is None or results.hull is None:
        return None
    group, rows = results.canonical, rows_asked(results.canonical)
    figure, axes = draw_curves(group, group.mixing_free_energy_eV, group.mixing_free_energy_eV_error, 1e3)
    for k, row in enumerate(rows):
        hull = 1e3 * (group.mixing_free_energy_eV[row] - results.hull.energy_above_hull_eV[row])
        axes.plot(group.x, hull, color=colour_of(k, len(rows)), lw=0.7, ls="--")
    axes.set(ylabel="mixing free energy (meV/fu)")
    return figure


def mixing_enthalpy(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    if results.canonical is None:
        return None
    group = results.canonical
    figure, axes = draw_curves(group, group.mixing_energy_eV, group.mixing_energy_eV_error, 1e3)
    axes.set(ylabel="enthalpy of mixing (meV/fu)")
    return figure


def ground_states(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.ground_states
    if group is None:
        return None
    figure, axes = one_column()
    x, energy, corner = group.x, 1e3 * group.formation_energy_eV, group.on_hull
    for mask, face, label in ((group.listed, PALETTE[0], "all states enumerated"), (~group.listed, "none", "annealed")):
        if mask.any():
            axes.plot(x[mask], energy[mask], "o", ms=2.5, color=PALETTE[0], mfc=face, mew=0.5, alpha=0.7, label=label)
    axes.plot(x[corner], energy[corner], "-s", ms=4, color=PALETTE[1], label="hull")
    for k in np.flatnonzero(corner):
        axes.annotate(fraction(x[k]), (x[k], energy[k]), xytext=(0, -10), textcoords="offset points", ha="center", fontsize=7)
    axes.set(xlabel="x (ions per formula unit)", ylabel="formation energy (meV/fu)")
    axes.margins(y=0.12)
    legend_above(figure)
    return figure


def scans(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.canonical
    if group is None or group.scan is None:
        return None
    figure, axes = one_column()
    rows = rows_asked(group)
    for k, row in enumerate(rows):
        colour = colour_of(k, len(rows))
        axes.plot(
            group.x,
            1e3 * group.mixing_free_energy_eV[row],
            color=colour,
            lw=1.3,
            label=f"{group.temperature_K[row]:g} K",
        )
        axes.plot(group.x, 1e3 * group.scan.up_mixing_free_energy_eV[row], ":", color=colour, lw=0.7)
        axes.plot(group.x, 1e3 * group.scan.down_mixing_free_energy_eV[row], "--", color=colour, lw=0.7)
    axes.set(xlabel="x (ions per formula unit)", ylabel="mixing free energy (meV/fu)")
    legend_above(figure)
    return figure


def isotherms(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group, canonical = results.semigrand, results.canonical
    if group is None or group.chemical_potential_eV is None or group.x is None or group.x_error is None:
        return None
    figure, axes = one_column()
    rows = rows_asked(canonical) if canonical else np.arange(len(group.temperature_K))
    mu = group.chemical_potential_eV
    for k, row in enumerate(rows):
        colour, good = colour_of(k, len(rows)), group.trusted[row]
        label = f"{group.temperature_K[row]:g} K"
        if canonical:
            axes.plot(canonical.chemical_potential_eV[row], canonical.x, color=colour, lw=0.9, alpha=0.8)
        for mask, face in ((good, colour), (~good, "white")):
            axes.errorbar(
                mu[mask],
                group.x[row][mask],
                group.x_error[row][mask],
                fmt="o",
                color=colour,
                mfc=face,
                ms=3,
                mew=0.7,
                lw=0.7,
            )
        axes.plot([], [], "o-", color=colour, ms=3, label=label)
    axes.set(xlabel="chemical potential (eV)", ylabel="x (ions per formula unit)")
    axes.set_title("vibrations in the lines only" if group.grand and group.grand.vibrations else "")
    legend_above(figure)
    return figure


def voltage(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.voltage
    if group is None or results.canonical is None:
        return None
    figure, axes = one_column()
    rows = rows_asked(results.canonical)
    for k, row in enumerate(rows):
        x, value, error = with_corners(group, row)
        colour = colour_of(k, len(rows))
        axes.plot(x, value, color=colour, label=f"{group.temperature_K[row]:g} K")
        axes.fill_between(x, value - 2 * error, value + 2 * error, color=colour, alpha=0.25, lw=0)
    axes.set(xlabel="x (ions per formula unit)", ylabel="voltage (V)")
    legend_above(figure)
    per_x = float(group.capacity_mAh_per_g[-1] / group.x[-1])
    axes.secondary_xaxis("top", functions=(lambda x: np.multiply(x, per_x), lambda q: np.divide(q, per_x))).set_xlabel(
        f"capacity (mAh per g of {group.capacity_per_gram_of or 'the compound'})"
    )
    return figure


def with_corners(group: Voltage, row: int) -> tuple[Float, Float, Float]:
    """x, voltage and error at one temperature, with the ends of the plateaus between the compositions of the grid."""
    x, value, error = group.x, group.voltage_V[row], group.voltage_V_error[row]
    if group.plateau is not None:
        p, mine = group.plateau, group.plateau.temperature_K == group.temperature_K[row]
        ends = p.x[mine].ravel()
        order = np.argsort([*x, *ends], kind="stable")
        x = np.array([*x, *ends])[order]
        value = np.array([*value, *np.repeat(p.voltage_V[mine], 2)])[order]
        error = np.array([*error, *np.repeat(p.voltage_V_error[mine], 2)])[order]
    return x, value, error


def differential_capacity(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.differential_capacity
    if group is None or results.canonical is None:
        return None
    figure, axes = one_column()
    rows, v = rows_asked(results.canonical), group.voltage_V
    values, errors = group.differential_capacity_mAh_per_g_per_V, group.differential_capacity_mAh_per_g_per_V_error
    for k, row in enumerate(rows):
        value, error, colour = values[row], errors[row], colour_of(k, len(rows))
        plot_trusted(axes, v, value, group.trusted[row], colour, f"{group.temperature_K[row]:g} K")
        axes.fill_between(v, value - 2 * error, value + 2 * error, color=colour, alpha=0.25, lw=0)
    highest = np.nanmax(values[rows], initial=1e-9)
    shown = v[np.nan_to_num(values[rows]).max(axis=0, initial=0.0) > 1e-3 * highest]
    axes.set(yscale="log", ylim=(1e-3 * highest, 2 * highest), xlabel="voltage (V)", ylabel="−dQ/dV (mAh g$^{-1}$ V$^{-1}$)")
    if len(shown):
        axes.set(xlim=(shown[0], shown[-1]))
    legend_above(figure)
    return figure


def entropy_coefficient(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.voltage
    if group is None or results.canonical is None:
        return None
    values, errors = group.entropy_coefficient_V_per_K, group.entropy_coefficient_V_per_K_error
    if values is None or errors is None:
        return None
    figure, axes = draw_curves(results.canonical, values, errors, 1e3)
    axes.set(ylabel="dV/dT (mV/K)")
    return figure


def _configurational_entropy_kB(canonical: Canonical) -> Float:
    """(temperatures, x), of ions and electrons without vibrations."""
    return canonical.entropy_kB - (canonical.vibrational.entropy_kB if canonical.vibrational else 0.0)


def entropy(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    if results.canonical is None:
        return None
    group = results.canonical
    figure, axes = draw_curves(group, _configurational_entropy_kB(group), group.entropy_kB_error)
    axes.set(ylabel="joint entropy ($k_B$/fu)", ylim=(0, None))
    return figure


def entropy_split(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.canonical
    if group is None or group.split is None or group.split.entropy_electron_given_ion_kB is None:
        return None
    rows = spread_over(rows_asked(group), MOST_PANELS)
    figure, panels = side_by_side(len(rows), 2.5, sharey=True)
    curves = _entropies(group, group.split)
    for panel, row in zip(panels[0], rows):
        for colour, (label, values, errors) in zip(PALETTE, curves):
            if values is None or errors is None:
                continue
            value, error = values[row], errors[row]
            panel.plot(group.x, value, color=colour, ls="--" if "|" in label else "-", label=label)
            panel.fill_between(group.x, value - 2 * error, value + 2 * error, color=colour, alpha=0.2, lw=0)
        hatch_untrusted(panel, group.x, group.split.entropy_split_trusted[row], "not trusted")
        panel.set(title=f"{group.temperature_K[row]:g} K", xlabel="x (ions per fu)")
    panels[0, 0].set(ylabel="entropy ($k_B$/fu)")
    legend_above(figure)
    return figure


def _entropies(canonical: Canonical, split: EntropySplit) -> list[tuple[str, Float | None, Float | None]]:
    """Label, values and errors (temperatures, x) of each entropy; None where it was not computed."""
    return [
        ("joint", _configurational_entropy_kB(canonical), canonical.entropy_kB_error),
        ("ions", split.entropy_ion_kB, split.entropy_ion_kB_error),
        ("electrons", split.entropy_electron_kB, split.entropy_electron_kB_error),
        ("electrons | ions", split.entropy_electron_given_ion_kB, split.entropy_electron_given_ion_kB_error),
        ("mutual information", split.mutual_information_kB, split.mutual_information_kB_error),
    ]
