"""First-order lines along temperature: where an ordered phase and the disordered one have the same grand potential at one mu.

Both are known at closely spaced temperatures, as far as they are metastable, from where they are tied to their surfaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...sampling.phases.sheets import Kind, Sheet
from ...sampling.phases.tasks import DISORDERED, Catalogue
from ...units import BOLTZMANN_EV_PER_K
from .grand_potential import LEAST_VARIANCE, GrandPotential, deviation
from .lines import Along, Crossing
from .surface import Surface, fine_surface

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
SIGNIFICANT = 5.0  # standard errors of the latent heat
ANYWHERE = 12**-0.5  # standard deviation of a place in an interval, over its length
NEWTON_STEPS = 4
MOST_STEPS = 3  # between the ends of both columns across which both are continued


@dataclass(frozen=True)
class Column:
    """beta phi, u - mu x and x (1 + resamples, beta) at one mu, by ascending beta; slopes: d(u - mu x)/d beta and dx/d beta."""

    beta_per_eV: Float
    value: Float
    grand_energy_eV: Float
    x: Float
    slopes: tuple[Float, Float]

    def at(self, beta: float) -> tuple[Float, Float, Float]:
        """beta phi, u - mu x and x, (1 + resamples,), continued from the nearest point."""
        k = int(np.abs(self.beta_per_eV - beta).argmin())
        d, (heat, change) = beta - self.beta_per_eV[k], (s[k] for s in self.slopes)
        g = self.grand_energy_eV[:, k]
        return self.value[:, k] + g * d + heat * d**2 / 2, g + heat * d, self.x[:, k] + change * d

    def change_at(self, beta: float) -> float:
        """dx/d beta at the nearest point."""
        return float(self.slopes[1][np.abs(self.beta_per_eV - beta).argmin()])


def melting(
    catalogue: Catalogue, sheets: Sequence[Sheet], found: Sequence[GrandPotential], cell: int, n_fu: int, seed: int
) -> list[Crossing]:
    """At every mu at which an order ends in a first-order transition. found: of all phases in this cell."""
    of = {g.surface.phase: g for g in found}
    fine = [s for s in sheets if s.task.kind is Kind.FINE and s.task.cell == cell]
    lines = []
    for ordered in (s for s in fine if s.task.phase != DISORDERED):
        same = (
            s
            for s in fine
            if s.task.phase == DISORDERED and (s.task.node, s.task.mu_eV) == (ordered.task.node, ordered.task.mu_eV)
        )
        disordered = next(same, None)
        if disordered is None or ordered.task.phase not in of or DISORDERED not in of:
            continue
        columns = [_column(of[s.task.phase], fine_surface(s, catalogue, n_fu, seed)) for s in (ordered, disordered)]
        if columns[0] is not None and columns[1] is not None:
            lines += first_order(ordered.task.phase, ordered.task.mu_eV, columns[0], columns[1])
    return lines


def _column(coarse: GrandPotential, fine: Surface) -> Column | None:
    """The fine surface (one mu), tied to the nearest known point of the coarse one at this mu."""
    at = int(np.flatnonzero(coarse.surface.mu_eV == fine.mu_eV[0])[0])
    known = np.flatnonzero(np.isfinite(coarse.value_eV[0, :, at]))
    alive = np.flatnonzero(fine.exists[:, 0])
    if not len(known) or not len(alive):
        return None
    beta, wide = fine.beta_per_eV, coarse.surface.beta_per_eV
    distance = np.abs(wide[known][:, None] - beta[alive])
    i, k = np.unravel_index(int(distance.argmin()), distance.shape)
    tie, first = int(known[i]), int(alive[k])
    g, v = fine.grand_energy_eV[:, :, 0], fine.grand_variance[:, 0]
    g0, v0 = coarse.surface.grand_energy_eV[:, tie, at], coarse.surface.grand_variance[tie, at]
    value = np.full(g.shape, np.nan)
    h = beta[first] - wide[tie]
    value[:, first] = wide[tie] * coarse.value_eV[:, tie, at] + h * (g0 + g[:, first]) / 2 + h**2 * (v[first] - v0) / 12
    steps = np.diff(beta) * (g[:, 1:] + g[:, :-1]) / 2 + np.diff(beta) ** 2 * (v[1:] - v[:-1]) / 12
    _, smooth = deviation(np.diff(g, axis=1), -np.diff(beta) * (v[1:] + v[:-1]) / 2)
    passable = smooth & fine.exists[1:, 0] & fine.exists[:-1, 0]
    low = high = first
    while high + 1 < len(beta) and passable[high]:
        value[:, high + 1] = value[:, high] + steps[:, high]
        high += 1
    while low > 0 and passable[low - 1]:
        value[:, low - 1] = value[:, low] - steps[:, low - 1]
        low -= 1
    kept = slice(low, high + 1)
    slopes = -v[kept], -(fine.variance[1, kept, 0] - fine.mu_eV[0] * fine.variance[2, kept, 0])
    return Column(beta[kept], value[:, kept], g[:, kept], fine.x[:, kept, 0], slopes)


def first_order(phase: int, mu_eV: float, ordered: Column, disordered: Column) -> list[Crossing]:
    """The transition, if there is a latent heat that does not come from fluctuations.

    It lies between the ends of both columns. There it is where they cross. If they cross elsewhere, the cell has many variants
    of the order, which one column does not count: the transition may then be anywhere in between.
    """
    ends = ordered.beta_per_eV[0], disordered.beta_per_eV[-1]  # the highest temperature of one, the lowest of the other
    low, high = min(ends), max(ends)
    step = float(max(np.diff(c.beta_per_eV).max(initial=0) for c in (ordered, disordered)))
    overlap, middle = ends[0] <= ends[1], (low + high) / 2
    latent = _latent(ordered, disordered, middle)
    if (not overlap and high - low > MOST_STEPS * step) or latent[0] < SIGNIFICANT * latent[1:].std(ddof=1):
        return []
    if not (overlap or _jumps(ordered, disordered)):
        return []
    beta, shift = middle, (high - low + step) * ANYWHERE * _standard(len(latent))
    for _ in range(NEWTON_STEPS):
        one, other = ordered.at(beta), disordered.at(beta)
        beta -= float((one[0] - other[0])[0] / (one[1] - other[1])[0])
    if low - step <= beta <= high + step:
        one, other = ordered.at(beta), disordered.at(beta)
        shift = -(one[0] - other[0]) / (one[1] - other[1])[0]
    else:
        beta = middle
    x = np.array([c.at(beta)[2] + c.change_at(beta) * shift for c in (ordered, disordered)])
    phases = (phase, DISORDERED) if x[0, 0] <= x[1, 0] else (DISORDERED, phase)
    temperature_K = 1 / (BOLTZMANN_EV_PER_K * (beta + shift))
    return [
        Crossing(phases, temperature_K, np.full(len(latent), mu_eV), x[np.argsort(x[:, 0], kind="stable")], Along.TEMPERATURE)
    ]


def _latent(ordered: Column, disordered: Column, middle: float) -> Float:
    """Difference of u - mu x, (1 + resamples,), over all temperatures that both columns have, else at the middle."""
    common = disordered.beta_per_eV[disordered.beta_per_eV >= ordered.beta_per_eV[0]]
    apart = np.array([disordered.at(b)[1] - ordered.at(b)[1] for b in (common if len(common) else [middle])])
    weight = 1 / np.maximum(apart[:, 1:].var(axis=1, ddof=1), LEAST_VARIANCE)
    return np.asarray(weight @ apart / weight.sum())


def _standard(number: int) -> Float:
    """0, then evenly distributed quantiles of a variable of variance 1 without a preferred value."""
    return np.concatenate([[0.0], 12**0.5 * ((np.arange(number - 1) + 0.5) / (number - 1) - 0.5)])


def _jumps(ordered: Column, disordered: Column) -> bool:
    """Whether the energy changes from the end of one column to that of the other by more than the fluctuations explain."""
    change = disordered.grand_energy_eV[:, -1] - ordered.grand_energy_eV[:, 0]
    h = disordered.beta_per_eV[-1] - ordered.beta_per_eV[0]
    explained = h * (ordered.slopes[0][0] + disordered.slopes[0][-1]) / 2
    _, smooth = deviation(change[:, None], np.array([explained]))
    return not bool(smooth[0])
