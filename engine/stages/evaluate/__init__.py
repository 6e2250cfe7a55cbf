"""The evaluate stage: evaluation.json and evaluation.html, from held-out frames, prepared charge orders and a reference.

Errors, relaxations and moments that exist for the same weights are not computed again. Torch is imported when the stage begins.
"""

import logging
from typing import Any

from ...errors import RedoxError
from ...potentials.dataset import read_frame_table
from ...potentials.specification import PotentialSpec, specify
from ...runtime.mpi import StopWatch, bcast_from_root
from ..shared.run import Run
from ..train import labelled_frames
from .reference import ReferenceCell, reference_cells

log = logging.getLogger("redoxmc")


def run(run: Run, comm: Any, watch: StopWatch) -> None:
    """Evaluate, print the tables and write the page. Collective; raises Interrupted: what is finished is kept."""
    if run.config.evaluation is None or not run.options.includes("evaluate"):
        return
    from .evaluation import run_evaluation
    from .page import write_evaluation

    frames = bcast_from_root(comm, lambda: labelled_frames(run)) if run.config.training else None
    reference = bcast_from_root(comm, lambda: _reference(run))
    candidates = bcast_from_root(comm, lambda: potentials_to_evaluate(run))
    record = run_evaluation(run, candidates, frames, reference, comm, watch)
    if record is not None:
        write_evaluation(record, run.output.folder, run.config.title)


def _reference(run: Run) -> list[ReferenceCell]:
    given = run.config.evaluation
    if given is None or not given.reference:
        return []
    table = read_frame_table(run.source.files(given.reference), run.lattice)
    log.info("evaluate: %d reference cells hold their charge order, %d cannot be used", len(table.used), len(table.left_out))
    return reference_cells(table.data(), run.lattice)


def potentials_to_evaluate(run: Run) -> list[PotentialSpec]:
    """The trained ones, then `potential`. Raises RedoxError if one is not trained yet or its file is not one of ours."""
    from ...potentials.training.train import weights_file
    from ...potentials.weights import read_weights

    found = []
    for entry in run.config.training.potentials if run.config.training else ():
        path = weights_file(entry, run.output.potentials, run.source.resolve)
        if not path.exists():
            raise RedoxError(f"{entry.name} is not trained yet; run without --only")
        if (
            entry.file is None and read_weights(path, entry.model) is None
        ):  # a file that the input does not name may not contain code
            raise RedoxError(f"{path}: not weights that this program wrote; delete it to train again")
        found.append(specify(run.source, entry, entry.name, path))
    if run.potential is not None:
        found.append(run.potential)
    return found
