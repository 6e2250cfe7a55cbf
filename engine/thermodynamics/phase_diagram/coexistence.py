"""Coexistence of two phases at one temperature, from F(n) of one finite cell.

P(n) ~ exp(-beta F_n + beta mu n) has two peaks. At the mu at which they have equal weight, the compositions of the phases are the
means of the peaks: their finite-size error falls exponentially with the size of the cell (Borgs, Kotecky, J. Stat. Phys. 61, 79,
1990), while that of the positions of the peaks, or of the vertices of the hull, falls with its inverse. The barrier is
ln(p_max / p_min); it grows with the size where two phases coexist (Lee, Kosterlitz, Phys. Rev. Lett. 65, 137, 1990).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.coexistence import cumulants, equal_weights
from ..free_energy.hull import Facet, facets, lower_hull

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Domain:
    """Indices of x: two phases are weighed between low and high, the least weight is near cut, the peaks near left and right."""

    low: int
    cut: int
    high: int
    left: int
    right: int


def domains(x: Float, f: Float, wider_than: float, deeper_than: float) -> list[Domain]:
    """For each facet of the hull of f that is wider in x and deeper, from the deepest point of the last to that of the next."""
    found = facets(x, f, lower_hull(x, f), wider_than, deeper_than)
    return [_domain(k, found, len(x)) for k in range(len(found))]


def domain_at(x: Float, f: Float, at: float, wider_than: float, deeper_than: float) -> Domain:
    """The domain of the facet over the composition `at`, however narrow and shallow this facet is."""
    vertices = lower_hull(x, f)
    here = _facet(x, f, vertices, at)
    others = [g for g in facets(x, f, vertices, wider_than, deeper_than) if g.left != here.left]
    found = sorted([*others, here], key=lambda g: g.left)
    return _domain(found.index(here), found, len(x))


def facet_at(x: Float, f: Float, at: float) -> Float:
    """Both ends in x, (2,), of the facet over the composition `at`."""
    here = _facet(x, f, lower_hull(x, f), at)
    return x[[here.left, here.right]]


def _facet(x: Float, f: Float, vertices: NDArray[np.int64], at: float) -> Facet:
    place = int(np.argmin(np.abs(x - at)))
    return next(g for g in facets(x, f, vertices) if g.left <= place <= g.right)


def _domain(k: int, found: list[Facet], number: int) -> Domain:
    low = found[k - 1].deepest if k else 0
    high = found[k + 1].deepest if k + 1 < len(found) else number - 1
    return Domain(low, found[k].deepest, high, found[k].left, found[k].right)


def coexistence(x: Float, curves_eV: Float, per_kT: float, domain: Domain) -> Float:
    """Compositions of both phases and the barrier in kT, (curves, 3), of free energies (curves, n) in eV/fu.

    per_kT: 1/kT times the number of formula units, 1/eV. nan: no two peaks in this domain.
    """
    return _balanced(x, curves_eV, per_kT, domain)[:, :3]


def equal_weight_slopes(x: Float, curves_eV: Float, per_kT: float, domain: Domain) -> Float:
    """Chemical potentials (eV), (curves,), at which both phases have equal weight; otherwise as coexistence."""
    return _balanced(x, curves_eV, per_kT, domain)[:, 3] / per_kT


def _balanced(x: Float, curves_eV: Float, per_kT: float, domain: Domain) -> Float:
    known = np.isfinite(curves_eV).all(axis=1)
    found = np.full((len(curves_eV), 4), np.nan)
    log_weights = _log_weights(x, curves_eV[known], per_kT)
    found[known] = equal_weights(x, log_weights, domain.low, domain.cut, domain.high, domain.left, domain.right)
    return found


def fourth_cumulants(x: Float, curves_eV: Float, per_kT: float, domain: Domain, mean: float) -> Float:
    """1 - <d^4> / (3 <d^2>^2) of the composition, d = x - <x>, at the mu at which <x> is `mean`, (curves,)."""
    known = np.isfinite(curves_eV).all(axis=1)
    found = np.full(len(curves_eV), np.nan)
    found[known] = cumulants(x, _log_weights(x, curves_eV[known], per_kT), domain.low, domain.high, mean)
    return found


def _log_weights(x: Float, curves_eV: Float, per_kT: float) -> Float:
    """x may be a part of the counts that is not quite evenly spaced."""
    return np.asarray(np.log(np.gradient(x)) - per_kT * curves_eV)
