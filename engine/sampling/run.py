"""The sample stage: plan the ladder, anneal, then sample in committed segments until the sweeps asked for are done."""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ..crystal.neutral_states import random_neutral_state
from ..errors import Interrupted
from ..input.schema import Config
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.progress import Progress
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_h5, write_h5
from ..runtime.streams import Stream, Use, generator
from ..units import NEV_PER_EV
from .anneal import Annealed, anneal
from .cycle import cycles
from .equilibrate import equilibrate
from .ladder import Ladder, ladder_of
from .moves import Mix
from .place_temperatures import pilot_betas, pilot_energy_spread, place_temperatures
from .plan import Cycles, Plan, empty_tally
from .replicas import build_replicas, restore, sample
from .scan import scan
from .slots import EnsembleKind, Slot
from .system import System
from .tune import tuned_mix

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
IONS_PER_WINDOW = 16
MU_POINTS = 12
MU_EDGE = 0.02  # automatic chemical potentials span the x between this and 1 - this
LEAST_MOVES = 100_000  # attempted moves per chain and rung while annealing
LEAST_SWEEPS = 72  # and sweeps; as many in each round of settling
LEAST_CYCLE_SWEEPS = 100  # per temperature on cooling and heating: fewer have no error bar
COMMIT_EVERY_S = float(os.environ.get("REDOXMC_COMMIT_S", "60"))
COMMIT_AT_LEAST_EVERY_S = 900.0
MOST_HELD_BYTES = 200_000_000  # by a rank, of samples that are not committed yet


def run_sampling(system: System, config: Config, store: SampleStore, comm: Any, watch: StopWatch) -> None:
    """Collective. Raises Interrupted after a commit if asked to stop."""
    if comm.rank == 0:
        store.remove_uncommitted()
    comm.Barrier()
    if not bcast_from_root(comm, store.ladder.exists):
        _make_ladder(system, config, store, comm)
    sample_ladder("sampling", system, config, store, (Stream.SAMPLING,), config.sampler.sweeps.measure, comm, watch)


def sample_ladder(
    what: str,
    system: System,
    config: Config,
    store: SampleStore,
    use: Use,
    n_sweeps: int,
    comm: Any,
    watch: StopWatch,
) -> None:
    """Sample, or go on sampling, the ladder of a store; use: of its random streams. Collective; raises Interrupted."""
    plan, starts = read_ladder(store)
    replicas = build_replicas(plan, starts, system.with_mix(plan.mix), config.seed, use, comm)
    restore(replicas, store)
    done_before = replicas.block
    with Progress(what, comm.rank) as progress, watch.committing():

        def report(block: int, n_blocks: int) -> None:
            progress.update(block - done_before, n_blocks - done_before)

        finished = sample(
            replicas, store, empty_tally(system), n_sweeps, config.sampler.exchange_every,
            should_commit=_now_and_then(comm), should_stop=watch.asks_to_stop, report=report,
        )  # fmt: skip
        if not finished:
            raise Interrupted("committed; start the same command again to continue")


def _now_and_then(comm: Any) -> Callable[[int], bool]:
    """True, on all ranks, when it is time to commit: every minute at first, rarer in a long run, whose segments would take long to read;
    or when a rank holds much.

    Only where segments end depends on it, no result.
    """
    began = last = time.monotonic()

    def due(held_bytes: int) -> bool:
        nonlocal last
        now = time.monotonic()
        wait_s = max(COMMIT_EVERY_S, min((now - began) / 10, COMMIT_AT_LEAST_EVERY_S))
        yes = bool(comm.allreduce((comm.rank == 0 and now - last > wait_s) or held_bytes > MOST_HELD_BYTES, op=MPI.LOR))
        last = now if yes else last
        return yes

    return due


def window_targets(system: System, points: int | str) -> tuple[Float, float]:
    """Centres of the windows over all counts of the ion, and their width, half the spacing (both in ions)."""
    low, high = system.n_range
    number = points if isinstance(points, int) else int(np.ceil((high - low) / IONS_PER_WINDOW)) + 1
    targets = np.linspace(low, high, max(number, 2))
    return targets, float(max((targets[1] - targets[0]) / 2, 1.0))


