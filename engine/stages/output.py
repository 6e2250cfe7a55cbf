"""outputs/NAME: where things are in it, and opening it for a run."""

import json
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import RedoxError
from ..input.reader import InputFile
from ..runtime.changes import differences, known_before
from ..runtime.lock import Lock
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_json, write_json
from .identity import sample_identity

log = logging.getLogger("redoxmc")
LARGEST_LOG_BYTES = 1_000_000  # of run.log, when a run begins
BY_POTENTIALS = (
    "labelled.extxyz",
    "label.json",
    "label.mark",
    "learning.json",
    "evaluation.json",
    "evaluation.html",
    "refused_frames.txt",
)
FOLDERS = (
    "figures",
    "exports",
    "phases",
    "ground_states",
    "correction",
    "potentials",
    "relaxations",
    "rounds",
    "moments",
    "held_out",
)


@dataclass(frozen=True)
class Output:
    """Where things are in outputs/NAME."""

    folder: Path

    @property
    def expansion(self) -> Path:
        return self.folder / "cluster_expansion.ce"

    @property
    def fit(self) -> Path:
        return self.folder / "fit.json"

    @property
    def results(self) -> Path:
        return self.folder / "results.h5"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def learning(self) -> Path:
        return self.folder / "learning.json"

    @property
    def ground_states(self) -> Path:
        return self.folder / "ground_states"

    @property
    def store(self) -> SampleStore:
        return SampleStore(self.folder / "samples")

    @property
    def running(self) -> Lock:
        """Held by the one run that makes labels, fits and samples."""
        return Lock(self.folder / "run.lock")

    @property
    def analysing(self) -> Lock:
        """Held while results and report are made, which a second process may do while the run goes on."""
        return Lock(self.folder / "analysis.lock")

    def clear(self) -> None:
        """Delete what any stage has made."""
        self.store.clear()
        for path in (self.results, self.report, self.fit, self.expansion, *(self.folder / name for name in BY_POTENTIALS)):
            path.unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def open_output(output: Output, source: InputFile, fresh: bool, samples: bool, lock: Lock | None) -> None:
    """Make the folder; refuse samples of another run, with the difference. fresh: delete what is there; samples: whether any are made.

    lock: taken, where given. Raises RedoxError.
    """
    try:
        output.folder.mkdir(parents=True, exist_ok=True)
        if lock:
            lock.take()
        _log_to(output.folder / "run.log", may_rotate=lock is not None)
        if fresh:
            with output.analysing.held():
                output.clear()
    except OSError as error:
        raise RedoxError(f"cannot write to the output folder {output.folder}: {error.strerror}") from None
    identity = json.loads(json.dumps(sample_identity(source)))
    if output.store.identity.exists():
        old = read_json(output.store.identity)
        given = sample_identity(source, defaults=False)
        if changed := differences(old, known_before(identity, old, given)):
            raise RedoxError(
                f"the samples in {output.folder} belong to another input:\n  " + "\n  ".join(changed)
                + "\nuse another output folder, or --fresh to delete them and start over"
                + ("" if source.config.label.learning is None else "; without the folder samples alone the rounds of learning are kept")
            )  # fmt: skip
    elif source.config.energy is not None and samples:
        write_json(output.store.identity, identity)


class _LogFile(logging.FileHandler):
    """run.log; on a full disk the lines are lost there, and still told on the terminal."""

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
