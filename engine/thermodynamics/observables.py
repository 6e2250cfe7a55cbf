"""Observables of the replicas themselves: means, heat capacities, acceptance and convergence, each replica on its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.results.replicas import FixedComposition, Replicas, Semigrand, Vcsgc
from ..sampling.chains.system import System
from ..sampling.diagnostics import Convergence
from ..sampling.ladder.plan import Plan
from ..sampling.ladder.slots import EnsembleKind
from ..sampling.samples import Samples
from ..units import NEV_PER_EV

Float = NDArray[np.float64]
APART = 2.0  # times the error by the series, from which on that between walkers counts: by chance one in a hundred
BIAS = "weight exp[-kappa N (x - target)^2] on top of a fixed estimate of the free energy"


@dataclass(frozen=True)
class ReplicaData:
    """Samples with what is needed to average them; system: with the moves of the plan."""

    samples: Samples
    system: System
    convergence: Convergence

    @property
    def plan(self) -> Plan:
        return self.samples.plan

    @property
    def finite_rungs(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.isfinite(self.plan.ladder.temperature_K))

    def slots(self, kind: EnsembleKind) -> list[int]:
        """Replicas of one ensemble at finite temperatures, by temperature, then along their axis."""
        return [
            k for k, s in enumerate(self.plan.slots) if s.kind is kind and np.isfinite(self.plan.ladder.temperature_K[s.rung])
        ]

    def targets(self, kind: EnsembleKind) -> Float:
        """Expected compositions of the replicas of one ensemble, ions per formula unit."""
        slots, first = [self.plan.slots[k] for k in self.slots(kind)], self.finite_rungs[0]
        return np.array([s.n_expected / self.system.n_formula_units for s in slots if s.rung == first])

    def shape(self, kind: EnsembleKind) -> tuple[int, ...]:
        """Lengths of the ensemble's own axes."""
        if kind is EnsembleKind.SEMIGRAND:
            return tuple(len(mu) for mu in self.plan.mu_eV)
        return (len(self.targets(kind)),)

    def fold(self, kind: EnsembleKind, values: NDArray[Any]) -> NDArray[Any]:
        """From (slots, ...) to (temperatures, own axes, ...) of one ensemble."""
        return np.asarray(values)[self.slots(kind)].reshape(len(self.finite_rungs), *self.shape(kind), *np.shape(values)[1:])


def replica_group(kind: EnsembleKind, samples: Samples, system: System, convergence: Convergence) -> Replicas:
    """The group of one ensemble: /semigrand, /vcsgc or /fixed_composition."""
    data = ReplicaData(samples, system.with_mix(samples.plan.mix), convergence)
    plan, common = data.plan, _common(data, kind)
    if kind is EnsembleKind.VCSGC:
        return Vcsgc(**common, target_x=data.targets(kind), kappa=plan.kappa(system.n_formula_units), bias=BIAS)
    heat_capacity, error = (data.fold(kind, v) for v in _heat_capacity(data, kind))
    if kind is EnsembleKind.FIXED_COMPOSITION:
        return FixedComposition(
            **common, target_x=data.targets(kind), heat_capacity_x_kB=heat_capacity, heat_capacity_x_kB_error=error
        )
    return Semigrand(
        **common,
        chemical_potential_eV=plan.mu_eV[0] if len(plan.mu_eV) == 1 else None,
        chemical_potential_by_ion_eV=dict(zip(system.ions, plan.mu_eV)) if len(plan.mu_eV) > 1 else None,
        heat_capacity_mu_kB=heat_capacity,
        heat_capacity_mu_kB_error=error,
    )


