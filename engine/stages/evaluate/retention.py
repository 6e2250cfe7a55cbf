"""Retention of charge order: configurations with a prepared order are relaxed, and their charges are read off the result."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice
from ...input.schema import EvaluationInput
from ...potentials.charges import states_by_moment
from ...potentials.labelling.configurations import Configuration, choose_configurations
from ...potentials.labelling.relaxations import Relaxations
from ...potentials.labelling.retention import kept, total
from ...potentials.labels import Labels
from ...potentials.potential import LabelledCalculator, predict
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import write_text
from ...runtime.streams import Stream
from ...runtime.task_farm import run_tasks


def prepared_orders(given: EvaluationInput, lattice: Lattice, seed: int) -> list[Configuration]:
    """Charge orders to be relaxed: single electrons and single holes first, then evenly over all compositions."""
    found: dict[tuple[Any, bytes], Configuration] = {}
    for matrix in given.matrices:
        pool = choose_configurations(lattice, [matrix], 60 * given.dilute, seed, stream=Stream.DILUTE_EVALUATION)
        fu = pool[0].supercell(lattice).n_formula_units if pool else 0
        for ions in (1, fu - 1):
            for c in [c for c in pool if round(c.composition(lattice) * fu) == ions][: given.dilute]:
                found[c.matrix, c.species] = c
    enough = given.orders + len(found) + 2  # those found and the two ends are removed from the pool
    pool = choose_configurations(lattice, given.matrices, enough, seed, stream=Stream.EVALUATION)
    rest = [c for c in pool if (c.matrix, c.species) not in found and 0 < c.composition(lattice) < 1]
    n = min(len(rest), max(0, given.orders - len(found)))
    return [*found.values(), *(rest[k * len(rest) // n] for k in range(n))]


def moments_of(
    jobs: list[tuple[Relaxations, Configuration]], judge: LabelledCalculator, folder: Path, comm: Any, watch: StopWatch
) -> dict[Path, NDArray[np.float64]]:
    """Moments of the published CHGNet on every relaxed structure, shown without labels; by relaxation file. Collective."""

    def file(job: tuple[Relaxations, Configuration]) -> Path:
        return folder / (job[0].path(job[1]).stem + ".json")

    todo = bcast_from_root(comm, lambda: [j for j in jobs if not file(j).exists()])

    def work(k: int) -> None:
        store, configuration = todo[k]
        moments = predict(judge, store.read(configuration).cell).moments_muB
        assert moments is not None
        write_text(file(todo[k]), json.dumps([round(float(m), 4) for m in moments]))

    run_tasks(len(todo), work, comm, watch, "judging by moments")
    return {s.path(c): np.array(json.loads(file((s, c)).read_text())) for s, c in jobs} if comm.rank == 0 else {}


def retention(
    store: Relaxations, orders: list[Configuration], labels: Labels, moments: dict[Path, NDArray[np.float64]]
) -> dict[str, Any]:
    """Share of prepared labels that the relaxed structures show: by bond lengths, and by the moments of the judge."""
    counts: list[tuple[str, bool, tuple[int, int]]] = []
    problems = 0
    for order in orders:
        done = store.read(order)
        x = order.composition(store.lattice)
        dilute = min(x, 1 - x) * order.supercell(store.lattice).n_formula_units < 1.5
        by_moment = states_by_moment(done.cell, labels, labels.charges(done.cell), moments[store.path(order)])
        for judge, shown in (("bond_lengths", done.cell.arrays["by_bond"]), ("moments", by_moment)):
            counts.append((judge, dilute, kept(done.cell, shown, labels)))
        problems += not done.is_minimum
    judges = ("bond_lengths", "moments")
    return {
        "orders": len(orders),
        "failed_relaxations": problems,
        **{judge: total([n for j, _, n in counts if j == judge]) for judge in judges},
        "dilute": {judge: total([n for j, dilute, n in counts if dilute and j == judge]) for judge in judges},
    }
