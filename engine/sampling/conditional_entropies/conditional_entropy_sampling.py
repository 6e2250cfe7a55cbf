"""Conditional entropies of the samples at the temperatures asked for, shared among ranks and kept in one file per temperature."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import Interrupted
from ...runtime.mpi import StopWatch, bcast_from_root, share
from ...runtime.progress import Progress
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from ..chains.chains import groups_of
from ..chains.ions_and_electrons import FreeSubsystem, Subsystem, free_subsystems
from ..chains.system import System
from ..ladder.ladder_file import read_ladder
from ..ladder.plan import Plan
from ..ladder.slots import EnsembleKind
from ..replicas.segment_files import blocks_done, last_states
from .conditional_entropy import LAST, STEPS, drawn_states, free_entropies

Float = NDArray[np.float64]
LEAST_SWEEPS = 12  # per step of beta
MOVES = 500_000  # attempted per walker, composition and subsystem in small cells, over FEW_STATES coolings
FEW_STATES = 4
LISTED_SITES = 1000  # where a subsystem is listed: as many states drawn per walker as this over the number of sites


@dataclass(frozen=True)
class ConditionalEntropies:
    """At one temperature. Entropies and energies are those of the whole cell.

    n (points,): counts of the ion. entropy_kB, energy_neV (points, walkers, snapshots, subsystems): of the free subsystem; nan
    for one that cannot be free alone. drawn_neV (points, walkers, snapshots): energies of the states drawn. log_states (points,
    subsystems): the entropy at beta = 0. mark: of the samples from which the states were drawn.
    """

    n: NDArray[np.int64]
    entropy_kB: Float
    energy_neV: Float
    drawn_neV: Float
    log_states: Float
    mark: str


def run_conditional_entropies(
    system: System, compositions: int, seed: int, store: SampleStore, comm: Any, watch: StopWatch
) -> None:
    """One file per temperature asked for, made again if the samples or `compositions` have changed.

    Collective. Raises Interrupted when asked to stop; temperatures that are finished are kept.
    """
    plan, _ = read_ladder(store)
    points = counts_sampled(system, compositions) if applies(system, plan) else np.array([], np.int64)
    committed = bcast_from_root(comm, store.committed)
    if not len(points) or not committed:
        return
    mark = f"{blocks_done(store)[0]} blocks, {compositions} compositions"
    asked = plan.ladder.rungs_asked
    rungs = bcast_from_root(comm, lambda: [r for r in asked if not _is_made(store, r, mark)])
    sweeps, snapshots = effort(system, FreeSubsystem(system, system.any_state(int(points[0])), Subsystem.ELECTRONS))
    with Progress("conditional entropies", comm.rank) as progress:
        for done, rung in enumerate(rungs):
            states = _draw(system, plan, rung, points, snapshots, seed, store, comm)
            found = _conditional(system, states, float(plan.ladder.beta_per_neV[rung]), sweeps, seed, rung, comm)
            progress.update(done + 1, len(rungs))
            if comm.rank == 0:
                _write(store, rung, system, points, states, found, mark)
            comm.Barrier()
            if watch.any_should_stop() and rung != rungs[-1]:
                raise Interrupted("committed; start the same command again to continue")


def applies(system: System, plan: Plan) -> bool:
    """Whether there are electrons, and free energies over the counts of one ion."""
    free_counts = any(s.kind is not EnsembleKind.FIXED_COMPOSITION for s in plan.slots)
    return len(system.ions) == 1 and bool(free_subsystems(system.lattice)) and free_counts


def counts_sampled(system: System, compositions: int) -> NDArray[np.int64]:
    """Counts of the ion at which states are drawn: evenly between the ends, without the ends."""
    counts, _ = system.neutral_counts
    inner = counts[1:-1]
    return inner[np.unique(np.rint(np.linspace(0, len(inner) - 1, min(compositions, len(inner)))).astype(int))]


def effort(system: System, free: FreeSubsystem) -> tuple[int, int]:
    """Sweeps per step of beta, and states drawn per walker."""
    n_sites = system.supercell.n_sites
    if free.few:
        return LEAST_SWEEPS, max(1, LISTED_SITES // n_sites)
    return max(MOVES // (FEW_STATES * n_sites * (STEPS + LAST)), LEAST_SWEEPS), FEW_STATES


def _is_made(store: SampleStore, rung: int, mark: str) -> bool:
    path = store.split(rung)
    return path.exists() and read_h5(path, ("n",))[1]["mark"] == mark


def _draw(
    system: System, plan: Plan, rung: int, points: NDArray[np.int64], snapshots: int, seed: int, store: SampleStore, comm: Any
) -> NDArray[np.int8]:
    """States (points, walkers, snapshots, n_sites) of one temperature. Collective; the same on all ranks."""
    beta, drawn = float(plan.ladder.beta_per_neV[rung]), []
    units = [(point, walker) for point in range(len(points)) for walker in range(plan.walkers)]
    for k in share(len(units), comm.rank, comm.size):
        point, walker = units[k]
        n = int(points[point])
        start = last_states(store, _nearest_slot(plan, rung, n))[walker]
        drawn.append(drawn_states(system, start, beta, n, snapshots, (rung, point, walker), seed))
    states = np.concatenate([part for part in comm.allgather(np.array(drawn)) if len(part)])
    return states.reshape(len(points), plan.walkers, snapshots, -1)


def _nearest_slot(plan: Plan, rung: int, n: int) -> int:
    here = [k for k, s in enumerate(plan.slots) if s.rung == rung and s.kind is not EnsembleKind.FIXED_COMPOSITION]
    return min(here, key=lambda k: (abs(plan.slots[k].n_expected - n), k))


def _conditional(
    system: System, states: NDArray[np.int8], beta: float, sweeps: int, seed: int, rung: int, comm: Any
) -> list[Float]:
    """For each subsystem its entropy (k_B) and energy (neV), (states, 2), by the states in their order. Collective."""
    flat, found = states.reshape(-1, states.shape[-1]), []
    for h, subsystem in enumerate(free_subsystems(system.lattice)):
        every, mine = groups_of(len(flat)), []
        for g in share(len(every), comm.rank, comm.size):
            frees = [FreeSubsystem(system, flat[k], subsystem) for k in every[g]]
            mine.append(free_entropies(system, frees, beta, sweeps, seed, [(rung, k, h) for k in every[g]]))
        found.append(np.concatenate([part for parts in comm.allgather(mine) for part in parts]))
    return found


def _write(
    store: SampleStore, rung: int, system: System, n: NDArray[np.int64], states: NDArray[np.int8], found: list[Float], mark: str
) -> None:
    shape = states.shape[:-1]
    data = {name: np.full((*shape, len(Subsystem)), np.nan) for name in ("entropy_kB", "energy_neV")}
    log_states = np.full((len(n), len(Subsystem)), np.nan)
    for h, (subsystem, values) in enumerate(zip(free_subsystems(system.lattice), found)):
        data["entropy_kB"][..., h], data["energy_neV"][..., h] = np.moveaxis(values.reshape(*shape, 2), -1, 0)
        log_states[:, h] = [FreeSubsystem(system, s, subsystem).log_states for s in states[:, 0, 0]]
    drawn = np.array([system.energy_neV(s) for s in states.reshape(-1, states.shape[-1])], float).reshape(shape)
    write_h5(store.split(rung), {"n": n, **data, "drawn_neV": drawn, "log_states": log_states}, {"mark": mark})


def read_conditional_entropies(store: SampleStore, rung: int) -> ConditionalEntropies | None:
    """None where there are none."""
    if not store.split(rung).exists():
        return None
    data, attributes = read_h5(store.split(rung))
    return ConditionalEntropies(**data, mark=attributes["mark"])
