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


def transitions_group(scans: list[ScansAt], n_fu: int) -> Transitions | None:
    """Of all orders that end in the range of temperatures; None if there are none. n_fu: of the larger cell."""
    found = [(s.mu_eV, scan, at) for s in scans for scan in s.orders if (at := _crossing(scan)) is not None]
    if not found:
        return None
    x = np.array([_composition(scan, at, n_fu) for _, scan, at in found])
    return Transitions(
        kind=np.array(["first order" if at.first_order else "continuous" for _, _, at in found]),
        species=np.array([scan.species for _, scan, _ in found]),
        q=np.array([scan.q for _, scan, _ in found]),
        temperature_K=np.array([at.temperature_K for _, _, at in found]),
        temperature_K_error=np.array([at.error_K for _, _, at in found]),
        x=x[:, 0],
        x_error=x[:, 1],
        chemical_potential_eV=np.array([mu_eV for mu_eV, _, _ in found]),
        method=METHOD,
    )


def _crossing(scan: OrderScan) -> Crossing | None:
    larger, smaller = (of_order(share, scan.components) for share in scan.share)
    return crossing(scan.temperature_K, larger, smaller)


def _composition(scan: OrderScan, at: Crossing, n_fu: int) -> tuple[float, float]:
    """x at the transition; its error by sampling and by that of the temperature."""
    mean = scan.ions[int(BURN_IN * len(scan.ions)) :].mean(axis=0) / n_fu  # (temperatures, walkers)
    here, low, high = (
        np.array([np.interp(t, scan.temperature_K, of_walker) for of_walker in mean.T])
        for t in (at.temperature_K, at.temperature_K - at.error_K, at.temperature_K + at.error_K)
    )
    error = np.hypot(here.std(ddof=1) / np.sqrt(len(here)), abs(high.mean() - low.mean()) / 2)
    return float(here.mean()), float(error)
