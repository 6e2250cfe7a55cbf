"""The clusters of CLEASE and their names, from cell, sites and cutoffs.

A figure is a reference site with other sites, all closer to each other than the cutoff. Figures of the same shape share a name,
such as c3_d0002_1: size, rank by diameter, rank among the shapes of that diameter. The shape is the sorted matrix of inner
products of the positions about their centre. Order and tolerances follow CLEASE 1, since the names depend on them.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ...errors import RedoxError

Float = NDArray[np.float64]
SAME_SHAPE = 1e-9  # A^2
UNDECIDED_A = 1e-7  # difference from a cutoff below which rounding decides
Member = tuple[int, tuple[int, int, int]]  # (site of the cell, cell)


@dataclass(frozen=True)
class Figure:
    """Sites, ordered by descending distances to the others; equivalent sites have the same number in `site_class`."""

    members: tuple[Member, ...]
    site_class: tuple[int, ...]
    shape: Float


def named_figures(cell: Float, positions: Float, diameters_A: list[float]) -> dict[str, list[Figure]]:
    """All figures through each site of the cell, by name.

    cell (3, 3), A; positions (sites, 3), A; diameters_A: cutoffs of pairs, triplets, ... Raises RedoxError if a cutoff equals a
    distance in the crystal.
    """
    named = {"c1": [Figure(((site, (0, 0, 0)),), (0,), np.zeros(1)) for site in range(len(positions))]}
    for size, diameter in enumerate(diameters_A, start=2):
        figures = [f for site in range(len(positions)) for f in _figures(cell, positions, site, size, float(diameter))]
        named.update(_by_name(size, figures))
    return named


def _figures(cell: Float, positions: Float, site: int, size: int, diameter_A: float) -> list[Figure]:
    members, places = _near(cell, positions, site, diameter_A)
    close = _within(cdist(places, places), diameter_A, size)
    grown: list[tuple[int, ...]] = [(0,)]
    for _ in range(size - 1):
        grown = [(*g, int(k)) for g in grown for k in np.flatnonzero(close[list(g)].all(axis=0)) if k > g[-1]]
    if not grown:
        return []
    chosen = places[np.array(grown)]
    width = 2 * np.linalg.norm(chosen - chosen.mean(axis=1, keepdims=True), axis=2).max(axis=1)
    kept = _within(width, diameter_A, size)
    return [_figure([members[k] for k in g], x) for g, x, keep in zip(grown, chosen, kept) if keep]


def _near(cell: Float, positions: Float, site: int, diameter_A: float) -> tuple[list[Member], Float]:
    """The site, then all sites within the diameter. The search box of CLEASE, which can miss sites of skew cells, is kept."""
    diagonals = [np.array(w) @ cell for w in product((-1, 0, 1), repeat=3) if any(w)]
    reach = int(diameter_A / min(np.linalg.norm(d) for d in diagonals)) + 1
    steps = range(-reach, reach + 1)
    cells = [(a, b, c) for a in steps for b in steps for c in steps]
    places = np.array(cells) @ cell
    found = [((site, (0, 0, 0)), positions[site])]
    for other, position in enumerate(positions):
        distance = np.linalg.norm(places + position - positions[site], axis=1)
        found += [((other, cells[k]), places[k] + position) for k in np.flatnonzero((distance > 1e-5) & (distance < diameter_A))]
    return [member for member, _ in found], np.array([place for _, place in found])


def _within(distances: Float, diameter_A: float, size: int) -> NDArray[np.bool_]:
    if np.any(np.abs(distances - diameter_A) < UNDECIDED_A):
        raise RedoxError(
            f"the cutoff {diameter_A:g} A of {size}-body clusters lies on a distance in the cell, so that rounding decides "
            "which clusters the names stand for; allowed: max_cluster_dia a little larger or smaller, as in the fit"
        )
    return distances < diameter_A


def _figure(members: list[Member], places: Float) -> Figure:
    distances = -np.sort(-np.round(cdist(places, places), 6), axis=1)
    order = np.lexsort(distances.T)[::-1]
    rows = distances[order]
    site_class = tuple(next(j for j in range(k + 1) if np.allclose(rows[j], rows[k])) for k in range(len(rows)))
    centred = places - places.mean(axis=0)
    products = centred @ centred.T
    shape = np.concatenate([-np.sort(-np.diag(products)), np.sort(products[np.triu_indices(len(products), 1)])])
    return Figure(tuple(members[k] for k in order), site_class, shape)


def _by_name(size: int, figures: list[Figure]) -> dict[str, list[Figure]]:
    shapes: list[Float] = []
    groups: list[list[Figure]] = []
    for figure in figures:
        known = next((k for k, shape in enumerate(shapes) if np.abs(shape - figure.shape).max() < SAME_SHAPE), len(shapes))
        if known == len(shapes):
            shapes.append(figure.shape)
            groups.append([])
        groups[known].append(figure)
    diameters = [2 * float(np.sqrt(shape[0])) for shape in shapes]
    distinct = np.unique(np.round(diameters, 6))
    by_diameter: defaultdict[int, list[int]] = defaultdict(list)
    for k, diameter in enumerate(diameters):
        by_diameter[int(np.argmin(np.abs(distinct - diameter)))].append(k)
    order = cmp_to_key(_compare)
    named = {}
    for rank, same in sorted(by_diameter.items()):
        for place, k in enumerate(sorted(same, key=lambda k: order(shapes[k]))):
            named[f"c{size}_d{rank:04d}_{place}"] = groups[k]
    return named


def _compare(a: Float, b: Float) -> int:
    different = np.flatnonzero(np.abs(a - b) > SAME_SHAPE)
    return int(np.sign(a[different[0]] - b[different[0]])) if len(different) else 0
