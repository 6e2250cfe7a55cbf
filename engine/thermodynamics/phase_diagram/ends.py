"""Ends of gaps: where to scan for them, by the first estimates of F(T, n) in two cells, and what the scans say in the diagram."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

from ...runtime.results.phase_diagram import Invariants, PhaseDiagram
from ...sampling.chains.system import System
from ...sampling.ladder.plan import Plan
from ...sampling.order_scans.crossing import Crossing
from ...sampling.order_scans.gap_scan import MOST_GAPS, GapEnd, GapScan
from ...units import BOLTZMANN_EV_PER_K
from .boundaries import DISTINCT_KT, Gap
from .coexistence import coexistence, domains
from .sizes import FOLLOWS

Float = NDArray[np.float64]
LEAST_KT = 3.0  # barrier of a gap that has not ended; at a critical point one of 1 to 2 kT is left whatever the size
BESIDE = 0.03  # the end lies between two temperatures of the ladder, and so much beyond either
ENDS = ("closing", "critical")
SURE = 3.0  # standard errors
SAME_X = 0.05  # difference in x up to which an end of the windows is that of the scan, beside three errors


@dataclass(frozen=True)
class _Estimates:
    """First estimates of one cell: x and F/kT (temperatures, counts) of the whole cell."""

    temperature_K: Float
    x: Float
    f: Float

    def gaps(self, k: int) -> Float:
        """Ends in x and barriers in kT, (gaps, 3)."""
        found = [
            coexistence(self.x, self.f[k : k + 1], 1.0, d)[0]
            for d in domains(self.x, self.f[k], float(self.x[1] - self.x[0]), LEAST_KT)
        ]
        return np.array([g for g in found if g[2] > LEAST_KT]).reshape(-1, 3)

    def mu_eV(self, k: int, x: float) -> float:
        """Chemical potential at which the mean composition is x."""
        counts = self.x / (self.x[1] - self.x[0])

        def away(slope: float) -> float:
            return float(softmax(slope * counts - self.f[k]) @ self.x) - x

        most = 1 + float(np.abs(np.diff(self.f[k])).max())
        return BOLTZMANN_EV_PER_K * float(self.temperature_K[k]) * brentq(away, -most, most) * (counts[1] - counts[0])


def ends_to_scan(systems: tuple[System, System], plans: tuple[Plan, Plan], asked_K: tuple[float, ...]) -> list[GapEnd]:
    """Ends, on heating, of gaps that both cells have and whose width does not follow the cell, at temperatures asked for."""
    larger, smaller = (_estimates(s, p) for s, p in zip(systems, plans))
    found: list[tuple[float, GapEnd]] = []
    for k in np.flatnonzero(larger.temperature_K <= max(asked_K))[::-1].tolist():
        others = smaller.gaps(int(np.abs(smaller.temperature_K - larger.temperature_K[k]).argmin()))
        for gap in larger.gaps(k):
            same = [o for o in others if _is_same(gap, o)]
            known = any(gap[0] < e.x < gap[1] for _, e in found)
            if not same or known or k + 1 == len(larger.temperature_K):
                continue
            if (highest := _highest(larger, k, gap)) >= DISTINCT_KT:
                middle, other = gap[:2].mean(), same[0][:2].mean()
                error = float(np.hypot(middle - other, larger.x[1] - larger.x[0]))
                found.append((highest, _end(larger, k, float(middle), error)))
    return [e for _, e in sorted(found, key=lambda pair: -pair[0])[:MOST_GAPS]]


def _is_same(gap: Float, other: Float) -> bool:
    """Whether a gap of the smaller cell is that of the larger one, and no layers of it."""
    overlap = min(gap[1], other[1]) - max(gap[0], other[0])
    return bool(overlap > (gap[1] - gap[0]) / 2 and other[1] - other[0] < FOLLOWS * (gap[1] - gap[0]))


def _estimates(system: System, plan: Plan) -> _Estimates:
    counts, _ = system.neutral_counts
    rungs = np.flatnonzero(np.isfinite(plan.ladder.temperature_K))
    rungs = rungs[np.argsort(plan.ladder.temperature_K[rungs])]
    f = np.array([plan.bias(int(r), system.step)[counts] for r in rungs])
    return _Estimates(plan.ladder.temperature_K[rungs], counts / system.n_formula_units, f)


def _highest(of: _Estimates, k: int, gap: Float) -> float:
    """Highest barrier of this gap at temperatures not above it."""
    middle = float(gap[:2].mean())
    return max(float(b) for row in range(k + 1) for low, high, b in of.gaps(row) if low < middle < high)


def _end(of: _Estimates, k: int, x: float, x_error: float) -> GapEnd:
    t = of.temperature_K
    span = float(t[k]) * (1 - BESIDE), float(t[k + 1]) * (1 + BESIDE)
    line = [j for j in range(len(t)) if max(k - 2, 0) <= j <= k + 3]
    return GapEnd(x, x_error, span, t[line], np.array([of.mu_eV(j, x) for j in line]))


def before_ends(gaps: list[Gap], temperature_K: float, scans: Sequence[GapScan]) -> list[Gap]:
    """Those that no scan excludes: beyond the critical point of a gap by SURE standard errors there are not two phases."""
    ends = [(s.x, at.temperature_K + SURE * at.error_K) for s in scans if (at := s.crossing) is not None]
    return [g for g in gaps if not any(g.x[0] < x < g.x[1] and temperature_K > end_K for x, end_K in ends)]


def with_scanned_ends(diagram: PhaseDiagram, scans: list[GapScan]) -> PhaseDiagram:
    """The critical points of the scans in place of those, and of ends, that follow from the windows of the same gap."""
    points = diagram.invariant
    for scan in scans:
        at = scan.crossing
        if at is not None:
            points = _with(points, scan, at)
    return replace(diagram, invariant=points)


def _with(points: Invariants, scan: GapScan, at: Crossing) -> Invariants:
    reach = SAME_X + 3 * np.hypot(points.x_error[:, 1], scan.x_error)
    same = np.isin(points.kind, ENDS) & (np.abs(points.x[:, 1] - scan.x) <= reach)
    nan, drawn = float("nan"), points.temperature_K_fit_uncertainty
    row: dict[str, NDArray[Any]] = {
        "kind": np.array(["critical"]),
        "temperature_K": np.array([at.temperature_K]),
        "temperature_K_error": np.array([at.error_K]),
        "temperature_K_interpolation": np.zeros(1),
        "temperature_K_size": np.array([scan.size_K(at)]),
        "x": np.array([[nan, scan.x, nan]]),
        "x_error": np.array([[nan, scan.x_error, nan]]),
        "found": np.ones(1),
        "height_vanishes_K": np.full((1, 2), nan),
        "trusted": np.ones(1, bool),
    }
    if drawn is not None:
        row["temperature_K_fit_uncertainty"] = drawn[same][:1] if same.any() else np.full(1, nan)
    known = {name: v for name, v in row.items() if getattr(points, name) is not None}
    return replace(points, **{name: np.concatenate([getattr(points, name)[~same], v]) for name, v in known.items()})
