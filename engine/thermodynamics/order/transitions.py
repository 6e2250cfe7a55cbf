"""The group /transitions: where the order of ions and electrons ends, from the order scans."""

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


LEAST_EXPONENT = 1.0  # 1/nu of the correlation length; at most LEAST_EXPONENT + d/4: Potts models with two to four states


def transitions_group(scans: list[ScansAt], n_fu: tuple[int, int]) -> Transitions | None:
    """Of all orders that end in the range of temperatures; None if there are none. n_fu: of the larger and the smaller cell."""
    found = [(s.mu_eV, scan, at) for s in scans for scan in s.orders if (at := _crossing(scan)) is not None]
    if not found:
        return None
    x = np.array([composition(scan, at, n_fu) for _, scan, at in found])
    return Transitions(
        kind=np.array(["first order" if at.first_order else "continuous" for _, _, at in found]),
        species=np.array([scan.species for _, scan, _ in found]),
        q=np.array([scan.q for _, scan, _ in found]),
        temperature_K=np.array([at.temperature_K for _, _, at in found]),
        temperature_K_error=np.array([at.error_K for _, _, at in found]),
        x=x[:, 0],
        x_error=x[:, 1],
        x_size_shift=x[:, 2],
        chemical_potential_eV=np.array([mu_eV for mu_eV, _, _ in found]),
        method=METHOD,
    )


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
