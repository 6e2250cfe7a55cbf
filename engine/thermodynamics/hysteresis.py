"""Hysteresis in temperature: energies of short chains on cooling and on heating at fixed composition."""

import numpy as np

from ..runtime.results.hysteresis import Hysteresis
from ..sampling.chains.system import System
from ..sampling.ladder.plan import Cycles
from ..units import NEV_PER_EV

SIGNIFICANCE = 5.0  # standard errors; those of short chains are themselves uncertain
LEAST_EV = 5e-4


def hysteresis_group(cycles: Cycles, system: System) -> Hysteresis:
    """The group /hysteresis from the energies of the cycles of cooling and heating."""
    scale = 1 / NEV_PER_EV / system.n_formula_units
    energy, error = (np.moveaxis(values, 2, 0) * scale for values in (cycles.energy_neV, cycles.error_neV))  # (T, x, side)
    difference = np.abs(energy[..., 1] - energy[..., 0])
    return Hysteresis(
        temperature_K=cycles.temperature_K,
        x=cycles.n / system.n_formula_units,
        energy_cooling_eV=energy[..., 0],
        energy_cooling_eV_error=error[..., 0],
        energy_heating_eV=energy[..., 1],
        energy_heating_eV_error=error[..., 1],
        hysteresis=difference > np.maximum(SIGNIFICANCE * np.hypot(error[..., 0], error[..., 1]), LEAST_EV),
    )


def hysteresis_note(group: Hysteresis) -> str | None:
    """A sentence for the report; None where there is no hysteresis."""
    present = group.hysteresis
    if not present.any():
        return None
    t, x = group.temperature_K[present.any(axis=1)], group.x[present.any(axis=0)]
    difference = np.abs(group.energy_heating_eV - group.energy_cooling_eV)[present].max()
    return (
        f"Energies of short chains on cooling and on heating differ by up to {1e3 * difference:.1f} meV/fu "
        f"between {t.min():g} and {t.max():g} K at x = {x.min():.2f} to {x.max():.2f}: hysteresis in temperature."
    )
