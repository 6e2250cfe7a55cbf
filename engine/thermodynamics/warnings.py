"""What results say about the input that made them: a window of chemical potentials beside the point, a reference energy of another unit."""

import numpy as np

from ..runtime.results import Group

MISSED = 0.1  # of the range of x, at either end
LOWEST_V, HIGHEST_V = -1.0, 7.0  # no cell has less or more


def window_doubt(semigrand: Group, canonical: Group) -> str | None:
    """Where the chemical potentials given do not lead from one end of composition to the other at a temperature asked for."""
    x, asked = canonical["x"], canonical["asked"].astype(bool)
    found = semigrand["x_from_free_energy"][np.isin(semigrand["temperature_K"], canonical["temperature_K"][asked])]
    mu, edge = semigrand["chemical_potential_eV"], MISSED * np.ptp(x)
    if not np.isfinite(found).any() or (np.nanmin(found) <= x[0] + edge and np.nanmax(found) >= x[-1] - edge):
        return None
    needed = canonical["chemical_potential_eV"][asked]
    return (
        f"the chemical_potential_eV given, {mu.min():g} to {mu.max():g} eV, reach x = {np.nanmin(found):.2f} to {np.nanmax(found):.2f} only: what lies beyond, "
        f"transitions too, is not in /semigrand; give min: {np.nanmin(needed):.2f} and max: {np.nanmax(needed):.2f}, or auto"
    )


def voltage_doubt(voltage: Group) -> str | None:
    """A voltage that no cell has: energies or the reference are of another unit, sign or number of atoms."""
    values = voltage["voltage_V"][np.isfinite(voltage["voltage_V"])]
    if not len(values) or LOWEST_V <= np.median(values) <= HIGHEST_V:
        return None
    wanted = str(voltage.attributes["reference"]).split(";")[0]
    return (
        f"the voltage is {np.median(values):.1f} V: reference_energy_eV ({voltage.attributes['reference_energy_eV']:g}) must be the {wanted} in eV, "
        "by the same method and on the same zero as the energies, which are eV too"
    )
