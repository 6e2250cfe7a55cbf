"""Chains at many temperatures and chemical potentials in the lanes of one group, which exchange between neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Ensembles
from ....kernels.simd import LANES
from ...crystal.neutral_states import random_neutral_state
from ...runtime.streams import Stream, chain_stream, generator
from ...units import NEV_PER_EV, inverse_temperature
from ..chains.chains import Chains, in_lanes, start_chains
from ..chains.system import System
from ..chains.tally import empty_tally

Float = NDArray[np.float64]
Int = NDArray[np.int64]
WALKERS = 4
TEMPERATURES = LANES // WALKERS
COOLING = 10  # steps of beta from 0 to the temperatures of the lanes


@dataclass
class Lanes:
    """WALKERS chains at each of the points temperature_K (temperatures,), mu_eV: one for each, or one for all.

    The proposals are shared, so no chain is directed.
    """

    system: System
    temperature_K: Float
    mu_eV: Float | float
    chains: Chains
    random: np.random.Generator
    rounds: int = 0

    def advance(self, n_sweeps: int, part: float = 1.0) -> None:
        """Sweeps at `part` of beta, then exchange between neighbouring points."""
        beta = np.array([[inverse_temperature(t)] for t in self.temperature_K]) * part
        beta_mu = beta * np.reshape(self.mu_eV, (-1, 1)) * NEV_PER_EV
        unused = np.zeros((LANES, len(empty_tally(self.system).sums)))
        each = (np.repeat(beta.ravel(), WALKERS), np.repeat(beta_mu.ravel(), WALKERS)[:, None])
        in_lanes(self.chains, self.system, self.system.moves, Ensembles(*each, unused, unused, 0), n_sweeps)
        self._exchange(beta, beta_mu)
        self.rounds += 1

    @property
    def energy_neV(self) -> Int:
        """(temperatures, walkers)."""
        return self.chains.energy.reshape(-1, WALKERS)

    @property
    def ions(self) -> Int:
        """(temperatures, walkers)."""
        return self.chains.ions[:, 0].reshape(-1, WALKERS)

    def _exchange(self, beta: Float, beta_mu: Float) -> None:
        """Even pairs of neighbours and odd pairs in turn; both arrays (temperatures, 1)."""
        a = np.arange(self.rounds % 2, len(beta) - 1, 2)
        energy, ions = (values[a] - values[a + 1] for values in (self.energy_neV, self.ions))
        log_ratio = (beta[a] - beta[a + 1]) * energy - (beta_mu[a] - beta_mu[a + 1]) * ions
        k, walker = np.nonzero(np.log(self.random.random(log_ratio.shape)) < log_ratio)
        source = np.arange(LANES).reshape(-1, WALKERS)
        source[a[k], walker], source[a[k] + 1, walker] = source[a[k] + 1, walker], source[a[k], walker]
        order = source.ravel()
        for values in (self.chains.species, self.chains.energy, self.chains.ions):
            values[:] = values[order]


def cooled_lanes(
    system: System, temperature_K: Float, mu_eV: Float | float, sweeps: int, seed: int, key: tuple[int, ...]
) -> Lanes:
    """From random states with half of the ions, cooled in steps of beta in so many sweeps."""
    assert system.ion is not None
    counts, _ = system.neutral_counts
    random = generator(seed, Stream.ORDER_SCAN, *key, Stream.START)
    half = int(counts[len(counts) // 2])
    starts = np.array([random_neutral_state(system.supercell, system.ion, half, random) for _ in range(LANES)])
    lanes = _lanes(system, temperature_K, mu_eV, starts, seed, key)
    for step in range(1, COOLING + 1):
        lanes.advance(max(1, sweeps // COOLING), step / COOLING)
    return lanes


def lanes_from(before: Lanes, temperature_K: Float, seed: int, key: tuple[int, ...], mu_eV: Float | float | None = None) -> Lanes:
    """Each from the chains at the nearest temperature of other lanes; with their chemical potential, if no other is given."""
    nearest = np.abs(before.temperature_K - temperature_K[:, None]).argmin(axis=1)
    starts = before.chains.species.reshape(TEMPERATURES, WALKERS, -1)[nearest].reshape(LANES, -1)
    return _lanes(before.system, temperature_K, before.mu_eV if mu_eV is None else mu_eV, starts, seed, key)


def _lanes(
    system: System, temperature_K: Float, mu_eV: Float | float, starts: NDArray[np.int8], seed: int, key: tuple[int, ...]
) -> Lanes:
    assert len(temperature_K) == TEMPERATURES
    streams = [chain_stream(seed, Stream.ORDER_SCAN, *key, Stream.CHAIN, r) for r in range(LANES)]
    chains = start_chains(system, starts, streams, chain_stream(seed, Stream.ORDER_SCAN, *key, Stream.PROPOSALS))
    return Lanes(system, temperature_K, mu_eV, chains, generator(seed, Stream.ORDER_SCAN, *key, Stream.EXCHANGE))
