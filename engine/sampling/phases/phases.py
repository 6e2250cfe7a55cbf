"""The phases of a run: the catalogue is made on rank 0, the chains of all phases are shared among ranks; one file for each."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Supercell
from ...input.schema.sampling import SamplingInput
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from ...runtime.task_farm import run_tasks
from ..chains.system import System
from ..ground_states.ground_state_search import Lowest
from ..ladder.ladder_file import read_ladder
from .catalogue import Phase, find_phases
from .lanes import Means
from .pattern import Pattern
from .sheets import Kind, Sheet, Task, make_sheet, sweeps_of
from .tasks import ADDED, MU_POINTS, Catalogue, fine_tasks, others_of, pattern_of, tasks_of

Float = NDArray[np.float64]
GroundStates = Sequence[tuple[Supercell, Lowest]]


def applies(larger: System, smaller: System) -> bool:
    """Whether one ion is exchanged, the chains can share proposals, and the larger cell repeats the smaller one."""
    times = larger.supercell.matrix @ np.linalg.inv(smaller.supercell.matrix)
    return len(larger.ions) == 1 and larger.lattice.n_species <= 2 and np.allclose(times, np.rint(times))


def run_phases(
    systems: tuple[System, System],
    sampling: SamplingInput,
    ground_states: Callable[[], GroundStates],
    uncertain: Callable[[Catalogue, list[Sheet]], list[float]],
    seed: int,
    store: SampleStore,
    comm: Any,
    watch: StopWatch,
) -> None:
    """Make the files that are missing, or of fewer sweeps. systems: the larger and the smaller cell.

    ground_states: on rank 0. uncertain: chemical potentials (eV) between those of the catalogue at which lines between phases
    are uncertain, the worst first; they are added, in rounds. Collective. Raises Interrupted when asked to stop; finished files
    are kept.
    """
    plan, _ = read_ladder(store)
    if not plan.mu_eV or len(plan.mu_eV[0]) < 2 or not applies(*systems):
        return
    mixed = systems[0].with_mix(plan.mix), systems[1].with_mix(plan.mix)
    asked_K, sweeps = sampling.temperature_K, sampling.sweeps.measure
    mu_eV = np.linspace(plan.mu_eV[0].min(), plan.mu_eV[0].max(), MU_POINTS)

    def catalogue_on_root() -> Catalogue:
        if (known := read_catalogue(store, systems)) is not None:
            return known
        found = Catalogue(tuple(find_phases(mixed, mu_eV, asked_K, ground_states(), seed)), mu_eV, asked_K)
        for old in store.phases.glob("*.h5"):  # of another smaller cell, or of other temperatures
            old.unlink()
        _write_catalogue(store, found, systems)
        return found

    def next_round(now: Catalogue) -> Catalogue:
        more = uncertain(now, read_all_sheets(store, now))[: ADDED[now.rounds]]
        found = now.with_more(more)
        _write_catalogue(store, found, systems)
        return found

    def make(now: Catalogue) -> None:
        _make(lambda: tasks_of(now), "phases", mixed, now, sweeps, seed, store, comm, watch)
        fine = lambda: fine_tasks(now, read_sheets(store, now, tasks_of(now)))  # noqa: E731
        _make(fine, "ends of orders", mixed, now, sweeps, seed, store, comm, watch)

    catalogue = bcast_from_root(comm, catalogue_on_root)
    make(catalogue)
    while catalogue.rounds < len(ADDED):
        catalogue = bcast_from_root(comm, partial(next_round, catalogue))
        make(catalogue)


def _make(
    tasks: Callable[[], list[Task]],
    what: str,
    systems: tuple[System, System],
    catalogue: Catalogue,
    asked: int,
    seed: int,
    store: SampleStore,
    comm: Any,
    watch: StopWatch,
) -> None:
    """Those whose file is missing. tasks: called on rank 0."""
    missing = bcast_from_root(comm, lambda: [t for t in tasks() if not _is_made(_file(store, catalogue, t), asked)])

    def work(number: int) -> None:
        task = missing[number]
        system, sweeps = systems[task.cell], sweeps_of(task.kind, asked)
        pattern, others = pattern_of(catalogue, task, system), others_of(catalogue, task)
        sheet = make_sheet(system, pattern, others, task, catalogue.asked_K, sweeps, seed, _key(catalogue, task))
        _write(_file(store, catalogue, task), sheet, asked)

    if missing:
        run_tasks(len(missing), work, comm, watch, what)


def _key(catalogue: Catalogue, task: Task) -> tuple[int, ...]:
    return task.cell, task.phase + 1, list(Kind).index(task.kind), catalogue.number(task.mu_eV), task.node


def _file(store: SampleStore, catalogue: Catalogue, task: Task) -> Path:
    cell, phase, _, at, node = _key(catalogue, task)
    return store.phases / f"{'small' if cell else 'large'}_{phase:02d}_{task.kind}_{at:03d}_{node:02d}.h5"


def _catalogue_file(store: SampleStore) -> Path:
    return store.phases / "catalogue.h5"


def _write_catalogue(store: SampleStore, catalogue: Catalogue, systems: tuple[System, System]) -> None:
    phases = catalogue.phases
    states = [p.pattern.species for p in phases]
    n_sites = systems[0].supercell.n_sites
    data = {
        "smaller": systems[1].supercell.matrix,
        "mu_eV": catalogue.mu_eV,
        "asked_K": np.array(catalogue.asked_K),
        "added_eV": np.array(catalogue.added_eV, float),
        "rounds": np.array(catalogue.rounds),
        "states": np.array(states, np.int8).reshape(len(states), n_sites),
        "n": np.array([p.n for p in phases], np.int64),
        "energy_neV": np.array([p.energy_neV for p in phases], np.int64),
        "phase_mu_eV": np.array([p.mu_eV for p in phases]).reshape(-1, 2),
    }
    write_h5(_catalogue_file(store), data, {})


def read_catalogue(store: SampleStore, systems: tuple[System, System]) -> Catalogue | None:
    """None if there is none of this smaller cell."""
    if not _catalogue_file(store).exists():
        return None
    data, _ = read_h5(_catalogue_file(store))
    larger, smaller = (s.supercell for s in systems)
    if not np.array_equal(data["smaller"], smaller.matrix):
        return None
    patterns = [Pattern(larger, str(systems[0].ion), state) for state in data["states"]]
    phases = [
        Phase(pattern, pattern.folded(smaller), int(n), int(e), (float(low), float(high)))
        for pattern, n, e, (low, high) in zip(patterns, data["n"], data["energy_neV"], data["phase_mu_eV"])
    ]
    asked_K, added_eV = (tuple(data[name].tolist()) for name in ("asked_K", "added_eV"))
    return Catalogue(tuple(phases), data["mu_eV"], asked_K, added_eV, int(data["rounds"]))


def _is_made(path: Path, asked: int) -> bool:
    return path.exists() and int(read_h5(path, ("ordered",))[1]["sweeps"]) >= asked


def _write(path: Path, sheet: Sheet, asked: int) -> None:
    means = {f.name: getattr(sheet.means, f.name) for f in fields(Means)}
    own = {name: getattr(sheet, name) for name in ("likeness", "to_others", "ordered", "off")}
    write_h5(path, {**means, **own}, {"sweeps": asked})


def read_phases(store: SampleStore, larger: System, smaller: System | None) -> tuple[Catalogue, list[Sheet]] | None:
    """The catalogue and all finished sheets; None without a smaller cell, or if nothing was made with it."""
    catalogue = read_catalogue(store, (larger, smaller)) if smaller is not None else None
    if catalogue is None:
        return None
    return catalogue, read_all_sheets(store, catalogue)


def read_all_sheets(store: SampleStore, catalogue: Catalogue) -> list[Sheet]:
    """Those that are finished, of all kinds."""
    first = read_sheets(store, catalogue, tasks_of(catalogue))
    return first + read_sheets(store, catalogue, fine_tasks(catalogue, first))


def read_sheets(store: SampleStore, catalogue: Catalogue, tasks: Sequence[Task]) -> list[Sheet]:
    """Those that are finished."""
    found = []
    for task in tasks:
        path = _file(store, catalogue, task)
        if path.exists():
            data, _ = read_h5(path)
            means = Means(**{f.name: data[f.name] for f in fields(Means)})
            ordered = data["ordered"].astype(bool)
            found.append(Sheet(task, means, data["likeness"], data["to_others"], ordered, data["off"]))
    return found
