"""First-order lines: where the grand potentials of two phases of different order are equal, and their compositions there."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ..free_energy.hermite import hermite_basis
from .grand_potential import GrandPotential

Float = NDArray[np.float64]
FINE = 24  # parts of an interval of mu in which the phase of lowest grand potential is looked up
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


def crossings(found: Sequence[GrandPotential], row: int, temperature_K: float, beta_per_eV: float) -> list[Crossing]:
    """Along mu at one temperature, between the phases of lowest grand potential. row: of the cold part, the coldest being -1."""
    curves = [Curve(g, row, beta_per_eV) for g in found]
    grid = np.unique(np.concatenate([g.surface.mu_eV for g in found]))
    lines = []
    for a, b in zip(grid, grid[1:]):
        inside = [c for c in curves if c.covers(a, b)]
        if len(inside) < 2:
            continue
        fine = np.linspace(a, b, FINE + 1)
        values = np.array([c.at(fine)[0][0] for c in inside])
        lowest = values.argmin(axis=0)
        for k in np.flatnonzero(np.diff(lowest)):
            pair = inside[lowest[k]], inside[lowest[k + 1]]
            lines.append(_crossing(pair, float(fine[k]), float(fine[k + 1]), temperature_K))
    return lines


def _crossing(pair: tuple["Curve", "Curve"], low: float, high: float, temperature_K: float) -> Crossing:
    def difference(mu: float) -> float:
        (one, _), (other, _) = (c.at(np.array([mu])) for c in pair)
        return float(one[0, 0] - other[0, 0])

    root = float(brentq(difference, low, high, xtol=1e-12))
    (one, x_one), (other, x_other) = (c.at(np.array([root])) for c in pair)
    x = np.array([x_one[:, 0], x_other[:, 0]])
    mu = root + (one - other)[:, 0] / (x[0, 0] - x[1, 0])
    slope = np.array([[(c.at(np.array([root + 1e-6]))[1] - c.at(np.array([root - 1e-6]))[1])[0, 0] / 2e-6] for c in pair])
    return Crossing((pair[0].phase, pair[1].phase), np.full(len(mu), temperature_K), mu, x + slope * (mu - root), Along.MU)


class Curve:
    """phi and x of one phase over mu at one temperature."""

    def __init__(self, found: GrandPotential, row: int, beta_per_eV: float) -> None:
        s = found.surface
        self.phase, self.mu = s.phase, s.mu_eV
        self.value, self.x, self.chi = found.value_eV[:, row], s.x[:, row], beta_per_eV * s.variance[2, row]
        self.known = s.exists[row] & np.isfinite(self.value).all(axis=0)

    def covers(self, low: float, high: float) -> bool:
        """Whether the phase is known at both ends of this interval of the grid."""
        ends = np.isclose(self.mu, low) | np.isclose(self.mu, high)
        return int(ends.sum()) == 2 and bool(self.known[ends].all())

    def at(self, mu: Float) -> tuple[Float, Float]:
        """phi and x, (1 + resamples, mu), within one interval of the grid."""
        k = int(np.clip(np.searchsorted(self.mu, mu.mean()) - 1, 0, len(self.mu) - 2))
        h = self.mu[k + 1] - self.mu[k]
        t = (mu - self.mu[k]) / h
        basis = hermite_basis(t, 2)  # (ends, derivatives, mu)
        ends = slice(k, k + 2)
        value = np.einsum("re,em->rm", self.value[:, ends], basis[:, 0]) - h * np.einsum(
            "re,em->rm", self.x[:, ends], basis[:, 1]
        )
        chi = np.minimum(self.chi[ends], MONOTONE * max(float(np.diff(self.x[0, ends])[0]), 0.0) / h)
        x = np.einsum("re,em->rm", self.x[:, ends], basis[:, 0]) + h * (chi @ basis[:, 1])
        return value, x
