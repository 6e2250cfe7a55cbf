"""Where things are in outputs/NAME."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...runtime.lock import Lock
from ...runtime.sample_store import SampleStore
from .options import STAGES


@dataclass(frozen=True)
class Output:
    """The output folder of a run."""

    folder: Path

    @property
    def potentials(self) -> Path:
        return self.folder / "potentials"

    @property
    def relaxations(self) -> Path:
        return self.folder / "relaxations"

    @property
    def refused_frames(self) -> Path:
        return self.folder / "refused_frames.txt"

    @property
    def labels(self) -> Path:
        """The data set that the label stage makes, or a copy of the one that was given."""
        return self.folder / "labelled.extxyz"

    @property
    def label_mark(self) -> Path:
        """What the data set was made from, and its hash."""
        return self.folder / "label.mark"

    @property
    def learning(self) -> Path:
        return self.folder / "learning.json"

    @property
    def expansion(self) -> Path:
        return self.folder / "cluster_expansion.ce"

    @property
    def fit(self) -> Path:
        return self.folder / "fit.json"

    @property
    def frame_table(self) -> Path:
        """Every frame of the data set, used or left out."""
        return self.folder / "dataset.csv"

    @property
    def mapped_cells(self) -> Path:
        """Mappings of a large data set to the lattice, kept from one command to the next."""
        return self.folder / "mapped_cells.json"

    @property
    def results(self) -> Path:
        return self.folder / "results.h5"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def ground_states(self) -> Path:
        return self.folder / "ground_states"

    @property
    def phases(self) -> Path:
        return self.folder / "phases"

    @property
    def store(self) -> SampleStore:
        return SampleStore(self.folder / "samples")

    @property
    def running(self) -> Lock:
        """Held by the one run that makes labels, fits and samples."""
        return Lock(self.folder / "run.lock")

    @property
    def analysing(self) -> Lock:
        """Held while results and report are made, which a second process may do while the run continues."""
        return Lock(self.folder / "analysis.lock")

    def clear(self) -> None:
        """Delete what the stages have made."""
        self.store.clear()
        for name in (name for stage in STAGES.values() for name in stage.output):
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
