"""Chemical potential over the mean composition at one temperature, with a plateau in every two-phase region.

In a single phase mu is the one at which the mean composition of P(n) ~ exp(-beta F_n + beta mu n) is x, where n runs over the
counts of this phase: the finite-size error of the mean falls exponentially with the size of the cell, that of dF/dn with its
inverse. In a two-phase region of the phase diagram mu is that of the coexistence: of equal weight of both phases, or of equal
grand potential. At its ends the mean compositions are those of the phases, so that the curve has the boundaries of the diagram.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .free_energy.isotherms import Isotherms
from .phase_diagram.boundaries import DISTINCT_KT, Gap
from .phase_diagram.coexistence import domain_at, equal_weight_slopes
from .phase_diagram.diagram import Diagram

Float = NDArray[np.float64]
FARTHEST_KT = 60.0  # beyond the slopes of F: no mean composition between two counts needs more
MOST_STEPS = 60
PRECISION = 1e-9  # of x
LARGEST_EXPONENT = 300.0
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Plateau:
    """A two-phase region at one temperature. x: of both phases. mu_eV (1 + resamples,). cut: index of the first count of the
    phase of high x."""

    x: tuple[float, float]
    mu_eV: Float
    cut: int


@dataclass(frozen=True, eq=False)
class Curve:
    """F (1 + resamples, n), eV/fu, at all compositions x (n,) of one temperature, and the plateaus by ascending x.

    per_kT: formula units over kT, 1/eV.
    """

    x: Float
    f: Float
    per_kT: float
    plateaus: tuple[Plateau, ...]

    @property
    def first(self) -> "Curve":
        """Without resamples."""
        return Curve(self.x, self.f[:1], self.per_kT, tuple(replace(p, mu_eV=p.mu_eV[:1]) for p in self.plateaus))

    def mu_eV(self, x: Float) -> Float:
        """At compositions x (k,) between the ends, (1 + resamples, k)."""
        found = np.full((len(self.f), len(x)), np.nan)
        if not np.isfinite(self.f).all():
            return found
        below, first = None, 0
        for above in (*self.plateaus, None):
            last = above.cut if above else len(self.x)
            mine = (x > (below.x[1] if below else -np.inf)) & (x < (above.x[0] if above else np.inf))
            own = self._of_phase(x[mine], slice(first, last))
            own = np.maximum(own, below.mu_eV[:, None]) if below else own
            found[:, mine] = np.minimum(own, above.mu_eV[:, None]) if above else own
            if above:
                found[:, (x >= above.x[0]) & (x <= above.x[1])] = above.mu_eV[:, None]
            below, first = above, last
        return found

    def inside(self, x: Float) -> NDArray[np.bool_]:
        """Whether x (k,) is in a two-phase region."""
        return np.any([(x >= p.x[0]) & (x <= p.x[1]) for p in self.plateaus] + [np.zeros(len(x), bool)], axis=0)

    def _of_phase(self, at: Float, counts: slice) -> Float:
        """At mean compositions of the counts of one phase. Resamples to first order; what no mean reaches is at the limits."""
        x, f = self.x[counts], self.f[:, counts]
        found = np.full((len(f), len(at)), -np.inf)
        found[:, at >= x[-1]] = np.inf
        inner = (at > x[0]) & (at < x[-1])
        if not inner.any():
            return found
        mu = self._at_means(at[inner], x, f[0])
        mean, variance, weights = self._moments(mu, x, f[0])
        change = self.per_kT * (f[0] - f[1:])
        change = np.exp(np.clip(change - change.mean(axis=1, keepdims=True), -LARGEST_EXPONENT, LARGEST_EXPONENT))
        means = (weights * x @ change.T) / (weights @ change.T)  # (k, resamples)
        resampled = mu + (mean - means.T) / np.maximum(self.per_kT * variance, TINY)
        found[:, inner] = np.vstack([mu, resampled])
        return found

    def _at_means(self, at: Float, x: Float, f: Float) -> Float:
        """By Newton's method for the logarithm of the odds of x between its ends, which is linear in mu where n is dilute."""
        slopes = np.diff(f) / np.diff(x)
        reach = FARTHEST_KT / (self.per_kT * np.diff(x).min())
        low, high = (np.full(len(at), v) for v in (slopes.min() - reach, slopes.max() + reach))
        mu, before = np.interp(at, (x[1:] + x[:-1]) / 2, np.sort(slopes)), np.full(len(at), np.inf)
        for _ in range(MOST_STEPS):
            mean, variance, _ = self._moments(mu, x, f)
            away = np.abs(at - mean) > PRECISION
            if not away.any():
                break
            low, high = np.where(at > mean, mu, low), np.where(at > mean, high, mu)
            mean = np.clip(mean, x[0] + PRECISION, x[-1] - PRECISION)
            odds, wanted = ((v - x[0]) / (x[-1] - v) for v in (mean, at))
            slope = self.per_kT * variance * np.ptp(x) / ((mean - x[0]) * (x[-1] - mean))
            step = mu + np.log(wanted / odds) / np.maximum(slope, TINY)
            far = np.abs(mean - at) > np.abs(before - at) / 2  # where Newton's steps do not halve the distance
            step, before = np.where(far | (step <= low) | (step >= high), (low + high) / 2, step), mean
            mu = np.where(away, step, mu)
        return mu

    def _moments(self, mu: Float, x: Float, f: Float) -> tuple[Float, Float, Float]:
        """Mean and variance of x, and the weights (k, n), at chemical potentials (k,)."""
        log_weights = self.per_kT * (mu[:, None] * (x - x[0]) - (f - f[0]))
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        mean = weights @ x
        return mean, (weights * (x - mean[:, None]) ** 2).sum(axis=1), weights


