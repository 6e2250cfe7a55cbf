"""Figures from results.h5 and fit.json alone; PNG and SVG."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .results import Group, Results
from .thermodynamics.ground_states import fraction

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito, colour-blind safe
SHOWN = 0.9  # share of the resamples that must show an invariant point for it to be drawn
STYLE: Any = {
    "figure.figsize": (6.0, 4.2), "figure.dpi": 110, "savefig.dpi": 150, "font.size": 10, "axes.grid": True,
    "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "redoxmc",
}  # fmt: skip


def draw_all(results: Results, fit: dict[str, Any] | None, folder: Path) -> dict[str, str]:
    """Draw every figure that there is data for; returns name -> caption in the order of the report."""
    return save_figures({n: (partial(draw, results.groups, fit), caption) for n, (draw, caption) in FIGURES.items()}, folder)


def save_figures(figures: Mapping[str, tuple[Callable[[], Figure | None], str]], folder: Path) -> dict[str, str]:
    """Draw and write as PNG and SVG what there is data for; returns name -> caption."""
    folder.mkdir(parents=True, exist_ok=True)
    captions: dict[str, str] = {}
    with plt.rc_context(STYLE):
        for name, (draw, caption) in figures.items():
            figure = draw()
            if figure is not None:
                if figure.get_layout_engine() is None:
                    figure.tight_layout()
                figure.savefig(folder / f"{name}.png")
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                plt.close(figure)
                captions[name] = caption
    return captions


def _asked(group: Group) -> NDArray[np.int64]:
    """Rows of the temperatures asked for."""
    return np.flatnonzero(group["asked"]) if "asked" in group else np.arange(len(group["temperature_K"]))


def _colour(k: int, n: int) -> Any:
    return plt.get_cmap("viridis")(0.92 * k / max(n - 1, 1))


def _hatch_untrusted(axes: Axes, x: NDArray[np.float64], trusted: Any, label: str | None = None) -> None:
    """Hatch the stretches of x where nothing drawn is trusted at some temperature."""
    edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    for k in np.flatnonzero(~trusted):
        axes.axvspan(edges[k], edges[k + 1], facecolor="none", edgecolor="0.75", hatch="////", linewidth=0, zorder=0, label=label)
        label = None


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
    right.set(title=f"{other.attributes['title']} (incoherent)", ylabel="")
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


def hysteresis(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "hysteresis" not in groups:
        return None
    group = groups["hysteresis"]
    figure, axes = plt.subplots()
    apart = 1e3 * (group["energy_heating_eV"] - group["energy_cooling_eV"])
    error = 1e3 * np.hypot(group["energy_heating_eV_error"], group["energy_cooling_eV_error"])
    for k, x in enumerate(group["x"]):
        colour = _colour(k, len(group["x"]))
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


def _curves(groups: dict[str, Group], source: str, name: str, scale: float = 1.0) -> tuple[Figure, Axes]:
    """A quantity of a group over x at the temperatures asked for, with bands of two standard errors; untrusted x hatched."""
    group, canonical = groups[source], groups["canonical"]
    figure, axes = plt.subplots()
    rows, x = _asked(canonical), group["x"]
    for k, row in enumerate(rows):
        value, error = scale * group[name][row], scale * group[f"{name}_error"][row]
        axes.plot(x, value, color=_colour(k, len(rows)), lw=1.4, label=f"{group['temperature_K'][row]:g} K")
        axes.fill_between(x, value - 2 * error, value + 2 * error, color=_colour(k, len(rows)), alpha=0.25)
    _hatch_untrusted(axes, x, canonical["trusted"][rows].all(axis=0), "not trusted at some T")
    axes.set(xlabel="x (ions per formula unit)")
    axes.legend(fontsize=8)
    return figure, axes


def mixing_free_energy(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups:
        return None
    figure, axes = _curves(groups, "canonical", "mixing_free_energy_eV", 1e3)
    group, rows = groups["canonical"], _asked(groups["canonical"])
    for k, row in enumerate(rows):
        hull = 1e3 * (group["mixing_free_energy_eV"][row] - groups["hull"]["energy_above_hull_eV"][row])
        axes.plot(group["x"], hull, color=_colour(k, len(rows)), lw=0.8, ls="--")
    axes.set(ylabel="mixing free energy (meV/fu)", title="Mixing free energy; hull dashed")
    return figure


def ground_states(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    group = groups.get("ground_states")
    if group is None:
        return None
    figure, axes = plt.subplots()
    x, energy, corner = group["x"], 1e3 * group["formation_energy_eV"], group["on_hull"]
    for mask, face, label in ((group["listed"], PALETTE[0], "all states listed"), (~group["listed"], "none", "annealed")):
        if mask.any():
            axes.plot(x[mask], energy[mask], "o", ms=3, color=PALETTE[0], mfc=face, mew=0.6, alpha=0.7, label=label)
    axes.plot(x[corner], energy[corner], "-s", ms=5, color=PALETTE[1], lw=1.2, label="hull")
    for k in np.flatnonzero(corner):
        axes.annotate(fraction(x[k]), (x[k], energy[k]), xytext=(0, -12), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlabel="x (ions per formula unit)", ylabel="formation energy (meV/fu)", title="Ground states (T = 0)")
    axes.margins(y=0.1)
    axes.legend(fontsize=8)
    return figure


def scans(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups or "scan_up_mixing_free_energy_eV" not in groups["canonical"]:
        return None
    group = groups["canonical"]
    figure, axes = plt.subplots()
    rows = _asked(group)
    for k, row in enumerate(rows):
        colour = _colour(k, len(rows))
        axes.plot(
            group["x"],
            1e3 * group["mixing_free_energy_eV"][row],
            color=colour,
            lw=1.6,
            label=f"{group['temperature_K'][row]:g} K",
        )
        for side, style in (("up", ":"), ("down", "--")):
            axes.plot(group["x"], 1e3 * group[f"scan_{side}_mixing_free_energy_eV"][row], style, color=colour, lw=0.9)
    axes.set(
        xlabel="x (ions per formula unit)",
        ylabel="mixing free energy (meV/fu)",
        title="Scans up (dotted) and down (dashed) in x, and the result",
    )
    axes.legend(fontsize=8)
    return figure


def isotherms(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "semigrand" not in groups or "chemical_potential_eV" not in groups["semigrand"]:
        return None
    group = groups["semigrand"]
    figure, axes = plt.subplots()
    canonical = groups.get("canonical")
    rows = _asked(canonical) if canonical else np.arange(len(group["temperature_K"]))
    mu = group["chemical_potential_eV"]
    vibrations = "vibrations" in group.attributes
    for k, row in enumerate(rows):
        colour, good = _colour(k, len(rows)), group["trusted"][row]
        label = f"{group['temperature_K'][row]:g} K"
        if canonical:
            axes.plot(canonical["chemical_potential_eV"][row], canonical["x"], color=colour, lw=1, alpha=0.8)
        for mask, face in ((good, colour), (~good, "white")):
            axes.errorbar(mu[mask], group["x"][row][mask], group["x_error"][row][mask], fmt="o", color=colour, mfc=face, ms=4)
        axes.plot([], [], "o", color=colour, ms=4, label=label)
    axes.set(
        xlabel="chemical potential (eV)",
        ylabel="x (ions per formula unit)",
        title="Isotherms: chains (points; open: not trusted), dF/dn (lines)"
        + ("\nvibrations in the lines alone" if vibrations else ""),
    )
    axes.legend(fontsize=8)
    return figure


def voltage(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "voltage" not in groups:
        return None
    figure, axes = _curves(groups, "voltage", "voltage_V")
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
    group, figure, axes = groups["differential_capacity"], *plt.subplots()
    rows, v, name = _asked(groups["canonical"]), group["voltage_V"], "differential_capacity_mAh_per_g_per_V"
    for k, row in enumerate(rows):
        value, error, colour = group[name][row], group[f"{name}_error"][row], _colour(k, len(rows))
        axes.plot(v, value, ":", color=colour, lw=0.8)
        axes.plot(
            v, np.where(group["trusted"][row], value, np.nan), color=colour, lw=1.4, label=f"{group['temperature_K'][row]:g} K"
        )
        axes.fill_between(v, value - 2 * error, value + 2 * error, color=colour, alpha=0.25)
    highest = np.nanmax(group[name][rows], initial=1e-9)
    axes.set(yscale="log", ylim=(1e-3 * highest, 2 * highest), xlabel="voltage (V)", ylabel="-dQ/dV (mAh g$^{-1}$ V$^{-1}$)")
    axes.legend(fontsize=8)
    return figure


def entropy_coefficient(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "entropy_coefficient_V_per_K" not in groups.get("voltage", Group()):
        return None
    figure, axes = _curves(groups, "voltage", "entropy_coefficient_V_per_K", 1e3)
    axes.set(ylabel="dV/dT (mV/K)", title="Entropy profile")
    return figure


def _without_vibrations(canonical: Group) -> Group:
    """With entropy_kB of ions and electrons alone."""
    if "vibrational_entropy_kB" not in canonical:
        return canonical
    joint = canonical.variables["entropy_kB"]
    joint = replace(joint, values=joint.values - canonical["vibrational_entropy_kB"])
    return Group({**canonical.variables, "entropy_kB": joint}, canonical.attributes)


def entropy(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if "canonical" not in groups:
        return None
    figure, axes = _curves({"canonical": _without_vibrations(groups["canonical"])}, "canonical", "entropy_kB")
    axes.set(ylabel="entropy ($k_B$/fu)", title="Joint entropy of ions and electrons", ylim=(0, None))
    return figure


SPLIT = {
    "entropy_kB": "joint",
    "entropy_ion_kB": "ions",
    "entropy_electron_kB": "electrons",
    "entropy_electron_given_ion_kB": "electrons | ions",
    "mutual_information_kB": "mutual information",
}
MOST_PANELS = 4


def entropy_split(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    group = groups.get("canonical")
    if group is None or "entropy_electron_given_ion_kB" not in group:
        return None
    group = _without_vibrations(group)
    rows = _asked(group)
    rows = rows[np.unique(np.rint(np.linspace(0, len(rows) - 1, min(MOST_PANELS, len(rows)))).astype(int))]
    figure, axes = plt.subplots(1, len(rows), figsize=(2.2 + 2.6 * len(rows), 4.0), sharey=True, squeeze=False)
    x = group["x"]
    for panel, row in zip(axes[0], rows):
        for colour, (name, label) in zip(PALETTE, SPLIT.items()):
            if name not in group:
                continue
            value, error = group[name][row], group[f"{name}_error"][row]
            panel.plot(x, value, color=colour, lw=1.4, ls="--" if "given" in name else "-", label=label)
            panel.fill_between(x, value - 2 * error, value + 2 * error, color=colour, alpha=0.2)
        _hatch_untrusted(panel, x, group["entropy_split_trusted"][row], "not trusted")
        panel.set(title=f"{group['temperature_K'][row]:g} K", xlabel="x (ions per fu)")
    axes[0, 0].set(ylabel="entropy ($k_B$/fu)")
    handles = {label: h for panel in axes[0] for h, label in zip(*panel.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=len(handles), fontsize=8)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    return figure


def fit_quality(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if fit is None or "x" not in fit:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2))
    reference, fitted = (1e3 * np.array(fit[f"{name}_mixing_eV"]) for name in ("reference", "fitted"))
    held_out = fitted + 1e3 * (np.array(fit["left_out_eV"]) - np.array(fit["fitted_eV"]))
    span = [min(reference.min(), fitted.min()), max(reference.max(), fitted.max())]
    left.plot(span, span, color="0.6", lw=1)
    left.plot(
        reference,
        held_out,
        "o",
        ms=3,
        mfc="none",
        color=PALETTE[1],
        label=f"left out: {1e3 * fit['validation_rmse_eV']:.1f} meV/fu",
    )
    left.plot(reference, fitted, "o", ms=3, color=PALETTE[0], label=f"fitted: {1e3 * fit['rmse_eV']:.1f} meV/fu")
    left.set(xlabel="reference (meV/fu)", ylabel="predicted (meV/fu)", title="Mixing energies")
    left.legend(fontsize=8)
    right.plot(fit["x"], reference, "o", ms=3, mfc="none", color="0.5", label="data")
    right.plot(fit["x"], fitted, ".", ms=3, color=PALETTE[0], label="fit")
    right.plot(fit["hull_x"], 1e3 * np.array(fit["hull_eV"]), "-s", ms=4, color="0.4", lw=1, label="hull of the data")
    right.plot(fit["fitted_hull_x"], 1e3 * np.array(fit["fitted_hull_eV"]), "--", color=PALETTE[0], lw=1, label="hull of the fit")
    right.set(xlabel="x (ions per formula unit)", ylabel="mixing energy (meV/fu)", title="Ground states of the data cells")
    right.legend(fontsize=8)
    return figure


def sampling_health(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    names = [n for n in ("vcsgc", "semigrand", "fixed_composition") if n in groups and groups[n]["ess"].ndim == 2]
    if not names:
        return None
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 7))
    group = groups[names[0]]
    axis = list(group.variables)[1]
    for panel, (name, label, norm) in zip(
        axes.flat[:3],
        (
            ("ess", "effective sample size", "log"),
            ("r_hat", "R-hat", None),
            ("autocorrelation_sweeps", "autocorrelation (sweeps)", "log"),
        ),
    ):
        values = np.clip(group[name], 1, 2) if name == "r_hat" else group[name]
        values = np.nan_to_num(values, posinf=2)
        image = panel.pcolormesh(
            np.arange(values.shape[1] + 1), np.arange(values.shape[0] + 1), values, norm=norm, cmap="cividis"
        )
        bad_row, bad_column = np.nonzero(~group["trusted"])
        panel.plot(bad_column + 0.5, bad_row + 0.5, "x", color="#D55E00", ms=4)
        panel.set(title=f"{names[0]}: {label}; x: not trusted", xlabel=f"{axis} (number)", ylabel="temperature (number)")
        panel.grid(False)
        figure.colorbar(image, ax=panel)
    exchange, panel = groups["exchange"], axes.flat[3]
    for k, kind in enumerate(("temperature", "composition")):
        rates = exchange["acceptance"][exchange["axis"] == kind]
        if len(rates):
            panel.hist(rates, bins=np.linspace(0, 1, 26), alpha=0.6, color=PALETTE[k], label=f"along {kind}")
            panel.legend(fontsize=8)
    panel.set(title="exchange between replicas", xlabel="acceptance", ylabel="pairs")
    return figure


Draw = Callable[[dict[str, Group], dict[str, Any] | None], Figure | None]
FIGURES: dict[str, tuple[Draw, str]] = {
    "phase_diagram": (
        phase_diagram,
        "Two-phase regions (shaded) with their boundaries and their errors (bands); points and dotted lines: temperatures that were sampled; open or hatched: not trusted. Invariant points that 90 % of the resamples show; triangles down: eutectoid, up: peritectoid, stars: critical, diamonds: congruent. Small dots: where F of the cell loses its convexity. Dashed: a smaller cell.",
    ),
    "phase_diagrams": (phase_diagrams, "The phase diagrams of this run and of the one that it is compared with, drawn alike."),
    "hysteresis": (
        hysteresis,
        "Energy of short chains at fixed composition, heated, less that of the same chains cooled; points: more than the errors.",
    ),
    "mixing_free_energy": (
        mixing_free_energy,
        "Free energy above the line between the ends, with two standard errors, and its lower convex hull (dashed).",
    ),
    "ground_states": (
        ground_states,
        "The hull at T = 0: lowest energy above the line between the ends, for each composition of each supercell that was searched.",
    ),
    "scans": (
        scans,
        "One fast scan up and one down in x at each temperature, not closed: where they part, phases form or vanish with hysteresis. The result (solid) comes from chains cooled from infinite temperature.",
    ),
    "isotherms": (
        isotherms,
        "Composition against chemical potential, from semigrand chains and as the derivative of the free energy.",
    ),
    "voltage": (voltage, "Equilibrium voltage from the hull of the free energy; plateaus are two-phase regions."),
    "differential_capacity": (
        differential_capacity,
        "Charge that goes in per volt, with two standard errors, broadened by 5 mV: peaks are plateaus, of a height that the broadening sets. Dotted: not trusted.",
    ),
    "entropy_coefficient": (
        entropy_coefficient,
        "Temperature coefficient of the voltage between neighbouring temperatures, with two standard errors; the entropy of the metal is not in it.",
    ),
    "entropy": (entropy, "Joint entropy of ions and electrons, with two standard errors."),
    "entropy_split": (
        entropy_split,
        "The entropy split by the chain rule into that of the ions and that of the electrons; dashed: of the electrons with the ions frozen. Bands: two standard errors.",
    ),
    "fit_quality": (fit_quality, "Predicted against reference energies, and the hulls of data and fit over the data cells."),
    "sampling_health": (sampling_health, "Are the chains long enough, and do replicas exchange?"),
}
