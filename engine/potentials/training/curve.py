"""Learning curves as CSV files."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...runtime.storage import write_text

CURVE_COLUMNS = (
    "epoch",
    "loss_training",
    "loss_validation",
    "energy_mae_eV_per_atom",
    "forces_mae_eV_per_A",
    "stress_mae_eV_per_A3",
)


def write_curve(path: Path, rows: list[list[float]]) -> None:
    """Write one row per epoch, with the columns CURVE_COLUMNS."""
    lines = [",".join(CURVE_COLUMNS), *(",".join(f"{v:.6g}" for v in row) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def read_curve(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns (epochs,) of a learning curve by name."""
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([float(r[name] or "nan") for r in rows]) for name in CURVE_COLUMNS}
