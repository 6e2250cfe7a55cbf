"""Magnetic moments of the atoms of one element against the reference moments of its charge states.

A charge state may have several reference moments, one for each of its spin states. A level is one of them.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Species
from .labels import reference_moments_muB

Float = NDArray[np.float64]
Counted = tuple[float, dict[int, int]]  # misfit in muB², and charge → number of atoms


def sizes_muB(moments_muB: Float) -> Float:
    """Sizes (atoms,) of moments (atoms,), or (atoms, 3) if non-collinear."""
    moments = np.asarray(moments_muB, float)
    return np.abs(moments) if moments.ndim == 1 else np.linalg.norm(moments, axis=1)


def best_counts(states: tuple[Species, ...], n_atoms: int, moments_muB: Float | None) -> list[Counted]:
    """Numbers of atoms per charge state: for every total charge the two that fit the moments (atoms,) best.

    The misfit is the sum of squared deviations from the reference moments; it is 0 without moments.
    """
    levels = _levels(states) if moments_muB is not None else [(0.0, s.charge) for s in states]
    numbers = _compositions(n_atoms, len(levels))
    misfit = np.zeros(len(numbers)) if moments_muB is None else _misfits(levels, numbers, np.sort(moments_muB))
    charges = [s.charge for s in states]
    per_state = numbers @ np.array([[q == level for q in charges] for _, level in levels], np.int64)
    found: dict[int, list[Counted]] = {}
    seen: set[tuple[int, ...]] = set()
    for k in np.argsort(misfit, kind="stable"):
        counts = tuple(int(n) for n in per_state[k])
        best = found.setdefault(sum(q * n for q, n in zip(charges, counts)), [])
        if counts not in seen and len(best) < 2:
            best.append((float(misfit[k]), dict(zip(charges, counts))))
        seen.add(counts)
    return [option for best in found.values() for option in best]


def ascending_charges(states: tuple[Species, ...], counts: dict[int, int], moments_muB: Float) -> NDArray[np.int64]:
    """Charges (atoms,) in ascending order of the moments, with the given number of atoms per charge, of the least misfit."""
    levels = _levels(states)
    numbers = _compositions(sum(counts.values()), len(levels))
    for charge, n in counts.items():
        numbers = numbers[numbers[:, [level == charge for _, level in levels]].sum(axis=1) == n]
    best = numbers[np.argmin(_misfits(levels, numbers, np.sort(moments_muB)))]
    return np.repeat([charge for _, charge in levels], best)


def deviation_muB(species: Species, moment_muB: float) -> float:
    """Distance of a moment from the closest reference moment of a species."""
    return min(abs(moment_muB - m) for m in reference_moments_muB(species))


def in_words(states: tuple[Species, ...]) -> str:
    """The states of an element with their reference moments."""
    return ", ".join(f"{s.name} {' or '.join(f'{m:.2f}' for m in reference_moments_muB(s))}" for s in states)


def _levels(states: tuple[Species, ...]) -> list[tuple[float, int]]:
    """Reference moment and charge of every level, by ascending moment."""
    return sorted((m, s.charge) for s in states for m in reference_moments_muB(s))


def _compositions(n_atoms: int, n_levels: int) -> NDArray[np.int64]:
    """All numbers (ways, levels) of atoms per level."""
    bars = np.array(list(combinations(range(n_atoms + n_levels - 1), n_levels - 1)), np.int64).reshape(-1, n_levels - 1)
    ends = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, n_atoms + n_levels - 1)))
    return np.diff(ends, axis=1) - 1


def _misfits(levels: list[tuple[float, int]], numbers: NDArray[np.int64], ascending_muB: Float) -> Float:
    """Sums (ways,) of squared deviations if the lowest moments are of the first level, and so on."""
    squares = (ascending_muB - np.array([[m] for m, _ in levels])) ** 2
    sums = np.pad(np.cumsum(squares, axis=1), ((0, 0), (1, 0)))
    ends = np.pad(np.cumsum(numbers, axis=1), ((0, 0), (1, 0)))
    rows = np.arange(len(levels))
    total: Float = (sums[rows, ends[:, 1:]] - sums[rows, ends[:, :-1]]).sum(axis=1)
    return total
