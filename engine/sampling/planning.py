"""What is sampled at every rung: ensembles, windows along x, chemical potentials, and the slots that follow from them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..input.schema import Config
from ..units import NEV_PER_EV
from .log_z import integrate_steps
from .plan import Plan
from .slots import EnsembleKind, Slot
from .system import System

Float = NDArray[np.float64]
IONS_PER_WINDOW = 16
MU_POINTS = 12
SCANS_AGREE_KT = 10.0  # between chemical potentials by scans and annealing: further apart, chains are stuck
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


def mu_axis(system: System, config: Config, plan: Plan, ion: str, scans: Float | None = None) -> Float:
    """Chemical potentials (eV) of an ion: those of the input, or a grid over all compositions at the temperatures asked for.

    scans (asked, 2, n_max+1): steps of ln Z by the scans up and down. A temperature at which they and the annealing give
    chemical potentials more than SCANS_AGREE_KT apart is left out, unless all are.
    """
    given = config.sampler.chemical_potential_eV.get(ion)
    if given is not None and not given.automatic:
        assert given.min is not None and given.max is not None
        return np.linspace(given.min, given.max, given.points or 41)
    low, high = system.n_range
    edges = [int(low + part * (high - low)) for part in (MU_EDGE, 1 - MU_EDGE)]
    pairs = [(max(n - system.step, low), min(n + system.step, high)) for n in edges]
    found, sound = [], []
    for k, r in enumerate(plan.ladder.rungs_asked):
        steps = [plan.reference[r], *(scans[k] if scans is not None else [])]
        beta_mu = np.array(
            [[(f[b] - f[a]) / (b - a) for a, b in pairs] for f in (integrate_steps(s, system.step) for s in steps)]
        )
        found.append(beta_mu[0] / plan.ladder.beta_per_neV[r] / NEV_PER_EV)
        sound.append(np.ptp(beta_mu, axis=0).max() <= SCANS_AGREE_KT)
    steepness = np.array(found)[sound if any(sound) else slice(None)]
    points = given.points if given is not None and given.points else MU_POINTS
    return np.linspace(steepness.min(), steepness.max(), points)


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
