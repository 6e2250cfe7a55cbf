"""Entropy of one half of the state with the other half frozen: S(electrons | ions) and S(ions | electrons).

A state is drawn at (T, n). Its ions are frozen, and the electrons alone are integrated from beta = 0, where they have ln C(N, n)
and the like, to T; then the other way round. Averaged over the states drawn, this is the conditional entropy.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...kernels.energy import total_energies
from ...kernels.layout import Ensemble
from ..errors import Interrupted, RedoxError
from ..runtime.mpi import StopWatch, bcast_from_root, share
from ..runtime.progress import Progress
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_h5, write_h5
from ..runtime.streams import Stream, chain_stream, generator
from .chain import Chain, advance, start_chain
from .chains import advance_together, groups_of, stack, start_chains
from .ions_and_electrons import FreeHalf, Half, has_electrons, separable
from .ladder_file import read_ladder
from .plan import Plan, empty_tally
from .segment_files import blocks_done
from .slots import EnsembleKind
from .system import System

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
Key = tuple[int, ...]
HALVES: tuple[Half, ...] = ("electrons", "ions")
STEPS = 24  # of beta, from 0 to the temperature of the states
LAST = 8  # times the sweeps at the last step: its energy counts with the whole of beta, the others' with one step of it
LEAST_SWEEPS = 12  # per step of beta
MOVES = 500_000  # attempted per walker, composition and half where cells are small, in FEW_STATES coolings
FEW_STATES = 4
LISTED_SITES = 1000  # where a half is listed: as many states drawn per walker as this over the number of sites
THIN_SWEEPS = 20  # of the whole state, between the states drawn
PULL = 8.0  # log weight per ion by which a chain is drawn to the count wanted
MOST_PULLS = 1000


@dataclass(frozen=True)
class Split:
    """At one rung: n (points,); entropy_kB and energy_neV of the free half, (points, walkers, snapshots, halves).

    drawn_neV (points, walkers, snapshots): energies of the states drawn. All of the whole cell; nan for a half that the
    lattice does not have apart. log_states (points, halves): the value of the entropy at beta = 0. mark: of the samples that
    the states were drawn from.
    """

    n: NDArray[np.int64]
    entropy_kB: Float
    energy_neV: Float
    drawn_neV: Float
    log_states: Float
    mark: str


def halves_of(system: System) -> tuple[Half, ...]:
    """Which halves can be free while the other one is frozen."""
    lattice = system.lattice
    return HALVES[: 0 if not has_electrons(lattice) else 2 if separable(lattice) else 1]


def free_entropies(system: System, frees: Sequence[FreeHalf], beta: float, sweeps: int, seed: int, keys: Sequence[Key]) -> Float:
    """Entropy (k_B) and mean energy (neV) of each free half, (frees, 2), at beta (1/neV): listed where it has few states, else integrated.

    keys: of the random streams, one each.
    """
    if not frees[0].few:
        return annealed(system, frees, beta, sweeps, seed, keys)
    known: dict[bytes, tuple[float, float]] = {}
    for free in frees:
        if free.frozen not in known:
            known[free.frozen] = listed(total_energies(free.states, system.geometry, system.couplings), beta)
    return np.array([known[free.frozen] for free in frees])


def annealed(system: System, frees: Sequence[FreeHalf], beta: float, sweeps: int, seed: int, keys: Sequence[Key]) -> Float:
    """As `free_entropies`, by chains cooled from beta = 0 with so many sweeps at each of STEPS steps."""
    moves = system.electron_moves if frees[0].half == "electrons" else system.ion_moves
    use = Stream.CONDITIONAL_ENTROPY
    species = np.array([free.draw(generator(seed, use, Stream.START, *key)) for free, key in zip(frees, keys)])
    streams = [chain_stream(seed, use, Stream.CHAIN, *key) for key in keys]
    chains = start_chains(system, species, streams, chain_stream(seed, use, Stream.PROPOSALS, *keys[0]))
    tally = empty_tally(system)
    tally, rows = tally._replace(sums=tally.sums[None]), np.zeros(len(frees), np.int64)
    zeros, none = np.zeros(tally.sums.shape[1]), np.zeros(chains.ions.shape[1])
    betas = np.linspace(0.0, beta, STEPS + 1)
    mean, variance = np.empty((STEPS + 1, len(frees))), np.empty((STEPS + 1, len(frees)))
    for k, b in enumerate(betas):
        ensembles = stack([Ensemble(float(b), none, zeros, zeros, 0)] * len(frees))
        advance_together(chains, system, moves, ensembles, tally, rows, max(1, sweeps // 3))
        record = advance_together(chains, system, moves, ensembles, tally, rows, sweeps * (LAST if k == STEPS else 1))
        mean[k], variance[k] = record.energy.mean(axis=1), record.energy.astype(float).var(axis=1)
    log_z = np.array([free.log_states - integrated(betas, *pair) for free, *pair in zip(frees, mean.T, variance.T)])
    return np.column_stack([log_z + beta * mean[-1], mean[-1]])


def integrated(betas: Float, mean: Float, variance: Float) -> float:
    """Integral of U over beta, with dU/dbeta = -variance known at the nodes (Hermite's cubic rule)."""
    h = np.diff(betas)
    return float(np.sum(h * (mean[1:] + mean[:-1]) / 2 + h**2 * (variance[1:] - variance[:-1]) / 12))


def listed(energy_neV: NDArray[np.int64], beta: float) -> tuple[float, float]:
    """As `free_entropy`, from the energies (k,) of all its states."""
    lowest = int(energy_neV.min())
    excess = (energy_neV - lowest).astype(float)
    log_z = float(logsumexp(-beta * excess))
    mean = float(np.exp(-beta * excess - log_z) @ excess)
    return log_z + beta * mean, lowest + mean


def split_counts(system: System, compositions: int) -> NDArray[np.int64]:
    """Counts of the ion at which the entropy is split: evenly between the ends, which are left out."""
    counts, _ = system.neutral_counts
    inner = counts[1:-1]
    return inner[np.unique(np.rint(np.linspace(0, len(inner) - 1, min(compositions, len(inner)))).astype(int))]


def draw_states(system: System, chain: Chain, beta: float, n: int, snapshots: int) -> list[NDArray[np.int8]]:
    """States at (beta, n), THIN_SWEEPS apart, from a chain that is first drawn to n. Raises RedoxError if it does not get there."""
    tally = empty_tally(system)
    counts = np.arange(len(tally.sums))
    zeros, beta_mu = np.zeros(len(counts)), np.zeros(len(chain.ions))
    pull = Ensemble(beta, beta_mu, -PULL * np.abs(counts - n), zeros, system.step)
    fixed = Ensemble(beta, beta_mu, zeros, zeros, system.step)
    tries = 0
    while chain.ions[0] != n:
        advance(chain, system, system.moves, pull._replace(log_weight=pull.log_weight * (1 + tries)), tally, 1)
        tries += 1
        if tries > MOST_PULLS:
            raise RedoxError(f"the split of the entropy: no chain came to {n} {system.ion} at beta = {beta:.3g}/neV")
    found = []
    for _ in range(snapshots):
        advance(chain, system, system.canonical_moves, fixed, tally, THIN_SWEEPS)
        found.append(chain.species.copy())
    return found


def effort(system: System, free: FreeHalf) -> tuple[int, int]:
    """Sweeps per step of beta, and states drawn per walker."""
    n_sites = system.supercell.n_sites
    if free.few:
        return LEAST_SWEEPS, max(1, LISTED_SITES // n_sites)
    return max(MOVES // (FEW_STATES * n_sites * (STEPS + LAST)), LEAST_SWEEPS), FEW_STATES


def drawn_states(
    system: System, start: NDArray[np.int8], beta: float, n: int, snapshots: int, key: Key, seed: int
) -> NDArray[np.int8]:
    """(snapshots, n_sites): states at (beta, n) from one walker."""
    chain = start_chain(system, start, chain_stream(seed, Stream.CONDITIONAL_ENTROPY, Stream.WHOLE_STATE, *key))
    return np.array(draw_states(system, chain, beta, n, snapshots))


def splits(system: System, plan: Plan) -> bool:
    """Whether the entropy can be split: there are electrons, and free energies over the counts of one ion."""
    return (
        len(system.ions) == 1
        and bool(halves_of(system))
        and any(s.kind is not EnsembleKind.FIXED_COMPOSITION for s in plan.slots)
    )


def run_split(system: System, compositions: int, seed: int, store: SampleStore, comm: Any, watch: StopWatch) -> None:
    """One file per temperature asked for, made anew if the samples or `compositions` have changed. Collective."""
    plan, _ = read_ladder(store)
    points = split_counts(system, compositions) if splits(system, plan) else np.array([], np.int64)
    committed = bcast_from_root(comm, store.committed)
    if not len(points) or not committed:
        return
    mark = f"{blocks_done(store)[0]} blocks, {compositions} compositions"
    asked = plan.ladder.rungs_asked
    rungs = bcast_from_root(comm, lambda: [r for r in asked if not _is_made(store, r, mark)])
    sweeps, snapshots = effort(system, FreeHalf(system, system.any_state(int(points[0])), "electrons"))
    units = [(point, walker) for point in range(len(points)) for walker in range(plan.walkers)]
    with Progress("splitting the entropy", comm.rank) as progress:
        for done, rung in enumerate(rungs):
            drawn = []
            for at in share(len(units), comm.rank, comm.size):
                point, walker = units[at]
                slot = _nearest_slot(plan, rung, int(points[point]))
                start = read_h5(store.segment(slot, committed - 1), ("state/species",))[0]["state/species"][walker]
                key = (rung, point, walker)
                drawn.append(
                    drawn_states(system, start, float(plan.ladder.beta_per_neV[rung]), int(points[point]), snapshots, key, seed)
                )
            states = np.concatenate([part for part in comm.allgather(np.array(drawn)) if len(part)])
            found = _conditional(system, states, float(plan.ladder.beta_per_neV[rung]), sweeps, seed, rung, comm)
            progress.update(done + 1, len(rungs))
            if comm.rank == 0:
                _write(store, rung, mark, points, plan.walkers, states, found, system)
            comm.Barrier()
            if watch.asks_to_stop() and rung != rungs[-1]:
                raise Interrupted("committed; start the same command again to continue")


def _is_made(store: SampleStore, rung: int, mark: str) -> bool:
    path = store.split(rung)
    return path.exists() and read_h5(path, ("n",))[1]["mark"] == mark


def _nearest_slot(plan: Plan, rung: int, n: int) -> int:
    here = [k for k, s in enumerate(plan.slots) if s.rung == rung and s.kind is not EnsembleKind.FIXED_COMPOSITION]
    return min(here, key=lambda k: (abs(plan.slots[k].n_expected - n), k))


def _conditional(
    system: System, states: NDArray[np.int8], beta: float, sweeps: int, seed: int, rung: int, comm: Any
) -> list[tuple[Float, Float]]:
    """Per half: entropy and energy (units, snapshots, 2), and ln of the number of its states (units,). Collective."""
    flat, found = states.reshape(-1, states.shape[-1]), []
    for h, half in enumerate(halves_of(system)):
        every = groups_of(len(flat))
        mine = []
        for g in share(len(every), comm.rank, comm.size):
            frees = [FreeHalf(system, flat[k], half) for k in every[g]]
            mine.append(free_entropies(system, frees, beta, sweeps, seed, [(rung, k, h) for k in every[g]]))
        values = np.concatenate([part for parts in comm.allgather(mine) for part in parts])
        log_states = np.array([FreeHalf(system, s, half).log_states for s in states[:, 0]])
        found.append((values.reshape(*states.shape[:2], 2), log_states))
    return found


def _write(
    store: SampleStore,
    rung: int,
    mark: str,
    n: NDArray[np.int64],
    walkers: int,
    states: NDArray[np.int8],
    found: list,
    system: System,
) -> None:
    shape = (len(n), walkers, states.shape[1])
    data = {name: np.full((*shape, len(HALVES)), np.nan) for name in ("entropy_kB", "energy_neV")}
    log_states = np.full((len(n), len(HALVES)), np.nan)
    for h, (values, states_of_half) in enumerate(found):
        data["entropy_kB"][..., h], data["energy_neV"][..., h] = np.moveaxis(values.reshape(*shape, 2), -1, 0)
        log_states[:, h] = states_of_half.reshape(shape[:2])[:, 0]
    drawn = np.array([system.energy_neV(s) for s in states.reshape(-1, states.shape[-1])], float).reshape(shape)
    write_h5(store.split(rung), {"n": n, **data, "drawn_neV": drawn, "log_states": log_states}, {"mark": mark})


def read_split(store: SampleStore, rung: int) -> Split | None:
    """None where the entropy was not split."""
    if not store.split(rung).exists():
        return None
    data, attributes = read_h5(store.split(rung))
    return Split(**data, mark=attributes["mark"])
