"""Free energies of the potential in the small cell, by every method."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Results
from ...runtime.results.corrected import Corrected
from .style import PALETTE, legend_above, side_by_side, spread_over

Float = NDArray[np.float64]
MOST_PANELS = 4


def correction(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """F above the line between the ends of the potential, at up to MOST_PANELS temperatures."""
    group = results.corrected
    if group is None:
        return None
    rows = spread_over(np.arange(len(group.temperature_K)), MOST_PANELS)
    figure, panels = side_by_side(len(rows), 2.5, sharey=True)
    x, found = group.x, _methods(group)
    base = group.enumerated.enumerated_free_energy_eV if group.enumerated else found[0][2]
    for panel, row in zip(panels[0], rows):
        line = base[row, 0] + (base[row, -1] - base[row, 0]) * (x - x[0]) / np.ptp(x)
        for k, (label, marker, values, errors) in enumerate(found):
            shift = 0.012 * (k - (len(found) - 1) / 2)
            above, error = 1e3 * (values[row] - line), 2e3 * errors[row]
            panel.errorbar(x + shift, above, error, fmt=marker, ms=3, lw=0.8, color=PALETTE[k], label=label)
        if group.reweighted:
            expansion = group.reweighted.expansion_free_energy_eV[row]
            panel.plot(x, 1e3 * (expansion - line), ":", color="0.4", label="expansion alone")
        if group.enumerated:
            panel.plot(x, 1e3 * (base[row] - line), "-", color="0.6", lw=0.9, zorder=0, label="all states")
        panel.set(title=f"{group.temperature_K[row]:g} K", xlabel="x (ions per fu)")
    panels[0, 0].set_ylabel("mixing free energy (meV/fu)")
    legend_above(figure)
    return figure


def _methods(group: Corrected) -> list[tuple[str, str, Float, Float]]:
    """Label, marker, free energy and error (temperatures, x) of each method that was used."""
    found: list[tuple[str, str, Float, Float]] = []
    if group.chain:
        found.append(("corrected", "o", group.chain.free_energy_eV, group.chain.free_energy_eV_error))
    if group.direct:
        found.append(("direct", "s", group.direct.free_energy_eV, group.direct.free_energy_eV_error))
    if r := group.reweighted:
        exponential, error = r.reweighted_exponential_free_energy_eV, r.reweighted_exponential_free_energy_eV_error
        found.append(("reweighted", "^", exponential, error))
        if r.bar_free_energy_eV is not None and r.bar_free_energy_eV_error is not None:
            found.append(("both ways (BAR)", "d", r.bar_free_energy_eV, r.bar_free_energy_eV_error))
    return found
