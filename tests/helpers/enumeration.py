"""Enumeration of all neutral states of a small cell: the answers that the sampler must reproduce."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import chi2

from redoxmc.engine.sampling.chains.chain import Chain, advance, start_chain
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV, inverse_temperature
from redoxmc.kernels.layout import Ensemble, Record, Tally
from redoxmc.kernels.random import new_stream

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Enumeration:
    """states (k, sites); energy_eV (k,) of the cell, from the fixed-point table; n (k,) count of the ion."""

    system: System
    states: NDArray[np.int8]
    energy_eV: Float
    n: NDArray[np.int64]

    @cached_property
    def index(self) -> dict[bytes, int]:
        return {s.tobytes(): k for k, s in enumerate(self.states)}

    def log_weight(self, temperature_K: float, mu_eV: float) -> Float:
        return -(self.energy_eV - mu_eV * self.n) / (BOLTZMANN_EV_PER_K * temperature_K)

    def probability(self, temperature_K: float, mu_eV: float) -> Float:
        w = self.log_weight(temperature_K, mu_eV)
        return np.exp(w - logsumexp(w))

    def log_z(self, temperature_K: float) -> Float:
        """ln Z_n for n = 0 .. n_max."""
        w = self.log_weight(temperature_K, 0.0)
        return np.array([logsumexp(w[self.n == n]) for n in range(self.n.max() + 1)])

    def canonical_energy_eV(self, temperature_K: float) -> Float:
        w = self.log_weight(temperature_K, 0.0)
        return np.array(
            [
                np.average(self.energy_eV[self.n == n], weights=np.exp(w[self.n == n] - w[self.n == n].max()))
                for n in range(self.n.max() + 1)
            ]
        )


def enumerate_states(system: System) -> Enumeration:
    sublattices = system.lattice.sublattices
    charges = [[sp.charge for sp in sublattices[g].species] for g in system.supercell.site_sublattice]
    host = system.supercell.n_cells * system.lattice.spectator_charge
    sizes = [len(c) for c in charges]
    states = np.array(list(product(*[range(s) for s in sizes])), np.int8)
    charge = host + sum(np.array(c)[states[:, k]] for k, c in enumerate(charges))
    states = np.ascontiguousarray(states[charge == 0])
    energy = np.array([system.energy_neV(s) for s in states]) / NEV_PER_EV
    return Enumeration(system, states, energy, np.array([system.count_ions(s)[0] for s in states]))


def semigrand(system: System, temperature_K: float, mu_eV: float, reference: Float | None = None) -> Ensemble:
    beta = inverse_temperature(temperature_K)
    zeros = np.zeros(len(empty_tally(system).sums))
    return Ensemble(beta, np.array([beta * NEV_PER_EV * mu_eV]), zeros, zeros if reference is None else reference, system.step)


def begin(system: System, seed: int, species: NDArray[np.int8] | None = None) -> Chain:
    from redoxmc.engine.crystal.neutral_states import random_neutral_state

    if species is None:
        species = random_neutral_state(system.supercell, system.ion, system.n_range[0], np.random.default_rng(seed))
    return start_chain(system, species, new_stream(seed, 1000))


def sample_semigrand(
    system: System, temperature_K: float, mu_eV: float, n_sweeps: int, seed: int, reference: Float | None = None
) -> tuple[Record, Tally]:
    """A chain after a short equilibration."""
    chain, tally = begin(system, seed), empty_tally(system)
    ensemble = semigrand(system, temperature_K, mu_eV, reference)
    advance(chain, system, system.moves, ensemble, empty_tally(system), 1000)
    return advance(chain, system, system.moves, ensemble, tally, n_sweeps), tally


def mean_and_error(series: Float) -> tuple[float, float]:
    """By blocks: 50 of them, each much longer than the autocorrelation time."""
    blocks = series[: len(series) // 50 * 50].reshape(50, -1).mean(axis=1)
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(50))


def state_counts(e: Enumeration, n_draws: int, thin_sweeps: int, temperature_K: float) -> np.ndarray:
    system = e.system
    ensemble, chain, counts = semigrand(system, temperature_K, 0.02), begin(system, 11), np.zeros(len(e.states))
    tally = empty_tally(system)
    advance(chain, system, system.moves, ensemble, tally, 1000)
    for _ in range(n_draws):
        advance(chain, system, system.moves, ensemble, tally, thin_sweeps)
        counts[e.index[chain.species.tobytes()]] += 1
    return counts


def p_value(counts: np.ndarray, probability: np.ndarray, least: float = 8.0) -> float:
    """chi2 of counts against probabilities, states expected less than `least` times pooled."""
    expected = counts.sum() * probability
    rare = expected < least
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    assert observed[~keep].sum() == 0
    return float(chi2.sf(((observed[keep] - expected[keep]) ** 2 / expected[keep]).sum(), keep.sum() - 1))
