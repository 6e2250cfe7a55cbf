"""How good the fit and the sampling are."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..results import Group
from .style import PALETTE


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
