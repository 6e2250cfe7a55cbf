"""Differential capacity: how much charge is stored at which voltage, -dQ/dV."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..runtime.results.electrochemistry import DifferentialCapacity
from .free_energy.hull import hull_values, lower_hull
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.trusted_hull import trusted_steps
from .voltage import capacity_per_x, voltage_of

Float = NDArray[np.float64]
STEP_V = 0.001
BROADENING_V = 0.005  # standard deviation; on a plateau, where dQ/dV diverges, it sets the height of the peak
REACH = 5.0  # standard deviations by which the grid extends beyond the voltages: the integral over it is the whole charge
LEAST_SHARE = 0.95  # of the charge near a voltage, that is stored at trusted compositions
PORTIONS = 4000  # least number of portions of charge: in a small cell one ion changes V by more than the broadening


def differential_capacity_group(
    isotherms: Isotherms, reference_energy_eV: float, trusted: NDArray[np.bool_]
) -> DifferentialCapacity:
    """The group /differential_capacity.

    Every step of the count along the hull of F has its voltage, and V is linear in the charge from the middle of one step to
    the next. Small portions of charge are put on a grid of voltages and broadened. No derivative of noisy data is taken, and
    the integral over V is the charge between the ends of composition. Voltages at which charge is stored that is not trusted
    have no value.

    reference_energy_eV: per atom, of the ion's element. trusted (rungs, x): of /canonical.
    """
    found = [
        _voltages(isotherms, isotherms.free_energy(c.all, r), reference_energy_eV)
        for r, c in zip(isotherms.rungs, isotherms.curves)
    ]
    portions = found[0].size // (len(isotherms.x) - 1)
    good = [np.repeat(trusted_steps(isotherms, row, trusted[row]), portions) for row in range(len(found))]
    grid = _grid([v[g] for v, g in zip(found, good)])
    charge = np.full(found[0].size, (isotherms.x[-1] - isotherms.x[0]) * capacity_per_x(isotherms) / found[0].size)
    values, errors, sound = [], [], []
    for row, (rung, c) in enumerate(zip(isotherms.rungs, isotherms.curves)):
        picks = (_voltages(isotherms, isotherms.free_energy(i, rung), reference_energy_eV) for i in c.resampled)
        values.append(_broadened(found[row], charge, grid))
        errors.append(spread(np.array([_broadened(v, charge, grid) for v in picks])))
        with np.errstate(invalid="ignore"):
            sound.append(_broadened(found[row], charge * good[row], grid) >= LEAST_SHARE * values[row])
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


def _voltages(isotherms: Isotherms, f: Float, reference_energy_eV: float) -> Float:
    """Voltages of equal portions of charge, (portions,), the same number for each step of the count; nan if F is not known."""
    x, n = isotherms.x, len(isotherms.x) - 1
    portions = n * -(-PORTIONS // n)
    if not np.isfinite(f).all():
        return np.full(portions, np.nan)
    v = voltage_of(isotherms, np.diff(hull_values(x, f, lower_hull(x, f))) / np.diff(x), reference_energy_eV)
    ends = 1.5 * v[[0, -1]] - 0.5 * v[[1, -2] if n > 1 else [0, 0]]  # extrapolated over the outer half steps
    middles = np.concatenate([[0.0], np.arange(n) + 0.5, [n]])
    return np.interp(n * (np.arange(portions) + 0.5) / portions, middles, np.concatenate([ends[:1], v, ends[1:]]))


def _broadened(voltage: Float, charge: Float, grid: Float) -> Float:
    """Charges (portions,) at their voltages, shared out between the two nearest points of the grid and broadened; per volt."""
    if not np.isfinite(voltage).all() or len(grid) < 2:
        return np.full(len(grid), np.nan)
    place = np.clip((voltage - grid[0]) / STEP_V, 0, len(grid) - 1 - 1e-9)  # resamples, and what is not trusted, may lie beyond
    left = place.astype(int)
    part = place - left
    heaps = np.bincount(left, charge * (1 - part), len(grid)) + np.bincount(left + 1, charge * part, len(grid))
    return gaussian_filter1d(heaps, BROADENING_V / STEP_V, mode="constant", truncate=REACH) / STEP_V