def _common(data: ReplicaData, kind: EnsembleKind) -> dict[str, Any]:
    """The fields that all ensembles share."""
    samples, system, convergence, n_fu = data.samples, data.system, data.convergence, data.system.n_formula_units
    energy, energy_error = (data.fold(kind, v) for v in _means(samples.energy_neV / NEV_PER_EV / n_fu, convergence))
    x = [[data.fold(kind, v) for v in _means(samples.ions[..., k] / n_fu, convergence)] for k in range(len(system.ions))]
    one = len(system.ions) == 1
    moves = (system.canonical_moves if kind is EnsembleKind.FIXED_COMPOSITION else system.moves).names
    families = list(dict.fromkeys(moves))
    rates = np.array([_acceptance(samples, k, moves, families) for k in range(len(data.plan.slots))])
    return {
        "temperature_K": data.plan.ladder.temperature_K[data.finite_rungs],
        "energy_eV": energy,
        "energy_eV_error": energy_error,
        "x": x[0][0] if one else None,
        "x_error": x[0][1] if one else None,
        "x_by_ion": None if one else {ion: mean for ion, (mean, _) in zip(system.ions, x)},
        "x_by_ion_error": None if one else {ion: error for ion, (_, error) in zip(system.ions, x)},
        "move": families,
        "acceptance": data.fold(kind, rates),
        "autocorrelation_sweeps": data.fold(kind, convergence.autocorrelation),
        "equilibrated_after_sweeps": data.fold(kind, convergence.equilibrated_after),
        "ess": data.fold(kind, convergence.ess),
        "r_hat": data.fold(kind, convergence.r_hat),
        "trusted": data.fold(kind, convergence.trusted),
    }


def _acceptance(samples: Samples, slot: int, names: tuple[str, ...], families: list[str]) -> list[float]:
    """Accepted over attempted moves of each family, both directions together."""
    tried, accepted = samples.tried[slot], samples.accepted[slot]
    sums = [[sum(int(a[i]) for i, n in enumerate(names) if n == f) for f in families] for a in (accepted, tried)]
    return [a / t if t else np.nan for a, t in zip(*sums)]


def _means(series: Float, convergence: Convergence) -> tuple[Float, Float]:
    """Mean and standard error (slots,) of series (slots, walkers, sweeps), after each slot's equilibration."""
    mean, error = np.empty(len(series)), np.empty(len(series))
    for k, (values, cut) in enumerate(zip(series, convergence.equilibrated_after)):
        kept = values[:, cut:]
        between = kept.mean(axis=1).std(ddof=1) / np.sqrt(len(kept))
        mean[k] = kept.mean()
        within = _standard_error(kept - mean[k], max(convergence.ess[k], 1.0))
        error[k] = between if between > APART * within else within
    return mean, error


def _standard_error(deviation: Float, ess: float) -> float:
    """Of the mean: the root of (variance + jump^2 / ess) / ess, with the jump m3 / m2 of the central moments.

    Where rare jumps of one size are all that varies, k of them were seen and k + 1 are counted, so that few do not make a
    small error. Elsewhere the second term is small.
    """
    variance = float((deviation**2).mean())
    jump = float((deviation**3).mean()) / variance if variance > 0 else 0.0
    return float(np.sqrt((variance + jump**2 / ess) / ess))


def _heat_capacity(data: ReplicaData, kind: EnsembleKind) -> tuple[Float, Float]:
    """Heat capacity and standard error (slots,), k_B/fu: at fixed chemical potential, or else at fixed composition."""
    plan, samples, n_fu = data.plan, data.samples, data.system.n_formula_units
    mean, error = np.empty(len(plan.slots)), np.empty(len(plan.slots))
    for k, slot in enumerate(plan.slots):
        beta = plan.ladder.beta_per_neV[slot.rung]
        energy = samples.energy_neV[k].astype(float)
        if kind is slot.kind is EnsembleKind.SEMIGRAND:
            energy = energy - samples.ions[k] @ np.array(plan.mu_of(slot)) * NEV_PER_EV
        kept = energy[:, data.convergence.equilibrated_after[k] :] * beta
        per_walker = kept.var(axis=1) / n_fu
        mean[k] = kept.var() / n_fu
        relative = np.sqrt(2 / max(data.convergence.ess[k], 1.0))
        error[k] = max(mean[k] * relative, per_walker.std(ddof=1) / np.sqrt(len(per_walker)))
    return mean, error
