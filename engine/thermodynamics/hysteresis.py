"""/hysteresis of results.h5: energies on cooling and on heating at fixed composition."""

import numpy as np

from ..runtime.results.transition import LooseGroup
from ..sampling.plan import Cycles
from ..sampling.system import System
from ..units import NEV_PER_EV

SIGNIFICANCE = 5.0  # standard errors; those of short chains are themselves uncertain
LEAST_EV = 5e-4


def hysteresis_group(cycles: Cycles, system: System) -> LooseGroup:
    group, scale = LooseGroup(), 1 / NEV_PER_EV / system.n_formula_units
    group.add("temperature_K", ("temperature_K",), cycles.temperature_K, "K", "temperature")
    group.add("x", ("x",), cycles.n / system.n_formula_units, "1", f"{system.ion} per formula unit")
    energy, error = (np.moveaxis(values, 2, 0) * scale for values in (cycles.energy_neV, cycles.error_neV))  # (T, x, side)
    dims = ("temperature_K", "x")
    for side, name in enumerate(("cooling", "heating")):
        words = f"mean energy of one short chain on {name}"
        group.add(f"energy_{name}_eV", dims, energy[..., side], "eV/fu", words, error[..., side])
    apart = np.abs(energy[..., 1] - energy[..., 0])
    present = apart > np.maximum(SIGNIFICANCE * np.hypot(error[..., 0], error[..., 1]), LEAST_EV)
    group.add("hysteresis", dims, present, "1", "cooling and heating differ by more than their errors")
    return group


def describe(group: LooseGroup) -> str:
    """A sentence; empty where there is none."""
    present = group["hysteresis"]
    if not present.any():
        return ""
    t, x = group["temperature_K"][present.any(axis=1)], group["x"][present.any(axis=0)]
    apart = np.abs(group["energy_heating_eV"] - group["energy_cooling_eV"])[present].max()
    return (
        f"Short chains on cooling and on heating differ by up to {1e3 * apart:.1f} meV/fu between {t.min():g} and {t.max():g} K "
        f"at x = {x.min():.2f} to {x.max():.2f}: hysteresis in temperature."
    )
