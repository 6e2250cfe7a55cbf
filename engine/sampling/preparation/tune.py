"""Weights of the families of moves, from how much each changes the states that the annealing left at the rungs.

Every family is tried by itself, on copies of these states, with the same number of attempted flips. Its gain is the number of
sites that differ in the end, so that moves which undo one another count for nothing. All sublattices have the same weight, and
so have all rungs. The gains are integers: the mix depends neither on the number of ranks nor on how long anything took.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ....kernels.layout import Ensembles
from ...runtime.mpi import share
from ...runtime.progress import Progress
from ...runtime.streams import Stream, chain_stream
from ..chains.chains import advance_undirected, groups_of, start_chains
from ..chains.moves import Mix, MoveSet, Scope, build_moves, list_moves
from ..chains.system import System
from ..chains.tally import empty_tally
from ..ladder.plan import Plan
from ..ladder.slots import EnsembleKind, Slot

Float = NDArray[np.float64]
NOTHING = Mix(**dict.fromkeys(asdict(Mix()), 0.0))
LEAST_WEIGHT = 0.05  # of a family, so that all states stay connected and a family that is useful later is tried
FLIPS = 16  # attempted per site, of every family
DIGITS = 2


def tuned_mix(system: System, plan: Plan, starts: NDArray[np.int8], seed: int, comm: Any) -> Mix:
    """The tuned weights. starts (rungs, windows, walkers, n_sites): states in the windows of the plan. Collective."""
    tried = families(system)
    differing = np.zeros((len(tried), len(starts), len(system.lattice.sublattices)), np.int64)
    windows = [(k, w) for k in range(len(plan.target_n)) for w in range(plan.walkers)]
    units = [(r, g) for r in range(len(starts)) for g in groups_of(len(windows))]
    with Progress("tuning the mix of moves", comm.rank) as progress:
        mine = share(len(units), comm.rank, comm.size)
        for done, unit in enumerate(mine):
            r, group = units[unit]
            slots = [Slot(r, EnsembleKind.VCSGC, windows[k][0], 0.0) for k in group]
            ensembles = plan.ensembles(slots, system)
            species = starts[r].reshape(len(windows), -1)[group.start : group.stop]
            for f, moves in enumerate(tried.values()):
                differing[f, r] += _differing(system, moves, ensembles, species, seed, (r, f, group.start))
            progress.update(done + 1, len(mine))
    total = np.zeros_like(differing)
    comm.Allreduce(differing, total, op=MPI.SUM)
    return mix_of(list(tried), total / np.array([_flips_tried(m) for m in tried.values()])[:, None, None])


def mix_of(families: list[str], gain: Float) -> Mix:
    """Weights: LEAST_WEIGHT plus a share of the rest by gain (families, ...): sites changed per flip attempted."""
    total = gain.sum(axis=0)
    if not (total > 0).any():
        return Mix()
    part = (gain[:, total > 0] / total[total > 0]).mean(axis=1)
    weights = np.round(LEAST_WEIGHT + (1 - LEAST_WEIGHT * len(families)) * part, DIGITS)
    return replace(NOTHING, **dict(zip(families, weights.tolist())))


def families(system: System) -> dict[str, MoveSet]:
    """The moves of each family that this lattice has."""
    return {name: moves for name in asdict(NOTHING) if (moves := _alone(system, name)) is not None}


def _alone(system: System, family: str) -> MoveSet | None:
    """The moves of one family; None if this lattice has none."""
    mix = replace(NOTHING, **{family: 1.0})
    return build_moves(system.supercell, system.ions, mix) if list_moves(system.lattice, system.ions, mix, Scope.ALL) else None


def _flips_per_move(moves: MoveSet) -> float:
    return float(np.diff(moves.arrays.flip_start) @ np.diff(moves.arrays.cumulative, prepend=0.0))


def sweeps_of_family(moves: MoveSet) -> int:
    """Sweeps in which a family is tried."""
    return max(1, round(FLIPS / _flips_per_move(moves)))


def _flips_tried(moves: MoveSet) -> float:
    """Flips attempted per site."""
    return sweeps_of_family(moves) * _flips_per_move(moves)


def _differing(
    system: System, moves: MoveSet, ensembles: Ensembles, species: NDArray[np.int8], seed: int, key: tuple[int, ...]
) -> NDArray[np.int64]:
    """Sites of each sublattice that differ after moves of one family, over all chains; species (chains, n_sites): their start."""
    streams = [chain_stream(seed, Stream.TUNING, Stream.CHAIN, *key, k) for k in range(len(species))]
    chains = start_chains(system, species, streams, chain_stream(seed, Stream.TUNING, Stream.PROPOSALS, *key))
    tally, rows = empty_tally(system), np.zeros(len(chains), np.int64)
    advance_undirected(chains, system, moves, ensembles, tally._replace(sums=tally.sums[None]), rows, sweeps_of_family(moves))
    changed = (chains.species != species).sum(axis=0)
    return np.bincount(system.supercell.site_sublattice, changed, len(system.lattice.sublattices)).astype(np.int64)
