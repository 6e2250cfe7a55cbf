"""The record of an OUTCAR of VASP."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase.io.formats import open_with_compression
from numpy.typing import NDArray

from .record import Record, electronic_problem, kind_of_run, vasp_settings

NAMES = "NELM|NSW|IBRION|ISPIN|LNONCOLLINEAR|ENCUT|LEXCH|METAGGA|LHFCALC|AEXX"
TAG = re.compile(rf"(?:^|[ ;])({NAMES}) *= *([^;\n]*)")
HUBBARD = re.compile(r"(?:for each species|type is set to) (LDAU\w+) *= *(.*)")  # not the copy of the INCAR: LDAU may be F
STEP_ENDS = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"
FINISHED = "reached required accuracy"


def outcar_record(path: Path) -> Record:
    """The record of an OUTCAR, plain or compressed."""
    lines = _Lines()
    with open_with_compression(str(path)) as handle:
        for line in handle:
            lines.add(line)
    return lines.record()


class _Lines:
    """What was found in the lines so far."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.tags: dict[str, str] = {}
        self.step = 0  # before the next "Iteration", a table belongs to the previous step
        self.finished = 0
        self.electronic: dict[int, int] = defaultdict(int)
        self.stops: dict[int, str] = defaultdict(str)
        self.tables: dict[int, dict[str, list[float]]] = defaultdict(dict)
        self.rows: list[float] | None = None
        self.relaxed = False

    def add(self, line: str) -> None:
        if not self.electronic:
            self._header(line)
        if "- Iteration " in line:
            self.step = self.finished
            self.electronic[self.step] += 1
        elif STEP_ENDS in line:
            self.finished += 1
        elif "aborting loop" in line:
            self.stops[self.step] = line
        elif FINISHED in line:
            self.relaxed = True
        else:
            self._moments(line)

    def _header(self, line: str) -> None:
        if line.startswith(" POTCAR:"):
            self.titles.append(line[8:].strip())
        self.tags |= {name: value.strip() for name, value in TAG.findall(line) + HUBBARD.findall(line) if value.strip()}

    def _moments(self, line: str) -> None:
        if title := re.match(r" *magnetization \(([xyz])\)", line):
            self.rows = self.tables[self.step][title[1]] = []
        elif self.rows is not None and re.match(r" *\d+ ", line):
            self.rows.append(float(line.split()[-1]))
        elif self.rows:
            self.rows = None

    def record(self) -> Record:
        limit = int(self.tags["NELM"].split()[0]) if "NELM" in self.tags else None
        steps = range(self.finished)
        return Record(
            tuple(electronic_problem(self.electronic[k], limit, self.stops[k]) for k in steps),
            self._unfinished(),
            tuple(_collinear(np.array(list(self.tables[k].values())).T) for k in steps),
            vasp_settings(self._species(), self.tags),
            self._spin_polarised(),
        )

    def _species(self) -> list[str]:
        """Titles of the POTCAR, one per species; they are printed twice."""
        half = len(self.titles) // 2
        return self.titles[:half] if self.titles[:half] == self.titles[half:] else self.titles

    def _unfinished(self) -> str | None:
        first = {name: value.split()[0] for name, value in self.tags.items()}
        relaxes, other = kind_of_run(first, self.finished)
        if not relaxes or self.relaxed:
            return other
        end = f"the relaxation has no line '{FINISHED}' after {self.finished} ionic steps"
        if self.finished >= int(first.get("NSW", self.finished + 1)):
            return f"{end}: it ended at NSW = {first['NSW']}"
        return f"{end}: it was stopped or killed"

    def _spin_polarised(self) -> bool | None:
        if self.tags.get("LNONCOLLINEAR", "F").startswith("T"):
            return True
        return self.tags["ISPIN"].startswith("2") if "ISPIN" in self.tags else None


def _collinear(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(atoms, 1) as (atoms,)."""
    return columns[:, 0] if columns.ndim == 2 and columns.shape[1] == 1 else columns
