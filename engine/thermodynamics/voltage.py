"""/voltage of results.h5: V = -(mu - E_ref)/ze along the hull of F, z the charge of the ion."""

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Species
from ..runtime.results.transition import LooseGroup
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.hull import hull_values, lower_hull

Float = NDArray[np.float64]
FARADAY_MAH_PER_MOL = 26801.4811  # F / 3.6 C


def voltage_group(isotherms: Isotherms, reference_energy_eV: dict[str, float]) -> LooseGroup | None:
    """reference_energy_eV: per atom, by element; None if the ion's is not among them, or if it is no cation."""
    ion = _ion(isotherms)
    reference = reference_energy_eV.get(ion.element)
    if reference is None or ion.charge < 1:
        return None
    element = ion.element
    group, dims = LooseGroup(), ("temperature_K", "x")
    # (picks, rungs, x): from all samples, then from each bootstrap resample, the same at every rung
    voltage = np.array(
        [
            [
                voltage_of(isotherms, _hull_slope(isotherms, isotherms.free_energy(i, rung)), reference)
                for i in (c.all, *c.resampled)
            ]
            for rung, c in zip(isotherms.rungs, isotherms.curves)
        ]
    ).swapaxes(0, 1)
    group.add("temperature_K", ("temperature_K",), isotherms.temperature_K, "K", "temperature")
    group.add("x", ("x",), isotherms.x_grid, "1", f"{isotherms.system.ion} per formula unit")
    capacity = isotherms.x_grid * capacity_per_x(isotherms)
    group.add("capacity_mAh_per_g", ("x",), capacity, "mAh/g", "charge from x = 0 on, per gram of the fully occupied compound")
    words = f"equilibrium voltage against {element}, -(mu - E_ref)/ze, from the hull of F"
    group.add("voltage_V", dims, voltage[0], "V", words, spread(voltage[1:]))
    if len(isotherms.rungs) > 1:
        slope = np.gradient(voltage, isotherms.temperature_K, axis=1)
        group.add(
            "entropy_coefficient_V_per_K",
            dims,
            slope[0],
            "V/K",
            f"dV/dT between neighbouring temperatures; without the entropy of {element} metal",
            spread(slope[1:]),
        )
    group.attributes["reference_energy_eV"] = reference
    group.attributes["reference"] = f"energy per atom of metallic {element}; its own entropy is not included"
    return group


def voltage_of(isotherms: Isotherms, slope_eV: Float, reference_energy_eV: float) -> Float:
    """V at slopes dF/dx, eV per ion."""
    return (reference_energy_eV - slope_eV) / _ion(isotherms).charge


def capacity_per_x(isotherms: Isotherms) -> float:
    """mAh per gram of the fully occupied compound, of one ion per formula unit."""
    lattice = isotherms.system.lattice
    molar_mass = float(lattice.atoms.get_masses().sum() / lattice.n_formula_units)
    return _ion(isotherms).charge * FARADAY_MAH_PER_MOL / molar_mass


def _ion(isotherms: Isotherms) -> Species:
    system = isotherms.system
    assert system.ion is not None
    return system.lattice.species_named(system.ion)


def _hull_slope(isotherms: Isotherms, f: Float) -> Float:
    x, grid = isotherms.x, isotherms.grid
    if not np.isfinite(f).all():
        return np.full(len(grid), np.nan)
    h = hull_values(x, f, lower_hull(x, f))
    half = max(isotherms.half_step, 1)
    low, high = np.maximum(grid - half, 0), np.minimum(grid + half, len(x) - 1)
    slope = (h[high] - h[low]) / (x[high] - x[low])
    slope[(grid == 0) | (grid == len(x) - 1)] = np.nan
    return slope
