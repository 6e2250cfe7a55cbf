"""/differential_capacity of results.h5: how much charge goes in at which voltage, -dQ/dV."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..runtime.results import Group
from ..runtime.results.transition import LooseGroup
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.hull import hull_values, lower_hull
from .voltage import capacity_per_x, voltage_of

Float = NDArray[np.float64]
STEP_V = 0.001
BROADENING_V = 0.005  # standard deviation; on a plateau, where dQ/dV diverges, it sets the height of the peak
REACH = 5.0  # the grid goes on for so many standard deviations: the integral over it is the whole charge
LEAST_SHARE = 0.5
PORTIONS = 4000  # at least so many of charge: in a small cell one ion changes V by more than the broadening


def differential_capacity_group(isotherms: Isotherms, reference_energy_eV: float, canonical: Group) -> LooseGroup:
    """reference_energy_eV: per atom, of the ion's element. canonical: the group of that name, for what is trusted.

    Every step of the count along the hull of F has its voltage, and V is linear in the charge from the middle of one step to the next.
    Small portions of charge are put on a grid of voltages and broadened: no derivative of noisy data is taken, and the integral over V
    is the charge between the ends of composition.
    """
    found = [
        _voltages(isotherms, isotherms.free_energy(c.all, r), reference_energy_eV)
        for r, c in zip(isotherms.rungs, isotherms.curves)
    ]
    known = np.concatenate([s[np.isfinite(s)] for s in found] + [np.zeros(0)])
    margin = REACH * BROADENING_V
    low, high = (known.min() - margin, known.max() + margin) if known.size else (0.0, 0.0)
    grid = STEP_V * np.arange(np.floor(low / STEP_V), np.ceil(high / STEP_V) + 1)
    x = np.interp(np.arange(found[0].size) + 0.5, [0, found[0].size], isotherms.x[[0, -1]])
    charge = np.full(x.size, (isotherms.x[-1] - isotherms.x[0]) * capacity_per_x(isotherms) / x.size)
    nearest = np.rint(np.interp(x, isotherms.x_grid, np.arange(len(isotherms.grid)))).astype(int)
    values, errors, trusted = [], [], []
    for row, (rung, c) in enumerate(zip(isotherms.rungs, isotherms.curves)):
        picks = (_voltages(isotherms, isotherms.free_energy(i, rung), reference_energy_eV) for i in c.resampled)
        values.append(_broadened(found[row], charge, grid))
        errors.append(spread(np.array([_broadened(v, charge, grid) for v in picks])))
        sound = _broadened(found[row], charge * canonical["trusted"][row][nearest], grid)
        trusted.append(sound >= LEAST_SHARE * values[row])
    group, dims = LooseGroup(), ("temperature_K", "voltage_V")
    group.add("temperature_K", ("temperature_K",), isotherms.temperature_K, "K", "temperature")
    group.add("voltage_V", ("voltage_V",), grid, "V", "equilibrium voltage")
    words = (
        "-dQ/dV along the hull of F, Q the charge from x = 0 on per gram of the fully occupied compound, "
        f"broadened by a Gaussian of {1e3 * BROADENING_V:g} mV"
    )
    group.add("differential_capacity_mAh_per_g_per_V", dims, values, "mAh/(g V)", words, errors)
    group.add("trusted", dims, trusted, "1", "most of the charge that goes in near this voltage does so at trusted compositions")
    group.attributes["broadening_V"] = BROADENING_V
    return group


def _voltages(isotherms: Isotherms, f: Float, reference_energy_eV: float) -> Float:
    """Of equal portions of charge, (portions,), as many for each step of the count; nan if F is not known."""
    x, n = isotherms.x, len(isotherms.x) - 1
    portions = n * -(-PORTIONS // n)
    if not np.isfinite(f).all():
        return np.full(portions, np.nan)
    v = voltage_of(isotherms, np.diff(hull_values(x, f, lower_hull(x, f))) / np.diff(x), reference_energy_eV)
    ends = 1.5 * v[[0, -1]] - 0.5 * v[[1, -2] if n > 1 else [0, 0]]  # straight on over the outer half steps
    middles = np.concatenate([[0.0], np.arange(n) + 0.5, [n]])
    return np.interp(n * (np.arange(portions) + 0.5) / portions, middles, np.concatenate([ends[:1], v, ends[1:]]))


def _broadened(voltage: Float, charge: Float, grid: Float) -> Float:
    """Charges (portions,) at their voltages, shared out between the two nearest points of the grid and broadened; per volt."""
    if not np.isfinite(voltage).all() or len(grid) < 2:
        return np.full(len(grid), np.nan)
    place = np.clip((voltage - grid[0]) / STEP_V, 0, len(grid) - 1 - 1e-9)  # a resample may reach beyond the grid
    left = place.astype(int)
    part = place - left
    heaps = np.bincount(left, charge * (1 - part), len(grid)) + np.bincount(left + 1, charge * part, len(grid))
    return gaussian_filter1d(heaps, BROADENING_V / STEP_V, mode="constant", truncate=REACH) / STEP_V
