"""The folder of samples: where its files are, and which of its segments are committed."""

import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .storage import TEMPORARY, read_h5, remove_partial

log = logging.getLogger("redoxmc")


@dataclass(frozen=True)
class SampleStore:
    """The folder samples/: the ladder, one folder per replica, and a folder exchange/ whose segments mark what is committed.

    segments: number of segments to read, so that those committed later by a running run are ignored; None for all.
    """

    folder: Path
    segments: int | None = None

    @property
    def ladder(self) -> Path:
        return self.folder / "ladder.h5"

    @property
    def identity(self) -> Path:
        return self.folder / "identity.json"

    @property
    def begun(self) -> bool:
        """Whether it is known whose samples these are, and there are some: a start that failed before leaves nothing."""
        return self.identity.exists() and any(path != self.identity for path in self.folder.iterdir())

    def segment(self, replica: int | None, number: int) -> Path:
        name = "exchange" if replica is None else f"replica_{replica:03d}"
        return self.folder / name / f"segment_{number:04d}.h5"

    def split(self, rung: int) -> Path:
        """File of the conditional entropies at one temperature."""
        return self.folder / "split" / f"rung_{rung:03d}.h5"

    @property
    def refinement(self) -> Path:
        """File of the temperatures added by refinement, with the samples that the decision was based on."""
        return self.folder / "refinement.json"

    def refined(self, round_number: int) -> "SampleStore":
        """Samples at the temperatures added by one round of refinement."""
        return SampleStore(self.folder / f"refined_{round_number:02d}")

    def second(self, matrix: NDArray[np.int64]) -> "SampleStore":
        """Samples of the second, smaller supercell, whose matrix is (3, 3)."""
        return SampleStore(self.folder / ("second_" + "_".join(map(str, matrix.ravel().tolist()))))

    def drop_refined(self, first: int) -> None:
        """Remove the samples of round `first` and all later rounds of refinement."""
        for path in self.folder.glob("refined_*"):
            if int(path.name.removeprefix("refined_")) >= first:
                shutil.rmtree(path)

    @property
    def order_scans(self) -> Path:
        """Folder of the scans of order over temperature, and of ends of gaps."""
        return self.folder / "order_scans"

    def order_scan(self, number: int) -> Path:
        """File of the scan at one chemical potential."""
        return self.order_scans / f"mu_{number:03d}.h5"

    def gap_scan(self, number: int) -> Path:
        """File of the scan of one end of a gap."""
        return self.order_scans / f"gap_{number:03d}.h5"

    @property
    def phases(self) -> Path:
        """Folder of the catalogue of phases and of their chains."""
        return self.folder / "phases"

    def lowest(self, supercell: str) -> Path:
        """File of the lowest-energy states in one supercell."""
        return self.folder / "ground_states" / f"{supercell}.h5"

    def committed(self) -> int:
        """Number of committed segments: those before the first missing file in exchange/."""
        if self.segments is not None:
            return self.segments
        number = 0
        while self.segment(None, number).exists():
            number += 1
        return number

    def as_it_is(self) -> "SampleStore":
        """The same folder, fixed to the segments committed now."""
        return SampleStore(self.folder, self.committed())

    def whole(self) -> int:
        """Number of committed segments before the first one in which the file of a replica is missing."""
        found, done = {path.name: set(os.listdir(path)) for path in self.folder.glob("replica_*")}, self.committed()
        names = [self.segment(k, 0).parent.name for k in range(self._n_replicas())]
        return next((n for n in range(done) if any(self.segment(0, n).name not in found.get(name, ()) for name in names)), done)

    def _n_replicas(self) -> int:
        if self.ladder.exists():
            return len(read_h5(self.ladder, ("slot_rung",))[0]["slot_rung"])
        return len(list(self.folder.glob("replica_*")))

    def remove_uncommitted(self) -> None:
        """Remove temporary files and incomplete segments of a killed run; log if a committed file has been deleted."""
        committed, done = self.committed(), self.whole()
        if done < committed:
            log.info(
                "%s: a file of segment %d is missing; it and later segments are sampled again (%d of %d are kept)",
                self.folder, done, done, committed,
            )  # fmt: skip
        for path in self.folder.glob("*/*"):
            match = re.fullmatch(r"segment_(\d+)\.h5", path.name)
            if TEMPORARY in path.name or (match and int(match[1]) >= done):
                path.unlink(missing_ok=True)
        remove_partial(self.folder)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
