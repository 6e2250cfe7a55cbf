"""The refine stage: more temperatures, then more sweeps, until the phase boundaries are certain or the budget is used up."""

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from ..input.schema import RefineInput
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_json, write_json
from ..runtime.streams import Stream, Use
from ..sampling.chains.system import System
from ..sampling.ladder.ladder import Ladder
from ..sampling.ladder.ladder_file import read_ladder, write_ladder
from ..sampling.ladder.plan import Plan
from ..sampling.ladder.planning import ensembles_of, place_slots
from ..sampling.replicas.segment_files import last_states, sweeps_done
from ..sampling.run import sample_ladder
from ..sampling.samples import Samples, read_samples
from ..thermodynamics.analysis import has_free_energies, isotherms_of
from ..thermodynamics.phase_diagram.diagram import Diagram, build_diagram
from ..thermodynamics.vibrations import Vibrations
from .shared.run import RootData, Run

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
PER_ROUND = 2
COMPOSITIONS = 97  # at which energies are smoothed; what is added must not depend on how the results are shown
LONGER = (1.5, 4.0)  # factors by which a step may extend the sweeps: the errors are estimates themselves
INSIDE = 0.2  # distance of a new temperature from its neighbours, at least, over the distance between them


def identity(run: Run, vibrations: Vibrations | None) -> dict[str, Any]:
    """What the added temperatures depend on, beside the samples: not the sweeps, which may be extended."""
    given = run.config.sampler.refine
    return {"vibrations": vibrations.content if vibrations else None, **given.model_dump(exclude={"sweeps"})}


def run(run: Run, data: RootData | None, system: System, comm: Any, watch: StopWatch) -> None:
    """Sample PER_ROUND new temperatures at a time, as long as the ladder was sampled; then sample all ladders longer.

    Decisions and samples of an earlier run are continued. Collective; raises Interrupted after a commit.
    """
    given, store = run.config.sampler.refine, run.output.store
    if not run.options.includes("sample"):
        return
    if not (given.temperatures or given.sweeps) or not has_free_energies(system, read_ladder(store)[0]):
        if comm.rank == 0:
            _forget(store)
        comm.Barrier()
        return
    vibrations = data.vibrations if data is not None else None  # rank 0 decides
    known = bcast_from_root(comm, lambda: _begin(run, vibrations))
    rounds = 0
    while added := bcast_from_root(comm, partial(_round, run, system, vibrations, rounds)):
        if comm.rank == 0:
            store.refined(rounds).remove_uncommitted()
        comm.Barrier()
        name = "sampling " + ", ".join(f"{t:g}" for t in added) + " K"
        sample_ladder(name, system, run.config, store.refined(rounds), (Stream.REFINEMENT, rounds), known.sweeps, comm, watch)
        rounds += 1
    ladders: list[tuple[SampleStore, Use]] = [(store, (Stream.SAMPLING,))]
    ladders += [(store.refined(k), (Stream.REFINEMENT, k)) for k in range(rounds)]
    step = 0
    while more := bcast_from_root(comm, partial(_longer, run, system, vibrations, step)):
        for k, (place, use) in enumerate(ladders):
            name = f"sampling to {more} sweeps, ladder {k + 1} of {rounds + 1}"
            sample_ladder(name, system, run.config, place, use, more, comm, watch)
        step += 1


@dataclass(frozen=True)
class Decisions:
    """What was decided, kept in refinement.json.

    mark: identity of the rounds. sweeps: length of the samples on which they were decided. rounds: temperatures added in each;
    the last is empty once the diagram is certain. longer: (largest number of sweeps allowed, sweeps to reach) of each step; the
    second is 0 once the diagram is certain.
    """

    mark: dict[str, Any]
    sweeps: int
    rounds: list[list[float]]
    longer: list[list[int]]

    @property
    def sampled(self) -> int:
        """Sweeps that all ladders have, or are to have."""
        return max([self.sweeps, *(to for _, to in self.longer)])

    def write(self, store: SampleStore) -> None:
        write_json(store.refinement, asdict(self))


def _read(store: SampleStore) -> Decisions:
    found = read_json(store.refinement)
    if "longer" not in found:  # of a version that did not extend the sweeps
        sweeps = found["mark"].pop("sweeps")
        found |= {"sweeps": sweeps, "longer": []}
    return Decisions(**found)


def _begin(run: Run, vibrations: Vibrations | None) -> Decisions:
    """Earlier decisions. All that was added is deleted if they belong to other samples or aims, or if a ladder is missing."""
    store, measure = run.output.store, run.config.sampler.sweeps.measure
    mark = identity(run, vibrations)
    if store.refinement.exists():
        known = _read(store)
        lost = [k for k, added in enumerate(known.rounds) if added and not store.refined(k).ladder.exists()]
        if known.mark == mark and measure <= known.sampled and not lost:
            return known
    _forget(store)
    fresh = Decisions(mark, sweeps_done(store), [], [])
    fresh.write(store)
    return fresh


def _forget(store: SampleStore) -> None:
    store.refinement.unlink(missing_ok=True)
    store.drop_refined(0)


def _round(run: Run, system: System, vibrations: Vibrations | None, k: int) -> list[float]:
    """The temperatures of round k, decided earlier or now; their ladder is written. None once the budget is used up."""
    given, store = run.config.sampler.refine, run.output.store
    known = _read(store)
    if k < len(known.rounds):
        return known.rounds[k]
    left = given.temperatures - sum(len(r) for r in known.rounds)
    if not left:
        return []
    store.drop_refined(k)
    samples = read_samples(store)
    added: list[float] = []
    if (found := _diagram(samples, system, run.config.seed, vibrations)) is not None:
        diagram, sampled_K = found
        added = uncertain_temperatures(diagram, sampled_K, given, min(PER_ROUND, left))
        if added:
            _write(run, system, samples, k, added)
            log.info("refinement: boundaries are uncertain near %s K", ", ".join(f"{t:g}" for t in added))
    replace(known, rounds=[*known.rounds, added]).write(store)
    return added


