"""Equilibrium voltage along the hull of F: V = -(mu - E_ref)/ze, z the charge of the ion."""

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from ..crystal.lattice import Species
from ..crystal.occupations import formula_unit
from ..runtime.results.electrochemistry import Voltage
from .free_energy.hull import hull_values, lower_hull
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.trusted_hull import trusted_hull

Float = NDArray[np.float64]
FARADAY_MAH_PER_MOL = 26801.4811  # F / 3.6 C


def voltage_group(isotherms: Isotherms, reference_energy_eV: dict[str, float], trusted: NDArray[np.bool_]) -> Voltage | None:
    """The group /voltage; None if the ion's reference is not known, or if the ion is no cation.

    nan where the hull rests on free energies that are not trusted. reference_energy_eV: energy per atom of the metals, by
    element. trusted (rungs, x): of /canonical.
    """
    ion = _ion(isotherms)
    reference = reference_energy_eV.get(ion.element)
    if reference is None or ion.charge < 1:
        return None
    # (picks, rungs, x): from all samples, then from each bootstrap resample, the same at every rung
    voltage = np.array([_voltages(isotherms, row, reference) for row in range(len(isotherms.rungs))]).swapaxes(0, 1)
    voltage = np.where(trusted_hull(isotherms, trusted), voltage, np.nan)
    several = len(isotherms.rungs) > 1
    slope = np.gradient(voltage, isotherms.temperature_K, axis=1) if several else None
    return Voltage(
        temperature_K=isotherms.temperature_K,
        x=isotherms.x_grid,
        capacity_mAh_per_g=isotherms.x_grid * capacity_per_x(isotherms),
        voltage_V=voltage[0],
        voltage_V_error=spread(voltage[1:]),
        entropy_coefficient_V_per_K=None if slope is None else slope[0],
        entropy_coefficient_V_per_K_error=None if slope is None else spread(slope[1:]),
        capacity_per_gram_of="".join(f"{e}{n:.4g}" if n != 1 else e for e, n in richest(isotherms).items()),
        reference_energy_eV=reference,
        reference=f"energy per atom of metallic {ion.element}; its own entropy is not included",
    )


def _voltages(isotherms: Isotherms, row: int, reference_energy_eV: float) -> list[Float]:
    """From all samples of a rung, then from each of its resamples."""
    curves, rung = isotherms.curves[row], isotherms.rungs[row]
    free_energies = (isotherms.free_energy(c, rung) for c in (curves.all, *curves.resampled))
    return [voltage_of(isotherms, _hull_slope(isotherms, f), reference_energy_eV) for f in free_energies]


def voltage_of(isotherms: Isotherms, slope_eV: Float, reference_energy_eV: float) -> Float:
    """V at slopes dF/dx, eV per ion."""
    return (reference_energy_eV - slope_eV) / _ion(isotherms).charge


def richest(isotherms: Isotherms) -> dict[str, float]:
    """Atoms per formula unit by element where neutral states hold the most of the ion."""
    system = isotherms.system
    return formula_unit(system.supercell, system.any_state(system.n_range[1]))


def capacity_per_x(isotherms: Isotherms) -> float:
    """Capacity of one ion per formula unit, mAh per gram of the neutral compound that is richest in the ion."""
    molar_mass = sum(n * atomic_masses[atomic_numbers[element]] for element, n in richest(isotherms).items())
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
