"""Quality of the fit and convergence of the sampling."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Results
from ...runtime.results.replicas import Exchange, Replicas
from ..limitations import replicas
from .style import PAGE_IN, PALETTE, legend_above, rung_ticks, side_by_side

Float = NDArray[np.float64]
AXES = {"target_x": "x (ions per formula unit)", "chemical_potential_eV": "chemical potential (eV)"}
WORST_R_HAT = 1.5  # end of the colour scale


def fit_quality(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    if fit is None or "x" not in fit:
        return None
    figure, panels = side_by_side(2, 2.9)
    left, right = panels[0]
    reference, fitted = (1e3 * np.array(fit[f"{name}_mixing_eV"]) for name in ("reference", "fitted"))
    held_out = fitted + 1e3 * (np.array(fit["left_out_eV"]) - np.array(fit["fitted_eV"]))
    span = [min(reference.min(), fitted.min()), max(reference.max(), fitted.max())]
    left.plot(span, span, color="0.6", lw=0.8)
    words = f"held out: {1e3 * fit['validation_rmse_eV']:.1f} meV/fu"
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


def convergence(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """Maps of the replicas of one ensemble, and a histogram of the exchange rates."""
    found = [group for group in replicas(results).values() if group.ess.ndim == 2]
    if not found:
        return None
    group, (figure, panels) = found[0], side_by_side(2, 0.72 * PAGE_IN, rows=2)
    r_hat = np.clip(np.nan_to_num(group.r_hat, posinf=WORST_R_HAT), 1, WORST_R_HAT)
    _map(figure, panels[0, 0], group, group.ess, "log", title="effective sample size")
    _map(figure, panels[0, 1], group, r_hat, None, title="R-hat", extend="max")
    _map(figure, panels[1, 0], group, group.autocorrelation_sweeps, "log", title="autocorrelation (sweeps)")
    if results.exchange is not None:
        _exchange(panels[1, 1], results.exchange)
    return figure


def _map(
    figure: Figure, axes: Axes, group: Replicas, values: Float, norm: str | None, title: str, extend: str = "neither"
) -> None:
    """Values of all replicas over their axis and temperature; crosses where the replica is not trusted."""
    x, t = getattr(group, group.replica_axis), np.arange(len(group.temperature_K))
    image = axes.pcolormesh(_edges(x), np.arange(len(t) + 1) - 0.5, values, norm=norm, cmap="cividis", rasterized=True)
    row, column = np.nonzero(~group.trusted)
    axes.plot(x[column], t[row], "x", color=PALETTE[1], ms=2.5, mew=0.7)
    rung_ticks(axes, group.temperature_K)
    axes.set(title=title, xlabel=AXES[group.replica_axis], ylabel="temperature (K)")
    axes.grid(False)
    figure.colorbar(image, ax=axes, extend=extend)


def _edges(x: Float) -> Float:
    """Edges of cells around ascending points, half-way between them; the first and the last are end points."""
    return np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]]) if len(x) > 1 else x[0] + np.array([-0.5, 0.5])


def _exchange(axes: Axes, exchange: Exchange) -> None:
    for colour, kind in zip(PALETTE, ("temperature", "composition")):
        values = exchange.acceptance[exchange.axis == kind]
        if len(values):
            axes.hist(values, bins=np.linspace(0, 1, 26).tolist(), histtype="step", color=colour, lw=1.2, label=f"along {kind}")
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    axes.set(xlabel="acceptance of exchange", ylabel="pairs of replicas")
