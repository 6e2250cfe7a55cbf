"""Opening the output folder: its lock, its log, and whether the samples in it are those of this input."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import RedoxError
from ...runtime.changes import differences, known_before
from ...runtime.lock import Lock
from ...runtime.mpi import bcast_from_root
from ...runtime.storage import read_json
from .. import sample
from ..shared.run import Run

log = logging.getLogger("redoxmc")
LARGEST_LOG_BYTES = 1_000_000  # of run.log, when a run begins


@contextmanager
def opened(run: Run, comm: Any) -> Iterator[None]:
    """The output folder, ready for the stages. Collective.

    Unless the command only analyses or reports, the folder is locked against other runs until every rank has left.
    Raises RedoxError if it is in use, cannot be written, or holds samples of another input.
    """
    lock = None if run.options.only_looks else run.output.running
    try:
        bcast_from_root(comm, partial(_open, run, lock))
        if lock:
            lock.share()  # rank 0 shares it before the broadcast ends, so that the other ranks do not find it exclusive
        yield
    finally:
        if lock:
            lock.release()


def _open(run: Run, lock: Lock | None) -> None:
    """Make the folder, lock it, start the log, delete old output with --fresh, and check whose samples are there."""
    output = run.output
    try:
        output.folder.mkdir(parents=True, exist_ok=True)
        if lock:
            lock.take()
        _log_to(output.folder / "run.log", may_rotate=lock is not None)
        if run.options.fresh:
            with output.analysing.held():
                output.clear()
    except OSError as error:
        raise RedoxError(f"cannot write to the output folder {output.folder}: {error.strerror}") from None
    _check_samples(run)
    if lock:
        lock.share()


def check_folder(run: Run) -> None:
    """Raises RedoxError if the folder cannot be written, or holds samples of another input. Nothing is made or locked."""
    folder = run.output.folder
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RedoxError(f"cannot write to the output folder {folder}: {nearest} is read-only for this user")
    _check_samples(run)


def _check_samples(run: Run) -> None:
    """Raises RedoxError, with the differences, if the folder holds samples of another input."""
    if changed := changes_of_input(run):
        learns = run.config.label.learning is not None
        raise RedoxError(
            f"the samples in {run.output.folder} belong to another input:\n  " + "\n  ".join(changed)
            + "\nuse another output folder, or --fresh to delete them and start over"
            + ("; if only the folder samples is deleted, the rounds of learning are kept" if learns else "")
        )  # fmt: skip


def changes_of_input(run: Run) -> list[str]:
    """How this input differs from the one whose samples are in the output folder; empty if there are none."""
    store = run.output.store
    if not store.begun:
        return []
    old = read_json(store.identity)
    return differences(old, known_before(sample.written_identity(run), old, sample.identity(run, defaults=False)))


class _LogFile(logging.FileHandler):
    """run.log. On a full disk its lines are lost there; the terminal still shows them."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _log_to(path: Path, may_rotate: bool) -> None:
    if may_rotate and path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
        os.replace(path, path.with_name("run.old.log"))
    log.setLevel(logging.INFO)
    log.handlers = [logging.StreamHandler(sys.stderr), _LogFile(path)]
    log.propagate = False  # libraries of potentials give the root logger handlers of their own
    for handler in log.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
