"""Uncertainty of free energies and boundaries that comes from the fit of the cluster expansion."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...runtime.results import Results
from .fields import SHOWN, draw_boundaries
from .style import colour_of, legend_above, rows_asked, side_by_side


def fit_uncertainty(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """Mixing free energies and boundaries with one standard deviation over draws of the effective cluster interactions."""
    canonical, diagram = results.canonical, results.phase_diagram
    if canonical is None or diagram is None or diagram.boundary.x_fit_uncertainty is None:
        return None
    band, band_K = canonical.mixing_free_energy_eV_fit_uncertainty, diagram.invariant.temperature_K_fit_uncertainty
    assert band is not None and band_K is not None
    figure, panels = side_by_side(2, 2.9)
    left, right = panels[0]
    rows = rows_asked(canonical)
    for k, row in enumerate(rows):
        f, error, colour = 1e3 * canonical.mixing_free_energy_eV[row], 1e3 * band[row], colour_of(k, len(rows))
        left.plot(canonical.x, f, color=colour, label=f"{canonical.temperature_K[row]:g} K")
        left.fill_between(canonical.x, f - error, f + error, color=colour, alpha=0.25, lw=0)
    left.set(xlabel="x (ions per formula unit)", ylabel="mixing free energy (meV/fu)")
    draw_boundaries(right, diagram.boundary, diagram.boundary.x_fit_uncertainty)
    points = diagram.invariant
    shown = points.found > SHOWN
    errors_K = np.nan_to_num(band_K[shown])
    right.errorbar(points.x[shown, 1], points.temperature_K[shown], yerr=errors_K, fmt=".", color="k", lw=0.8, capsize=1.5)
    right.set(xlim=tuple(canonical.x[[0, -1]]), xlabel="x (ions per formula unit)", ylabel="temperature (K)")
    legend_above(figure)
    return figure
