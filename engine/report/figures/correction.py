"""The potential's free energies in the small cell, method beside method."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...runtime.results import Group
from .style import PALETTE, legend_above, side_by_side, spread_over

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
    rows = spread_over(np.arange(len(group["temperature_K"])), MOST_PANELS)
    figure, panels = side_by_side(len(rows), 2.5, sharey=True)
    x, there = group["x"], [name for name in METHODS if name in group]
    exact = "enumerated_free_energy_eV"
    base = exact if exact in group else there[0]
    for panel, row in zip(panels[0], rows):
        values = group[base][row]
        line = values[0] + (values[-1] - values[0]) * (x - x[0]) / np.ptp(x)
        for k, name in enumerate(there):
            label, marker = METHODS[name]
            shift = 0.012 * (k - (len(there) - 1) / 2)
            above, error = 1e3 * (group[name][row] - line), 2e3 * group[f"{name}_error"][row]
            panel.errorbar(x + shift, above, error, fmt=marker, ms=3, lw=0.8, color=PALETTE[k], label=label)
        if "expansion_free_energy_eV" in group:
            panel.plot(x, 1e3 * (group["expansion_free_energy_eV"][row] - line), ":", color="0.4", label="expansion alone")
        if exact in group:
            panel.plot(x, 1e3 * (group[exact][row] - line), "-", color="0.6", lw=0.9, zorder=0, label="all states")
        panel.set(title=f"{group['temperature_K'][row]:g} K", xlabel="x (ions per fu)")
    panels[0, 0].set_ylabel("mixing free energy (meV/fu)")
    legend_above(figure)
    return figure
