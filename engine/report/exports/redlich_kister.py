"""Ends and a Redlich-Kister series in u (0..1) whose coefficients are a + bT + cT ln T, and its fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
MOST_TERMS = 9
BLOCKS = 10  # stretches of neighbouring compositions that are left out together: neighbours share their noise
POINTS_PER_PARAMETER = 2
LEAST_ERROR_EV = 1e-4  # no smooth curve is truer; without it the few points next to the exact ends would rule the fit


@dataclass(frozen=True)
class Points:
    """Excess free energies (n,) with their errors at temperature_K (n,) and u (n,)."""

    temperature_K: Float
    u: Float
    excess_eV: Float
    error_eV: Float

    def where(self, chosen: NDArray[np.bool_]) -> "Points":
        return Points(self.temperature_K[chosen], self.u[chosen], self.excess_eV[chosen], self.error_eV[chosen])

    @property
    def weight(self) -> Float:
        return 1 / (self.error_eV**2 + LEAST_ERROR_EV**2)

    @property
    def powers(self) -> int:
        """How many of 1, T and T ln T the temperatures can tell apart."""
        return min(3, len(np.unique(self.temperature_K)))


def basis(u: Float, terms: int) -> Float:
    """(n, 2 + terms): 1 - u, u, and u (1 - u) (2u - 1)^k."""
    return np.column_stack([1 - u, u, *(u * (1 - u) * (2 * u - 1) ** k for k in range(terms))])


def thermal(temperature_K: Float) -> Float:
    """(n, 3): 1, T, T ln T."""
    return np.column_stack([np.ones_like(temperature_K), temperature_K, temperature_K * np.log(temperature_K)])


@dataclass(frozen=True)
class RedlichKister:
    """coefficients (2 + terms, 3): rows as in `basis`, columns as in `thermal`."""

    coefficients: Float

    @property
    def terms(self) -> int:
        return len(self.coefficients) - 2

    def __call__(self, temperature_K: Float, u: Float) -> Float:
        return np.sum(basis(u, self.terms) * (thermal(temperature_K) @ self.coefficients.T), axis=1)


def thermal_coefficients(temperature_K: Float, values: Float) -> Float:
    """Coefficients a, b, c (3,) of values (n,) over temperature. Those that the temperatures do not determine are 0."""
    powers = 1 if np.ptp(values) < 1e-9 else min(3, len(np.unique(temperature_K)))
    found = np.linalg.lstsq(thermal(temperature_K)[:, :powers], values, rcond=None)[0]
    return np.pad(found, (0, 3 - powers))


def fit_terms(points: Points, terms: int) -> Float:
    """(terms, 3): weighted least squares."""
    powers = points.powers
    inner, heat = basis(points.u, terms)[:, 2:], thermal(points.temperature_K)[:, :powers]
    design = (inner[:, :, None] * heat[:, None]).reshape(len(points.u), -1)
    scale, root = np.linalg.norm(design, axis=0), np.sqrt(points.weight)
    found = np.linalg.lstsq(root[:, None] * design / scale, root * points.excess_eV, rcond=None)[0] / scale
    return np.pad(found.reshape(terms, powers), ((0, 0), (0, 3 - powers)))


def held_out_error(points: Points, terms: int) -> float:
    """Weighted root mean square of what fits without a stretch of compositions get wrong there, eV/fu."""
    block = np.minimum((points.u * BLOCKS).astype(int), BLOCKS - 1)
    missed = np.zeros(len(block))
    for b in np.unique(block):
        fit = RedlichKister(np.vstack([np.zeros((2, 3)), fit_terms(points.where(block != b), terms)]))
        missed[block == b] = (points.excess_eV - fit(points.temperature_K, points.u))[block == b]
    return float(np.sqrt(np.average(missed**2, weights=points.weight)))


def choose_terms(points: Points) -> tuple[int, float]:
    """The number of terms that predicts held-out stretches best, and that error in eV/fu; (0, nan) if the points are too few."""
    most = min(MOST_TERMS, len(points.u) // (POINTS_PER_PARAMETER * points.powers)) if len(points.u) else 0
    errors = [held_out_error(points, terms) for terms in range(1, most + 1)]
    return (int(np.argmin(errors)) + 1, min(errors)) if errors else (0, float("nan"))
