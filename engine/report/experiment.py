"""Experimental points of the phase diagram, from a CSV file; they are drawn on it, and nothing is fitted to them."""

import csv
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, Problem, RedoxError
from ..runtime.results.transition import LooseGroup

KINDS = ("boundary", "single-phase", "two-phase")
REQUIRED = ("x", "temperature_K", "label", "kind")
OPTIONAL = ("x_error", "temperature_error_K", "source")
LONGEST = 40  # letters of a label, which stands in a legend
LEAST_K = 1.0
ROUNDING = 1e-9


@dataclass(frozen=True)
class Point:
    """x: ions per formula unit; the errors, 0 where none is given, are half the length of the bars. source: where it was published, and how it was read off."""

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

    def group(self) -> LooseGroup:
        """For results.h5."""
        group, dims = LooseGroup(attributes={"sha256": self.sha256}), ("point",)
        x, t = ([getattr(p, name) for p in self.points] for name in ("x", "temperature_K"))
        group.add("x", dims, x, "1", "measured: ions per formula unit", [p.x_error for p in self.points])
        group.add("temperature_K", dims, t, "K", "measured: temperature", [p.temperature_error_K for p in self.points])
        for name, words in (
            ("label", "name in the legend"),
            ("kind", f"one of {', '.join(KINDS)}"),
            ("source", "where it is from"),
        ):
            group.add(name, dims, [getattr(p, name) for p in self.points], "1", words)
        return group


def read_experiment(path: Path, low: float, high: float) -> Experiment:
    """A CSV file with the columns x, temperature_K, label, kind and, if wanted, x_error, temperature_error_K, source; low <= x <= high.

    Empty lines and lines that begin with # are skipped. Raises RedoxError if the file cannot be read, InputError with every line that is wrong.
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
        allowed = f"{', '.join(REQUIRED)} and, if wanted, {', '.join(OPTIONAL)}, each once"
        return [Problem("columns", f"found {', '.join(found) or 'none'}; allowed: {allowed}", line)]
    return [] if n_points else [Problem("rows", "found none; allowed: one for each point", line)]


@dataclass(frozen=True)
class _Row:
    """One line of the file; what is wrong with it is added to `problems`."""

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
            label=self._word("label", _is_name, f"a name of 1 to {LONGEST} letters, the first no _"),
            kind=self._word("kind", lambda s: s in KINDS, ", ".join(KINDS)),
            x_error=self._number("x_error", 0.0, math.inf, "0 or more"),
            temperature_error_K=self._number("temperature_error_K", 0.0, math.inf, "0 or more"),
            source=self._word("source", str.isprintable, "letters that can be printed"),
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
    """Fit for a legend, where matplotlib leaves out what begins with an underscore."""
    return 0 < len(text) <= LONGEST and text.isprintable() and text[0] != "_"
