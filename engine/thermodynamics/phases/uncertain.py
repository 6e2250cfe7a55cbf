"""Chemical potentials between those of the grid at which the lines between phases are uncertain."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...sampling.phases.tasks import DISORDERED, Catalogue
from ...units import BOLTZMANN_EV_PER_K
from .lines import Along
from .phases import PhasesOfCell

Float = NDArray[np.float64]
LARGEST_X_ERROR = 0.01
LARGEST_STEP_X, LARGEST_STEP_LOG_T = 0.05, 0.04  # between neighbouring points of a line along T
LEAST_SPLIT = 1 / 16  # of the distance of the evenly spaced ones: the closest that the grid becomes, twice


def uncertain_eV(found: PhasesOfCell, catalogue: Catalogue) -> list[float]:
    """Middles of intervals of the grid, the worst first.

    An interval is uncertain if two phases change places in it as the most stable one, and no line between them is seen; if
    the compositions of a line in it are less certain than LARGEST_X_ERROR; or if the order ends at very different T or x at both
    its ends.
    """
    grid = catalogue.grid_eV
    score = np.zeros(len(grid) - 1)
    for mu_eV, much in (*_missing(found, grid), *_inaccurate(found), *_wide(found)):
        score[int(np.clip(np.searchsorted(grid, mu_eV) - 1, 0, len(score) - 1))] += much
    score[np.diff(grid) < LEAST_SPLIT * np.diff(catalogue.mu_eV).min()] = 0.0
    worst = np.argsort(-score, kind="stable")
    return [float(grid[k : k + 2].mean()) for k in worst if score[k] > 0]


def _missing(found: PhasesOfCell, grid: Float) -> Iterator[tuple[float, float]]:
    """Of every temperature and every pair of ordered phases, or of phases with a line elsewhere, that change places unseen."""
    known = {frozenset(line[0].phases) for line in found.lines}
    points = [c for line in found.lines for c in line if c.along is Along.MU]
    numbers = np.array([g.surface.phase for g in found.grand])
    ordered = next((g.surface for g in found.grand if g.surface.phase != DISORDERED), None)
    for row in range(-len(ordered.beta_per_eV), 0) if ordered else ():
        value = np.array(
            [_at(g.surface.mu_eV, np.where(g.surface.exists, g.value_eV[0], np.nan)[row], grid) for g in found.grand]
        )
        there = np.flatnonzero(np.isfinite(value).any(axis=0))
        stable = numbers[np.where(np.isnan(value), np.inf, value)[:, there].argmin(axis=0)]
        temperature_K = 1 / (BOLTZMANN_EV_PER_K * ordered.beta_per_eV[row]) if ordered else 0.0
        seen = np.array([c.mu_eV[0] for c in points if np.isclose(c.fixed, temperature_K)])
        for (a, one), (b, other) in pairwise(zip(grid[there].tolist(), stable.tolist())):
            unseen = not ((seen >= a) & (seen <= b)).any()
            if one != other and unseen and (DISORDERED not in (one, other) or _melts(found, one, other, a, b, known)):
                yield (a + b) / 2, 1.0


def _melts(found: PhasesOfCell, one: int, other: int, a: float, b: float, known: set[frozenset[int]]) -> bool:
    """Whether an order is seen to end in a first-order transition at one end of an interval, and not at the other."""
    pair = frozenset((one, other))
    points = [c.fixed for line in found.lines for c in line if frozenset(c.phases) == pair and c.along is Along.TEMPERATURE]
    return pair in known and sum(bool(np.isclose(points, mu).any()) for mu in (a, b)) == 1


def _at(mu_eV: Float, values: Float, grid: Float) -> Float:
    """Values of a phase on the whole grid; nan where it has none."""
    full = np.full(len(grid), np.nan)
    full[np.searchsorted(grid, mu_eV)] = values
    return full


def _inaccurate(found: PhasesOfCell) -> Iterator[tuple[float, float]]:
    for c in (c for line in found.lines for c in line if c.along is Along.MU):
        if (much := float(c.x_error.max()) / LARGEST_X_ERROR) > 1:
            yield float(c.mu_eV[0]), min(much - 1, 1.0)


def _wide(found: PhasesOfCell) -> Iterator[tuple[float, float]]:
    for line in found.lines:
        for a, b in pairwise(line) if line[0].along is Along.TEMPERATURE else ():
            in_x = float(np.abs(a.x[:, 0] - b.x[:, 0]).max()) / LARGEST_STEP_X
            in_t = abs(float(np.log(a.temperature_K[0] / b.temperature_K[0]))) / LARGEST_STEP_LOG_T
            if max(in_x, in_t) > 1:
                yield (a.fixed + b.fixed) / 2, max(in_x, in_t)
