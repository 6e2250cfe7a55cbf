"""Equilibrium voltage V = -(mu - E_ref)/ze over the mean composition, z the charge of the ion."""

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from ..crystal.lattice import Species
from ..crystal.occupations import formula_unit
from ..runtime.results.electrochemistry import Plateaus, Voltage
from .free_energy.isotherms import Isotherms, spread
from .phase_diagram.diagram import Diagram
from .phase_diagram.trusted_hull import trusted_hull
from .plateaus import Curve, curves

Float = NDArray[np.float64]
FARADAY_MAH_PER_MOL = 26801.4811  # F / 3.6 C


def voltage_group(
    isotherms: Isotherms, diagram: Diagram | None, reference_energy_eV: dict[str, float], trusted: NDArray[np.bool_]
) -> Voltage | None:
    """The group /voltage; None if the ion's reference is not known, or if the ion is no cation.

    nan where it rests on free energies that are not trusted. diagram: its two-phase regions are plateaus. reference_energy_eV:
    energy per atom of the metals, by element. trusted (rungs, x): of /canonical.
    """
    ion = _ion(isotherms)
    reference = reference_energy_eV.get(ion.element)
    if reference is None or _charge(isotherms) < 1:
        return None
    of_rungs, x = curves(isotherms, diagram), isotherms.x_grid
    # (picks, rungs, x): from all samples, then from each bootstrap resample, the same at every rung
    mu_eV = np.array([c.mu_eV(x) for c in of_rungs]).swapaxes(0, 1)
    known = np.isfinite(mu_eV) & (trusted_hull(isotherms, trusted) | [c.inside(x) for c in of_rungs])
    voltage = voltage_of(isotherms, np.where(known, mu_eV, np.nan), reference)
    several = len(isotherms.rungs) > 1
    slope = np.gradient(voltage, isotherms.temperature_K, axis=1) if several else None
    return Voltage(
        temperature_K=isotherms.temperature_K,
        x=x,
        capacity_mAh_per_g=x * capacity_per_x(isotherms),
        voltage_V=voltage[0],
        voltage_V_error=spread(voltage[1:]),
        entropy_coefficient_V_per_K=None if slope is None else slope[0],
        entropy_coefficient_V_per_K_error=None if slope is None else spread(slope[1:]),
        capacity_per_gram_of="".join(f"{e}{n:.4g}" if n != 1 else e for e, n in richest(isotherms).items()),
        reference_energy_eV=reference,
        reference=f"energy per atom of metallic {ion.element}; its own entropy is not included",
        plateau=_plateaus(isotherms, of_rungs, reference),
    )


def _plateaus(isotherms: Isotherms, of_rungs: list[Curve], reference_energy_eV: float) -> Plateaus:
    found = [(t, p) for t, c in zip(isotherms.temperature_K, of_rungs) for p in c.plateaus]
    picks = voltage_of(isotherms, np.array([p.mu_eV for _, p in found]).reshape(-1, len(of_rungs[0].f)), reference_energy_eV)
    return Plateaus(
        temperature_K=np.array([t for t, _ in found]),
        x=np.array([p.x for _, p in found]).reshape(-1, 2),
        voltage_V=picks[:, 0] if found else np.zeros(0),
        voltage_V_error=spread(picks[:, 1:].T) if found else np.zeros(0),
    )


def voltage_of(isotherms: Isotherms, slope_eV: Float, reference_energy_eV: float) -> Float:
    """V at slopes dF/dx, eV per ion."""
    return (reference_energy_eV - slope_eV) / _charge(isotherms)


def richest(isotherms: Isotherms) -> dict[str, float]:
    """Atoms per formula unit by element where neutral states hold the most of the ion."""
    system = isotherms.system
    return formula_unit(system.supercell, system.any_state(system.n_range[1]))


def capacity_per_x(isotherms: Isotherms) -> float:
    """Capacity of one ion per formula unit, mAh per gram of the neutral compound that is richest in the ion."""
    molar_mass = sum(n * atomic_masses[atomic_numbers[element]] for element, n in richest(isotherms).items())
    return _charge(isotherms) * FARADAY_MAH_PER_MOL / molar_mass


def _ion(isotherms: Isotherms) -> Species:
    system = isotherms.system
    assert system.ion is not None
    return system.lattice.species_named(system.ion)


def _charge(isotherms: Isotherms) -> int:
    given = isotherms.system.charge
    return _ion(isotherms).charge if given is None else given
