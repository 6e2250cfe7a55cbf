"""Chains at one chemical potential and many temperatures in the lanes of one group, which exchange along temperature."""

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
    """temperature_K (temperatures,) ascending, WALKERS chains at each. The proposals are shared, so no chain is directed."""

    system: System
    temperature_K: Float
    mu_eV: float
    chains: Chains
    random: np.random.Generator
    rounds: int = 0

    def advance(self, n_sweeps: int, part: float = 1.0) -> None:
        """Sweeps at `part` of beta, then exchange between neighbouring temperatures."""
        beta = np.repeat([inverse_temperature(t) for t in self.temperature_K], WALKERS) * part
        unused = np.zeros((len(beta), len(empty_tally(self.system).sums)))
        ensembles = Ensembles(beta, beta[:, None] * self.mu_eV * NEV_PER_EV, unused, unused, 0)
        in_lanes(self.chains, self.system, self.system.moves, ensembles, n_sweeps)
        self._exchange(beta.reshape(-1, WALKERS))
        self.rounds += 1

    @property
    def energy_neV(self) -> Int:
        """(temperatures, walkers)."""
        return self.chains.energy.reshape(-1, WALKERS)

    @property
    def ions(self) -> Int:
        """(temperatures, walkers)."""
        return self.chains.ions[:, 0].reshape(-1, WALKERS)

    def _exchange(self, beta: Float) -> None:
        """Even pairs of neighbours and odd pairs in turn."""
        grand = self.energy_neV - self.mu_eV * NEV_PER_EV * self.ions
        a = np.arange(self.rounds % 2, len(beta) - 1, 2)
        log_ratio = (beta[a] - beta[a + 1]) * (grand[a] - grand[a + 1])
        k, walker = np.nonzero(np.log(self.random.random(log_ratio.shape)) < log_ratio)
        source = np.arange(beta.size).reshape(beta.shape)
        source[a[k], walker], source[a[k] + 1, walker] = source[a[k] + 1, walker], source[a[k], walker]
        order = source.ravel()
        for values in (self.chains.species, self.chains.energy, self.chains.ions):
            values[:] = values[order]


def cooled_lanes(system: System, temperature_K: Float, mu_eV: float, sweeps: int, seed: int, key: tuple[int, ...]) -> Lanes:
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


def lanes_from(before: Lanes, temperature_K: Float, seed: int, key: tuple[int, ...]) -> Lanes:
    """Each from the chains at the nearest temperature of other lanes."""
    nearest = np.abs(before.temperature_K - temperature_K[:, None]).argmin(axis=1)
    starts = before.chains.species.reshape(TEMPERATURES, WALKERS, -1)[nearest].reshape(LANES, -1)
    return _lanes(before.system, temperature_K, before.mu_eV, starts, seed, key)


def _lanes(
    system: System, temperature_K: Float, mu_eV: float, starts: NDArray[np.int8], seed: int, key: tuple[int, ...]
) -> Lanes:
    assert len(temperature_K) == TEMPERATURES
    streams = [chain_stream(seed, Stream.ORDER_SCAN, *key, Stream.CHAIN, r) for r in range(LANES)]
    chains = start_chains(system, starts, streams, chain_stream(seed, Stream.ORDER_SCAN, *key, Stream.PROPOSALS))
    return Lanes(system, temperature_K, mu_eV, chains, generator(seed, Stream.ORDER_SCAN, *key, Stream.EXCHANGE))
