"""The single-phase fields between the two-phase regions, numbered over temperature and mapped to the sampled points."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .boundaries import Gap

Float = NDArray[np.float64]
Int = NDArray[np.int64]
STEPS = 3
LEAST_TEMPERATURES = 3  # of the trace at which a field must exist to get a name


@dataclass(frozen=True)
class Field:
    """The range of x, from x[0] to x[1], of one phase at one temperature."""

    x: tuple[float, float]
    number: int = -1


def single_phase_fields(rows: list[list[Gap]], x: tuple[float, float], spacing: float) -> list[list[Field]]:
    """The fields between the gaps in the range x at every temperature, numbered.

    Where fields meet or part on heating, new ones begin. spacing: of the compositions of the trace; fields that are at most
    STEPS of it apart count as touching.
    """
    bare = [[Field(span) for span in _between(row, x)] for row in rows]
    numbered: list[list[Field]] = []
    count = 0
    for row in bare:
        below = numbered[-1] if numbered else []
        named = []
        for field in row:
            parents = [f for f in below if _near(f, field, STEPS * spacing)]
            alone = len(parents) == 1 and sum(_near(parents[0], f, STEPS * spacing) for f in row) == 1
            number = parents[0].number if alone else count
            count = max(count, number + 1)
            named.append(replace(field, number=number))
        numbered.append(named)
    return numbered


def _between(gaps: list[Gap], x: tuple[float, float]) -> list[tuple[float, float]]:
    ends = [x[0], *(v for gap in gaps for v in gap.x), x[1]]
    return list(zip(ends[0::2], ends[1::2]))


def _near(a: Field, b: Field, distance: float) -> bool:
    return min(a.x[1], b.x[1]) >= max(a.x[0], b.x[0]) - distance


def labels(fields: list[list[Field]], traced_K: Float, sampled_K: Float, x: Float) -> Int:
    """Number of the field (sampled temperatures, x); -1: two phases, or a field with fewer than LEAST_TEMPERATURES.

    Numbers count the fields from 0. A field between two compositions gets the one nearest to its middle. Temperatures beyond
    the trace have no fields.
    """
    numbers = [f.number for row in fields for f in row]
    lasting = [n for n in sorted(set(numbers)) if numbers.count(n) >= min(LEAST_TEMPERATURES, len(fields))]
    found = np.full((len(sampled_K), len(x)), -1)
    for row, t in enumerate(sampled_K):
        at = np.flatnonzero(traced_K == t)
        for field in fields[int(at[0])] if len(at) else []:
            if field.number in lasting:
                inside = (x >= field.x[0]) & (x <= field.x[1])
                inside[np.abs(x - sum(field.x) / 2).argmin()] = True
                found[row, inside] = lasting.index(field.number)
    seen = [n for n in range(len(lasting)) if (found == n).any()]
    return np.array([[seen.index(v) if v >= 0 else -1 for v in row] for row in found.tolist()], np.int64)
