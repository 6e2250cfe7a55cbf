"""How good the fit and the sampling are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Group
from .style import PAGE_IN, PALETTE, legend_above, rung_ticks, side_by_side

MAPS = (
    ("ess", "effective sample size", "log"),
    ("r_hat", "R-hat", None),
    ("autocorrelation_sweeps", "autocorrelation (sweeps)", "log"),
)
AXES = {"target_x": "x (ions per formula unit)", "chemical_potential_eV": "chemical potential (eV)"}
WORST_R_HAT = 1.5  # of the colours


def fit_quality(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if fit is None or "x" not in fit:
        return None
    figure, panels = side_by_side(2, 2.9)
    left, right = panels[0]
    reference, fitted = (1e3 * np.array(fit[f"{name}_mixing_eV"]) for name in ("reference", "fitted"))
    held_out = fitted + 1e3 * (np.array(fit["left_out_eV"]) - np.array(fit["fitted_eV"]))
    span = [min(reference.min(), fitted.min()), max(reference.max(), fitted.max())]
    left.plot(span, span, color="0.6", lw=0.8)
    words = f"left out: {1e3 * fit['validation_rmse_eV']:.1f} meV/fu"
    left.plot(reference, held_out, "o", ms=2.5, mew=0.6, mfc="none", color=PALETTE[1], label=words)
    left.plot(reference, fitted, "o", ms=2, color=PALETTE[0], label=f"fitted: {1e3 * fit['rmse_eV']:.1f} meV/fu")
    left.set(xlabel="reference mixing energy (meV/fu)", ylabel="predicted mixing energy (meV/fu)")
    right.plot(fit["x"], reference, "s", ms=2.5, mew=0.6, mfc="none", color="0.5", label="data")
    right.plot(fit["x"], fitted, ".", ms=2.5, color=PALETTE[0], label="fit")
    right.plot(fit["hull_x"], 1e3 * np.array(fit["hull_eV"]), "-s", ms=3, color="0.4", label="hull of the data")
    right.plot(fit["fitted_hull_x"], 1e3 * np.array(fit["fitted_hull_eV"]), "--", color=PALETTE[0], label="hull of the fit")
    right.set(xlabel="x (ions per formula unit)", ylabel="mixing energy (meV/fu)")
    legend_above(figure)
    return figure


def sampling_health(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    names = [n for n in ("vcsgc", "semigrand", "fixed_composition") if n in groups and groups[n]["ess"].ndim == 2]
    if not names:
        return None
    figure, panels = side_by_side(2, 0.72 * PAGE_IN, rows=2)
    for panel, (name, label, norm) in zip(panels.flat, MAPS):
        _map(figure, panel, groups[names[0]], name, norm)
        panel.set_title(label)
    _exchange(panels[1, 1], groups["exchange"])
    return figure


def _map(figure: Figure, axes: Axes, group: Group, name: str, norm: str | None) -> None:
    """A number of every replica over its axis and temperature; crosses where it is not trusted."""
    axis = next(dim for dim in group.variables[name].dims if dim != "temperature_K")
    x, t = group[axis], np.arange(len(group["temperature_K"]))
    values = np.clip(np.nan_to_num(group[name], posinf=WORST_R_HAT), 1, WORST_R_HAT) if name == "r_hat" else group[name]
    image = axes.pcolormesh(_edges(x), np.arange(len(t) + 1) - 0.5, values, norm=norm, cmap="cividis", rasterized=True)
    row, column = np.nonzero(~group["trusted"])
    axes.plot(x[column], t[row], "x", color=PALETTE[1], ms=2.5, mew=0.7)
    rung_ticks(axes, group["temperature_K"])
    axes.set(xlabel=AXES.get(axis, axis), ylabel="temperature (K)")
    axes.grid(False)
    figure.colorbar(image, ax=axes, extend="max" if name == "r_hat" else "neither")


def _edges(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of cells around ascending points, half-way between them; the first and the last end at their points."""
    return np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]]) if len(x) > 1 else x[0] + np.array([-0.5, 0.5])


def _exchange(axes: Axes, exchange: Group) -> None:
    rates = {kind: exchange["acceptance"][exchange["axis"] == kind] for kind in ("temperature", "composition")}
    for colour, (kind, values) in zip(PALETTE, rates.items()):
        if len(values):
            axes.hist(values, bins=np.linspace(0, 1, 26).tolist(), histtype="step", color=colour, lw=1.2, label=f"along {kind}")
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    axes.set(xlabel="acceptance of exchange", ylabel="pairs of replicas")
