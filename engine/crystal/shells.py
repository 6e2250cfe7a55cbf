"""Shells of neighbours between sublattices. Distances are compared with a tolerance, so that rounding decides nothing."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from .lattice import Lattice

TOLERANCE_A = 1e-3  # distances closer than this are one shell, and a radius closer than this to a shell lies on it
MARGIN_A = 2.0  # beyond a radius, in which shells are listed


class Shell(NamedTuple):
    """Neighbours at one distance. number: of neighbours per site, the mean over the sites of the first sublattices."""

    distance_A: float
    number: float

    def __str__(self) -> str:
        return f"{self.distance_A:.3f} ({self.number:.4g})"


def distances_A(lattice: Lattice, first: Collection[int], second: Collection[int], reach_A: float) -> NDArray[np.float64]:
    """Distances up to `reach_A`, ascending, from every site of the sublattices `first` to the sites of `second`."""
    i, j, distance = neighbor_list("ijd", lattice.atoms[lattice.site_atom], reach_A)
    from_first, to_second = (np.isin(lattice.site_sublattice[k], list(groups)) for k, groups in ((i, first), (j, second)))
    return np.sort(distance[from_first & to_second])


def shells_between(lattice: Lattice, first: Collection[int], second: Collection[int], reach_A: float) -> list[Shell]:
    """Shells up to `reach_A` around the sites of the sublattices `first` that consist of sites of the sublattices `second`."""
    distance = distances_A(lattice, first, second, reach_A)
    starts = np.flatnonzero(np.diff(distance, prepend=-np.inf) > TOLERANCE_A)
    sites = int(np.isin(lattice.site_sublattice, list(first)).sum())
    return [Shell(float(part.mean()), len(part) / sites) for part in np.split(distance, starts[1:]) if len(part)]


def on_a_shell(lattice: Lattice, first: Collection[int], second: Collection[int], radius_A: float) -> str | None:
    """Why a radius is refused: it lies on a shell, or within one. The text lists the shells around it."""
    shells = shells_between(lattice, first, second, radius_A + MARGIN_A)
    near = [s for s in shells if abs(s.distance_A - radius_A) <= TOLERANCE_A]
    if not near:
        return None
    at = shells.index(near[0])
    listed = ", ".join(str(s) for s in shells[max(at - 2, 0) : at + 3])
    return (
        f"found {radius_A:g} A, which falls on the shell of neighbours at {near[0].distance_A:.4f} A, so that rounding decides "
        f"which of them count; allowed: a value between two shells. Distances in A (number of neighbours): {listed}"
    )


def past_the_shell(distance_A: NDArray[np.float64], radius_A: float) -> float:
    """The radius, or the end of the shell of `distance_A` (k,), ascending, that it falls on."""
    for d in distance_A[distance_A > radius_A]:
        if d - radius_A > TOLERANCE_A:
            break
        radius_A = float(d)
    return radius_A + TOLERANCE_A / 2
