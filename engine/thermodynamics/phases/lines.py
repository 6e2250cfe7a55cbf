"""First-order lines: where the grand potentials of two phases of different order are equal, and their compositions there."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ...sampling.phases.tasks import DISORDERED
from ..free_energy.hermite import hermite_basis
from .grand_potential import GrandPotential

Float = NDArray[np.float64]
FINE = 24  # parts of an interval of mu in which the phase of lowest grand potential is looked up
UNKNOWN = 0.3  # share of the last known term of a continued phi that may be missing after it
MOST_CHANGE = 0.05  # of x, as far as a phase is continued
SAME_EV = 1e-9  # difference of chemical potentials by rounding
STEP_EV = 1e-6  # of a derivative
MONOTONE = 3.0  # largest slope over that of the straight line with which x rises everywhere (Fritsch, Carlson 1980)
SIGNIFICANT = 3.0  # standard errors by which the compositions must differ


class Along(Enum):
    """Which of mu and T was varied to find where two grand potentials are equal; the other one is exact."""

    MU = "mu"
    TEMPERATURE = "temperature"


@dataclass(frozen=True, eq=False)
class Crossing:
    """phases: numbers in the catalogue, that of low x first. x (2, 1 + resamples); temperature_K, mu_eV (1 + resamples,)."""

    phases: tuple[int, int]
    temperature_K: Float
    mu_eV: Float
    x: Float
    along: Along

    @property
    def fixed(self) -> float:
        """Temperature (K) or mu (eV), whichever was not varied."""
        return float(self.temperature_K[0] if self.along is Along.MU else self.mu_eV[0])

    @property
    def x_error(self) -> Float:
        return np.asarray(self.x[:, 1:].std(axis=1, ddof=1))

    @property
    def is_region(self) -> bool:
        """Whether the compositions differ by more than their errors."""
        gap = self.x[1] - self.x[0]
        return bool(gap[0] > SIGNIFICANT * gap[1:].std(ddof=1))


Line = tuple[Crossing, ...]  # points of one line between two phases, from one end to the other


def crossings(
    found: Sequence[GrandPotential], row: int, temperature_K: float, beta_per_eV: float, step_eV: float
) -> list[Crossing]:
    """Along mu at one temperature, between the phases of lowest grand potential.

    row: of the cold part, the coldest being -1. step_eV: largest distance of points between which a phase is interpolated.
    """
    curves = [Curve(g, row, beta_per_eV, step_eV) for g in found]
    grid = np.unique(np.concatenate([g.surface.mu_eV for g in found]))
    lines = []
    for a, b in zip(grid, grid[1:]):
        inside = [c for c in curves if c.known(a, b) == 2 or (c.known(a, b) and c.phase != DISORDERED)]
        if len(inside) < 2:
            continue
        fine = np.linspace(a, b, FINE + 1)
        value = np.array([np.where(c.reaches(fine, a, b), c.at(fine, a, b)[0][0], np.inf) for c in inside])
        lowest = value.argmin(axis=0)
        for k in np.flatnonzero(np.diff(lowest)):
            pair = inside[lowest[k]], inside[lowest[k + 1]]
            if np.isinf(value[lowest[k : k + 2], k : k + 2]).any():  # one of them is not known as far as this
                continue
            continued = any(c.known(a, b) == 1 for c in pair)
            if not (continued and DISORDERED in (pair[0].phase, pair[1].phase)):
                lines.append(_crossing(pair, (float(fine[k]), float(fine[k + 1])), (a, b), temperature_K))
    return lines


def _crossing(
    pair: tuple["Curve", "Curve"], between: tuple[float, float], interval: tuple[float, float], temperature_K: float
) -> Crossing:
    def difference(mu: float) -> float:
        (one, _), (other, _) = (c.at(np.array([mu]), *interval) for c in pair)
        return float(one[0, 0] - other[0, 0])

    root = float(brentq(difference, *between, xtol=1e-12))
    near = np.array([root - STEP_EV, root, root + STEP_EV])
    (one, x_one), (other, x_other) = (c.at(near, *interval) for c in pair)
    x = np.array([x_one[:, 1], x_other[:, 1]])
    mu = root + (one - other)[:, 1] / (x[0, 0] - x[1, 0])
    slope = np.array([[v[0, 2] - v[0, 0]] for v in (x_one, x_other)]) / (2 * STEP_EV)
    return Crossing((pair[0].phase, pair[1].phase), np.full(len(mu), temperature_K), mu, x + slope * (mu - root), Along.MU)


def joined(points: Sequence[Crossing], temperature_K: Float, mu_eV: Float) -> list[Line]:
    """Lines through points, by T or, if that was varied, by mu. A line ends where a point of the grid has none of its points.

    temperature_K, mu_eV: the grid.
    """
    found: list[Line] = []
    for along, grid in ((Along.MU, temperature_K), (Along.TEMPERATURE, mu_eV)):
        of: dict[frozenset[int], list[Crossing]] = {}
        for point in points:
            if point.along is along:
                of.setdefault(frozenset(point.phases), []).append(point)
        for pair in sorted(of, key=sorted):
            own = sorted(of[pair], key=lambda c: c.fixed)
            cuts = [k + 1 for k, (a, b) in enumerate(pairwise(own)) if _skipped(grid, a.fixed, b.fixed)]
            found += [tuple(own[a:b]) for a, b in pairwise([0, *cuts, len(own)])]
    return found


def _skipped(grid: Float, a: float, b: float) -> bool:
    """Whether a point of the grid lies between."""
    margin = 1e-6 * (b - a)
    return bool(((grid > a + margin) & (grid < b - margin)).any())


class Curve:
    """phi and x of one phase over mu at one temperature, from the points of the grid at which it is known."""

    def __init__(self, found: GrandPotential, row: int, beta_per_eV: float, step_eV: float) -> None:
        s = found.surface
        known = s.exists[row] & np.isfinite(found.value_eV[:, row]).all(axis=0)
        self.phase, self.mu, self.step_eV = s.phase, s.mu_eV[known], step_eV
        self.value, self.x = found.value_eV[:, row, known], s.x[:, row, known]
        self.chi = beta_per_eV * s.variance[2, row, known]

    def known(self, low: float, high: float) -> int:
        """On how many sides of an interval of the grid the phase is known."""
        return len(self._ends(low, high))

    def reaches(self, mu: Float, low: float, high: float) -> NDArray[np.bool_]:
        """Where in an interval the phase is known, or can be continued: where x changes by MOST_CHANGE at most."""
        ends = self._ends(low, high)
        if len(ends) == 2:
            return np.ones(len(mu), bool)
        return np.asarray(self.chi[ends[0]] * np.abs(mu - self.mu[ends[0]]) <= MOST_CHANGE)

    def _ends(self, low: float, high: float) -> NDArray[np.int64]:
        """Points on both sides of an interval, at most a step apart, else those that are its ends."""
        before, after = np.flatnonzero(self.mu <= low + SAME_EV)[-1:], np.flatnonzero(self.mu >= high - SAME_EV)[:1]
        both = np.concatenate([before, after])
        if len(both) == 2 and self.mu[both[1]] - self.mu[both[0]] <= self.step_eV + SAME_EV:
            return both
        return np.flatnonzero(np.isclose(self.mu, low) | np.isclose(self.mu, high))

    def at(self, mu: Float, low: float, high: float) -> tuple[Float, Float]:
        """phi and x, (1 + resamples, mu), within an interval of the grid: between both ends, or continued from one of them."""
        ends = self._ends(low, high)
        return self._between(mu, ends) if len(ends) == 2 else self._continued(mu, int(ends[0]))

    def _between(self, mu: Float, ends: NDArray[np.int64]) -> tuple[Float, Float]:
        h = self.mu[ends[1]] - self.mu[ends[0]]
        basis = hermite_basis((mu - self.mu[ends[0]]) / h, 2)  # (ends, derivatives, mu)
        value = np.einsum("re,em->rm", self.value[:, ends], basis[:, 0]) - h * np.einsum(
            "re,em->rm", self.x[:, ends], basis[:, 1]
        )
        chi = np.minimum(self.chi[ends], MONOTONE * max(float(np.diff(self.x[0, ends])[0]), 0.0) / h)
        return value, np.einsum("re,em->rm", self.x[:, ends], basis[:, 0]) + h * (chi @ basis[:, 1])

    def _continued(self, mu: Float, end: int) -> tuple[Float, Float]:
        """By x and dx/dmu. A share of the last term is added to the error, along the deviations of the resamples."""
        d, last = mu - self.mu[end], self.chi[end] * (mu - self.mu[end]) ** 2 / 2
        own = self.value[:, end] - self.value[0, end]
        value = self.value[:, [end]] - self.x[:, [end]] * d - last + UNKNOWN * last * (own / max(own.std(), 1e-12))[:, None]
        return value, self.x[:, [end]] + self.chi[end] * d
