"""What the labels leave open."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...runtime.results import Group
from .diagram import SHOWN, draw_boundaries
from .style import colour_of, legend_above, rows_asked, side_by_side


def couplings(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    """Mixing free energies and boundaries with bands of one standard deviation over draws of the couplings."""
    if "boundary_x_fit_uncertainty" not in groups.get("phase_diagram", ()):
        return None
    figure, panels = side_by_side(2, 2.9)
    (left, right), canonical, diagram = panels[0], groups["canonical"], groups["phase_diagram"]
    rows = rows_asked(canonical)
    for k, row in enumerate(rows):
        f, error = (1e3 * canonical[f"mixing_free_energy_eV{name}"][row] for name in ("", "_fit_uncertainty"))
        left.plot(canonical["x"], f, color=colour_of(k, len(rows)), label=f"{canonical['temperature_K'][row]:g} K")
        left.fill_between(canonical["x"], f - error, f + error, color=colour_of(k, len(rows)), alpha=0.25, lw=0)
    left.set(xlabel="x (ions per formula unit)", ylabel="mixing free energy (meV/fu)")
    draw_boundaries(right, diagram, "boundary_x_fit_uncertainty")
    points = np.flatnonzero(diagram["invariant_found"] > SHOWN)
    t, middle, error = (diagram[f"invariant_{name}"][points] for name in ("temperature_K", "x", "temperature_K_fit_uncertainty"))
    right.errorbar(middle[:, 1], t, yerr=np.nan_to_num(error), fmt=".", color="k", lw=0.8, capsize=1.5)
    right.set(xlim=tuple(canonical["x"][[0, -1]]), xlabel="x (ions per formula unit)", ylabel="temperature (K)")
    legend_above(figure)
    return figure