def _ladder(system: System, config: Config, comm: Any) -> tuple[Ladder, tuple[str, ...]]:
    given = config.sampler
    if given.exchange_every == 0:
        return ladder_of(given.temperature_K, np.zeros(0)), ("replica exchange is off: no temperatures were inserted",)
    most = given.rungs if isinstance(given.rungs, int) else None
    betas = pilot_betas(given.temperature_K)
    return bcast_from_root(
        comm, lambda: place_temperatures(given.temperature_K, betas, pilot_energy_spread(system, betas, config.seed), most)
    )


def _make_ladder(system: System, config: Config, store: SampleStore, comm: Any) -> None:
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
        plan = replace(plan, mu_eV=tuple(_mu_axis(system, config, plan, ion) for ion in system.ions))
    plan = replace(plan, slots=place_slots(system, plan, ensembles))
    starts = starts_of(system, plan, annealed, config.seed)
    if annealed is not None:
        settling = given.sweeps.equilibrate if isinstance(given.sweeps.equilibrate, int) else LEAST_SWEEPS
        plan, starts = equilibrate(system.with_mix(plan.mix), plan, starts, settling, given.exchange_every, config.seed, comm)
    if comm.rank == 0:
        write_ladder(store, plan, starts, scans, cycled)
        log.info("ladder: %d temperatures, %d replicas x %d walkers", len(ladder), len(plan.slots), plan.walkers)
        log.info("moves: %s", plan.mix)
    comm.Barrier()


def ensembles_of(ions: tuple[str, ...], config: Config) -> list[EnsembleKind]:
    if not ions:
        return [EnsembleKind.FIXED_COMPOSITION]
    if config.sampler.ensemble == "auto":
        both = [EnsembleKind.VCSGC, EnsembleKind.SEMIGRAND]
        return both if len(ions) == 1 else both[1:]
    return [EnsembleKind(config.sampler.ensemble)]


