"""Observables of the replicas themselves: means, heat capacities, acceptance, health; and how they exchange."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.results.transition import LooseGroup
from ..sampling.diagnostics import Health
from ..sampling.samples import Samples
from ..sampling.slots import EnsembleKind
from ..sampling.system import System
from ..units import NEV_PER_EV

Float = NDArray[np.float64]


class Observables:
    """Groups of results.h5 that hold what the chains saw, each replica for itself."""

    def __init__(self, samples: Samples, system: System, health: Health) -> None:
        self.samples, self.health, self.plan = samples, health, samples.plan
        self.system = system.with_mix(self.plan.mix)
        self.n_fu = system.n_formula_units
        self.temperature = self.plan.ladder.temperature_K
        self.finite = np.flatnonzero(np.isfinite(self.temperature))

    def group(self, kind: EnsembleKind) -> LooseGroup:
        """Replicas of one kind over temperature and their own axis."""
        plan, samples, health = self.plan, self.samples, self.health
        group = LooseGroup()
        slots = [k for k, s in enumerate(plan.slots) if s.kind is kind and np.isfinite(self.temperature[s.rung])]
        t = ("temperature_K",)
        group.add("temperature_K", t, self.temperature[self.finite], "K", "temperature")
        if kind is EnsembleKind.SEMIGRAND:
            names = (
                ["chemical_potential_eV"]
                if len(plan.mu_eV) == 1
                else [f"chemical_potential_{ion}_eV" for ion in self.system.ions]
            )
            for name, axis, ion in zip(names, plan.mu_eV, self.system.ions):
                group.add(name, (name,), axis, "eV", f"chemical potential of {ion}, on the zero of the energies")
            shape = tuple(len(m) for m in plan.mu_eV)
        else:
            names = ["target_x"]
            targets = [plan.slots[k].n_expected / self.n_fu for k in slots if plan.slots[k].rung == self.finite[0]]
            group.add("target_x", ("target_x",), targets, "1", "centre of the window: ions per formula unit")
            shape = (len(targets),)
            if kind is EnsembleKind.VCSGC:
                group.attributes["kappa"] = plan.kappa(self.n_fu)
                group.attributes["bias"] = "weight exp[-kappa N (x - target)^2] on top of a fixed estimate of the free energy"
        dims = (*t, *names)

        def fold(values: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(values)[slots].reshape(len(self.finite), *shape, *np.shape(values)[1:])

        mean, error = self._means(samples.energy_neV / NEV_PER_EV / self.n_fu)
        group.add("energy_eV", dims, fold(mean), "eV/fu", "mean energy", fold(error))
        for k, ion in enumerate(self.system.ions):
            name = "x" if len(self.system.ions) == 1 else f"x_{ion}"
            mean, error = self._means(samples.ions[..., k] / self.n_fu)
            group.add(name, dims, fold(mean), "1", f"{ion} per formula unit", fold(error))
        label = {EnsembleKind.SEMIGRAND: "mu", EnsembleKind.VCSGC: "window", EnsembleKind.FIXED_COMPOSITION: "x"}[kind]
        if kind is not EnsembleKind.VCSGC:
            mean, error = self._heat_capacity(kind)
            what = "chemical potential" if kind is EnsembleKind.SEMIGRAND else "composition"
            group.add(f"heat_capacity_{label}_kB", dims, fold(mean), "k_B/fu", f"heat capacity at fixed {what}", fold(error))
        move_names = (self.system.canonical_moves if kind is EnsembleKind.FIXED_COMPOSITION else self.system.moves).names
        families = list(dict.fromkeys(move_names))
        group.add("move", ("move",), np.array(families), "1", "kind of move, both directions together")
        rates = np.array([self._acceptance(k, move_names, families) for k in range(len(plan.slots))])
        group.add("acceptance", (*dims, "move"), fold(rates), "1", "accepted over attempted moves")
        group.add(
            "autocorrelation_sweeps",
            dims,
            fold(health.autocorrelation),
            "sweeps",
            "integrated autocorrelation time, slower of E and x",
        )
        group.add("equilibrated_after_sweeps", dims, fold(health.equilibrated_after), "sweeps", "sweeps dropped as equilibration")
        group.add("ess", dims, fold(health.ess), "1", "effective sample size over all walkers")
        group.add("r_hat", dims, fold(health.r_hat), "1", "rank-normalised split R-hat, larger of E and x")
        group.add("trusted", dims, fold(health.trusted), "1", "long enough to believe: ESS, R-hat, equilibration")
        return group

    def _acceptance(self, slot: int, names: tuple[str, ...], families: list[str]) -> list[float]:
        tried, accepted = self.samples.tried[slot], self.samples.accepted[slot]
        sums = [[sum(int(a[i]) for i, n in enumerate(names) if n == f) for f in families] for a in (accepted, tried)]
        return [a / t if t else np.nan for a, t in zip(*sums)]

    def _means(self, series: Float) -> tuple[Float, Float]:
        """Mean and standard error (slots,) after each slot's equilibration."""
        mean, error = np.empty(len(series)), np.empty(len(series))
        for k, (values, cut) in enumerate(zip(series, self.health.equilibrated_after)):
            kept = values[:, cut:]
            between = kept.mean(axis=1).std(ddof=1) / np.sqrt(len(kept))
            mean[k] = kept.mean()
            error[k] = max(np.sqrt(kept.var() / max(self.health.ess[k], 1.0)), between)
        return mean, error

    def _heat_capacity(self, kind: EnsembleKind) -> tuple[Float, Float]:
        plan, samples = self.plan, self.samples
        mean, error = np.empty(len(plan.slots)), np.empty(len(plan.slots))
        for k, slot in enumerate(plan.slots):
            beta = plan.ladder.beta_per_neV[slot.rung]
            energy = samples.energy_neV[k].astype(float)
            if kind is slot.kind is EnsembleKind.SEMIGRAND:
                energy = energy - samples.ions[k] @ np.array(plan.mu_of(slot)) * NEV_PER_EV
            kept = energy[:, self.health.equilibrated_after[k] :] * beta
            per_walker = kept.var(axis=1) / self.n_fu
            mean[k] = kept.var() / self.n_fu
            relative = np.sqrt(2 / max(self.health.ess[k], 1.0))
            error[k] = max(mean[k] * relative, per_walker.std(ddof=1) / np.sqrt(len(per_walker)))
        return mean, error

    def exchange_group(self) -> LooseGroup:
        """Acceptance of every exchange, and the ladder."""
        group = LooseGroup()
        pairs = sorted(self.samples.exchanged)
        kinds = [self._pair_name(a, b) for a, b in pairs]
        rates = [self.samples.exchanged[p][1] / max(self.samples.exchanged[p][0], 1) for p in pairs]
        group.add("pair", ("pair",), np.arange(len(pairs)), "1", "number of the pair of replicas")
        group.add("replicas", ("pair", "side"), np.array(pairs, np.int64).reshape(-1, 2), "1", "the two replicas")
        group.add("axis", ("pair",), np.array([k for k, _ in kinds] or [], dtype="U16"), "1", "what differs between them")
        rungs = [[self.plan.slots[k].rung for k in p] for p in pairs]
        between = self.temperature[np.array(rungs, np.int64).reshape(-1, 2)]
        group.add("pair_temperature_K", ("pair", "side"), between, "K", "temperatures of the two replicas")
        group.add("name", ("pair",), np.array([n for _, n in kinds] or [], dtype="U80"), "1", "in words")
        group.add("acceptance", ("pair",), np.array(rates, float), "1", "accepted over attempted exchanges")
        group.add("temperature_ladder_K", ("rung",), self.temperature, "K", "all rungs, inf is beta = 0")
        group.add("rung_asked", ("rung",), self.plan.ladder.asked, "1", "asked for by the user")
        return group

    def _pair_name(self, a: int, b: int) -> tuple[str, str]:
        p, q = self.plan.slots[a], self.plan.slots[b]
        ta, tb = self.temperature[p.rung], self.temperature[q.rung]
        if p.rung != q.rung:
            return "temperature", f"{p.kind} {p.index}: {ta:g} K <-> {tb:g} K"
        return "composition", f"{ta:g} K: {p.kind} {p.index} <-> {q.kind} {q.index}"
