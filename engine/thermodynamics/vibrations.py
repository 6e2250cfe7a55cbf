"""Vibrations: a free energy F_vib(T, x) beside that of the configurations (van de Walle, Ceder, Rev. Mod. Phys. 74, 11, 2002).

It depends on temperature and composition alone, so that no average at fixed composition changes: it is added to F(T, x) after
sampling, and this is exact.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from ..units import BOLTZMANN_EV_PER_K
from .phonons import Fit, fit_phonons, read_phonons

Float = NDArray[np.float64]
TABLE, STRUCTURES = ("temperature_K", "x", "free_energy_eV"), ("x", "file")
CUBIC = 3
ROUNDING = 1e-9


@dataclass(frozen=True)
class Vibrational:
    """Thermodynamics of the vibrations per formula unit, (temperatures, x) each."""

    free_energy_eV: Float
    energy_eV: Float
    entropy_kB: Float
    heat_capacity_kB: Float


@dataclass(frozen=True)
class Vibrations:
    """A table of F_vib per formula unit: free_energy_eV (temperatures, x) over temperature_K and x, both ascending.

    fit: how it was made from phonons of structures; None for a table in the user's file.
    """

    temperature_K: Float
    x: Float
    free_energy_eV: Float
    fit: Fit | None = None

    @property
    def description(self) -> str:
        span = f"{self.temperature_K[0]:g} to {self.temperature_K[-1]:g} K"
        if self.fit is None:
            return f"a table of {len(self.x)} compositions, {span}"
        return f"a polynomial of order {self.fit.order} in x through the phonons of {self.fit.n_structures} structures, {span}"

    @property
    def content(self) -> list[str]:
        """All numbers as text, for a hash."""
        return [values.tobytes().hex() for values in (self.temperature_K, self.x, self.free_energy_eV)]

    def at(self, temperature_K: Float, x: Float) -> Vibrational:
        """Interpolate within the table by splines, cubic where there are enough nodes: S = -dF/dT, U = F + TS, C = -T d2F/dT2."""
        over_t = make_interp_spline(self.temperature_K, self.free_energy_eV, CUBIC)

        def along_x(values: Float) -> Float:
            degree = min(CUBIC, len(self.x) - 1)
            return np.asarray(make_interp_spline(self.x, values, degree, axis=1)(np.clip(x, self.x[0], self.x[-1])))

        free, slope, curvature = (along_x(over_t(temperature_K, nu=order)) for order in range(3))
        t = temperature_K[:, None]
        return Vibrational(free, free - t * slope, -slope / BOLTZMANN_EV_PER_K, -t * curvature / BOLTZMANN_EV_PER_K)

    def covers(self, temperature_K: Float) -> NDArray[np.bool_]:
        return (temperature_K >= self.temperature_K[0] - ROUNDING) & (temperature_K <= self.temperature_K[-1] + ROUNDING)


def read_vibrations(path: Path, lattice: Lattice, ion: str) -> Vibrations:
    """Read a CSV file: free energies of a formula unit over temperature and x, or structures by x and file.

    Structures are fitted over x. Their files are thermal_properties.yaml of phonopy; their names are relative to the CSV
    file. Raises RedoxError with what is wrong.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            columns = [c.strip() for c in next(csv.reader(handle), [])]
            rows = list(csv.DictReader(handle, columns, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RedoxError(f"cannot read {path}: {error}") from None
    if set(columns) == set(TABLE):
        return _table(path, np.array([[_number(path, k, row, c) for c in TABLE] for k, row in enumerate(rows)]).reshape(-1, 3))
    if set(columns) == set(STRUCTURES):
        phonons = [
            read_phonons(path.parent / str(row["file"]), _number(path, k, row, "x"), lattice, ion) for k, row in enumerate(rows)
        ]
        fit = fit_phonons(phonons)
        return Vibrations(fit.temperature_K, fit.x, fit.free_energy_eV, fit)
    found = ", ".join(columns) or "none"
    raise RedoxError(f"{path.name}: found the columns {found}; allowed: {', '.join(TABLE)} or {', '.join(STRUCTURES)}")


def _number(path: Path, row: int, cells: dict[str, str], column: str) -> float:
    try:
        value = float(cells[column])
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise RedoxError(f"{path.name}, line {row + 2}: {column}: found {cells[column]!r}; allowed: a number")
    return value


def _table(path: Path, rows: Float) -> Vibrations:
    """A table from rows (temperature, x, F) in any order, one for every temperature at every x."""
    (t, at_t), (x, at_x) = (np.unique(rows[:, k], return_inverse=True) for k in (0, 1))
    if len(t) <= CUBIC or len(x) < 2:
        raise RedoxError(
            f"{path.name}: found {len(t)} temperatures and {len(x)} compositions; allowed: at least {CUBIC + 1} and 2"
        )
    values = np.full((len(t), len(x)), np.nan)
    values[at_t, at_x] = rows[:, 2]
    if len(rows) != values.size or np.isnan(values).any():
        raise RedoxError(
            f"{path.name}: found {len(rows)} rows; allowed: each of {len(t)} temperatures once at each of {len(x)} x"
        )
    return Vibrations(t, x, values)
