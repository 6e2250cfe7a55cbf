"""Semigrand chains in lanes, without exchange: each stays in the phase that it starts in, as long as this phase is metastable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Ensembles
from ....kernels.simd import LANES
from ...runtime.streams import Stream, chain_stream
from ...units import NEV_PER_EV
from ..chains.chains import Chains, in_lanes, start_chains
from ..chains.system import System
from ..chains.tally import empty_tally

Float = NDArray[np.float64]
Int = NDArray[np.int64]
WALKERS = 4
TEMPERATURES = LANES // WALKERS
CHUNKS = 20  # parts of the measurement whose means are kept


@dataclass(frozen=True)
class Means:
    """Means over the sweeps of each chunk, (chunks, temperatures, walkers), per formula unit; energies in eV.

    energy_energy, energy_ions, ions_ions: means of products, times the number of formula units squared, divided by it once.
    """

    energy_eV: Float
    ions: Float
    energy_energy: Float
    energy_ions: Float
    ions_ions: Float


@dataclass
class Lanes:
    """beta_per_neV (temperatures,): WALKERS chains at each."""

    system: System
    beta_per_neV: Float
    mu_eV: float
    chains: Chains

    def advance(self, n_sweeps: int, part: float = 1.0) -> tuple[Int, Int]:
        """Sweeps at `part` of beta. Energies (neV) and counts after each, (sweeps, temperatures, walkers)."""
        beta = np.repeat(self.beta_per_neV, WALKERS) * part
        unused = np.zeros((len(beta), len(empty_tally(self.system).sums)))
        ensembles = Ensembles(beta, beta[:, None] * self.mu_eV * NEV_PER_EV, unused, unused, 0)
        record = in_lanes(self.chains, self.system, self.system.moves, ensembles, n_sweeps)
        shape = (n_sweeps, TEMPERATURES, WALKERS)
        return record.energy.T.reshape(shape), record.ions[..., 0].T.reshape(shape)


def lanes_in(
    system: System, beta_per_neV: Float, mu_eV: float, starts: NDArray[np.int8], seed: int, key: tuple[int, ...]
) -> Lanes:
    """starts (LANES, n_sites)."""
    assert len(beta_per_neV) == TEMPERATURES
    streams = [chain_stream(seed, Stream.PHASES, *key, Stream.CHAIN, r) for r in range(LANES)]
    chains = start_chains(system, starts, streams, chain_stream(seed, Stream.PHASES, *key, Stream.PROPOSALS))
    return Lanes(system, beta_per_neV, mu_eV, chains)


def chunk_means(energy_neV: Int, ions: Int, n_fu: int) -> tuple[Float, ...]:
    """Of one chunk (sweeps, temperatures, walkers), in the order of Means."""
    e, n = energy_neV / NEV_PER_EV, ions.astype(float)
    products = (e * e, e * n, n * n)
    return (e.mean(axis=0) / n_fu, n.mean(axis=0) / n_fu, *(p.mean(axis=0) / n_fu for p in products))
