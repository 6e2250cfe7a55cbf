"""Relaxed energies of a potential against those of the reference: formation energies, hull, ranks of charge orders."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ...potentials.labelling.relaxations import Relaxations
from ...thermodynamics.free_energy.hull import lower_hull
from .reference import ReferenceCell, formation_energies, series

LEAST_ORDERS = 10  # at one ion arrangement, for a rank correlation


def reference_record(reference: list[ReferenceCell]) -> dict[str, Any]:
    x, energy = np.array([r.x for r in reference]), np.array([r.energy_eV for r in reference])
    return {"x": x.tolist(), "formation_energy_eV": formation_energies(x, energy).tolist()}


def against_reference(store: Relaxations, reference: list[ReferenceCell], lattice: Lattice) -> dict[str, Any]:
    """Relaxed energies of the same configurations: formation energies, hull, ranks of charge orders. eV per fu."""
    x = np.array([r.x for r in reference])
    wanted = formation_energies(x, np.array([r.energy_eV for r in reference]))
    done = [store.read(r.configuration) for r in reference]
    found = np.array([
        d.cell.get_potential_energy() / r.configuration.supercell(lattice).n_formula_units if d.is_minimum else np.nan
        for r, d in zip(reference, done)
    ])  # fmt: skip
    found = formation_energies(x, found)
    good = np.isfinite(found) & np.isfinite(wanted)
    if not good.any():
        raise RedoxError("evaluation: reference: there are no cells at the ends of composition that every potential can relax")
    hulls = [_hull(x[good], e[good]) for e in (wanted, found)]
    deviation = np.abs(hulls[0]["hull_eV"] - hulls[1]["hull_eV"])
    ranks = []
    for group in series(reference, lattice, LEAST_ORDERS):
        rows = [k for k in group if good[k]]
        if len(rows) >= LEAST_ORDERS:
            rho = spearmanr(wanted[rows], found[rows]).statistic
            ranks.append({"x": float(x[rows[0]]), "orders": len(rows), "spearman": float(rho), "rows": rows})
    return {
        "formation_energy_eV": [float(v) if np.isfinite(v) else None for v in found],
        "formation_energy_mae_eV": float(np.abs(found - wanted)[good].mean()),
        "hull": {
            "x": hulls[0]["x"].tolist(),
            "reference_eV": hulls[0]["hull_eV"].tolist(),
            "found_eV": hulls[1]["hull_eV"].tolist(),
            "mean_deviation_eV": float(deviation.mean()),
            "largest_deviation_eV": float(deviation.max()),
            "on_hull_reference": hulls[0]["on_hull"].tolist(),
            "on_hull_found": hulls[1]["on_hull"].tolist(),
        },
        "ranks": ranks,
    }


def _hull(x: NDArray[np.float64], energy_eV: NDArray[np.float64]) -> dict[str, Any]:
    """Lowest energy and lower convex hull at every composition that occurs."""
    grid = np.unique(x)
    lowest = np.array([energy_eV[x == v].min() for v in grid])
    corners = lower_hull(grid, lowest)
    hull = np.interp(grid, grid[corners], lowest[corners])
    return {"x": grid, "lowest_eV": lowest, "hull_eV": hull, "on_hull": np.isin(np.arange(len(grid)), corners)}
