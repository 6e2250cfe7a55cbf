"""Labels: configurations at all compositions, relaxed by the potential, checked, and written as a data set."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ...crystal.lattice import Lattice, bare_copy
from ...errors import RedoxError
from ...input.schema import Config
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import write_json, write_whole
from ..labels import Labels, labels_of
from ..specification import PotentialSpec
from . import retention
from .configurations import Configuration, choose_configurations
from .relaxations import FinishedRelaxation, Relaxations, relax_all

log = logging.getLogger("redoxmc")


def run_labelling(config: Config, lattice: Lattice, potential: PotentialSpec, folder: Path, comm: Any, watch: StopWatch) -> None:
    """Write folder/labelled.extxyz and label.json; finished relaxations in folder/relaxations are not repeated. Collective."""
    torch.set_num_threads(1)  # cells are small, so more ranks help and more threads do not
    labels = labels_of(lattice)
    store = Relaxations(folder / "relaxations", lattice, config.relaxation, potential.mark)
    chosen = bcast_from_root(comm, lambda: first_configurations(config, lattice))
    relax_all([(store, c) for c in chosen], {potential.mark: potential.load(labels)}, comm, watch, "labelling")
    if comm.rank == 0:
        write_labels(chosen, [store.read(c) for c in chosen], labels, folder)


def first_configurations(config: Config, lattice: Lattice) -> list[Configuration]:
    """The configurations of the section label."""
    chosen = choose_configurations(lattice, config.label.matrices, config.label.configurations, config.seed)
    if len(chosen) < config.label.configurations:
        log.info("label: these supercells have only %d distinct configurations, not %d", len(chosen), config.label.configurations)
    return chosen


def write_labels(chosen: list[Configuration], done: list[FinishedRelaxation], labels: Labels, folder: Path) -> None:
    """Write labelled.extxyz and label.json. Raises RedoxError if no relaxation can be used."""
    kept = [_plain(c, d) for c, d in zip(chosen, done) if d.failure is None]
    reasons = Counter(d.failure.kind for d in done if d.failure)
    if not kept:
        raise RedoxError(f"label: none of {len(done)} relaxations can be used; the first: {done[0].failure}")
    write_whole(folder / "labelled.extxyz", lambda p: write(p, kept, format="extxyz", columns=["symbols", "positions"]))
    hours = sum(d.seconds for d in done) / 3600
    shown = retention.total([retention.kept(d.cell, d.cell.arrays["by_bond"], labels) for d in done])
    record = {
        "configurations": len(done),
        "kept": len(kept),
        "relaxations_per_hour_and_core": round(len(done) / hours, 1) if hours else None,
        "charge_labels": shown,
        "median_steps": float(np.median([d.steps for d in done])),
        "rejected": [{"config": c.name, "reason": str(d.failure)} for c, d in zip(chosen, done) if d.failure],
    }
    write_json(folder / "label.json", record)
    log.info(
        "label: %d of %d configurations kept; %s relaxations per hour and core",
        len(kept),
        len(done),
        record["relaxations_per_hour_and_core"],
    )
    if shown["labels"]:
        log.info(
            "label: %d of %d charge labels retained in relaxation, by bond lengths; %.2f to %.2f %% (Wilson, 95 %%)",
            shown["kept"],
            shown["labels"],
            100 * shown["low"],
            100 * shown["high"],
        )
    for reason, n in reasons.items():
        log.info("label: %d rejected: %s", n, reason)


def _plain(configuration: Configuration, done: FinishedRelaxation) -> Atoms:
    cell = bare_copy(done.cell)
    cell.calc = SinglePointCalculator(cell, energy=done.cell.get_potential_energy())
    cell.info = {"config": configuration.name}
    return cell
