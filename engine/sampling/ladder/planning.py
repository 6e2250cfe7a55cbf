"""What is sampled at every rung: ensembles, windows along x, chemical potentials, and the slots that follow from them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...input.schema import Config
from ...units import NEV_PER_EV
from ..chains.system import System
from .plan import Plan
from .slots import EnsembleKind, Slot

Float = NDArray[np.float64]
IONS_PER_WINDOW = 16
MU_POINTS = 12
STUCK_KT = 10.0  # of the whole cell, by which F falls on cooling where chains are stuck
MU_EDGE = 0.02  # automatic chemical potentials span the x between this and 1 - this


def ensembles_of(ions: tuple[str, ...], config: Config) -> list[EnsembleKind]:
    """Ensembles that the input asks for. ions: those whose number can change."""
    if not ions:
        return [EnsembleKind.FIXED_COMPOSITION]
    if config.sampler.ensemble == "auto":
        both = [EnsembleKind.VCSGC, EnsembleKind.SEMIGRAND]
        return both if len(ions) == 1 else both[1:]
    return [EnsembleKind(config.sampler.ensemble)]


def window_targets(system: System, points: int | str) -> tuple[Float, float]:
    """Centres of the windows over all counts of the ion, and their width, half the spacing (both in ions)."""
    low, high = system.n_range
    number = points if isinstance(points, int) else int(np.ceil((high - low) / IONS_PER_WINDOW)) + 1
    targets = np.linspace(low, high, max(number, 2))
    return targets, float(max((targets[1] - targets[0]) / 2, 1.0))


def mu_axis(system: System, config: Config, plan: Plan, ion: str) -> Float:
    """Chemical potentials (eV) of an ion: those of the input, or a grid over all compositions at the temperatures asked for.

    Temperatures at which the annealing is stuck are left out of the grid.
    """
    given = config.sampler.chemical_potential_eV.get(ion)
    if given is not None and not given.automatic:
        assert given.min is not None and given.max is not None
        return np.linspace(given.min, given.max, given.points or 41)
    low, high = system.n_range
    step, edges = system.step, [int(low + part * (high - low)) for part in (MU_EDGE, 1 - MU_EDGE)]
    steepness = []
    for r in _rungs_not_stuck(system, plan):
        bias = plan.bias(r, step)
        for n in edges:
            a, b = max(n - step, low), min(n + step, high)
            steepness.append((bias[b] - bias[a]) / (b - a) / plan.ladder.beta_per_neV[r] / NEV_PER_EV)
    points = given.points if given is not None and given.points else MU_POINTS
    return np.linspace(min(steepness), max(steepness), points)


def _rungs_not_stuck(system: System, plan: Plan) -> list[int]:
    """Rungs asked for at which F of the annealing does not fall on cooling; since S >= 0, it may not."""
    counts, log_states = system.neutral_counts
    rungs, highest = [], np.full(len(counts), -np.inf)
    for r in reversed(plan.ladder.rungs_asked):
        bias, beta = plan.bias(r, system.step)[counts], plan.ladder.beta_per_neV[r]
        free_energy_neV = (bias - bias[0] - log_states[0]) / beta  # above the energy of the lowest count
        if (free_energy_neV >= highest - STUCK_KT / beta).all():
            rungs.append(r)
            highest = np.maximum(highest, free_energy_neV)
    return rungs


def _expected_n(system: System, plan: Plan, rung: int, mu_eV: float) -> float:
    counts, _ = system.neutral_counts
    log_p = plan.ladder.beta_per_neV[rung] * NEV_PER_EV * mu_eV * counts - plan.bias(rung, system.step)[counts]
    weight = np.exp(log_p - log_p.max())
    return float((weight * counts).sum() / weight.sum())


def place_slots(system: System, plan: Plan, ensembles: list[EnsembleKind]) -> tuple[Slot, ...]:
    """The replicas: every rung with every window and chemical potential of the plan."""
    slots: list[Slot] = []
    for r in range(len(plan.ladder)):
        if EnsembleKind.VCSGC in ensembles:
            slots += [Slot(r, EnsembleKind.VCSGC, k, float(n)) for k, n in enumerate(plan.target_n)]
        if EnsembleKind.FIXED_COMPOSITION in ensembles:
            counts, _ = system.neutral_counts
            near = [int(counts[np.argmin(np.abs(counts - n))]) for n in plan.target_n] if system.ions else [int(counts[0])]
            slots += [Slot(r, EnsembleKind.FIXED_COMPOSITION, k, float(n)) for k, n in enumerate(near)]
        if EnsembleKind.SEMIGRAND in ensembles:
            for k in range(int(np.prod([len(m) for m in plan.mu_eV]))):
                slot = Slot(r, EnsembleKind.SEMIGRAND, k, 0.0)
                n = _expected_n(system, plan, r, plan.mu_of(slot)[0]) if len(system.ions) == 1 else 0.0
                slots.append(replace(slot, n_expected=n))
    return tuple(slots)
