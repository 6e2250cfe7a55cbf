"""Where the fourth-order cumulants of an order parameter in two sizes of the cell cross (Binder, Z. Phys. B 43, 119, 1981)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
BURN_IN = 0.2  # share of the samples that is left out
DEGREE = 2  # of the polynomial in T through the difference of the cumulants
AROUND, FALL = 5, 4  # temperatures on either side of a crossing through which it goes, and whose means tell how steep it is
FIRST_ORDER = 3.0  # standard errors by which the cumulant of the larger cell must dip below zero, and below the smaller cell's


@dataclass(frozen=True)
class Crossing:
    """temperature_K with its error by leaving out one walker at a time; first_order: the cumulant has a dip that deepens."""

    temperature_K: float
    error_K: float
    first_order: bool


def cumulants(share: Float, components: int) -> Float:
    """1 - d <s^2> / ((d + 2) <s>^2), (temperatures, walkers); share (samples, temperatures, walkers): |order parameter|^2."""
    kept = share[int(BURN_IN * len(share)) :]
    return np.asarray(1 - components / (components + 2) * (kept**2).mean(axis=0) / kept.mean(axis=0) ** 2)


def crossing(temperature_K: Float, larger: Float, smaller: Float) -> Crossing | None:
    """Of cumulants (temperatures, walkers) that are higher in the larger cell below it; None where they do not cross."""
    found = _zero(temperature_K, larger.mean(axis=1) - smaller.mean(axis=1))
    if not np.isfinite(found):
        return None
    variance = 0.0
    for own, other in ((larger, smaller.mean(axis=1)), (-smaller, -larger.mean(axis=1))):
        number = own.shape[1]
        left_out = [_zero(temperature_K, np.delete(own, k, axis=1).mean(axis=1) - other) for k in range(number)]
        variance += (number - 1) / number * float(np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    if not np.isfinite(variance):
        return None
    dip, at = larger.mean(axis=1).min(), int(larger.mean(axis=1).argmin())
    error = float(np.hypot(larger[at].std(ddof=1), smaller[at].std(ddof=1))) / np.sqrt(larger.shape[1])
    first_order = dip < -FIRST_ORDER * error and dip < smaller.mean(axis=1).min() - FIRST_ORDER * error
    return Crossing(found, float(np.sqrt(variance)), bool(first_order))


def _zero(t: Float, difference: Float) -> float:
    """Where the differences fall through zero; nan: nowhere.

    By a polynomial through the points around the steepest fall: far from it they are no polynomial.
    """
    smooth = np.convolve(np.pad(difference, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    changes = np.flatnonzero((smooth[:-1] > 0) & (smooth[1:] <= 0))
    if not len(changes):
        return float("nan")
    falls = [difference[max(k - FALL + 1, 0) : k + 1].mean() - difference[k + 1 : k + 1 + FALL].mean() for k in changes]
    at = int(changes[np.argmax(falls)])
    near = slice(max(at + 1 - AROUND, 0), at + 1 + AROUND)
    fit = np.polynomial.Polynomial.fit(t[near], difference[near], DEGREE)
    roots = fit.roots()
    real = roots[np.isreal(roots)].real
    inside = real[(real >= t[near][0]) & (real <= t[near][-1]) & (fit.deriv()(real) < 0)]
    return float(inside[np.argmin(np.abs(inside - t[at]))]) if len(inside) else float("nan")
