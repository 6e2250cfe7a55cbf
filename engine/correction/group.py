"""/corrected of results.h5: the potential's free energies in the small cell by every method asked for, and what they cost."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..crystal.neutral_states import random_neutral_state
from ..runtime.results.transition import LooseGroup
from ..runtime.streams import Stream, generator
from ..sampling.diagnostics import Health, assess
from ..sampling.tally import empty_tally, end_energies
from ..thermodynamics.free_energy.isotherms import above_ends
from ..thermodynamics.free_energy.transition_matrix import Ends, isotherm
from ..units import BOLTZMANN_EV_PER_K, inverse_temperature
from .correct import Correction, Lazy, all_energies
from .energies import relaxed_energies
from .estimate import LEAST_ESS, RESAMPLED, by_both_ways, by_enumeration, by_reweighting, by_transitions, resampled
from .walker import Walk

Float = NDArray[np.float64]
T, TX = ("temperature_K",), ("temperature_K", "x")
LARGEST_CLOSURE_EV = 5e-3
CHAINS = {"corrected": "", "direct": "direct_"}
SOURCES = {"corrected": "by corrected sampling", "direct": "by sampling directly, move by move"}


class CorrectedGroup:
    """Builds the group; notes gather what a reader should know."""

    def __init__(self, correction: Correction, notes: list[str]) -> None:
        self.correction, self.notes, self.group = correction, notes, LooseGroup()
        self.system = correction.system
        self.counts, self.log_states = self.system.neutral_counts
        self.n_fu = self.system.n_formula_units
        self.temperatures_K = np.array(correction.temperatures_K)
        self.beta_per_eV = 1 / (BOLTZMANN_EV_PER_K * self.temperatures_K)
        self.energies = relaxed_energies(self.system.supercell, correction.relaxations, Lazy(correction))
        low, high, e_low, e_high = end_energies(self.system)
        self.ends = Ends(low, high, (float(self.log_states[0]), float(self.log_states[-1])), (e_low, e_high))
        self.rng = generator(correction.seed, Stream.CORRECTION_BOOTSTRAP)

    def build(self) -> LooseGroup:
        methods, group = self.correction.given.methods, self.group
        group.attributes["n_formula_units"] = self.n_fu
        group.attributes["supercell"] = str(self.system.supercell.matrix.tolist())
        group.attributes["energies"] = "relaxed" if self.correction.given.relaxed else "static"
        group.add("temperature_K", T, self.temperatures_K, "K", "temperature")
        group.add("x", ("x",), self.counts / self.n_fu, "1", f"{self.system.ion} per formula unit")
        for method, prefix in CHAINS.items():
            if method in methods:
                self._add_chain(method, prefix)
        if "reweighted" in methods:
            self._add_reweighted()
        if "enumerated" in methods:
            self._add_enumerated()
        self._note_of_expansion()
        return group

    def _note_of_expansion(self) -> None:
        """How far the expansion's mixing free energy is from the best that is known of the potential's."""
        known = ("enumerated_free_energy_eV", "bar_free_energy_eV", "reweighted_exponential_free_energy_eV")
        best = next((name for name in known if name in self.group), None)
        if best is None or "expansion_free_energy_eV" not in self.group:
            return
        missed = 1e3 * np.abs([above_ends(row) for row in self.group["expansion_free_energy_eV"] - self.group[best]])
        if np.isfinite(missed).any():
            rung, k = np.unravel_index(np.nanargmax(missed), missed.shape)
            self.notes.append(
                f"correction: in the cell of {self.n_fu} formula units the expansion misses the potential's mixing free energy by up to "
                f"{missed[rung, k]:.1f} meV/fu (x = {self.group['x'][k]:.3g}, {self.temperatures_K[rung]:g} K)"
            )

    def _walks(self, method: str) -> list[list[Walk]]:
        return [self.correction.walks(method, r) for r in range(len(self.temperatures_K))]

    def _exact_ends(self, rung: int) -> tuple[float, float]:
        """beta F of the potential, where an end is a single state."""
        found = []
        for k, exact in ((0, self.ends.exact[0]), (-1, self.ends.exact[1])):
            beta = self.beta_per_eV[rung]
            found.append(beta * self.energies(self._end_state(int(self.counts[k]))) if exact else np.nan)
        return found[0], found[1]

    def _end_state(self, n: int) -> NDArray[np.int8]:
        return random_neutral_state(self.system.supercell, self.system.ion, n, self.rng)

    def _add_chain(self, method: str, prefix: str) -> None:
        walks, words = self._walks(method), SOURCES[method]
        rows = [self._with_error(w, partial(self._curve, r)) for r, w in enumerate(walks)]
        values, errors = (np.array([row[k] for row in rows]) for k in (0, 1))
        f, u, s = values.transpose(1, 0, 2)
        f_error, u_error, s_error = errors.transpose(1, 0, 2)
        group = self.group
        group.add(f"{prefix}free_energy_eV", TX, f, "eV/fu", f"free energy F(T, x) of the potential, {words}", f_error)
        group.add(f"{prefix}energy_eV", TX, u, "eV/fu", f"mean energy of the potential, {words}", u_error)
        group.add(f"{prefix}entropy_kB", TX, s, "k_B/fu", f"joint entropy of ions and electrons, {words}", s_error)
        closures = np.array([by_transitions(w, self.counts, self._exact_ends(r)).closure for r, w in enumerate(walks)])
        closures = closures / self.beta_per_eV / self.n_fu
        health = [self._health(w) for w in walks]
        asked = np.array([sum(int(w.asked.sum()) for w in some) for some in walks])
        moved = np.array([sum(int((w.changed > 0).sum()) for w in some) for some in walks])
        ess = np.array([h.ess[0] for h in health])
        group.add(f"{prefix}closure_eV", T, closures, "eV/fu", "F missing at the far end, before it was spread evenly")
        group.add(f"{prefix}acceptance", T, moved / np.maximum(asked, 1), "1", "accepted over new proposals")
        group.add(
            f"{prefix}stretch", T, [np.median([w.stretch for w in some]) for some in walks], "1", "moves in a proposal (median)"
        )
        group.add(f"{prefix}potential_calls", T, asked, "1", "states whose energy was asked for, cached ones included")
        group.add(f"{prefix}ess", T, ess, "1", "effective samples of the slower of energy and x")
        group.add(f"{prefix}r_hat", T, [h.r_hat[0] for h in health], "1", "rank-normalised split R-hat")
        connected = np.isfinite(f).all(axis=1)  # else some composition was not reached, or not left
        trusted = np.array([h.trusted[0] for h in health]) & connected & (np.abs(np.nan_to_num(closures)) < LARGEST_CLOSURE_EV)
        group.add(f"{prefix}trusted", T, trusted, "1", "long enough to believe: ESS, R-hat, closure")
        if not trusted.all():
            cold = ", ".join(f"{t:g}" for t in self.temperatures_K[~trusted])
            self.notes.append(f"correction: free energies {words} are not to be trusted at {cold} K: more proposals are needed")

    def _curve(self, rung: int, walks: list[Walk]) -> Float:
        """F, U (eV/fu) and S (k_B/fu), (3, n)."""
        found = by_transitions(walks, self.counts, self._exact_ends(rung))
        beta = self.beta_per_eV[rung]
        return np.array([found.beta_f / beta, found.energy_eV, beta * found.energy_eV - found.beta_f]) / self.n_fu

    def _with_error(self, walks: list[Walk], of: Callable[[list[Walk]], Float]) -> tuple[Float, Float]:
        """A value and its error by bootstrap over blocks of every walk."""
        again = np.array([of(resampled(walks, self.rng)) for _ in range(RESAMPLED)])
        return of(walks), again.std(axis=0, ddof=1)

    def _health(self, walks: list[Walk]) -> Health:
        return assess(np.array([[w.potential_eV for w in walks]]), np.array([[w.n for w in walks]], float))

    def expansion_beta_f(self, walks: list[Walk], rung: int) -> Float:
        """Of the expansion (n,), from its own moves between counts."""
        beta, step = inverse_temperature(float(self.temperatures_K[rung])), self.system.step
        weight = walks[0].log_weight
        reference = np.append(weight[step:] - weight[:-step], np.zeros(step))
        sums = np.sum([w.sums for w in walks], axis=0)
        return isotherm(sums, empty_tally(self.system), reference, beta, step, self.ends).beta_f

    def _add_reweighted(self) -> None:
        walks, group = self._walks("reweighted"), self.group
        scale = 1 / self.beta_per_eV[:, None] / self.n_fu
        own = np.array([self.expansion_beta_f(w, r) for r, w in enumerate(walks)])
        each = np.array([[self.expansion_beta_f([one], r) for one in w] for r, w in enumerate(walks)])
        own_error = each.std(axis=1, ddof=1) / np.sqrt(each.shape[1])
        group.add(
            "expansion_free_energy_eV",
            TX,
            own * scale,
            "eV/fu",
            "free energy of the expansion in the same cell",
            own_error * scale,
        )
        shifts = [by_reweighting(w, self.counts, b) for w, b in zip(walks, self.beta_per_eV)]
        errors = np.array([self._with_error(w, partial(self._shifts, r))[1] for r, w in enumerate(walks)])
        for k, (name, words) in enumerate((("exponential", "exponential average"), ("cumulant", "second cumulant"))):
            values = own + np.array([getattr(s, name) for s in shifts])
            long_name = f"free energy of the potential, by reweighting samples of the expansion: {words}"
            group.add(
                f"reweighted_{name}_free_energy_eV",
                TX,
                values * scale,
                "eV/fu",
                long_name,
                np.hypot(errors[:, k], own_error) * scale,
            )
        ess = np.array([s.ess for s in shifts])
        group.add("reweighting_ess", TX, ess, "1", "effective samples of the exponential average")
        if (few := ess < LEAST_ESS).any():
            spread = [np.nanstd(np.concatenate([_finite(w.potential_eV - w.expansion_eV) for w in some])) for some in walks]
            self.notes.append(
                f"correction: reweighting is refused at {int(few.sum())} of {few.size} points, where fewer than {LEAST_ESS:g} samples count; the potential less "
                f"the expansion spreads by up to {1e3 * max(spread) / self.n_fu:.1f} meV/fu: label more configurations, take a smaller cell or more "
                "proposals, or believe the corrected chain"
            )
        if "corrected" in self.correction.given.methods:
            of_potential = self._walks("corrected")
            bar, bar_error = [], []
            for r, beta in enumerate(self.beta_per_eV):
                bar.append(by_both_ways(walks[r], of_potential[r], self.counts, beta))
                again = [
                    by_both_ways(resampled(walks[r], self.rng), resampled(of_potential[r], self.rng), self.counts, beta)
                    for _ in range(RESAMPLED // 4)
                ]
                bar_error.append(np.std(again, axis=0, ddof=1))
            words = "free energy of the potential, by Bennett's acceptance ratio between samples of expansion and potential"
            group.add(
                "bar_free_energy_eV", TX, (own + np.array(bar)) * scale, "eV/fu", words, np.hypot(bar_error, own_error) * scale
            )

    def _shifts(self, rung: int, walks: list[Walk]) -> Float:
        """Of beta F from the expansion to the potential, by both averages, (2, n)."""
        found = by_reweighting(walks, self.counts, self.beta_per_eV[rung])
        return np.array([found.exponential, found.cumulant])

    def _add_enumerated(self) -> None:
        every = all_energies(self.correction, self.energies)
        curves = [by_enumeration(every, b) for b in self.beta_per_eV]
        f = np.array([c.beta_f for c in curves]) / self.beta_per_eV[:, None] / self.n_fu
        u = np.array([c.energy_eV for c in curves]) / self.n_fu
        group = self.group
        group.add("enumerated_free_energy_eV", TX, f, "eV/fu", "free energy of the potential, from the energies of all states")
        group.add("enumerated_energy_eV", TX, u, "eV/fu", "mean energy of the potential, from the energies of all states")
        lost = sum(int((~np.isfinite(e)).sum()) for e in every)
        group.attributes["states"], group.attributes["states_without_energy"] = sum(map(len, every)), lost
        if lost:
            self.notes.append(
                f"correction: {lost} of {sum(map(len, every))} states of the small cell lose their charge order and do not count"
            )


def _finite(values: Float) -> Float:
    return values[np.isfinite(values)]
