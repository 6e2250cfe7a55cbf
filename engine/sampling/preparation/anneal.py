"""Annealing of all windows from infinite temperature: starting states, and the bias that makes all counts equally likely.

At beta = 0 ln Z_n is the logarithm of the number of states, and chains forget their start at once. Half the walkers start at the
lowest composition and half at the highest; all are drawn to their windows. On cooling, the bias of a temperature is extrapolated
from the temperatures before and then corrected by the tallied moves between neighbouring counts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ...crystal.neutral_states import random_neutral_state
from ...runtime.mpi import share
from ...runtime.progress import Progress
from ...runtime.streams import Stream, chain_stream, generator
from ..chains.chains import Chains, advance_together, ensembles_by_count, groups_of, start_chains
from ..chains.log_z import integrate_steps, mixed_ends, seen_steps
from ..chains.system import System
from ..chains.tally import empty_tally

Float = NDArray[np.float64]
LEAST_STEPS = 24  # of beta, from 0 to the coldest rung
ROUNDS = (0.5, 0.75, 1.0)  # at one temperature: width of the windows over their final width
SMOOTH = 27  # the bias is smooth on the scale of the range of counts divided by this


@dataclass(frozen=True)
class Annealed:
    """reference (rungs, n_max+1): estimate of ln Z_n - ln Z_(n+step). starts (rungs, windows, walkers, n_sites)."""

    reference: Float
    starts: NDArray[np.int8]


def anneal(
    system: System, betas: Float, targets: Float, sigma_n: float, walkers: int, sweeps: int, seed: int, comm: Any
) -> Annealed:
    """Cool chains in all windows (centres targets, width sigma_n) through the ladder.

    betas (rungs,): 1/neV, descending. sweeps: at each temperature. Collective; the same on all ranks.
    """
    size = len(empty_tally(system).sums)
    groups = _begin(system, targets, walkers, seed, comm)
    schedule = cooling(betas)
    known: list[tuple[float, Float]] = []
    rung_of = {beta: rung for rung, beta in enumerate(betas.tolist())}
    references: list[Float] = [np.zeros(0)] * len(betas)
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
            if beta in rung_of:
                references[rung_of[beta]] = mixed_ends(system, size, beta) + excess
                none = np.zeros((0, system.supercell.n_sites), np.int8)
                mine.append(np.concatenate([none, *(chains.species for _, chains in groups)]))
            progress.update(k + 1, len(schedule))
    gathered = np.concatenate(comm.allgather(np.array(mine)), axis=1)[::-1]
    starts = gathered.reshape(len(betas), len(targets), walkers, system.supercell.n_sites)
    return Annealed(np.array(references), starts)


def cooling(betas: Float) -> list[float]:
    """beta from 0 through all rungs, ascending, in steps of at most the largest beta over LEAST_STEPS."""
    stops = np.unique(np.concatenate([[0.0], betas]))
    steps = [
        np.linspace(a, b, max(1, int(np.ceil((b - a) / stops[-1] * LEAST_STEPS))) + 1)[:-1] for a, b in zip(stops, stops[1:])
    ]
    return [float(b) for b in np.concatenate([*steps, stops[-1:]])]


def _begin(system: System, targets: Float, walkers: int, seed: int, comm: Any) -> list[tuple[range, Chains]]:
    """Chains of this rank in groups, with numbers window * walkers + walker.

    Even walkers start at the lowest composition, odd ones at the highest.
    """
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
        weights = [bias - (n - targets[k // walkers]) ** 2 / (2 * width**2) for k in numbers]
        ensembles = ensembles_by_count(system, beta, np.array(weights), reference)
        one = tally._replace(sums=tally.sums[None])
        advance_together(chains, system, system.moves, ensembles, one, np.zeros(len(chains), np.int64), sweeps)
    total = np.zeros_like(tally.sums)
    comm.Allreduce(tally.sums, total, op=MPI.SUM)
    return total


def _extrapolated(known: list[tuple[float, Float]], beta: float, size: int) -> Float:
    """Steps of ln Z at beta in excess of `mixed_ends`, (size,), linear in beta through the last two known."""
    if not known:
        return np.zeros(size)
    (b1, e1), (b0, e0) = known[-1], known[0]
    if b1 == b0:
        return e1.copy()
    return e1 + (e1 - e0) * (beta - b1) / (b1 - b0)


def _correction(sums: NDArray[np.int64], reference: Float, step: int) -> Float:
    """What the tallies add to the reference, interpolated linearly over counts that were hardly visited."""
    good, found = seen_steps(sums, reference, step)
    return np.interp(np.arange(len(reference)), good, found - reference[good]) if len(good) else np.zeros(len(reference))


def _smooth(excess: Float) -> Float:
    """Smooth over a wide range of counts by local cubics (Savitzky-Golay), so that noise does not build up from rung to rung."""
    from scipy.signal import savgol_filter  # slow to import

    window = len(excess) // SMOOTH | 1
    return np.asarray(savgol_filter(excess, window, 3)) if window >= 9 else excess
