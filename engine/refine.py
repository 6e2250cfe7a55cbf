"""Temperatures added where the phase boundaries are less certain than wanted: sample, look, add, until the budget is spent."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from .config import Config, RefineInput
from .parallel import StopWatch
from .sampling.ladder import REFINE_STREAM
from .sampling.plan import Plan
from .sampling.stage import ensembles_of, place_slots, read_ladder, sample_ladder, write_ladder
from .storage import SampleStore, read_h5, read_json, write_json
from .system import System, inverse_temperature
from .thermodynamics.analyse import has_free_energies, isotherms_of
from .thermodynamics.diagram import Diagram, build_diagram
from .thermodynamics.samples import Samples, last_states, read_samples
from .vibrations import Vibrations

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
PER_ROUND = 2
COMPOSITIONS = 97  # at which energies are smoothed; what is added must not depend on how the results are shown
INSIDE = 0.2  # a new temperature keeps so much of the distance between its neighbours from each of them


def run_refinement(
    system: System, config: Config, vibrations: Vibrations | None, store: SampleStore, comm: Any, watch: StopWatch
) -> None:
    """Sample at new temperatures, PER_ROUND at a time, as long as the ladder was sampled. Goes on with rounds that were begun.

    vibrations: rank 0's. Collective; raises Interrupted.
    """
    given = config.sampler.refine
    if not given.temperatures or not has_free_energies(system, read_ladder(store)[0]):
        if comm.rank == 0:
            _forget(store)
        comm.Barrier()
        return
    n_sweeps = comm.bcast(_sweeps(store) if comm.rank == 0 else None)
    for k in range(given.temperatures):
        added = comm.bcast(_round(system, config, vibrations, store, k, n_sweeps) if comm.rank == 0 else None)
        if not added:
            return
        sub = store.refined(k)
        if comm.rank == 0:
            sub.remove_uncommitted()
        comm.Barrier()
        name = "sampling " + ", ".join(f"{t:g}" for t in added) + " K"
        sample_ladder(name, system, config, sub, (REFINE_STREAM, k), n_sweeps, comm, watch)


def _sweeps(store: SampleStore) -> int:
    """That the ladder has been sampled."""
    state = read_h5(store.segment(None, store.committed() - 1), ("stream",))[1]
    return int(state["block"] * state["block_sweeps"])


def _forget(store: SampleStore) -> None:
    store.refinement.unlink(missing_ok=True)
    store.drop_refined(0)


def _round(
    system: System, config: Config, vibrations: Vibrations | None, store: SampleStore, k: int, n_sweeps: int
) -> list[float]:
    """The temperatures of round k, none once the budget is spent: those decided on earlier, else decided on now, their ladder written."""
    given = config.sampler.refine
    mark = {"sweeps": n_sweeps, "vibrations": vibrations.content if vibrations else None, **given.model_dump()}
    known = read_json(store.refinement) if store.refinement.exists() else {}
    rounds: list[list[float]] = known["rounds"] if known.get("mark") == mark else []
    if not rounds:
        _forget(store)
    if k < len(rounds) and (not rounds[k] or store.refined(k).ladder.exists()):
        return rounds[k]
    rounds = rounds[:k]
    left = given.temperatures - sum(len(r) for r in rounds)
    if not left:
        return []
    store.drop_refined(k)
    samples = read_samples(store)
    isotherms = isotherms_of(samples, system, COMPOSITIONS, config.seed, vibrations)
    added: list[float] = []
    if isotherms is not None:
        diagram = build_diagram(isotherms)
        added = uncertain_temperatures(diagram, isotherms.temperature_K, given, min(PER_ROUND, left))
        if added:
            _write(system, config, samples, store, k, added)
            log.info("refinement: boundaries are uncertain near %s K", ", ".join(f"{t:g}" for t in added))
    write_json(store.refinement, {"mark": mark, "rounds": [*rounds, added]})
    return added


def uncertain_temperatures(diagram: Diagram, sampled_K: Float, wanted: RefineInput, most: int) -> list[float]:
    """Where the next temperatures help most: at most one between two that were sampled, where the errors exceed those wanted."""
    t = diagram.trace.temperature_K
    score = np.array(
        [max((boundary_excess(diagram, k, g, wanted) for g in row), default=0.0) for k, row in enumerate(diagram.rows)]
    )
    for point in diagram.invariants:
        above = int(np.clip(np.searchsorted(t, point.temperature_K), 1, len(t) - 1))
        score[[above - 1, above]] = np.maximum(score[[above - 1, above]], point.error_K / wanted.tolerance_K)
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
    """Error of a boundary over what is wanted, in x or, where it is steep, in T, whichever is kinder."""
    t, worst = diagram.trace.temperature_K, 0.0
    grid = diagram.trace.spacing / 2  # that much is not for more samples to mend
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


def _write(system: System, config: Config, samples: Samples, store: SampleStore, k: int, temperatures: list[float]) -> None:
    """The ladder of round k: windows, chemical potentials and walkers as before; the annealed bias, linear in beta between rungs."""
    base, _ = read_ladder(store)
    betas, order = np.array([inverse_temperature(t) for t in temperatures]), np.argsort(base.betas)
    reference = interp1d(base.betas[order], base.reference[order], axis=0)(betas)
    asked = np.zeros(len(betas), bool)
    plan = replace(
        base,
        temperatures_K=np.array(temperatures),
        asked=asked,
        reference=reference,
        slots=(),
        scan_reference=None,
        cycles=None,
        notes=(),
    )
    plan = replace(plan, slots=place_slots(system, plan, ensembles_of(system, config)))
    write_ladder(store.refined(k), plan, _starts(plan, samples))


def _starts(plan: Plan, samples: Samples) -> NDArray[np.int8]:
    """Last states of the same window at the next higher and lower temperature, taken in turn: what differs then is hysteresis."""
    known = samples.plan
    where = {(s.rung, s.kind, s.index): i for i, s in enumerate(known.slots)}
    rows = []
    for slot in plan.slots:
        hotter = int(np.searchsorted(known.temperatures_K, plan.temperatures_K[slot.rung]))
        sides = [last_states(*samples.origin[where[r, slot.kind, slot.index]]) for r in (hotter, hotter - 1)]
        rows.append([sides[w % 2][w] for w in range(plan.walkers)])
    return np.array(rows, np.int8)
