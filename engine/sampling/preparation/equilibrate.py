"""Equilibration before the sampling: replicas exchange, and the bias of the windows is corrected by their tallies.

At a phase boundary along x, ln Z_n bends sharply. The bias that the annealing extrapolates is wrong there by several kT per
step; it draws the chains of a window aside, and counts between windows are not visited. After the equilibration the bias stays
fixed.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ...runtime.progress import Progress
from ...runtime.streams import Stream
from ..chains.log_z import mixed_ends, seen_steps
from ..chains.system import System
from ..chains.tally import empty_tally
from ..ladder.plan import Plan
from ..replicas.replicas import Group, build_replicas
from ..replicas.segments import blocks_of

Float = NDArray[np.float64]
ROUNDS = 4


def equilibrate(
    system: System, plan: Plan, starts: NDArray[np.int8], sweeps: int, exchange_every: int, seed: int, comm: Any
) -> tuple[Plan, NDArray[np.int8]]:
    """The plan with the corrected reference, and the states (slots, walkers, n_sites) at the end.

    sweeps: in each of ROUNDS rounds. Collective; the same on all ranks.
    """
    tally = empty_tally(system)
    block = blocks_of(exchange_every).sweeps
    blocks = -(-sweeps // block)
    with Progress("equilibrating", comm.rank) as progress:
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
                _corrected(system, *rung) for rung in zip(plan.reference, total.sum(axis=1), plan.ladder.beta_per_neV.tolist())
            ]
            plan = replace(plan, reference=np.array(better))
    return plan, starts


def _corrected(system: System, reference: Float, sums: NDArray[np.int64], beta: float) -> Float:
    """The reference (n_max+1,) of a rung, corrected by its tally.

    Steps of ln Z that were not sampled often are interpolated linearly in their excess over `mixed_ends`, as between two phases.
    """
    good, found = seen_steps(sums, reference, system.step)
    if not len(good):
        return reference
    base = mixed_ends(system, len(reference), beta)
    return base + np.interp(np.arange(len(reference)), good, found - base[good])


def _states(groups: list[Group], shape: tuple[int, ...], comm: Any) -> NDArray[np.int8]:
    mine = np.concatenate([np.zeros((0, shape[-1]), np.int8), *(group.chains.species for group in groups)])
    return np.concatenate(comm.allgather(mine)).reshape(shape)
