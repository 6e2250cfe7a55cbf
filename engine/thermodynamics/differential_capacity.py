"""Differential capacity: how much charge is stored at which voltage, -dQ/dV."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..runtime.results.electrochemistry import DifferentialCapacity
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.diagram import Diagram
from .phase_diagram.trusted_hull import trusted_steps
from .plateaus import Curve, curves
from .voltage import capacity_per_x, voltage_of

Float = NDArray[np.float64]
STEP_V = 0.001
BROADENING_V = 0.005  # standard deviation; on a plateau, where dQ/dV diverges, it sets the height of the peak
REACH = 5.0  # standard deviations by which the grid extends beyond the voltages: the integral over it is the whole charge
LEAST_SHARE = 0.95  # of the charge near a voltage, that is stored at trusted compositions
PORTIONS = 4000  # least number of portions of charge: in a small cell one ion changes V by more than the broadening
NODES = 160  # compositions at which mu is found, closest at the ends; between them it is linear in ln[u/(1-u)]


def differential_capacity_group(
    isotherms: Isotherms, diagram: Diagram | None, reference_energy_eV: float, trusted: NDArray[np.bool_]
) -> DifferentialCapacity:
    """The group /differential_capacity.

    Small equal portions of charge are put on a grid of voltages, each at the voltage of its composition, and broadened. No
    derivative of noisy data is taken, and the integral over V is the charge between the ends of composition. Voltages at which
    charge is stored that is not trusted have no value.

    diagram: as in /voltage. reference_energy_eV: per atom, of the ion's element. trusted (rungs, x): of /canonical.
    """
    steps, of_rungs = len(isotherms.x) - 1, curves(isotherms, diagram)
    portions = steps * -(-PORTIONS // steps)
    x = isotherms.x[0] + np.ptp(isotherms.x) * (np.arange(portions) + 0.5) / portions
    found = [voltage_of(isotherms, _mu_eV(c, x), reference_energy_eV) for c in of_rungs]  # (1 + resamples, portions) each
    good = [
        np.repeat(trusted_steps(isotherms, row, trusted[row]), portions // steps) | c.inside(x) for row, c in enumerate(of_rungs)
    ]
    grid = _grid([v[0][g] for v, g in zip(found, good)])
    charge = np.full(portions, np.ptp(isotherms.x) * capacity_per_x(isotherms) / portions)
    values, errors, sound = [], [], []
    for v, g in zip(found, good):
        values.append(_broadened(v[0], charge, grid))
        errors.append(spread(np.array([_broadened(pick, charge, grid) for pick in v[1:]])))
        with np.errstate(invalid="ignore"):
            sound.append(_broadened(v[0], charge * g, grid) >= LEAST_SHARE * values[-1])
    return DifferentialCapacity(
        temperature_K=isotherms.temperature_K,
        voltage_V=grid,
        differential_capacity_mAh_per_g_per_V=np.where(sound, values, np.nan),
        differential_capacity_mAh_per_g_per_V_error=np.where(sound, errors, np.nan),
        trusted=np.array(sound),
        broadening_V=BROADENING_V,
    )


def _grid(voltages: list[Float]) -> Float:
    """Voltages STEP_V apart that hold all known ones, broadened."""
    known = np.concatenate([v[np.isfinite(v)] for v in voltages] + [np.zeros(0)])
    margin = REACH * BROADENING_V
    low, high = (known.min() - margin, known.max() + margin) if known.size else (0.0, 0.0)
    return STEP_V * np.arange(np.floor(low / STEP_V), np.ceil(high / STEP_V) + 1)


def _mu_eV(of: Curve, x: Float) -> Float:
    """Chemical potentials at x, (1 + resamples, x), by interpolation between nodes and the ends of the plateaus."""
    low, span = of.x[0], np.ptp(of.x)
    nodes = low + span * (1 - np.cos(np.pi * np.arange(1, NODES) / NODES)) / 2
    nodes = np.unique([*nodes, *(v for p in of.plateaus for v in p.x if low < v < low + span)])
    places, at = (np.log((v - low) / (low + span - v)) for v in (nodes, x))
    return np.array([np.interp(at, places, row) for row in of.mu_eV(nodes)])


def _broadened(voltage: Float, charge: Float, grid: Float) -> Float:
    """Charges (portions,) at their voltages, shared out between the two nearest points of the grid and broadened; per volt."""
    if not np.isfinite(voltage).all() or len(grid) < 2:
        return np.full(len(grid), np.nan)
    place = np.clip((voltage - grid[0]) / STEP_V, 0, len(grid) - 1 - 1e-9)  # resamples, and what is not trusted, may lie beyond
    left = place.astype(int)
    part = place - left
    heaps = np.bincount(left, charge * (1 - part), len(grid)) + np.bincount(left + 1, charge * part, len(grid))
    return gaussian_filter1d(heaps, BROADENING_V / STEP_V, mode="constant", truncate=REACH) / STEP_V
