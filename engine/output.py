"""outputs/NAME: where things are in it, and opening it for a run."""

import json
import logging
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import RedoxError
from .inputfile import InputFile
from .provenance import sample_identity
from .storage import SampleStore, differences, write_text

log = logging.getLogger("redoxmc")
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

    def clear(self) -> None:
        """Delete what any stage has made."""
        self.store.clear()
        for path in (self.results, self.report, self.fit, self.expansion, *(self.folder / name for name in BY_POTENTIALS)):
            path.unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def open_output(output: Output, source: InputFile, fresh: bool, samples: bool) -> None:
    """Make the folder; refuse samples of another run, with the difference. fresh: delete what is there; samples: whether any are made."""
    identity = sample_identity(source)
    if fresh:
        output.clear()
    try:
        output.folder.mkdir(parents=True, exist_ok=True)
        _log_to(output.folder / "run.log")
        if output.store.identity.exists():
            old = json.loads(output.store.identity.read_text())
            if changed := differences(old, json.loads(json.dumps(identity))):
                raise RedoxError(
                    f"the samples in {output.folder} belong to another input:\n  " + "\n  ".join(changed)
                    + "\nuse another output folder, or --fresh to delete them and start over"
                    + ("" if source.config.label.learning is None else "; without the folder samples alone the rounds of learning are kept")
                )  # fmt: skip
        elif source.config.energy is not None and samples:
            write_text(output.store.identity, json.dumps(identity, indent=1))
    except OSError as error:
        raise RedoxError(f"cannot write to the output folder {output.folder}: {error.strerror}") from None


def _log_to(path: Path) -> None:
    log.setLevel(logging.INFO)
    log.handlers = [logging.StreamHandler(sys.stderr), logging.FileHandler(path)]
    log.propagate = False  # libraries of potentials give the root logger handlers of their own
    for handler in log.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
