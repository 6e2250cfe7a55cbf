"""The potential's free energies in the small cell, method beside method."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..results import Group
from .style import PALETTE

METHODS = {
    "free_energy_eV": ("corrected", "o"),
    "direct_free_energy_eV": ("direct", "s"),
    "reweighted_exponential_free_energy_eV": ("reweighted", "^"),
    "bar_free_energy_eV": ("both ways (BAR)", "d"),
}
MOST_PANELS = 4


def correction(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    """F above the line between the ends of the potential, at up to MOST_PANELS temperatures."""
    group = groups.get("corrected")
    if group is None:
        return None
    rows = np.unique(np.linspace(0, len(group["temperature_K"]) - 1, MOST_PANELS).astype(int))
    figure, panels = plt.subplots(1, len(rows), figsize=(1.2 + 3.2 * len(rows), 4.0), sharey=True, squeeze=False)
    x, there = group["x"], [name for name in METHODS if name in group]
    exact = "enumerated_free_energy_eV"
    base = exact if exact in group else there[0]
    for panel, row in zip(panels[0], rows):
        values = group[base][row]
        line = values[0] + (values[-1] - values[0]) * (x - x[0]) / np.ptp(x)
        for k, name in enumerate(there):
            label, marker = METHODS[name]
            shift = 0.006 * (k - (len(there) - 1) / 2)
            panel.errorbar(
                x + shift, 1e3 * (group[name][row] - line), 2e3 * group[f"{name}_error"][row], fmt=marker, ms=4, lw=1, color=PALETTE[k],
                label=label,
            )  # fmt: skip
        if "expansion_free_energy_eV" in group:
            panel.plot(x, 1e3 * (group["expansion_free_energy_eV"][row] - line), ":", color="0.4", label="expansion alone")
        if exact in group:
            panel.plot(x, 1e3 * (group[exact][row] - line), "-", color="0.6", lw=1, zorder=0, label="all states")
        panel.set(title=f"{group['temperature_K'][row]:g} K", xlabel="x (ions per formula unit)")
    panels[0][0].set_ylabel("mixing free energy (meV/fu)")
    panels[0][0].legend(fontsize=8)
    return figure
