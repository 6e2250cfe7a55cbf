"""Retention: the share of prepared charge labels that a relaxed structure still has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.stats import binomtest

from ..labels import Labels

CONFIDENCE = 0.95


def kept(cell: Atoms, shown: NDArray[np.int64], labels: Labels) -> tuple[int, int]:
    """Number of redox atoms whose label in `cell` agrees with the charges `shown` (atoms,), and number of all redox atoms."""
    redox = labels.redox_atoms(cell)
    return int(np.sum(shown[redox] == labels.charges(cell)[redox])), len(redox)


def total(counts: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Sums of counts (kept, all), their ratio and its Wilson interval (95 %); None if there are no labels."""
    same, of = (sum(column) for column in zip(*counts)) if counts else (0, 0)
    if of == 0:
        return {"kept": 0, "labels": 0, "share": None, "low": None, "high": None}
    interval = binomtest(same, of).proportion_ci(CONFIDENCE, method="wilson")
    return {"kept": same, "labels": of, "share": same / of, "low": float(interval.low), "high": float(interval.high)}