def curves(isotherms: Isotherms, diagram: Diagram | None) -> list[Curve]:
    """At every temperature of the isotherms; without plateaus where the diagram has none."""
    rows = dict(zip(diagram.trace.temperature_K.tolist(), diagram.rows)) if diagram else {}
    return [_curve(isotherms, k, rows.get(float(t), [])) for k, t in enumerate(isotherms.temperature_K)]


def _curve(isotherms: Isotherms, row: int, gaps: Sequence[Gap]) -> Curve:
    rung, found = isotherms.rungs[row], isotherms.curves[row]
    f = np.array([isotherms.free_energy(c, rung) for c in (found.all, *found.resampled)])
    per_kT = 1 / isotherms.per_fu_eV(rung)
    bare = Curve(isotherms.x, f, per_kT, ())
    if not np.isfinite(f).all():
        return bare
    vibrations = isotherms.vibrational.free_energy_eV[row] if isotherms.vibrational else np.zeros(len(isotherms.x))
    return replace(bare, plateaus=tuple(_plateau(bare, g, vibrations) for g in sorted(gaps, key=lambda g: g.x)))


def _plateau(of: Curve, gap: Gap, vibrational_eV: Float) -> Plateau:
    """vibrational_eV (n,): that of F, which grand potentials of phases do not contain."""
    place = [int(np.abs(of.x - v).argmin()) for v in gap.x]
    left, right = min(place[0], len(of.x) - 2), max(place[1], place[0] + 1)
    if gap.of_phases:
        mu_eV = np.array([gap.mu_eV[0], *np.resize(gap.mu_eV[1:], len(of.f) - 1)])
        low, high = np.interp(gap.x, of.x, vibrational_eV)
        mu_eV = mu_eV + (high - low) / (gap.x[1] - gap.x[0])
    else:
        mu_eV = _equal_weight_eV(of, gap)
        chord = (of.f[:, right] - of.f[:, left]) / (of.x[right] - of.x[left])
        mu_eV = np.where(np.isfinite(mu_eV), mu_eV, chord)
    weights = mu_eV[0] * of.x - of.f[0]
    return Plateau(gap.x, mu_eV, left + 1 + int(weights[left + 1 : right + 1].argmin()))


def _equal_weight_eV(of: Curve, gap: Gap) -> Float:
    """Chemical potentials, (1 + resamples,), at which both phases have equal weight; nan: there are not two peaks."""
    ends = of.x[[0, -1]]
    slope = np.diff(of.f[:, [0, -1]])[:, 0] / np.diff(ends)
    mixing = of.f - of.f[:, :1] - slope[:, None] * (of.x - ends[0])
    domain = domain_at(of.x, mixing[0], sum(gap.x) / 2, float(of.x[1] - of.x[0]), DISTINCT_KT / of.per_kT)
    return np.asarray(equal_weight_slopes(of.x, mixing, of.per_kT, domain) + slope)
