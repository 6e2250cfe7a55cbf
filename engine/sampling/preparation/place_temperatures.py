"""Temperatures inserted between those asked for, so that neighbours overlap in energy and exchange configurations."""

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Ensemble
from ...crystal.neutral_states import random_neutral_state
from ...runtime.streams import Stream, chain_stream, generator
from ...units import inverse_temperature
from ..chains.chain import advance, start_chain
from ..chains.system import System
from ..chains.tally import empty_tally
from ..ladder.ladder import Ladder, ladder_of

Float = NDArray[np.float64]
STRIDE = 1.6  # spacing in beta times the standard deviation of the energy: acceptance erfc(0.8) = 0.26 for Gaussians
MOST_RUNGS = 40
PILOT_SWEEPS = 30


def pilot_energy_spread(system: System, betas: Float, seed: int) -> Float:
    """Standard deviation of the energy (neV) at each beta (ascending), the largest over a few fixed compositions.

    It comes from short annealing runs. Only the placement of the rungs depends on it.
    """
    low, high = system.n_range
    counts, _ = system.neutral_counts
    spread = np.zeros(len(betas))
    for k, part in enumerate((0.25, 0.5, 0.75)):
        n = int(counts[np.argmin(np.abs(counts - (low + part * (high - low))))])
        species = random_neutral_state(system.supercell, system.ion, n, generator(seed, Stream.PILOT, Stream.START, k))
        chain = start_chain(system, species, chain_stream(seed, Stream.PILOT, Stream.CHAIN, k))
        tally = empty_tally(system)
        zeros = np.zeros(len(tally.sums))
        for i, beta in enumerate(betas):
            ensemble = Ensemble(float(beta), np.zeros(len(chain.ions)), zeros, zeros, 0)
            sweeps = max(PILOT_SWEEPS, 20_000 // system.supercell.n_sites)
            record = advance(chain, system, system.canonical_moves, ensemble, tally, sweeps)
            spread[i] = max(spread[i], float(np.std(record.energy[sweeps // 3 :])))
    return spread


def pilot_betas(temperatures_K: tuple[float, ...]) -> Float:
    """beta (1/neV) from 0 to that of the lowest temperature, dense enough to interpolate the spread of the energy."""
    betas = [inverse_temperature(t) for t in temperatures_K]
    return np.unique(np.concatenate([np.linspace(0, min(betas), 6), np.geomspace(min(betas), max(betas), 8)]))


def place_temperatures(
    asked_K: tuple[float, ...], betas: Float, spread: Float, most: int | None
) -> tuple[Ladder, tuple[str, ...]]:
    """The ladder, and notes on compromises. It leads to beta = 0 if that takes no more than `most` rungs (None: MOST_RUNGS).

    betas, spread: beta (1/neV), ascending, and the standard deviation of the energy (neV) there. The distance between two rungs
    is the integral of the standard deviation over beta.
    """
    distance = np.concatenate([[0.0], np.cumsum(np.diff(betas) * (spread[1:] + spread[:-1]) / 2)])
    asked = sorted(inverse_temperature(t) for t in set(asked_K))
    limit = most or MOST_RUNGS
    notes: list[str] = []

    def between(a: float, b: float, stride: float) -> Float:
        start, stop = np.interp([a, b], betas, distance)
        steps = max(1, int(np.ceil((stop - start) / stride)))
        return np.interp(np.linspace(start, stop, steps + 1), distance, betas)[1:-1] if stop > start else np.array([])

    def inserted(stride: float, to_zero: bool) -> Float:
        """beta of the rungs that are not asked for."""
        stops = [0.0, *asked] if to_zero else asked
        inner = [between(a, b, stride) for a, b in zip(stops, stops[1:])]
        return np.concatenate([[0.0] * to_zero, *inner])

    stride, to_zero = STRIDE, True
    if len(asked) + len(inserted(stride, True)) > limit:
        to_zero = False
        notes.append(
            "the temperature ladder stops at the highest temperature asked for: "
            "in a cell of this size it would take too many rungs to reach beta = 0"
        )
    while len(inserted(stride, to_zero)) > max(limit - len(asked), 0):
        stride *= 1.1
    if stride > STRIDE:
        notes.append(
            f"rungs are {stride / STRIDE:.1f} times further apart than wanted, because there may be {limit} at most; "
            "if they hardly exchange, allow more"
        )
    return ladder_of(asked_K, inserted(stride, to_zero)), tuple(notes)
