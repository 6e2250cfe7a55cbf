"""What precedes the sampling: temperatures, annealing, weights of the moves, scans, cycles, equilibration. It makes ladder.h5."""

import logging
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...input.schema import Config
from ...runtime.mpi import bcast_from_root
from ...runtime.progress import Progress
from ...runtime.sample_store import SampleStore
from ..chains.system import System
from ..chains.tally import empty_tally
from ..ladder.ladder import Ladder, ladder_of
from ..ladder.ladder_file import write_ladder
from ..ladder.plan import Plan
from ..ladder.planning import ensembles_of, mu_axis, place_slots, window_targets
from ..ladder.slots import EnsembleKind
from .anneal import anneal
from .cycle import cycles
from .equilibrate import equilibrate
from .place_temperatures import pilot_betas, pilot_energy_spread, place_temperatures
from .scan import scan
from .starting_states import starts_of
from .tune import tuned_mix

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
LEAST_MOVES = 100_000  # attempted moves per chain and rung while annealing
LEAST_SWEEPS = 72  # and sweeps; as many in each round of equilibration of a small cell
SMALL_CELL = 512  # sites; in larger ones these rounds are longer
LEAST_CYCLE_SWEEPS = 100  # per temperature on cooling and heating: fewer have no error bar


def prepare_ladder(system: System, config: Config, store: SampleStore, comm: Any) -> None:
    """Collective; rank 0 writes the ladder with the chains' starting states."""
    given = config.sampler
    ladder, notes = _ladder(system, config, comm)
    targets, sigma = window_targets(system, given.vcsgc.points)
    if isinstance(given.vcsgc.kappa, float):
        sigma = float(np.sqrt(system.n_formula_units / (2 * given.vcsgc.kappa)))
    size = len(empty_tally(system).sums)
    plan = Plan(ladder, (), targets, sigma, (), np.zeros((len(ladder), size)), given.walkers, system.mix, notes=notes)
    ensembles = ensembles_of(system.ions, config)
    annealed, scans, cycled = None, None, None
    if len(system.ions) == 1 and ensembles != [EnsembleKind.FIXED_COMPOSITION]:
        sweeps = equilibration_sweeps(config, system.supercell.n_sites)
        annealed = anneal(system, ladder.beta_per_neV, targets, sigma, given.walkers, sweeps, config.seed, comm)
        plan = replace(plan, reference=annealed.reference)
        if given.moves == "auto":
            plan = replace(plan, mix=tuned_mix(system, plan, annealed.starts, config.seed, comm))
        scans = _scan_asked(system, config, plan, sweeps, comm)
        cycled = cycles(
            system, ladder.temperature_K[np.isfinite(ladder.temperature_K)], max(sweeps, LEAST_CYCLE_SWEEPS), config.seed, comm
        )
    if EnsembleKind.SEMIGRAND in ensembles:
        plan = replace(plan, mu_eV=tuple(mu_axis(system, config, plan, ion) for ion in system.ions))
    plan = replace(plan, slots=place_slots(system, plan, ensembles))
    starts = starts_of(system, plan, annealed, config.seed)
    if annealed is not None:
        sweeps = round_sweeps(config, system.supercell.n_sites)
        plan, starts = equilibrate(system.with_mix(plan.mix), plan, starts, sweeps, given.exchange_every, config.seed, comm)
    if comm.rank == 0:
        write_ladder(store, plan, starts, scans, cycled)
        log.info("ladder: %d temperatures, %d replicas x %d walkers", len(ladder), len(plan.slots), plan.walkers)
        log.info("moves: %s", plan.mix)
    comm.Barrier()


def _ladder(system: System, config: Config, comm: Any) -> tuple[Ladder, tuple[str, ...]]:
    given = config.sampler
    if given.exchange_every == 0:
        return ladder_of(given.temperature_K, np.zeros(0)), ("replica exchange is off: no temperatures were inserted",)
    most = given.rungs if isinstance(given.rungs, int) else None
    betas = pilot_betas(given.temperature_K)
    return bcast_from_root(
        comm, lambda: place_temperatures(given.temperature_K, betas, pilot_energy_spread(system, betas, config.seed), most)
    )


def equilibration_sweeps(config: Config, n_sites: int) -> int:
    """Sweeps per chain and rung while annealing, and per window in the scans."""
    given = config.sampler.sweeps.equilibrate
    return given if isinstance(given, int) else max(LEAST_SWEEPS, LEAST_MOVES // n_sites)


def round_sweeps(config: Config, n_sites: int) -> int:
    """Sweeps in each round of equilibration: they grow with the linear size of the cell, as domains have further to go."""
    given = config.sampler.sweeps.equilibrate
    return given if isinstance(given, int) else ceil(LEAST_SWEEPS * max(1.0, (n_sites / SMALL_CELL) ** (1 / 3)))


def _scan_asked(system: System, config: Config, plan: Plan, sweeps: int, comm: Any) -> Float:
    """Upward and downward scans at the temperatures asked for, (asked, 2, n_max+1). Collective."""
    rows = [(r, side) for r in plan.ladder.rungs_asked for side in (0, 1)]
    found = {}
    with Progress("scanning up and down", comm.rank) as progress:
        for k, (r, side) in enumerate(mine := rows[comm.rank :: comm.size]):
            found[r, side] = scan(
                system,
                float(plan.ladder.temperature_K[r]),
                side == 0,
                plan.target_n,
                plan.sigma_n,
                sweeps,
                config.seed,
                (r, side),
            )
            progress.update(k + 1, len(mine))
    everything = {key: value for part in comm.allgather(found) for key, value in part.items()}
    return np.array([everything[row] for row in rows]).reshape(-1, 2, plan.reference.shape[1])
