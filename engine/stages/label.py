"""The label stage: labelled.extxyz, the data set of the cluster expansion, from the potential, at once or by active learning."""

from typing import Any

from ..runtime.hashes import file_hash, fingerprint
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.storage import write_text
from . import fit, learn
from .prepare import with_labels
from .shared.run import RootData, Run


def identity(run: Run) -> dict[str, Any]:
    """What the data set depends on: that of the fit, since learning chooses configurations by fits of its own."""
    return fit.identity(run)


def run(run: Run, data: RootData | None, comm: Any, watch: StopWatch) -> RootData | None:
    """Make the data set, unless the one that is there was made from this input; on rank 0 return `data` with it. Collective.

    Raises Interrupted: finished relaxations and rounds of learning are kept.
    """
    if not run.config.makes_labels:
        return data
    if run.options.includes("label") and not bcast_from_root(comm, lambda: is_made(run)):
        _make(run, comm, watch)
    if data is not None and not run.options.stops_before_fit and is_made(run):
        return with_labels(run, data, run.output.labels)
    return data


def is_made(run: Run) -> bool:
    """Whether labelled.extxyz was made from this input, and is as it was made."""
    made, mark = run.output.labels, run.output.label_mark
    if not (made.exists() and mark.exists()):
        return False
    origin, _, digest = mark.read_text(errors="replace").partition(" ")  # format 1 had no digest
    return origin == fingerprint(identity(run)) and digest in ("", file_hash(made))


def _make(run: Run, comm: Any, watch: StopWatch) -> None:
    assert run.potential is not None
    if run.config.label.learning is not None:
        learn.run(run, comm, watch)
    else:
        from ..potentials.labelling.label import run_labelling

        run_labelling(run.config, run.lattice, run.potential, run.output.folder, comm, watch)
    if comm.rank == 0:
        write_text(run.output.label_mark, f"{fingerprint(identity(run))} {file_hash(run.output.labels)}")
