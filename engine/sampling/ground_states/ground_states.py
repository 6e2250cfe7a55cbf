"""Lowest states in all small supercells, for the convex hull at T = 0: which supercells are searched, and their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states
from ...crystal.supercells import supercells_of
from ...errors import RedoxError
from ...input.schema import GroundStatesInput
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from ...runtime.task_farm import run_tasks
from ..chains.system import build_system
from .electron_ground_state import HamiltonianOf
from .ground_state_search import Lowest, lowest_states


@dataclass(frozen=True)
class Task:
    """A supercell. list_all: whether all its neutral states are listed."""

    supercell: Supercell
    list_all: bool

    def mark(self, searches: int) -> str:
        """What the file of this supercell depends on, apart from the identity of the samples."""
        return "listed" if self.list_all else f"{searches} searches"


def tasks(given: GroundStatesInput, lattice: Lattice) -> list[Task]:
    """All distinct supercells of the sizes that are listed, and the most compact ones of larger sizes; in order of size."""
    found = []
    for n_cells in range(1, max(given.enumerate_up_to, given.anneal_up_to) + 1):
        if not len(count_neutral_states(Supercell(lattice, np.diag([n_cells, 1, 1])))[0]):
            continue
        list_all = n_cells <= given.enumerate_up_to
        found += [Task(s, list_all) for s in supercells_of(lattice, n_cells)[: None if list_all else given.supercells]]
    return found


def run_ground_states(
    given: GroundStatesInput,
    lattice: Lattice,
    hamiltonian_of: HamiltonianOf,
    ions: tuple[str, ...],
    seed: int,
    store: SampleStore,
    comm: Any,
    watch: StopWatch,
) -> None:
    """Make the missing files, one for each supercell. hamiltonian_of: by supercell matrix, on every rank.

    Collective. Raises Interrupted when asked to stop; finished supercells are kept.
    """
    missing = bcast_from_root(comm, lambda: [t for t in tasks(given, lattice) if not _is_made(store, t, given.searches)])
    missing = missing[::-1]  # the longest first, so that no rank is left alone with one at the end

    def work(number: int) -> None:
        task = missing[number]
        system = build_system(hamiltonian_of(task.supercell.matrix), task.supercell.matrix, ions)
        lowest = lowest_states(system, given.searches, seed, task.list_all)
        write_h5(_file(store, task), vars(lowest), {"mark": task.mark(given.searches)})

    if missing:
        run_tasks(len(missing), work, comm, watch, "ground states")


def read_ground_states(given: GroundStatesInput, lattice: Lattice, store: SampleStore) -> list[tuple[Supercell, Lowest]]:
    """Results in order of the size of the supercell. Raises RedoxError if a supercell has not been searched."""
    found = []
    for task in tasks(given, lattice):
        if not _is_made(store, task, given.searches):
            raise RedoxError("ground_states: not all supercells have been searched yet; run without --only")
        found.append((task.supercell, Lowest(**read_h5(_file(store, task))[0])))
    return found


def _file(store: SampleStore, task: Task) -> Path:
    return store.lowest("_".join(str(v) for v in task.supercell.hermite[np.triu_indices(3)]))


def _is_made(store: SampleStore, task: Task, searches: int) -> bool:
    path = _file(store, task)
    return path.exists() and read_h5(path, ("n",))[1]["mark"] == task.mark(searches)
