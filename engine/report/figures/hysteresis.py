"""Cooling against heating."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...runtime.results import Results
from .style import one_column


def hysteresis(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    group = results.hysteresis
    if group is None:
        return None
    figure, axes = one_column()
    apart = 1e3 * (group.energy_heating_eV - group.energy_cooling_eV)
    error = 1e3 * np.hypot(group.energy_heating_eV_error, group.energy_cooling_eV_error)
    colours = plt.cm.ScalarMappable(plt.Normalize(group.x.min(), group.x.max()), "viridis")
    for k, colour in enumerate(colours.to_rgba(group.x)):
        axes.errorbar(group.temperature_K, apart[:, k], yerr=error[:, k], color=colour, lw=0.8, elinewidth=0.5)
        mask = group.hysteresis[:, k]
        axes.plot(group.temperature_K[mask], apart[mask, k], "o", color=colour)
    axes.axhline(0, color="0.6", lw=0.6)
    axes.set(xlabel="temperature (K)", ylabel="energy, heating less cooling (meV/fu)")
    figure.colorbar(colours, ax=axes, label="x (ions per formula unit)")
    return figure
