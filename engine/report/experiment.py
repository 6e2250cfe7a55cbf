"""Experimental points from a CSV file, shown in the phase diagram. Nothing is fitted to them."""

import csv
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Problem, RedoxError
from ..runtime.results.experiment import ExperimentalPoints

KINDS = ("boundary", "single-phase", "two-phase")
REQUIRED = ("x", "temperature_K", "label", "kind")
OPTIONAL = ("x_error", "temperature_error_K", "source")
LONGEST = 40  # characters of a label in a legend
LEAST_K = 1.0
ROUNDING = 1e-9


@dataclass(frozen=True)
class Point:
    """One measurement. x: ions per formula unit. Errors are half the length of the bars, 0 where none is given."""

    x: float
    temperature_K: float
    label: str
    kind: str
    x_error: float
    temperature_error_K: float
    source: str


@dataclass(frozen=True)
class Experiment:
    """The points of one file, in its order; sha256 of its content."""

    points: tuple[Point, ...]
    sha256: str

    def group(self) -> ExperimentalPoints:
        """The points as /experiment of results.h5."""

        def column(name: str) -> NDArray[Any]:
            return np.array([getattr(point, name) for point in self.points])

        return ExperimentalPoints(
            x=column("x"),
            x_error=column("x_error"),
            temperature_K=column("temperature_K"),
            temperature_K_error=column("temperature_error_K"),
            label=column("label"),
            kind=column("kind"),
            source=column("source"),
            sha256=self.sha256,
        )


def read_experiment(path: Path, low: float, high: float) -> Experiment:
    """Read a CSV file with the columns x, temperature_K, label, kind and optionally x_error, temperature_error_K, source.

    Allowed x: low to high. Empty lines and lines that begin with # are skipped. Raises RedoxError if the file cannot be read,
    InputError with every wrong line.
    """
    try:
        content = path.read_bytes()
        lines = [
            (k, line) for k, line in enumerate(content.decode("utf-8-sig").splitlines(), 1) if line.strip() and line[0] != "#"
        ]
        rows = list(csv.reader([line for _, line in lines], skipinitialspace=True, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RedoxError(f"cannot read {path}: {error}") from None
    columns, *rows = [[cell.strip() for cell in row] for row in rows] or [[]]
    first, *numbers = [k for k, _ in lines] or [1]
    problems = _of_columns(columns, len(rows), first)
    found = [] if problems else [_Row(dict(zip(columns, row)), k, problems) for row, k in zip(rows, numbers)]
    points = [row.point(len(columns), len(cells), low, high) for row, cells in zip(found, rows)]
    if problems:
        raise InputError(problems, path.name)
    return Experiment(tuple(p for p in points if p), hashlib.sha256(content).hexdigest())


def _of_columns(found: list[str], n_points: int, line: int) -> list[Problem]:
    if set(found) - set(REQUIRED + OPTIONAL) or len(set(found)) < len(found) or not set(REQUIRED) <= set(found):
        allowed = f"{', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}, each once"
        return [Problem("columns", f"found {', '.join(found) or 'none'}; allowed: {allowed}", line)]
    return [] if n_points else [Problem("rows", "found none; allowed: one for each point", line)]


@dataclass(frozen=True)
class _Row:
    """One line of the file; its errors are added to `problems`."""

    cells: dict[str, str]
    line: int
    problems: list[Problem]

    def point(self, n_columns: int, n_cells: int, low: float, high: float) -> Point | None:
        if n_cells != n_columns:
            words = f"found {n_cells} cells; allowed: {n_columns}, one for each column (quote what holds a comma)"
            self.problems.append(Problem("row", words, self.line))
            return None
        return Point(
            x=self._number("x", low - ROUNDING, high + ROUNDING, f"ions per formula unit, {low:g} to {high:g} in this lattice"),
            temperature_K=self._number("temperature_K", LEAST_K, math.inf, f"a temperature of {LEAST_K:g} K or more"),
            label=self._word("label", _is_name, f"a name of 1 to {LONGEST} printable characters that does not begin with _"),
            kind=self._word("kind", lambda s: s in KINDS, ", ".join(KINDS)),
            x_error=self._number("x_error", 0.0, math.inf, "0 or more"),
            temperature_error_K=self._number("temperature_error_K", 0.0, math.inf, "0 or more"),
            source=self._word("source", str.isprintable, "printable characters"),
        )

    def _number(self, column: str, low: float, high: float, words: str) -> float:
        text = self.cells.get(column, "") or ("" if column in REQUIRED else "0")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            self.problems.append(Problem(column, f"found {text!r}; allowed: {words}", self.line))
        return value

    def _word(self, column: str, allowed: Callable[[str], bool], words: str) -> str:
        text = self.cells.get(column, "")
        if not allowed(text):
            self.problems.append(Problem(column, f"found {text!r}; allowed: {words}", self.line))
        return text


def _is_name(text: str) -> bool:
    """Whether matplotlib shows it in a legend: it omits labels that begin with an underscore."""
    return 0 < len(text) <= LONGEST and text.isprintable() and text[0] != "_"
