"""Warnings about the input that need results: wrong chemical potentials, a reference energy in another unit."""

import numpy as np

from ..runtime.results.canonical import Canonical
from ..runtime.results.electrochemistry import Voltage
from ..runtime.results.replicas import Semigrand

MISSED = 0.1  # of the range of x, at either end
LOWEST_V, HIGHEST_V = -1.0, 7.0  # no cell has less or more


def chemical_potential_warning(semigrand: Semigrand, canonical: Canonical) -> str | None:
    """A sentence if the chemical potentials do not span all compositions at the requested temperatures."""
    grand, mu = semigrand.grand, semigrand.chemical_potential_eV
    if grand is None or mu is None:
        return None
    x, requested = canonical.x, canonical.asked
    rows = np.isin(semigrand.temperature_K, canonical.temperature_K[requested])
    found = np.where(grand.x_from_free_energy_trusted, grand.x_from_free_energy, np.nan)[rows]
    needed = np.where(canonical.trusted, canonical.chemical_potential_eV, np.nan)[requested]
    edge = MISSED * np.ptp(x)
    if (
        not np.isfinite(found).any()
        or not np.isfinite(needed).any()
        or (np.nanmin(found) <= x[0] + edge and np.nanmax(found) >= x[-1] - edge)
    ):
        return None
    return (
        f"the given chemical_potential_eV, {mu.min():g} to {mu.max():g} eV, reach only "
        f"x = {np.nanmin(found):.2f} to {np.nanmax(found):.2f}: /semigrand does not show what lies beyond, transitions included; "
        f"give min: {np.nanmin(needed):.2f} and max: {np.nanmax(needed):.2f}, or auto"
    )


def voltage_warning(voltage: Voltage) -> str | None:
    """A sentence if no cell has this voltage: energies or the reference are in another unit, sign or number of atoms."""
    values = voltage.voltage_V[np.isfinite(voltage.voltage_V)]
    if not len(values) or LOWEST_V <= np.median(values) <= HIGHEST_V:
        return None
    wanted = voltage.reference.split(";")[0]
    return (
        f"the voltage is {np.median(values):.1f} V: reference_energy_eV ({voltage.reference_energy_eV:g}) must be "
        f"the {wanted} in eV, by the same method and on the same zero as the energies, which must be in eV too"
    )
