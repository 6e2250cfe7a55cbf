"""The group /transitions: where the order of ions and electrons ends, from the order scans."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.transitions import Transitions
from ...sampling.order_scans.crossing import BURN_IN, Crossing, crossing, of_order
from ...sampling.order_scans.order_scans import ScansAt
from ...sampling.order_scans.scan import OrderScan

Float = NDArray[np.float64]
METHOD = (
    "crossing of the fourth-order cumulants of the order parameter in two sizes of the cell (Binder 1981), at a given chemical "
    "potential; errors by leaving out one part of a chain at a time, without the shift that still larger cells would show"
)


TRICRITICAL = "tricritical interval"
LEAST_EXPONENT = 1.0  # 1/nu of the correlation length; at most LEAST_EXPONENT + d/4: Potts models with two to four states


@dataclass(frozen=True)
class _Transition:
    """One row of the group; mu_eV: middle of the interval of a tricritical point."""

    kind: str
    species: str
    q: tuple[float, ...]
    temperature_K: float
    temperature_error_K: float
    x: float
    x_error: float
    x_size_shift: float
    mu_eV: float


def transitions_group(scans: list[ScansAt], n_fu: tuple[int, int]) -> Transitions | None:
    """Of all orders that end in the range of temperatures; None if there are none. n_fu: of the larger and the smaller cell."""
    found = [_transition(scan, at, s.mu_eV, n_fu) for s in scans for scan in s.orders if (at := _crossing(scan)) is not None]
    found += tricritical(found)
    if not found:
        return None
    return Transitions(
        kind=np.array([t.kind for t in found]),
        species=np.array([t.species for t in found]),
        q=np.array([t.q for t in found]),
        temperature_K=np.array([t.temperature_K for t in found]),
        temperature_K_error=np.array([t.temperature_error_K for t in found]),
        x=np.array([t.x for t in found]),
        x_error=np.array([t.x_error for t in found]),
        x_size_shift=np.array([t.x_size_shift for t in found]),
        chemical_potential_eV=np.array([t.mu_eV for t in found]),
        method=METHOD,
    )


def _transition(scan: OrderScan, at: Crossing, mu_eV: float, n_fu: tuple[int, int]) -> _Transition:
    kind, q = "first order" if at.first_order else "continuous", tuple(scan.q.round(9).tolist())
    return _Transition(kind, scan.species, q, at.temperature_K, at.error_K, *composition(scan, at, n_fu), mu_eV)


def tricritical(found: list[_Transition]) -> list[_Transition]:
    """One interval for each two neighbours in mu, of one order, of which one is continuous and the other first order.

    Its ends are those of both with their errors.
    """
    orders = sorted({(t.species, t.q) for t in found})
    lines = [sorted((t for t in found if (t.species, t.q) == order), key=lambda t: t.mu_eV) for order in orders]
    return [_between(a, b) for line in lines for a, b in zip(line, line[1:]) if a.kind != b.kind]


def _between(a: _Transition, b: _Transition) -> _Transition:
    t = [v.temperature_K + sign * v.temperature_error_K for v in (a, b) for sign in (-1, 1)]
    x = [v.x + sign * v.x_error for v in (a, b) for sign in (-1, 1)]
    middle = [(min(v) + max(v)) / 2 for v in (t, x)]
    half = [(max(v) - min(v)) / 2 for v in (t, x)]
    place = (middle[0], half[0], middle[1], half[1], float("nan"), (a.mu_eV + b.mu_eV) / 2)
    return _Transition(TRICRITICAL, a.species, a.q, *place)


def _crossing(scan: OrderScan) -> Crossing | None:
    larger, smaller = (of_order(share, scan.components) for share in scan.share)
    return crossing(scan.temperature_K, larger, smaller)


def composition(scan: OrderScan, at: Crossing, n_fu: tuple[int, int]) -> tuple[float, float, float]:
    """x at the transition, its error by sampling and by half the shift, and the shift that is added.

    In a cell of length L it is away from that of the infinite crystal by L^(1/nu - d), 1/nu from the slopes of the cumulants
    (Privman, Fisher, J. Stat. Phys. 33, 385, 1983).
    """
    (larger, error), (smaller, other) = (_at(scan.temperature_K, ions / n, at) for ions, n in zip(scan.ions, n_fu))
    if at.first_order:
        return larger, error, 0.0
    states, d = n_fu[0] / n_fu[1], np.log2(n_fu[0] / n_fu[1])
    exponent = np.clip(np.log2(max(at.slopes_per_K[0] / at.slopes_per_K[1], 1.0)), LEAST_EXPONENT, LEAST_EXPONENT + d / 4)
    ahead = 1 / (states * 2**-exponent - 1)
    shift = ahead * (larger - smaller)
    return larger + shift, float(np.hypot(np.hypot((1 + ahead) * error, ahead * other), shift / 2)), shift


def _at(temperature_K: Float, x: Float, at: Crossing) -> tuple[float, float]:
    """Mean of x (samples, temperatures, walkers) at the transition; its error by sampling and by that of the temperature."""
    mean = x[int(BURN_IN * len(x)) :].mean(axis=0)  # (temperatures, walkers)
    here, low, high = (
        np.array([np.interp(t, temperature_K, of_walker) for of_walker in mean.T])
        for t in (at.temperature_K, at.temperature_K - at.error_K, at.temperature_K + at.error_K)
    )
    error = np.hypot(here.std(ddof=1) / np.sqrt(len(here)), abs(high.mean() - low.mean()) / 2)
    return float(here.mean()), float(error)