def _longer(run: Run, system: System, vibrations: Vibrations | None, step: int) -> int:
    """Sweeps that all ladders should have after this step; 0 once the diagram is certain or the budget is used up."""
    given, store = run.config.sampler.refine, run.output.store
    known = _read(store)
    most = given.sweeps or 0
    if step < len(known.longer) and (known.longer[step][1] or known.longer[step][0] == most):
        return known.longer[step][1]
    to = 0
    if known.sampled < most and (found := _diagram(read_samples(store), system, run.config.seed, vibrations)) is not None:
        excess = float(excesses(found[0], given).max(initial=0.0))
        if excess > 1:
            to = min(most, int(np.ceil(known.sampled * np.clip(excess**2, *LONGER))))
            log.info("refinement: errors are up to %.1f times the tolerance; sampling continues to %d sweeps", excess, to)
    replace(known, longer=[*known.longer[:step], [most, to]]).write(store)
    return to


def _diagram(samples: Samples, system: System, seed: int, vibrations: Vibrations | None) -> tuple[Diagram, Float] | None:
    """The diagram of what has been sampled, and the temperatures (rungs,)."""
    isotherms = isotherms_of(samples, system, COMPOSITIONS, seed, vibrations)
    return None if isotherms is None else (build_diagram(isotherms), isotherms.temperature_K)


def excesses(diagram: Diagram, wanted: RefineInput) -> Float:
    """Largest ratio of error to tolerance, of boundaries and invariant points, at every temperature of the trace."""
    t = diagram.trace.temperature_K
    score = np.array(
        [max((boundary_excess(diagram, k, g, wanted) for g in row), default=0.0) for k, row in enumerate(diagram.rows)]
    )
    for point in diagram.invariants:
        above = int(np.clip(np.searchsorted(t, point.temperature_K), 1, len(t) - 1))
        score[[above - 1, above]] = np.maximum(score[[above - 1, above]], point.error_K / wanted.tolerance_K)
    return score


def uncertain_temperatures(diagram: Diagram, sampled_K: Float, wanted: RefineInput, most: int) -> list[float]:
    """Where the next temperatures help most: at most one between two sampled ones, where the errors exceed the tolerances."""
    t, score = diagram.trace.temperature_K, excesses(diagram, wanted)
    found = []
    for low, high in zip(sampled_K, sampled_K[1:]):
        inside = np.flatnonzero((t > low) & (t < high))
        if not len(inside) or high - low <= 2 * wanted.tolerance_K:
            continue
        worst = inside[np.argmax(score[inside])]
        margin = INSIDE * (high - low)
        found.append((float(score[worst]), round(float(np.clip(t[worst], low + margin, high - margin)), 1)))
    return sorted(place for excess, place in sorted(found, reverse=True)[:most] if excess > 1)


def boundary_excess(diagram: Diagram, row: int, gap: Any, wanted: RefineInput) -> float:
    """Error of a boundary over its tolerance, in x or, if it is steep, in T: the smaller ratio of the two."""
    t, worst = diagram.trace.temperature_K, 0.0
    grid = diagram.trace.spacing / 2  # more samples do not reduce an error of this size
    beside = max(row - 1, 0), min(row + 1, len(t) - 1)
    same = [[g for g in diagram.rows[k] if g.region == gap.region] for k in beside]
    for side in (0, 1):
        if gap.x_error[side] <= grid:
            continue
        in_x = gap.x_error[side] / wanted.tolerance_x
        in_t = np.inf
        if all(same) and (moved := abs(same[1][0].x[side] - same[0][0].x[side])) > 0:
            in_t = gap.x_error[side] * (t[beside[1]] - t[beside[0]]) / moved / wanted.tolerance_K
        worst = max(worst, min(in_x, in_t))
    return float(worst)


def _write(run: Run, system: System, samples: Samples, k: int, temperatures: list[float]) -> None:
    """The ladder of round k has the windows, chemical potentials and walkers of the first; its bias is interpolated in beta."""
    base, _ = read_ladder(run.output.store)
    ladder, known = Ladder(np.array(temperatures), np.zeros(len(temperatures), bool)), base.ladder.beta_per_neV
    order = np.argsort(known)
    reference = interp1d(known[order], base.reference[order], axis=0)(ladder.beta_per_neV)
    plan = replace(
        base,
        ladder=ladder,
        reference=reference,
        slots=(),
        scan_reference=None,
        cycles=None,
        notes=(),
    )
    plan = replace(plan, slots=place_slots(system, plan, ensembles_of(system.ions, run.config)))
    write_ladder(run.output.store.refined(k), plan, _starts(plan, samples))


def _starts(plan: Plan, samples: Samples) -> NDArray[np.int8]:
    """Last states of the same window at the next higher and lower temperature, in turn, so that walkers show hysteresis."""
    known = samples.plan
    where = {(s.rung, s.kind, s.index): i for i, s in enumerate(known.slots)}
    rows = []
    for slot in plan.slots:
        hotter = int(np.searchsorted(known.ladder.temperature_K, plan.ladder.temperature_K[slot.rung]))
        sides = [last_states(*samples.origin[where[r, slot.kind, slot.index]]) for r in (hotter, hotter - 1)]
        rows.append([sides[w % 2][w] for w in range(plan.walkers)])
    return np.array(rows, np.int8)
