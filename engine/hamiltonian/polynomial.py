"""The energy table of two species a sublattice as polynomials in the occupations 0 and 1, in the same whole neV."""

from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Couplings, Geometry, Mutual, Polynomial

MOST_BITS = 2**18
Term = tuple[int, ...]  # halo offsets of the partners, ascending
Groups = list[list[tuple[Term, int]]]  # per site of the cell: terms and their values


def build_polynomial(couplings: Couplings) -> Polynomial:
    """Raises ValueError for more than two species on a sublattice."""
    if couplings.n_species > 2:
        raise ValueError(f"{couplings.n_species} species on a sublattice: a polynomial in 0 and 1 needs two")
    fields = [_field(couplings, template) for template in range(len(couplings.point))]
    linear, products, many = _of_degree(fields, 1, 1), _of_degree(fields, 2, 2), _of_degree(fields, 3, 99)
    widest = max((len(t) for m in many for t, _ in m), default=3)
    low = np.array([f[()] + sum(v for t, v in f.items() if t and v < 0) for f in fields], np.int64)
    high = np.array([f[()] + sum(v for t, v in f.items() if t and v > 0) for f in fields], np.int64)
    middle = (low + high) // 2
    number: type = np.int32 if int((high - low).max()) < 2**32 - 2 else np.int64
    return Polynomial(
        middle=middle,
        rest=(np.array([f[()] for f in fields], np.int64) - middle).astype(number),
        start=_starts(linear),
        offset=_offsets(linear, 1)[:, 0].copy(),
        value=_values(linear, number),
        product_start=_starts(products),
        product_offset=_offsets(products, 2),
        product_value=_values(products, number),
        many_start=_starts(many),
        many_size=np.array([len(t) for m in many for t, _ in m], np.int64),
        many_offset=_offsets(many, widest),
        many_value=_values(many, number),
    )


def wide_polynomial(p: Polynomial | None) -> Polynomial:
    """The same in 64 bits with the middle in the rest; of no template for None."""
    if p is None:
        none, empty, offsets = np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros((0, 2), np.int32)
        return Polynomial(empty, empty, none, offsets[:, 0].copy(), empty, none, offsets, empty, none, empty, offsets, empty)
    wide: dict[str, Any] = {k: np.asarray(getattr(p, k), np.int64) for k in ("value", "product_value", "many_value")}
    return p._replace(middle=np.zeros_like(p.middle), rest=p.middle + p.rest, **wide)


def build_mutual(p: Polynomial, geometry: Geometry) -> Mutual:
    """What two sites have in common, from the terms of one partner and of two."""
    pairs: list[dict[int, int]] = []
    thirds: list[dict[int, list[tuple[int, int]]]] = []
    for t in range(len(p.start) - 1):
        single, double = slice(p.start[t], p.start[t + 1]), slice(p.product_start[t], p.product_start[t + 1])
        pairs.append(dict(zip(p.offset[single].tolist(), p.value[single].tolist())))
        thirds.append(defaultdict(list))
        for (a, b), v in zip(p.product_offset[double].tolist(), p.product_value[double].tolist()):
            thirds[-1][a].append((b, v))
            thirds[-1][b].append((a, v))
    entries = [(t, d) for t in range(len(pairs)) for d in sorted(pairs[t].keys() | thirds[t].keys())]
    reach = max([abs(d) for _, d in entries], default=0)
    reach = max(reach, int(np.abs(p.many_offset).max(initial=0)))
    entry = np.zeros((len(pairs), 2 * reach + 1), np.int32)
    for k, (t, d) in enumerate(entries):
        entry[t, reach + d] = k + 1
    found = [[], *(thirds[t][d] for t, d in entries)]
    met = [np.array([d for s, d in entries if s == t], np.int64) for t in range(len(pairs))]
    for t in range(len(pairs)):
        met[t] = np.append(met[t], p.many_offset[p.many_start[t] : p.many_start[t + 1]].ravel())
    span, near = _near(met, geometry)
    return Mutual(
        entry=entry,
        reach=reach,
        term=np.array([0, *(pairs[t].get(d, 0) for t, d in entries)], np.int64),
        start=np.concatenate([[0], np.cumsum([len(f) for f in found])]).astype(np.int64),
        other=np.array([o for f in found for o, _ in f], np.int32),
        value=np.array([v for f in found for _, v in f], np.int64),
        span=span,
        near=near,
    )


def _near(met: list[NDArray[np.int64]], geometry: Geometry) -> tuple[int, NDArray[np.uint64]]:
    """Span and bits of Mutual. Homes of partners at these offsets (per template) differ by these, less a translation of the cell.

    No bits where they would crowd the cache: in large cells few sites have images, and on the boards of boxes none that moves.
    """
    span = int(np.ptp(geometry.home))
    width = 2 * span + 1
    if len(met) * width > MOST_BITS:
        return span, np.zeros(0, np.uint64)
    home = np.repeat(geometry.home, np.diff(geometry.image_start)).astype(np.int64)
    translations = np.unique(geometry.images[: len(home)] - home)
    bits = np.zeros(-(-len(met) * width // 64) * 64, np.bool_)
    for t, offsets in enumerate(met):
        between = np.subtract.outer(offsets, translations).ravel()
        bits[t * width + span + between[np.abs(between) <= span]] = True
    return span, np.packbits(bits, bitorder="little").view(np.uint64)


def _field(couplings: Couplings, template: int) -> dict[Term, int]:
    """Coefficients of E(1) - E(0) of a site, by the partners whose occupations they multiply."""
    found: dict[Term, int] = defaultdict(int)
    found[()] = int(couplings.point[template, 1] - couplings.point[template, 0])
    for partners, table in _clusters(couplings, template):
        size = 2 ** len(partners)
        changes = couplings.values[table + size : table + 2 * size].reshape((2,) * len(partners))
        for on in product((0, 1), repeat=len(partners)):
            below = product(*[range(o + 1) for o in on])
            coefficient = sum((-1) ** (sum(on) - sum(b)) * int(changes[b]) for b in below)
            if coefficient:
                found[tuple(sorted(p for p, o in zip(partners, on) if o))] += coefficient
    return {t: v for t, v in found.items() if v or not t}


def _clusters(couplings: Couplings, template: int) -> list[tuple[list[int], int]]:
    """Halo offsets of the partners and the start of the table of every cluster through a site."""
    pairs = slice(couplings.pair_start[template], couplings.pair_start[template + 1])
    triplets = slice(couplings.triplet_start[template], couplings.triplet_start[template + 1])
    many = slice(couplings.many_start[template], couplings.many_start[template + 1])
    sized = zip(couplings.many_size[many], couplings.many_offset[many].tolist())
    partners = [[p] for p in couplings.pair_offset[pairs].tolist()] + couplings.triplet_offset[triplets].tolist()
    partners += [offsets[:n] for n, offsets in sized]
    tables = np.concatenate([couplings.pair_table[pairs], couplings.triplet_table[triplets], couplings.many_table[many]])
    return list(zip(partners, tables.tolist()))


def _of_degree(fields: list[dict[Term, int]], least: int, most: int) -> Groups:
    return [[(t, v) for t, v in sorted(f.items()) if least <= len(t) <= most] for f in fields]


def _starts(groups: Groups) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum([len(g) for g in groups])]).astype(np.int64)


def _offsets(groups: Groups, width: int) -> NDArray[np.int32]:
    return np.array([t + (0,) * (width - len(t)) for g in groups for t, _ in g], np.int32).reshape(-1, width)


def _values(groups: Groups, number: type) -> Any:
    return np.array([v for g in groups for _, v in g], number)
