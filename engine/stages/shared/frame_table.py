"""The table of a data set, dataset.csv: a row for every frame, used or left out. And its summary for the report."""

import csv
import io
import re
from collections import Counter
from math import isfinite
from pathlib import Path
from typing import Any

from ...hamiltonian.fit import Fit
from ...potentials.calculations import other_energy_keys
from ...potentials.dataset import Frame, FrameTable, duplicate_spread_eV

COLUMNS = (
    "file", "frame", "name", "composition", "charges", "charges_from", "margin_muB2", "misfit_muB", "strain", "expansion",
    "shift_A", "energy_eV_per_fu", "energy_key", "leave_one_out_error_meV_per_fu", "sigmas", "duplicate_of", "left_out",
)  # fmt: skip
NAMES_SHOWN = 3
SMALL_SPREAD_EV = 0.005  # per formula unit, between calculations of one arrangement
LONGEST_REASON = 150  # characters in a message


def table_rows(table: FrameTable, folder: Path, fit: Fit | None = None) -> list[dict[str, str]]:
    """The rows, by column. folder: to which file names are relative. fit: of the frames that are used, if there is one."""
    errors = {} if fit is None else dict(zip((id(f) for f in table.used), fit.leave_one_out_eV.tolist()))
    sigmas = {} if fit is None else {id(table.used[k]): ratio for k, ratio in fit.outliers().items()}
    return [_row(f, folder, errors.get(id(f)), sigmas.get(id(f))) for f in table.frames]


def _row(frame: Frame, folder: Path, error_eV: float | None, sigmas: float | None) -> dict[str, str]:
    c = frame.calculation
    file = c.file.relative_to(folder) if c.file.is_relative_to(folder) else c.file
    composition = frame.composition or ("" if c.atoms is None else c.atoms.get_chemical_formula())
    values = (
        str(file), str(c.index), c.name, composition, frame.charges, frame.evidence,
        _number(frame.margin_muB2, ".3f"), _number(frame.misfit_muB, ".2f"), _number(frame.strain, ".4f"),
        _number(frame.expansion, "+.4f"), _number(frame.shift_A, ".3f"), _number(frame.energy_eV, ".6f"),
        c.energy_key,
        _number(None if error_eV is None else 1e3 * error_eV, "+.2f"), _number(sigmas, ".1f"), frame.duplicate_of or "",
        frame.left_out or "",
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _number(value: float | None, form: str) -> str:
    return "" if value is None or not isfinite(value) else format(value, form)


def csv_text(rows: list[dict[str, str]]) -> str:
    """The rows as comma-separated values with a line of column names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def reasons(table: FrameTable) -> dict[str, list[str]]:
    """Names of the frames that are left out, by reason without its numbers, the most frequent first."""
    found: dict[str, list[str]] = {}
    for frame in table.left_out:
        kind = re.sub(r"^[A-Z]\w*\d\w* ", "the cell ", (frame.left_out or "").split(";")[0])
        found.setdefault(re.sub(r"[-+]?\d[\d.]*", "#", kind), []).append(frame.calculation.name)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _examples(table: FrameTable) -> list[tuple[int, str, list[str]]]:
    """For each reason: how many frames it holds for, the reason of the first one, and the first names."""
    said = {f.calculation.name: _in_short(f.left_out or "") for f in reversed(table.left_out)}
    return [(len(names), said[names[0]], names[:NAMES_SHOWN]) for names in reasons(table).values()]


def left_out_text(table: FrameTable) -> str:
    """The reasons with their counts, an example and the first names."""
    parts = [(n, why, ", ".join(names) + (", ..." if n > len(names) else "")) for n, why, names in _examples(table)]
    return "; ".join(f"{n}: {why} ({names})" for n, why, names in parts)


def table_warnings(table: FrameTable) -> tuple[str, ...]:
    """Frames that are left out, and copies whose energies differ."""
    found = other_energy_keys([f.calculation for f in table.used])
    if table.left_out:
        found.append(f"{len(table.left_out)} of {len(table.frames)} frames are left out, see dataset.csv: {left_out_text(table)}")
    if (spread_eV := duplicate_spread_eV(table)) > SMALL_SPREAD_EV:
        worst = max((f for f in table.frames if f.duplicate_of), key=lambda f: f.energy_eV - _kept(table, f).energy_eV)
        found.append(
            f"frames of one arrangement differ by up to {1e3 * spread_eV:.1f} meV/fu ({worst.calculation.name} and "
            f"{worst.duplicate_of}): were they calculated alike?"
        )
    return tuple(found)


def _kept(table: FrameTable, duplicate: Frame) -> Frame:
    return next(f for f in table.used if f.calculation.name == duplicate.duplicate_of)


def _in_short(reason: str) -> str:
    """Without the evidence, if that is long."""
    return reason if len(reason) < LONGEST_REASON else reason.split(";")[0]


def summary(table: FrameTable) -> dict[str, Any]:
    """What the report says about the data set; energies in eV per formula unit."""
    used = table.used
    strained, shifted = max(used, key=lambda f: f.strain), max(used, key=lambda f: f.shift_A)
    merged = Counter(f.duplicate_of for f in table.frames if f.duplicate_of)
    return {
        "n_frames": len(table.frames),
        "n_used": len(used),
        "left_out": [list(found) for found in _examples(table)],
        "largest_strain": [strained.strain, strained.calculation.name],
        "largest_shift_A": [shifted.shift_A, shifted.calculation.name],
        "n_duplicates": merged.total(),
        "duplicate_spread_eV": duplicate_spread_eV(table),
    }
