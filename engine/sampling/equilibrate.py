"""The ladder settles before it is sampled: replicas exchange, and the bias of the windows is corrected by what they see.

Where one phase follows another along x, ln Z_n bends sharply. A bias extrapolated on the way down in temperature is off there by
several kT a step; it draws the windows aside, and counts between them are not seen. After this the bias stays as it is.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ..runtime.progress import Progress
from ..runtime.streams import Stream
from .log_z import mixed_ends, seen_steps
from .plan import Plan
from .replicas import Group, build_replicas
from .segments import blocks_of
from .system import System
from .tally import empty_tally

Float = NDArray[np.float64]
ROUNDS = 4


def equilibrate(
    system: System, plan: Plan, starts: NDArray[np.int8], sweeps: int, exchange_every: int, seed: int, comm: Any
) -> tuple[Plan, NDArray[np.int8]]:
    """The plan with its last reference, and states (slots, walkers, n_sites) after so many sweeps in each round. Collective; alike on all ranks."""
    tally = empty_tally(system)
    block = blocks_of(exchange_every).sweeps
    blocks = -(-sweeps // block)
    with Progress("settling", comm.rank) as progress:
        for number in range(ROUNDS):
            replicas = build_replicas(plan, starts, system, seed, (Stream.EQUILIBRATION, number), comm)
            sums = np.zeros((len(plan.ladder), plan.walkers, *tally.sums.shape), np.int64)
            for k in range(blocks):
                replicas.advance(tally, sums, block)
                if exchange_every:
                    replicas.exchange_configurations()
                progress.update(number * blocks + k + 1, ROUNDS * blocks)
            starts = _states(replicas.groups, starts.shape, comm)
            total = np.zeros_like(sums)
            comm.Allreduce(sums, total, op=MPI.SUM)
            better = [
                _mended(system, *rung) for rung in zip(plan.reference, total.sum(axis=1), plan.ladder.beta_per_neV.tolist())
            ]
            plan = replace(plan, reference=np.array(better))
    return plan, starts


def _mended(system: System, reference: Float, sums: NDArray[np.int64], beta: float) -> Float:
    """The steps of ln Z that were seen; beyond those of a mixture of the ends, a straight line across what was not, as between two phases."""
    good, found = seen_steps(sums, reference, system.step)
    if not len(good):
        return reference
    base = mixed_ends(system, len(reference), beta)
    return base + np.interp(np.arange(len(reference)), good, found - base[good])


def _states(groups: list[Group], shape: tuple[int, ...], comm: Any) -> NDArray[np.int8]:
    mine = np.concatenate([np.zeros((0, shape[-1]), np.int8), *(group.chains.species for group in groups)])
    return np.concatenate(comm.allgather(mine)).reshape(shape)
