"""The state of lowest energy at every count of the ion in one supercell, by listing all states or by a search.

A search is an annealing that leaves a replica at every rung of a ladder of temperatures, followed by exchange Monte Carlo between
the replicas (Hukushima, Nemoto, J. Phys. Soc. Jpn. 65, 1604, 1996). Its result is the lowest state visited. Searches at one
composition are independent: the number of them that agree tells how reliable the result is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.energy import total_energies
from ....kernels.layout import Ensemble
from ...crystal.lattice import Supercell
from ...crystal.neutral_states import count_neutral_states, neutral_states, random_neutral_state
from ...runtime.streams import Stream, chain_stream, generator
from ..chains.chain import Chain, advance, start_chain
from ..chains.system import System
from ..chains.tally import empty_tally

Float = NDArray[np.float64]
FEW_STATES = 200_000  # of one composition: listing is as fast as searching
HOTTEST = 0.5  # kT of the first rung over the standard deviation of the energy at beta = 0
COLDEST = 0.0025  # of the last
RUNGS = 20
HOT_SWEEPS = 100  # at beta = 0
COOLING_SWEEPS = 40  # per rung, on the way down
ROUNDS = 60  # of exchange
ROUND_SWEEPS = 10
FROZEN = 1e3  # beta (1/neV) at which no move that raises the energy is accepted


@dataclass(frozen=True)
class Lowest:
    """Lowest states of one supercell.

    n (k,): all counts of the ion. energy_neV (k,): of the whole supercell. states (k, n_sites): one state with that energy.
    listed (k,): whether all states were listed. agree (k,): number of searches that found that energy; 0 where listed.
    """

    n: NDArray[np.int64]
    energy_neV: NDArray[np.int64]
    states: NDArray[np.int8]
    listed: NDArray[np.bool_]
    agree: NDArray[np.int64]


def lowest_states(system: System, searches: int, seed: int, list_all: bool) -> Lowest:
    """At every count of the ion. searches: independent ones at each count where the states are not listed."""
    counts, log_states = system.neutral_counts
    listed = list_all | (log_states <= np.log(FEW_STATES) + 1e-9)
    found = [
        listed_lowest(system, n) if few else searched_lowest(system, n, searches, seed)
        for n, few in zip(counts.tolist(), listed.tolist())
    ]
    energies, states, agree = zip(*found)
    return Lowest(counts, np.array(energies, np.int64), np.array(states, np.int8), listed, np.array(agree, np.int64))


def attempted_moves(supercell: Supercell, ion: str | None, searches: int, list_all: bool) -> float:
    """Of `lowest_states`, exactly."""
    _, log_states = count_neutral_states(supercell, ion)
    searched = 0 if list_all else int((log_states > np.log(FEW_STATES) + 1e-9).sum())
    sweeps = HOT_SWEEPS + RUNGS * (COOLING_SWEEPS + (ROUNDS + 1) * ROUND_SWEEPS)
    return float(searched * searches * sweeps * supercell.n_sites)


def listed_lowest(system: System, n: int) -> tuple[int, NDArray[np.int8], int]:
    """Energy (neV) and state (n_sites,) of the lowest of all neutral states with n of the ion; and 0 searches."""
    states = neutral_states(system.supercell, system.ion, n)
    energies = total_energies(states, system.geometry, system.couplings)
    best = int(energies.argmin())
    return int(energies[best]), states[best], 0


def searched_lowest(system: System, n: int, searches: int, seed: int) -> tuple[int, NDArray[np.int8], int]:
    """Lowest energy (neV) found, a state (n_sites,) with it, and the number of searches that found that energy."""
    key = (*system.supercell.hermite.ravel().tolist(), n)
    found = [Search(system, n, seed, (*key, k)).run() for k in range(searches)]
    best = min(range(searches), key=lambda k: found[k][0])
    return *found[best], sum(energy == found[best][0] for energy, _ in found)


class Search:
    """One search at n of the ion. key: of its random streams."""

    def __init__(self, system: System, n: int, seed: int, key: tuple[int, ...]) -> None:
        self.system, self.seed, self.key = system, seed, key
        self.rng = generator(seed, Stream.GROUND_STATE_SEARCH, Stream.EXCHANGE, *key)
        self.tally = empty_tally(system)
        start = generator(seed, Stream.GROUND_STATE_SEARCH, Stream.START, *key)
        self.start = random_neutral_state(system.supercell, system.ion, n, start)
        self.energy, self.state = system.energy_neV(self.start), self.start

    def _stream(self, *rung: int) -> NDArray[np.uint64]:
        """Random stream of the chain that is cooled, or of the replica that it leaves at a rung."""
        return chain_stream(self.seed, Stream.GROUND_STATE_SEARCH, Stream.CHAIN, *self.key, *rung)

    def run(self) -> tuple[int, NDArray[np.int8]]:
        """Lowest energy (neV) found and its state (n_sites,)."""
        betas, replicas = self._anneal()
        for turn in range(ROUNDS):
            for beta, chain in zip(betas, replicas):
                self._advance(chain, beta, ROUND_SWEEPS)
            self._exchange(betas, replicas, turn % 2)
        for chain in replicas:
            self._advance(chain, FROZEN, ROUND_SWEEPS)
        return self.energy, self.state

    def _advance(self, chain: Chain, beta: float, sweeps: int) -> NDArray[np.int64]:
        """Energies (neV) after each sweep, (sweeps,). Keeps the state at the end if it is the lowest so far."""
        zeros = np.zeros(len(self.tally.sums))
        ensemble = Ensemble(float(beta), np.zeros(len(chain.ions)), zeros, zeros, 0)
        energies = advance(chain, self.system, self.system.canonical_moves, ensemble, self.tally, sweeps).energy
        if chain.energy < self.energy:
            self.energy, self.state = chain.energy, chain.species.copy()
        return energies

    def _anneal(self) -> tuple[Float, list[Chain]]:
        """beta (1/neV) of the ladder, ascending, and for each rung a replica in the state that a cooled chain had there."""
        chain = start_chain(self.system, self.start, self._stream())
        spread = float(self._advance(chain, 0.0, HOT_SWEEPS).std()) or 1.0
        betas = 1 / (spread * np.geomspace(HOTTEST, COLDEST, RUNGS))
        replicas = []
        for rung, beta in enumerate(betas):
            self._advance(chain, beta, COOLING_SWEEPS)
            replicas.append(start_chain(self.system, chain.species, self._stream(rung)))
        return betas, replicas

    def _exchange(self, betas: Float, replicas: list[Chain], first: int) -> None:
        for a in range(first, len(betas) - 1, 2):
            hot, cold = replicas[a], replicas[a + 1]
            if np.log(self.rng.random()) < (betas[a + 1] - betas[a]) * (cold.energy - hot.energy):
                hot.species, cold.species = cold.species, hot.species
                hot.energy, cold.energy = cold.energy, hot.energy
