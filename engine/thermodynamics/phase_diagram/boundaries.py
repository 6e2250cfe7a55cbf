"""Two-phase regions of an isotherm, and how they connect over temperature."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .coexistence import coexistence, domain_at, domains, facet_at
from .trace import Curves, Trace

Float = NDArray[np.float64]
DISTINCT_KT = 5.0  # least barrier of a gap in the whole cell, in kT: below it the cell changes freely between the two phases
SIGNIFICANCE = 3.0  # errors of a barrier by which it must exceed zero
FLICKER_K = 12.0  # longest interruption of a region, by noise, that is filled in


@dataclass(frozen=True)
class Gap:
    """A two-phase region at one temperature: x of both phases, and the barrier between them (eV/fu), with errors.

    certain: the barrier exceeds its error by SIGNIFICANCE; others count only as the continuation of a certain one. of_phases:
    from the grand potentials of two phases of different order; the barrier is not known. mu_eV (1 + resamples,): of these.
    """

    x: tuple[float, float]
    x_error: tuple[float, float]
    height_eV: float
    height_error_eV: float = 0.0
    region: int = -1
    certain: bool = True
    of_phases: bool = False
    mu_eV: tuple[float, ...] = ()

    def overlap(self, other: "Gap") -> float:
        """Length in x that both cover; if negative, the distance between them."""
        return min(self.x[1], other.x[1]) - max(self.x[0], other.x[0])


def gaps_of(trace: Trace) -> list[list[Gap]]:
    """Gaps at every temperature of the trace.

    A gap that becomes lower than the noise before it closes is followed to where it closes: all gaps are kept that are
    connected, from temperature to temperature, with a certain one.
    """
    rows = [find_gaps(trace.at(k)) for k in range(len(trace.temperature_K))]
    for order in (rows, rows[::-1]):
        for row, after in zip(order, order[1:]):
            after[:] = [replace(g, certain=g.certain or any(g.overlap(h) > 0 for h in row if h.certain)) for g in after]
    return [[g for g in row if g.certain] for row in rows]


def find_gaps(at: Curves, least_kT: float = DISTINCT_KT) -> list[Gap]:
    """Gaps wider than a step in x, whose barrier is higher than least_kT in the whole cell and than the noise.

    The noise is that of the resamples, or half the difference between the walkers that started at either end, if that is larger:
    the bootstrap misses it while few walkers have met. The difference by a lower order of interpolation in temperature is added
    to it and to the errors in x.
    """
    gaps = []
    for domain in domains(at.x, at.value, at.spacing, least_kT / at.per_kT):
        found = coexistence(at.x, np.vstack([at.value, at.cubic, at.from_either_end, at.resampled]), at.per_kT, domain)
        own, cubic, either, resampled = found[0], found[1], found[2:4], found[4:]
        if not np.isfinite(own).all():
            continue
        resampled = resampled[np.isfinite(resampled).all(axis=1)]
        statistical = resampled.std(axis=0, ddof=1) if len(resampled) > 1 else np.zeros(3)
        rule = np.nan_to_num(np.abs(cubic - own), nan=np.inf)
        noise = max(statistical[2], float(np.nan_to_num(np.ptp(either[:, 2]), nan=np.inf)) / 2) + rule[2]
        if own[2] <= max(noise, least_kT):
            continue
        error = np.hypot(statistical, rule)
        height_eV, height_error_eV = own[2] / at.per_kT, noise / at.per_kT
        certain = bool(own[2] > SIGNIFICANCE * noise)
        gaps.append(Gap((own[0], own[1]), (error[0], error[1]), height_eV, height_error_eV, certain=certain))
    return gaps


def boundaries_drawn(at: Curves, gap: Gap) -> Float:
    """Ends in x, (resamples, 2), of the region of each resample at the gap; where it has none, those of the facet there."""
    middle, found = sum(gap.x) / 2, []
    for f in at.resampled:
        domain = domain_at(at.x, f, middle, at.spacing, DISTINCT_KT / at.per_kT)
        ends = coexistence(at.x, f[None], at.per_kT, domain)[0, :2]
        found.append(ends if np.isfinite(ends).all() else facet_at(at.x, f, middle))
    return np.array(found)


def without_flicker(gaps: list[list[Gap]], temperature_K: Float) -> list[list[Gap]]:
    """Fill in regions that noise hides between two temperatures at which they are found, at most FLICKER_K apart."""
    rows = [list(row) for row in gaps]
    for k, row in enumerate(gaps[:-1]):
        for gap in row:
            if any(gap.overlap(g) > 0 for g in rows[k + 1]):
                continue
            end = int(np.searchsorted(temperature_K, temperature_K[k] + FLICKER_K, side="right"))
            for later in range(k + 2, end):
                again = max(gaps[later], key=gap.overlap, default=None)
                if again is not None and gap.overlap(again) > 0:
                    for between in range(k + 1, later):
                        rows[between].append(_mean(gap, again, (between - k) / (later - k)))
                        rows[between].sort(key=lambda g: g.x)
                    break
    return rows


def _mean(a: Gap, b: Gap, t: float) -> Gap:
    def mix(p: tuple[float, float], q: tuple[float, float]) -> tuple[float, float]:
        return (1 - t) * p[0] + t * q[0], (1 - t) * p[1] + t * q[1]

    heights = mix((a.height_eV, a.height_error_eV), (b.height_eV, b.height_error_eV))
    return Gap(mix(a.x, b.x), mix(a.x_error, b.x_error), *heights)


def connect_regions(gaps: list[list[Gap]]) -> list[list[Gap]]:
    """Number the regions: gaps at neighbouring temperatures that overlap in x are one region."""
    connected: list[list[Gap]] = []
    count = 0
    for row in gaps:
        below = connected[-1] if connected else []
        pairs = sorted(((g.overlap(b), i, b.region) for i, g in enumerate(row) for b in below if g.overlap(b) > 0), reverse=True)
        number: dict[int, int] = {}
        for _, i, region in pairs:
            if i not in number and region not in number.values():
                number[i] = region
        for i in range(len(row)):
            if i not in number:
                number[i], count = count, count + 1
        connected.append([replace(g, region=number[i]) for i, g in enumerate(row)])
    return connected
