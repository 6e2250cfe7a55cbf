"""Cooling from the highest temperature to the lowest and heating back, at fixed composition: hysteresis in temperature."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Ensemble
from ...crystal.neutral_states import random_neutral_state
from ...runtime.mpi import share
from ...runtime.progress import Progress
from ...runtime.streams import Stream, chain_stream, generator
from ...units import inverse_temperature
from ..chains.chain import advance, start_chain
from ..chains.system import System
from ..chains.tally import empty_tally
from ..diagnostics import autocorrelation_time
from ..ladder.plan import Cycles

Float = NDArray[np.float64]
COMPOSITIONS = 13


def cycles(system: System, temperatures_K: Float, sweeps: int, seed: int, comm: Any) -> Cycles:
    """Cool and heat at COMPOSITIONS counts between the ends.

    temperatures_K (temperatures,): ascending. sweeps: measured at each temperature, on cooling and again on heating.
    Collective; the same on all ranks.
    """
    counts, _ = system.neutral_counts
    inner = counts[1:-1] if len(counts) > 2 else counts
    n = inner[np.unique(np.rint(np.linspace(0, len(inner) - 1, COMPOSITIONS)).astype(int))]
    with Progress("cooling and heating", comm.rank) as progress:
        mine = []
        for k in (own := share(len(n), comm.rank, comm.size)):
            mine.append(_cycle(system, int(n[k]), temperatures_K, sweeps, seed))
            progress.update(len(mine), len(own))
    found = np.array([row for part in comm.allgather(mine) for row in part])
    return Cycles(n, temperatures_K, found[..., 0], found[..., 1])


def _cycle(system: System, n: int, temperatures_K: Float, sweeps: int, seed: int) -> Float:
    """Mean energy (neV) and its standard error of one chain, (2, temperatures, 2), on cooling and on heating."""
    species = random_neutral_state(system.supercell, system.ion, n, generator(seed, Stream.CYCLE, Stream.START, n))
    chain = start_chain(system, species, chain_stream(seed, Stream.CYCLE, Stream.CHAIN, n))
    tally = empty_tally(system)
    zeros = np.zeros(len(tally.sums))
    found = np.empty((2, len(temperatures_K), 2))
    down = range(len(temperatures_K) - 1, -1, -1)
    for side, order in ((0, down), (1, reversed(down))):
        for k in order:
            ensemble = Ensemble(inverse_temperature(float(temperatures_K[k])), np.zeros(len(chain.ions)), zeros, zeros, 0)
            advance(chain, system, system.canonical_moves, ensemble, tally, max(1, sweeps // 3))
            energy = advance(chain, system, system.canonical_moves, ensemble, tally, sweeps).energy.astype(float)
            error = np.sqrt(energy.var() * autocorrelation_time(energy) / len(energy))
            found[side, k] = energy.mean(), error
    return found