def equilibration_sweeps(config: Config, n_sites: int) -> int:
    """Sweeps per chain and rung while annealing, and per window in the scans."""
    given = config.sampler.sweeps.equilibrate
    return given if isinstance(given, int) else max(LEAST_SWEEPS, LEAST_MOVES // n_sites)


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


def _mu_axis(system: System, config: Config, plan: Plan, ion: str) -> Float:
    """The grid asked for; else one that spans the compositions at every temperature asked for."""
    given = config.sampler.chemical_potential_eV.get(ion)
    if given is not None and not given.automatic:
        assert given.min is not None and given.max is not None
        return np.linspace(given.min, given.max, given.points or 41)
    low, high = system.n_range
    edges = [int(low + part * (high - low)) for part in (MU_EDGE, 1 - MU_EDGE)]
    step = system.step
    steepness = []
    for r in plan.ladder.rungs_asked:
        bias = plan.bias(r, step)
        for n in edges:
            a, b = max(n - step, low), min(n + step, high)
            steepness.append((bias[b] - bias[a]) / (b - a) / plan.ladder.beta_per_neV[r] / NEV_PER_EV)
    points = given.points if given is not None and given.points else MU_POINTS
    return np.linspace(min(steepness), max(steepness), points)


def _expected_n(system: System, plan: Plan, rung: int, mu_eV: float) -> float:
    counts, _ = system.neutral_counts
    log_p = plan.ladder.beta_per_neV[rung] * NEV_PER_EV * mu_eV * counts - plan.bias(rung, system.step)[counts]
    weight = np.exp(log_p - log_p.max())
    return float((weight * counts).sum() / weight.sum())


def place_slots(system: System, plan: Plan, ensembles: list[EnsembleKind]) -> tuple[Slot, ...]:
    """The replicas: every rung with every window and chemical potential of the plan."""
    slots: list[Slot] = []
    for r in range(len(plan.ladder)):
        if EnsembleKind.VCSGC in ensembles:
            slots += [Slot(r, EnsembleKind.VCSGC, k, float(n)) for k, n in enumerate(plan.target_n)]
        if EnsembleKind.FIXED_COMPOSITION in ensembles:
            counts, _ = system.neutral_counts
            near = [int(counts[np.argmin(np.abs(counts - n))]) for n in plan.target_n] if system.ions else [int(counts[0])]
            slots += [Slot(r, EnsembleKind.FIXED_COMPOSITION, k, float(n)) for k, n in enumerate(near)]
        if EnsembleKind.SEMIGRAND in ensembles:
            for k in range(int(np.prod([len(m) for m in plan.mu_eV]))):
                slot = Slot(r, EnsembleKind.SEMIGRAND, k, 0.0)
                n = _expected_n(system, plan, r, plan.mu_of(slot)[0]) if len(system.ions) == 1 else 0.0
                slots.append(replace(slot, n_expected=n))
    return tuple(slots)


def starts_of(system: System, plan: Plan, annealed: Annealed | None, seed: int) -> NDArray[np.int8]:
    """(slots, walkers, n_sites): from the annealing, else random at the composition (or at the ends, half the walkers each)."""
    starts = np.zeros((len(plan.slots), plan.walkers, system.supercell.n_sites), np.int8)
    for k, slot in enumerate(plan.slots):
        for w in range(plan.walkers):
            if annealed is not None:
                starts[k, w] = annealed.starts[slot.rung, np.argmin(np.abs(plan.target_n - slot.n_expected)), w]
            else:
                n = int(slot.n_expected) if slot.kind is EnsembleKind.FIXED_COMPOSITION else system.n_range[w % 2]
                starts[k, w] = random_neutral_state(
                    system.supercell, system.ion, n, generator(seed, Stream.SAMPLING, Stream.START, k, w)
                )
    return starts


def write_ladder(
    store: SampleStore, plan: Plan, starts: NDArray[np.int8], scans: Float | None = None, cycled: Cycles | None = None
) -> None:
    """scans: of the temperatures asked for, up and down in x; cycled: down and up in T; where there are any."""
    data: dict[str, Any] = {
        "temperature_K": plan.ladder.temperature_K,
        "asked": plan.ladder.asked,
        "slot_rung": [s.rung for s in plan.slots],
        "slot_kind": np.array([s.kind.value for s in plan.slots], dtype="S"),
        "slot_index": [s.index for s in plan.slots],
        "slot_n_expected": [s.n_expected for s in plan.slots],
        "target_n": plan.target_n,
        "reference": plan.reference,
        "starts": starts,
    }
    data |= {f"mu_eV/{k}": m for k, m in enumerate(plan.mu_eV)}
    if scans is not None:
        data["scan_reference"] = scans
    if cycled is not None:
        data |= {f"cycle/{name}": value for name, value in vars(cycled).items()}
    attributes = {
        "sigma_n": plan.sigma_n,
        "walkers": plan.walkers,
        "notes": json.dumps(plan.notes),
    }
    write_h5(store.ladder, data, {**attributes, "mix": json.dumps(asdict(plan.mix))})


def read_ladder(store: SampleStore) -> tuple[Plan, NDArray[np.int8]]:
    data, attributes = read_h5(store.ladder)
    slots = zip(
        data["slot_rung"].tolist(), data["slot_kind"].tolist(), data["slot_index"].tolist(), data["slot_n_expected"].tolist()
    )
    plan = Plan(
        ladder=Ladder(data["temperature_K"], data["asked"]),
        slots=tuple(Slot(r, EnsembleKind(kind.decode()), k, n) for r, kind, k, n in slots),
        target_n=data["target_n"],
        sigma_n=float(attributes["sigma_n"]),
        mu_eV=tuple(data[name] for name in sorted((d for d in data if d.startswith("mu_eV/")), key=lambda d: int(d[6:]))),
        reference=data["reference"],
        scan_reference=data.get("scan_reference"),
        cycles=Cycles(**found) if (found := {k[6:]: v for k, v in data.items() if k.startswith("cycle/")}) else None,
        walkers=int(attributes["walkers"]),
        mix=Mix(**json.loads(attributes.get("mix", "{}"))),
        notes=tuple(json.loads(attributes["notes"])),
    )
    return plan, data["starts"]
