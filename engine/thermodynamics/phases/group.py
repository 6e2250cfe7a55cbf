"""The group /phases."""

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.phases import Lines
from ...runtime.results.phases import Phases as PhasesGroup
from ...sampling.phases.sheets import sheet_temperatures_K
from ...sampling.phases.tasks import DISORDERED
from ...units import BOLTZMANN_EV_PER_K
from .grand_potential import GrandPotential
from .hull import above_hull_eV, free_energies_eV
from .lines import Crossing
from .phases import Phases

Float = NDArray[np.float64]
METHOD = (
    "semigrand chains in each phase; beta phi by least squares over all differences in beta and mu, from beta = 0 for the "
    "disordered phase and from a coupling to the ground state for the ordered ones"
)


def phases_group(phases: Phases, names: list[str]) -> PhasesGroup | None:
    """Of the larger cell; names: of all phases, the disordered one first. None if there is nothing but the disordered phase."""
    found, mu_eV = phases.larger.grand, phases.catalogue.grid_eV
    if len(found) < 2:
        return None
    temperature_K = sheet_temperatures_K(phases.catalogue.asked_K)
    above = above_hull_eV(found, len(temperature_K))
    tables = [_table(g, height, mu_eV) for g, height in zip(found, above)]
    value, value_error, x, x_error, energy, energy_error, free, free_error, height, height_error, order = (
        np.array(v) for v in zip(*tables)
    )
    with np.errstate(invalid="ignore"):
        stable = np.isfinite(value) & (value <= np.nanmin(np.where(np.isfinite(value), value, np.inf), axis=0))
    return PhasesGroup(
        temperature_K=temperature_K,
        chemical_potential_eV=mu_eV,
        name=np.array(names),
        limit_K=np.array([_limit_K(g) for g in found]),
        closure_kT=np.array([g.closure_kT for g in found]),
        closure_kT_error=np.array([g.closure_kT_error for g in found]),
        grand_potential_eV=value,
        grand_potential_eV_error=value_error,
        x=x,
        x_error=x_error,
        energy_eV=energy,
        energy_eV_error=energy_error,
        free_energy_eV=free,
        free_energy_eV_error=free_error,
        energy_above_hull_eV=height,
        energy_above_hull_eV_error=height_error,
        order_parameter=order,
        stable=stable,
        line=_lines(phases),
        method=METHOD,
    )


def _table(g: GrandPotential, above_eV: Float, mu_eV: Float) -> tuple[Float, ...]:
    """Values and errors of phi, x, energy, F and F above the hull, and the order parameter, on the whole grid.

    above_eV (1 + resamples, temperatures, mu). Of all: (temperatures ascending, mu).
    """
    s, at, temperatures = g.surface, np.searchsorted(mu_eV, g.surface.mu_eV), above_eV.shape[1]
    exists, found = s.exists[-temperatures:], []
    for values in (g.value_eV, s.x, s.energy_eV, free_energies_eV(g), above_eV):
        cold = values[:, -temperatures:]
        for part in (cold[0], cold[1:].std(axis=0, ddof=1)):
            found.append(_spread(np.where(exists, part, np.nan), at, len(mu_eV)))
    return (*found, _spread(np.where(exists, s.likeness[-temperatures:], np.nan), at, len(mu_eV)))


def _spread(values: Float, at: NDArray[np.int64], number: int) -> Float:
    """Columns at their places, nan elsewhere; rows from cold to hot."""
    full = np.full((len(values), number), np.nan)
    full[:, at] = values
    return full[::-1]


def _limit_K(g: GrandPotential) -> float:
    """Of metastability: the highest temperature of an ordered phase, the lowest one of the disordered phase everywhere."""
    disordered, s = g.surface.phase == DISORDERED, g.surface
    there = s.exists.all(axis=1) if disordered else s.exists.any(axis=1)
    beta = s.beta_per_eV[there & (s.beta_per_eV > 0)]
    return float(1 / (BOLTZMANN_EV_PER_K * (beta[-1] if disordered else beta[0]))) if len(beta) else float("nan")


def _lines(phases: Phases) -> Lines:
    points, of_smaller = ([p for line in cell.lines for p in line] for cell in (phases.larger, phases.smaller))
    shifts = [_shift(p, of_smaller) for p in points]
    return Lines(
        low_phase=np.array([p.phases[0] + 1 for p in points], np.int64),
        high_phase=np.array([p.phases[1] + 1 for p in points], np.int64),
        temperature_K=np.array([p.temperature_K[0] for p in points]),
        temperature_K_error=np.array([p.temperature_K[1:].std(ddof=1) for p in points]),
        temperature_K_size_shift=np.array([s[0] for s in shifts]),
        chemical_potential_eV=np.array([p.mu_eV[0] for p in points]),
        chemical_potential_eV_error=np.array([p.mu_eV[1:].std(ddof=1) for p in points]),
        x=np.array([p.x[:, 0] for p in points]).reshape(-1, 2),
        x_error=np.array([p.x_error for p in points]).reshape(-1, 2),
        x_size_shift=np.array([s[1] for s in shifts]).reshape(-1, 2),
    )


def _shift(point: Crossing, smaller: list[Crossing]) -> tuple[float, Float]:
    """Of T and x in the smaller cell, from the point there between the same phases at the same temperature or the same mu."""
    for other in smaller:
        if other.phases == point.phases and other.along is point.along and np.isclose(other.fixed, point.fixed):
            return float(other.temperature_K[0] - point.temperature_K[0]), other.x[:, 0] - point.x[:, 0]
    return float("nan"), np.full(2, np.nan)
