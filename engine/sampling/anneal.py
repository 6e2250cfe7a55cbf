"""Annealing from infinite temperature, all windows together: starting states and the flat bias of every rung.

At beta = 0 everything is known: ln Z_n is the exact count of states and any state is soon forgotten. Half the walkers start
there at the lowest, half at the highest composition and are drawn to their windows. On the way down each rung's bias is
extrapolated from the rungs before and corrected, step by step, by what the moves between neighbouring counts say.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ...kernels.layout import Ensemble
from ..crystal.neutral_states import random_neutral_state
from ..runtime.mpi import share
from ..runtime.progress import Progress
from ..runtime.streams import Stream, chain_stream, generator
from .chains import Chains, advance_together, groups_of, stack, start_chains
from .log_z import integrate_steps, mixed_ends, seen_steps
from .system import System
from .tally import empty_tally

Float = NDArray[np.float64]
LEAST_STEPS = 24  # of the cooling, from beta = 0 to the coldest rung
ROUNDS = (0.5, 0.75, 1.0)  # width of the windows in the rounds at one rung, over their final width
SMOOTH = 27  # the bias is smooth on the scale of the whole range of counts over this


@dataclass(frozen=True)
class Annealed:
    """reference (rungs, n_max+1): estimate of ln Z_n - ln Z_(n+step). starts (rungs, windows, walkers, n_sites)."""

    reference: Float
    starts: NDArray[np.int8]


def anneal(
    system: System, betas: Float, targets: Float, sigma_n: float, walkers: int, sweeps: int, seed: int, comm: Any
) -> Annealed:
    """betas (rungs,) of the ladder, descending; sweeps per rung. Collective; the same on all ranks."""
    size = len(empty_tally(system).sums)
    groups = _begin(system, targets, walkers, seed, comm)
    schedule = cooling(betas)
    known: list[tuple[float, Float]] = []
    rungs = set(betas.tolist())
    references: dict[float, Float] = {}
    mine: list[NDArray[np.int8]] = []
    round_sweeps = max(1, sweeps // len(ROUNDS))
    with Progress("annealing", comm.rank) as progress:
        for k, beta in enumerate(schedule):
            excess = _extrapolated(known, beta, size)
            for width in ROUNDS:
                reference = mixed_ends(system, size, beta) + excess
                sums = _round(system, groups, targets, walkers, beta, reference, max(width * sigma_n, 1.0), round_sweeps, comm)
                excess = _smooth(excess + _correction(sums, reference, system.step))
            known = [*known[-1:], (beta, excess)]
            if beta in rungs:
                references[beta] = mixed_ends(system, size, beta) + excess
                none = np.zeros((0, system.supercell.n_sites), np.int8)
                mine.append(np.concatenate([none, *(chains.species for _, chains in groups)]))
            progress.update(k + 1, len(schedule))
    gathered = np.concatenate(comm.allgather(np.array(mine)), axis=1)[::-1]
    starts = gathered.reshape(len(betas), len(targets), walkers, system.supercell.n_sites)
    return Annealed(np.array([references[b] for b in betas.tolist()]), starts)


def cooling(betas: Float) -> list[float]:
    """From 0 through all rungs, in steps of at most the largest beta over LEAST_STEPS."""
    stops = np.unique(np.concatenate([[0.0], betas]))
    steps = [
        np.linspace(a, b, max(1, int(np.ceil((b - a) / stops[-1] * LEAST_STEPS))) + 1)[:-1] for a, b in zip(stops, stops[1:])
    ]
    return [float(b) for b in np.concatenate([*steps, stops[-1:]])]


def _begin(system: System, targets: Float, walkers: int, seed: int, comm: Any) -> list[tuple[range, Chains]]:
    """This rank's groups of chains, numbered window * walkers + walker: even walkers empty, odd ones full."""
    every = groups_of(len(targets) * walkers)
    found = []
    for g in share(len(every), comm.rank, comm.size):
        ends = [(k, system.n_range[k % walkers % 2]) for k in every[g]]
        species = np.array(
            [
                random_neutral_state(system.supercell, system.ion, n, generator(seed, Stream.ANNEALING, Stream.START, k))
                for k, n in ends
            ]
        )
        streams = [chain_stream(seed, Stream.ANNEALING, Stream.CHAIN, k) for k in every[g]]
        proposals = chain_stream(seed, Stream.ANNEALING, Stream.PROPOSALS, g)
        found.append((every[g], start_chains(system, species, streams, proposals)))
    return found


def _round(
    system: System,
    groups: list[tuple[range, Chains]],
    targets: Float,
    walkers: int,
    beta: float,
    reference: Float,
    width: float,
    sweeps: int,
    comm: Any,
) -> NDArray[np.int64]:
    tally = empty_tally(system)
    n = np.arange(len(reference))
    bias = integrate_steps(reference, system.step)
    for numbers, chains in groups:
        mu = np.zeros(chains.ions.shape[1])
        weights = [bias - (n - targets[k // walkers]) ** 2 / (2 * width**2) for k in numbers]
        ensembles = stack([Ensemble(beta, mu, w, reference, system.step) for w in weights])
        one = tally._replace(sums=tally.sums[None])
        advance_together(chains, system, system.moves, ensembles, one, np.zeros(len(chains), np.int64), sweeps)
    total = np.zeros_like(tally.sums)
    comm.Allreduce(tally.sums, total, op=MPI.SUM)
    return total


def _extrapolated(known: list[tuple[float, Float]], beta: float, size: int) -> Float:
    """Excess steps at beta, beyond the ideal ones and the line between the ends, linear in beta through the last two known."""
    if not known:
        return np.zeros(size)
    (b1, e1), (b0, e0) = known[-1], known[0]
    if b1 == b0:
        return e1.copy()
    return e1 + (e1 - e0) * (beta - b1) / (b1 - b0)


def _correction(sums: NDArray[np.int64], reference: Float, step: int) -> Float:
    """What the tallies add to the reference; a straight line across what was hardly visited."""
    good, found = seen_steps(sums, reference, step)
    return np.interp(np.arange(len(reference)), good, found - reference[good]) if len(good) else np.zeros(len(reference))


def _smooth(excess: Float) -> Float:
    """Noise must not build up from rung to rung: in wide ranges of counts, a local cubic (Savitzky-Golay)."""
    from scipy.signal import savgol_filter  # slow to import

    window = len(excess) // SMOOTH | 1
    return savgol_filter(excess, window, 3, mode="interp") if window >= 9 else excess
