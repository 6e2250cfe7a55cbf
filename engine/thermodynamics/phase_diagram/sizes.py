"""What two sizes of the cell say of a two-phase region: whether it exists in the infinite crystal, and where it ends.

- The barrier between two phases grows with the size of the cell (Lee, Kosterlitz, Phys. Rev. Lett. 65, 137, 1990).
- A region whose width follows the size of the cell is an effect of the cell: layers that fill one by one. Where both cells have
  the same number of layers, a region as wide as the share of one of them may be such an effect.
- The fourth-order cumulants of the composition of both sizes cross at a critical point (Binder, Z. Phys. B 43, 119, 1981).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Supercell
from ...sampling.order_scans.crossing import zero
from .boundaries import Gap, connect_regions, find_gaps
from .coexistence import Domain, domain_at, fourth_cumulants
from .invariants import Invariant
from .trace import Curves, Trace

Float = NDArray[np.float64]
GROWTH = 3.0  # standard errors by which the barrier must grow for a region
EXCLUDED = 1.645  # standard errors by which growth is excluded with 95 %
LEAST_KT = 0.5  # barrier that is compared; the error of one that is lower
FOLLOWS = 2**0.5  # ratio of the widths in the smaller and the larger cell from which on a region follows the cell
ONE_LAYER = 0.3  # difference of the width of a gap from the share of one layer, over the latter, up to which it may be one
PER_CELL = (1, 2)  # equal layers of sites in a cell: a glide plane or a screw axis makes two
LAYERS_SHARE = 0.2  # of the temperatures at which a region must follow the cell to be layers at all of them
REACH_K = 40.0  # from the end of a region within which the cumulants are compared
LEAST_CROSSINGS = 0.9  # share of the resamples whose cumulants cross there


class Verdict(StrEnum):
    """On a possible two-phase region at one temperature."""

    REGION = "region"
    NONE = "none"
    UNRESOLVED = "unresolved"
    LAYERS = "layers"


@dataclass(frozen=True)
class Judged:
    """Regions, and what may be one, (temperatures, gaps of each)."""

    regions: list[list[Gap]]
    unresolved: list[list[Gap]]


@dataclass(frozen=True)
class Layers:
    """Shares of the range of x of one layer of the larger cell, by axis and by layers of sites in a cell.

    same: where the smaller cell has as many layers; other: where it has another number. An axis of one layer has no share.
    """

    same: tuple[float, ...] = ()
    other: tuple[float, ...] = ()


def layers_of(larger: Supercell, smaller: Supercell) -> Layers:
    """Of two cells of one crystal."""
    axes = [(n, n == other) for n, other in zip(larger.layers, smaller.layers) if n > 1]
    same, other = (tuple(1 / (n * m) for n, alike in axes if alike is of for m in PER_CELL) for of in (True, False))
    return Layers(same, other)


def judged(larger: Trace, smaller: Trace, layers: Layers) -> Judged:
    """Verdicts on the certain gaps of the larger cell; both traces have the same temperatures.

    Gaps that are connected over temperature are layers of the cell together, if some of them are.
    """
    candidates, verdicts = [], []
    span = float(np.ptp(larger.x))
    for k in range(len(larger.temperature_K)):
        at, other = larger.at(k), smaller.at(k)
        of_smaller = find_gaps(other, LEAST_KT)
        candidates.append([g for g in find_gaps(at, LEAST_KT) if g.certain])
        verdicts.append([verdict(g, at.per_kT, of_smaller, other.per_kT, layers, span) for g in candidates[-1]])
    numbered = connect_regions(candidates)
    of_cell = _layers(numbered, verdicts)
    kept: dict[Verdict, list[list[Gap]]] = {v: [[] for _ in numbered] for v in Verdict}
    for k, (row, of_row) in enumerate(zip(numbered, verdicts)):
        for gap, found in zip(row, of_row):
            kept[Verdict.LAYERS if gap.region in of_cell else found][k].append(gap)
    both = zip(kept[Verdict.UNRESOLVED], kept[Verdict.LAYERS])
    return Judged(kept[Verdict.REGION], [sorted([*a, *b], key=lambda g: g.x) for a, b in both])


def _layers(numbered: list[list[Gap]], verdicts: list[list[Verdict]]) -> set[int]:
    """Regions of which the share LAYERS_SHARE of the temperatures or more is judged to be layers."""
    pairs = [(g.region, v is Verdict.LAYERS) for row, of_row in zip(numbered, verdicts) for g, v in zip(row, of_row)]
    regions = {region for region, _ in pairs}
    return {r for r in regions if np.mean([layer for region, layer in pairs if region == r]) >= LAYERS_SHARE}


def verdict(
    gap: Gap, per_kT: float, of_smaller: list[Gap], per_kT_smaller: float, layers: Layers = Layers(), span: float = 1.0
) -> Verdict:
    """On a gap of the larger cell, by the gap of the smaller one that overlaps it most. span: the range of x.

    The barrier between two numbers of layers grows with their area. A gap as wide as one of them is a phase only if a cell with
    another number of layers has it too, and as wide.
    """
    width = (gap.x[1] - gap.x[0]) / span
    if _is_one_of(width, layers.same):
        return Verdict.LAYERS
    other = max(of_smaller, key=gap.overlap, default=None)
    low, low_error = 0.0, LEAST_KT
    if other is not None and gap.overlap(other) > 0:
        if other.x[1] - other.x[0] >= FOLLOWS * (gap.x[1] - gap.x[0]):
            return Verdict.LAYERS
        low, low_error = other.height_eV * per_kT_smaller, other.height_error_eV * per_kT_smaller
    elif _is_one_of(width, layers.other):
        return Verdict.LAYERS
    growth, error = gap.height_eV * per_kT - low, float(np.hypot(gap.height_error_eV * per_kT, low_error))
    if growth > GROWTH * error:
        return Verdict.REGION
    return Verdict.NONE if growth < -EXCLUDED * error else Verdict.UNRESOLVED


def _is_one_of(width: float, shares: Sequence[float]) -> bool:
    return any(abs(width / share - 1) < ONE_LAYER for share in shares)


def with_crossings(events: list[Invariant], rows: list[list[Gap]], larger: Trace, smaller: Trace) -> list[Invariant]:
    """Events at which a region ends are critical points where the cumulants of both sizes cross."""
    return [_crossing(e, rows, larger, smaller) if e.kind in ("closing", "opening", "critical") else e for e in events]


def _crossing(event: Invariant, rows: list[list[Gap]], larger: Trace, smaller: Trace) -> Invariant:
    t = larger.temperature_K
    have = [k for k, row in enumerate(rows) if any(g.region == event.regions[0] for g in row)]
    last = min(have, key=lambda k: abs(float(t[k]) - event.temperature_K))
    gap = next(g for g in rows[last] if g.region == event.regions[0])
    near: list[int] = np.flatnonzero(np.abs(t - event.temperature_K) <= REACH_K).tolist()
    difference = np.array([_of(larger.at(k), larger.at(last), gap) - _of(smaller.at(k), smaller.at(last), gap) for k in near])
    crossings = [zero(t[near], d if event.kind != "opening" else -d) for d in difference.T]
    own, resampled = crossings[0], np.array(crossings[1:])
    known = resampled[np.isfinite(resampled)]
    if not np.isfinite(own) or len(known) < LEAST_CROSSINGS * len(resampled):
        return event
    interpolation_K = float(np.diff(t[near]).max() / np.sqrt(12))
    nan, x_error = float("nan"), float(np.hypot(*gap.x_error)) / 2
    return replace(
        event,
        kind="critical",
        temperature_K=own,
        error_K=float(np.hypot(known.std(ddof=1), interpolation_K)),
        interpolation_K=interpolation_K,
        x_error=(nan, x_error, nan),
        found=len(known) / len(resampled),
        vanishes_K=(nan, nan),
    )


def _of(at: Curves, at_last: Curves, gap: Gap) -> Float:
    """Cumulants (1 + resamples,) at the mean composition of the gap, between its neighbours."""
    middle = sum(gap.x) / 2
    domain: Domain = domain_at(at_last.x, at_last.value, middle, at_last.spacing, LEAST_KT / at_last.per_kT)
    return fourth_cumulants(at.x, np.vstack([at.value, at.resampled]), at.per_kT, domain, middle)
