"""Our own figures on the benchmark model: chains alone and in lanes."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from redoxmc.engine.sampling.chains.chain import advance, start_chain
from redoxmc.engine.sampling.chains.chains import advance_undirected, ensembles_by_count, start_chains
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.units import inverse_temperature
from redoxmc.kernels.lanes import PROPOSALS
from redoxmc.kernels.layout import Ensemble
from redoxmc.kernels.random import new_stream
from redoxmc.kernels.simd import LANES

SWAPS, EXCHANGES, NEAR, DEFAULT = Mix(1, 0, 0, 0, 0), Mix(0, 1, 0, 0, 0), Mix(0, 0, 1, 0, 0), Mix()
KINDS = {  # name: mix, whether the species bear charges
    "swaps": (SWAPS, True),
    "flips": (EXCHANGES, False),
    "neutral exchanges": (EXCHANGES, True),
    "near exchanges": (NEAR, True),
    "default": (DEFAULT, True),
}
ANNEAL_K = (800.0, 600.0, 450.0, 350.0, 280.0, 230.0, 200.0)
ANNEAL_MOVES = 10_000_000


def ensemble(system: System, temperature_K: float) -> Ensemble:
    """At zero chemical potential."""
    zeros = np.zeros(len(empty_tally(system).sums))
    return Ensemble(inverse_temperature(temperature_K), np.zeros(1), zeros, zeros, system.step)


def untallied(system: System, temperature_K: float) -> Ensemble:
    """The same, its exchanges not tallied where that lets boxes of the cell run at the same time."""
    return ensemble(system, temperature_K)._replace(step=0 if system.domains else system.step)


def equilibrated(system: System, species: NDArray[np.int8]) -> NDArray[np.int8]:
    """The state after cooling to the last of ANNEAL_K, at fixed composition."""
    chain, tally = start_chain(system, species, new_stream(2, 0)), empty_tally(system)
    sweeps = max(20, ANNEAL_MOVES // len(ANNEAL_K) // len(species))
    for temperature_K in ANNEAL_K:
        advance(chain, system, system.canonical_moves, ensemble(system, temperature_K), tally, sweeps)
    return chain.species


def timed(run: Callable[[int], NDArray[np.int64]], seconds: float, repeats: int) -> tuple[list[float], NDArray[np.float64]]:
    """Sweeps per second of processor time of run(sweeps), one figure per repeat, and the counts that it returns, per sweep."""
    stretch, sweeps, spent = seconds / repeats, 1, 0.0
    run(1)  # compiles
    while spent < stretch / 4:
        sweeps *= 2
        begin = time.process_time()
        run(sweeps)
        spent = time.process_time() - begin
    sweeps = max(1, int(sweeps * stretch / spent))
    rates, counts = [], np.zeros(2)
    for _ in range(repeats):
        begin = time.process_time()
        found = run(sweeps)
        rates.append(sweeps / (time.process_time() - begin))
        counts += found
    return rates, counts / (repeats * sweeps)


def single_chain(
    system: System, species: NDArray[np.int8], temperature_K: float, seconds: float, repeats: int
) -> dict[str, float]:
    """Attempts per second, median of the repeats, with the share accepted."""
    chain, tally, at = start_chain(system, species, new_stream(1, 0)), empty_tally(system), untallied(system, temperature_K)

    def run(sweeps: int) -> NDArray[np.int64]:
        record = advance(chain, system, system.moves, at, tally, sweeps)
        return np.array([record.tried.sum(), record.accepted.sum()])

    rates, (tried, accepted) = timed(run, seconds, repeats)
    return {"per_second": float(np.median(rates)) * tried, "accepted": accepted / tried}


def lanes(system: System, species: NDArray[np.int8], temperature_K: float, seconds: float, repeats: int) -> dict[str, float]:
    """Proposals x replicas per second, and the useful ones among them: those that find species that they can exchange.

    Of the lanes alone, without the directed exchanges that the sampler makes beside them.
    """
    streams = [new_stream(1, r) for r in range(LANES)]
    chains = start_chains(system, np.tile(species, (LANES, 1)), streams, new_stream(1, LANES))
    tally, rows = empty_tally(system), np.zeros(LANES, np.int64)
    zeros = np.zeros((LANES, len(tally.sums)))
    at = ensembles_by_count(system, inverse_temperature(temperature_K), zeros, zeros[0])
    flat = tally._replace(sums=tally.sums[None])

    def run(sweeps: int) -> NDArray[np.int64]:
        record = advance_undirected(chains, system, system.moves, at, flat, rows, sweeps)
        return np.array([record.tried.sum(), record.accepted.sum()])

    rates, (tried, accepted) = timed(run, seconds, repeats)
    proposed = PROPOSALS * len(species) * LANES
    rate = float(np.median(rates))
    return {"per_second": rate * tried, "accepted": accepted / tried, "proposals_per_second": rate * proposed}
