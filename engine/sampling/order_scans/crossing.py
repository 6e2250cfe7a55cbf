"""Where the fourth-order cumulants of two sizes of the cell cross (Binder, Z. Phys. B 43, 119, 1981)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Float = NDArray[np.float64]
Int = NDArray[np.int64]
BURN_IN = 0.2  # share of the samples that is left out
PARTS = 4  # in time of each chain, which are taken as independent
DEGREE = 3  # of the polynomial in T through the difference of the cumulants
AROUND, FALL = 5, 4  # temperatures on either side of a crossing through which it goes at least, and whose means tell its slope
REACH = 0.05  # and all that are so near, over its temperature
FIRST_ORDER = 3.0  # standard errors by which the cumulant of the larger cell must dip below zero, and below the smaller cell's
STEEPEST = 20.0  # largest change of the chemical potential in kT times the spread of the count, when samples are reweighted


@dataclass(frozen=True)
class Cumulants:
    """Fourth-order cumulants: all (temperatures,), by all samples; without (parts, temperatures), by all but one part of them."""

    all: Float
    without: Float

    def error(self, of: int) -> float:
        """At one temperature."""
        return jackknife_error(self.without[:, of])


@dataclass(frozen=True)
class Crossing:
    """temperature_K: its error by leaving out one part of a chain at a time. first_order: the cumulant has a dip that deepens.

    slopes_per_K: of the cumulants of the larger and of the smaller cell, at the crossing.
    """

    temperature_K: float
    error_K: float
    first_order: bool
    slopes_per_K: tuple[float, float]


def jackknife_error(left_out: Float) -> float:
    """Standard error of a value, from the values without one of the parts."""
    number = len(left_out)
    return float(np.sqrt((number - 1) / number * np.sum((left_out - left_out.mean()) ** 2)))


def of_order(share: Float, components: int) -> Cumulants:
    """1 - d <s^2> / ((d + 2) <s>^2) of d components; share (samples, temperatures, walkers): s, |order parameter|^2."""
    parts = _parts(share)
    means = np.array([parts.mean(axis=0), (parts**2).mean(axis=0)])  # (2, temperatures, parts)

    def cumulant(of: list[int]) -> Float:
        second, fourth = means[:, :, of].mean(axis=2)
        return np.asarray(1 - components / (components + 2) * fourth / second**2)

    return _cumulants(cumulant, means.shape[2])


def of_count(ions: Int, middle: float) -> Cumulants:
    """1 - <d^4> / (3 <d^2>^2), d = n - <n>, where the mean count is the middle of a gap; ions (samples, temperatures, walkers).

    The samples are reweighted to the chemical potential of that mean: where it differs, one phase outweighs the other.
    """
    counts, seen = _histograms(ions)

    def cumulant(of: list[int]) -> Float:
        return np.array([_balanced(counts, row[of].sum(axis=0), middle)[1] for row in seen])

    return _cumulants(cumulant, seen.shape[1])


def slopes_to(ions: Int, middle: float) -> Float:
    """Change of beta mu at which the mean count is `middle`, (temperatures,); nan: none near."""
    counts, seen = _histograms(ions)
    return np.array([_balanced(counts, row.sum(axis=0), middle)[0] for row in seen])


def _parts(values: NDArray[Any]) -> NDArray[Any]:
    """(samples, temperatures, walkers) without the burn-in as (samples of a part, temperatures, parts)."""
    kept = values[int(BURN_IN * len(values)) :]
    kept = kept[len(kept) % PARTS :] if len(kept) >= PARTS else np.repeat(kept, PARTS, axis=0)
    return np.concatenate(np.split(kept, PARTS), axis=2)


def _cumulants(cumulant: Callable[[list[int]], Float], number: int) -> Cumulants:
    parts = list(range(number))
    return Cumulants(cumulant(parts), np.array([cumulant([p for p in parts if p != out]) for out in parts]))


def _histograms(ions: Int) -> tuple[Int, Float]:
    """Counts (counts,), and how often each was seen, (temperatures, parts, counts)."""
    parts = _parts(ions)
    low, size = int(parts.min()), int(parts.max() - parts.min()) + 1
    seen = [[np.bincount(part - low, minlength=size) for part in row] for row in parts.transpose(1, 2, 0)]
    return low + np.arange(size), np.array(seen, float)


def _balanced(counts: Int, seen: Float, middle: float) -> tuple[float, float]:
    """Change of beta mu at which the mean count is `middle`, and the cumulant there; nan: none near."""
    spread = float(np.sqrt(np.average((counts - np.average(counts, weights=seen)) ** 2, weights=seen)))

    def away(slope: float) -> float:
        return float(np.average(counts - middle, weights=_tilted(counts - middle, seen, slope)))

    most = STEEPEST / max(spread, 1e-9)
    if spread == 0 or away(-most) > 0 or away(most) < 0:
        return float("nan"), float("nan")
    slope = float(brentq(away, -most, most))
    weights, square = _tilted(counts - middle, seen, slope), (counts - middle) ** 2
    second, fourth = np.average(square, weights=weights), np.average(square**2, weights=weights)
    return slope, float(1 - fourth / (3 * second**2))


def _tilted(counts: NDArray[Any], seen: Float, slope: float) -> Float:
    exponent = slope * counts
    return np.asarray(seen * np.exp(exponent - exponent[seen > 0].max()))


def crossing(temperature_K: Float, larger: Cumulants, smaller: Cumulants) -> Crossing | None:
    """Of cumulants that are higher in the larger cell below it; None where they do not cross."""
    found = zero(temperature_K, larger.all - smaller.all)
    left_out = [np.array([zero(temperature_K, own - smaller.all) for own in larger.without])]
    left_out.append(np.array([zero(temperature_K, larger.all - own) for own in smaller.without]))
    error = float(np.sqrt(sum(jackknife_error(values) ** 2 for values in left_out)))
    if not np.isfinite([found, error]).all():
        return None
    at = int(larger.all.argmin())
    dip, noise = float(larger.all[at]), float(np.hypot(larger.error(at), smaller.error(at)))
    first_order = dip < -FIRST_ORDER * noise and dip < smaller.all.min() - FIRST_ORDER * noise
    near = _near(temperature_K, int(np.abs(temperature_K - found).argmin()))
    slopes = [_fit(temperature_K[near], of.all[near]).deriv()(found) for of in (larger, smaller)]
    return Crossing(found, error, bool(first_order), (float(slopes[0]), float(slopes[1])))


def _near(t: Float, at: int) -> NDArray[np.bool_]:
    place = np.arange(len(t))
    return ((place > at - AROUND) & (place <= at + AROUND)) | (np.abs(t - t[at]) <= REACH * t[at])


def _fit(t: Float, values: Float) -> np.polynomial.Polynomial:
    return np.polynomial.Polynomial.fit(t, values, DEGREE)


def zero(t: Float, difference: Float) -> float:
    """Where the differences fall through zero; nan: nowhere.

    By a polynomial through the points around the steepest fall: far from it they are no polynomial.
    """
    known = np.isfinite(difference)
    t, difference = t[known], difference[known]
    if len(t) < 2 * FALL:
        return float("nan")
    smooth = np.convolve(np.pad(difference, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    changes = np.flatnonzero((smooth[:-1] > 0) & (smooth[1:] <= 0))
    if not len(changes):
        return float("nan")
    falls = [difference[max(k - FALL + 1, 0) : k + 1].mean() - difference[k + 1 : k + 1 + FALL].mean() for k in changes]
    at = int(changes[np.argmax(falls)])
    near = _near(t, at)
    fit = _fit(t[near], difference[near])
    roots = fit.roots()
    real = roots[np.isreal(roots)].real
    inside = real[(real >= t[near][0]) & (real <= t[near][-1]) & (fit.deriv()(real) < 0)]
    return float(inside[np.argmin(np.abs(inside - t[at]))]) if len(inside) else float("nan")
