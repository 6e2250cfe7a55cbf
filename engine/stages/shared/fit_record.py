"""Contents of fit.json: every cell, errors by composition, and the hulls of the data and of the fit at T = 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice
from ...hamiltonian.fit import Fit
from ...thermodynamics.free_energy.hull import lower_hull
from .frame_table import summary
from .run import FitData

Float = NDArray[np.float64]


def mixing(x: Float, energy: Float) -> Float:
    """Energy above the line between the lowest cells at both ends of composition."""
    low, high = x.min(), x.max()
    a, b = energy[x == low].min(), energy[x == high].min()
    return energy - a - (b - a) * (x - low) / max(high - low, 1e-12)


def ground_states(x: Float, energy: Float) -> tuple[Float, Float]:
    """Hull vertices: compositions and mixing energies of the lowest cells."""
    levels = np.unique(np.round(x, 9))
    lowest = np.array([energy[np.isclose(x, level)].min() for level in levels])
    vertices = lower_hull(levels, lowest)
    return levels[vertices], lowest[vertices]


def fit_record(fit: Fit, fit_data: FitData, lattice: Lattice, ions: tuple[str, ...]) -> dict[str, Any]:
    """Everything the report says about the fit; energies in eV per formula unit."""
    data = fit_data.data
    rows: dict[str, Any] = {
        "n_cells": len(data.cells),
        "n_parameters": len(fit.parameters),
        "n_nonzero": int(np.sum(np.abs(fit.parameters) > 1e-9)),
        "rmse_eV": fit.rmse_eV,
        "validation_rmse_eV": fit.validation_rmse_eV,
        "validation_spread_eV": fit.validation_spread_eV,
        "spread_eV": fit.spread_eV,
        "fold_rmse_eV": fit.fold_rmse_eV.tolist(),
        "atoms_per_formula_unit": len(lattice.atoms) / lattice.n_formula_units,
        "data_set": summary(fit_data.table),
        "outliers": [[data.names[k], float(fit.leave_one_out_eV[k]), ratio] for k, ratio in fit.outliers().items()],
        "names": list(data.names),
        "reference_eV": fit.reference_eV.tolist(),
        "fitted_eV": fit.fitted_eV.tolist(),
        "left_out_eV": fit.left_out_eV.tolist(),
        "parameters": fit.parameters.tolist(),
        "draws": fit.draws.tolist(),
    }
    if len(ions) == 1:
        symbol = lattice.species_named(ions[0]).symbol
        rows |= _by_composition(data.fraction(symbol), fit)
    return rows


def _by_composition(x: Float, fit: Fit) -> dict[str, Any]:
    reference, fitted = mixing(x, fit.reference_eV), mixing(x, fit.fitted_eV)
    hull_x, hull_e = ground_states(x, reference)
    fitted_x, fitted_e = ground_states(x, fitted)
    depth = float(-hull_e.min())
    levels = np.unique(np.round(x, 9))
    rmse = [float(np.sqrt(np.mean((fit.left_out_eV - fit.reference_eV)[np.isclose(x, v)] ** 2))) for v in levels]
    return {
        "x": x.tolist(),
        "reference_mixing_eV": reference.tolist(),
        "fitted_mixing_eV": fitted.tolist(),
        "composition": levels.tolist(),
        "composition_cells": [int(np.isclose(x, v).sum()) for v in levels],
        "composition_rmse_eV": rmse,
        "hull_x": hull_x.tolist(),
        "hull_eV": hull_e.tolist(),
        "fitted_hull_x": fitted_x.tolist(),
        "fitted_hull_eV": fitted_e.tolist(),
        "hull_depth_eV": depth,
        "trusted": bool(fit.validation_rmse_eV < depth / 4),
        "verdict": _verdict(fit, depth),
    }


def _verdict(fit: Fit, depth: float) -> str:
    error = 1e3 * fit.validation_rmse_eV
    if depth <= 0:
        return (
            f"No mixture lies below the ends, so the error of {error:.1f} meV/fu cannot be compared with the depth of the hull. "
            "Do not trust the diagram."
        )
    ratio = fit.validation_rmse_eV / depth
    said = f"The validation error of {error:.1f} meV/fu is {ratio:.0%} of the depth of the hull, {1e3 * depth:.1f} meV/fu."
    if ratio < 0.25:
        return said + " The deep features of the diagram can be trusted; differences of the size of the error cannot."
    return said + " That is more than a quarter: do not trust the diagram."
