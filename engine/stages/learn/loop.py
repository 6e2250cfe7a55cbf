"""Rounds of learning, until the errors are small enough, the diagram no longer changes, or the rounds are used up."""

import logging
import shutil
from functools import partial
from typing import Any

import torch

from ...input.schema import LearningInput
from ...potentials.labelling.configurations import Configuration
from ...potentials.labelling.label import first_configurations, write_labels
from ...potentials.labelling.relaxations import Relaxations, relax_all
from ...potentials.labels import labels_of
from ...runtime.hashes import fingerprint
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import read_json, write_json, write_text
from .round import make_round
from .rounds import Rounds

log = logging.getLogger("redoxmc")
SETTLED_ROUNDS = 2  # successive rounds in which the diagram does not change


def run_learning(rounds: Rounds, identity: dict[str, Any], comm: Any, watch: StopWatch) -> None:
    """Write labelled.extxyz, label.json and learning.json; continue where it was stopped. Collective, raises Interrupted.

    identity: what the rounds depend on.
    """
    torch.set_num_threads(1)
    run, output = rounds.run, rounds.run.output
    assert run.potential is not None
    labels = labels_of(run.lattice)
    store = Relaxations(output.relaxations, run.lattice, run.config.relaxation, run.potential.mark)
    calculator = run.potential.load(labels)
    if comm.rank == 0:
        _begin(rounds, fingerprint(identity))
    chosen = bcast_from_root(comm, lambda: first_configurations(run.config, run.lattice))
    records: list[dict[str, Any]] = []
    for number in range(rounds.given.rounds):
        relax_all([(store, c) for c in chosen], {store.mark: calculator}, comm, watch, f"round {number}: labelling")
        if not bcast_from_root(comm, rounds.record(number).exists):
            if comm.rank == 0:
                write_labels(chosen, [store.read(c) for c in chosen], labels, rounds.round(number))
            make_round(rounds, number, store, chosen, comm, watch)
        records.append(bcast_from_root(comm, partial(read_json, rounds.record(number))))
        if why := _finished(records, rounds.given):
            break
        chosen = chosen + [_configuration(c) for c in records[-1]["next"]]
    if comm.rank == 0:
        log.info("learning: %s after %d rounds and %d labels", why, len(records), len(chosen))
        write_labels(chosen, [store.read(c) for c in chosen], labels, output.folder)
        shown = [{k: v for k, v in r.items() if k != "next"} for r in records]
        write_json(output.learning, {"finished": why, "rounds": shown})


def _begin(rounds: Rounds, identity: str) -> None:
    """Delete the rounds of another input. Their relaxations are in another folder and stay."""
    mark = rounds.folder / "mark"
    if rounds.folder.exists() and not (mark.exists() and mark.read_text() == identity):
        shutil.rmtree(rounds.folder)
    write_text(mark, identity)


def _configuration(known: dict[str, Any]) -> Configuration:
    return Configuration(tuple(tuple(row) for row in known["matrix"]), bytes.fromhex(known["species"]), known["name"])


def _finished(records: list[dict[str, Any]], given: LearningInput) -> str | None:
    """Why the rounds end after the last of these; None if they do not."""
    last = records[-1]
    if last["worst_error_eV"] < given.tolerance_eV:
        return "accurate enough everywhere"
    later = records[1:][-SETTLED_ROUNDS:]
    if len(later) == SETTLED_ROUNDS and all(r["moved_x"] < given.settled and r["moved_eV"] < given.tolerance_eV for r in later):
        return "the diagram no longer changes"
    if not last["next"]:
        return "every arrangement that was visited has a label"
    return "all rounds are done" if len(records) == given.rounds else None
