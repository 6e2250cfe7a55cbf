"""Transition-matrix estimate of ln Z_n at one temperature: ΔF between n and n+1 from the tallies, anchored at the exact ends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import SQUARE_UNIT, Tally
from ...sampling.chains.log_z import estimated_steps

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Ends:
    """Lowest and highest count of the ion; ln of the number of states and the energy (neV) of a state at each."""

    low: int
    high: int
    log_states: tuple[float, float]
    energy_neV: tuple[int, int]

    @property
    def exact(self) -> tuple[bool, bool]:
        """An end with a single state has a known free energy."""
        return abs(self.log_states[0]) < 1e-9, abs(self.log_states[1]) < 1e-9


@dataclass(frozen=True)
class Isotherm:
    """At one temperature, over the counts n = low, low+step, ..., high: all of the whole cell.

    steps (n-1,): beta F_{n+1} - beta F_n by the transition matrix; from_annealing (n,): the step up from here is taken from
    annealing, as it was not sampled both ways. transition_matrix_beta_f (n,): the sum of the steps, anchored at the exact ends;
    closure: what this missed at the far end before it was distributed evenly, nan unless both ends are exact.
    beta_f (n,): -ln Z_n, the best estimate: the sum of the steps, or the least-squares fit to those of all temperatures.
    energy_neV, energy_variance_neV2 (n,): canonical mean and variance; weight (n,): number of states seen.
    """

    n: NDArray[np.int64]
    steps: Float
    beta_f: Float
    transition_matrix_beta_f: Float
    closure: float
    from_annealing: NDArray[np.bool_]
    energy_neV: Float
    energy_variance_neV2: Float
    weight: Float


@dataclass(frozen=True)
class Curves:
    """Isotherms of one rung: from all samples, from each bootstrap resample, from the walkers started at low and high x.

    units: number of independent parts of the samples from which the resamples are drawn.
    """

    all: Isotherm
    resampled: list[Isotherm]
    up: Isotherm
    down: Isotherm
    units: int


def isotherm(sums: NDArray[np.int64] | Float, tally: Tally, reference: Float, beta: float, step: int, ends: Ends) -> Isotherm:
    """The transition-matrix estimate from sums (n_max+1, 6) as in Tally.

    reference (n_max+1,): beta F_{n+step} - beta F_n from annealing, taken for a step that was not accepted both ways.
    """
    n = np.arange(ends.low, ends.high + 1, step)
    found = estimated_steps(sums, reference, step)
    missing = ~np.isfinite(found)
    steps = np.where(missing, reference, found)[n[:-1]]
    beta_f, closure = anchored(steps, beta, ends)
    from_annealing = missing[n] & (n < ends.high)
    weight = (sums[n, 0] + sums[n, 2]).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = sums[n, 4] / weight * tally.unit
        square = sums[n, 5] / weight * (tally.unit * SQUARE_UNIT) ** 2
    line = tally.origin + tally.slope * n
    variance = np.maximum(square - excess**2, 0.0)
    return Isotherm(n, steps, beta_f, beta_f, closure, from_annealing, line + excess, variance, weight)


def anchored(steps: Float, beta: float, ends: Ends) -> tuple[Float, float]:
    """beta F (n,), the sum of the steps (n-1,) from an exact end, and the closure error.

    If both ends are exact, the closure error is distributed evenly; else it is nan.
    """
    beta_f = np.concatenate([[0.0], np.cumsum(steps)])
    low, high = (beta * e - s for e, s in zip(ends.energy_neV, ends.log_states))
    if all(ends.exact):
        closure = float(beta_f[-1] - (high - low))
        return beta_f + low - closure * np.arange(len(beta_f)) / max(len(steps), 1), closure
    return (beta_f - beta_f[-1] + high if ends.exact[1] else beta_f + low), float("nan")


def local_mean(values: Float, weight: Float, at: NDArray[np.int64], half_width: int) -> Float:
    """Weighted straight-line fit of values (n,) around each index `at`, over at +- half_width, evaluated at its centre.

    nan where all known values lie to one side: nothing is extrapolated.
    """
    reach = np.minimum(half_width, np.minimum(at, len(values) - 1 - at))
    offset = np.arange(-half_width, half_width + 1)
    place = np.clip(at[:, None] + offset, 0, len(values) - 1)
    y = values[place]
    w = np.where((np.abs(offset) <= reach[:, None]) & np.isfinite(y), weight[place], 0.0)
    y = np.nan_to_num(y)
    total = w.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_x, mean_y = (w * offset).sum(axis=1) / total, (w * y).sum(axis=1) / total
        dx = offset - mean_x[:, None]
        spread = (w * dx**2).sum(axis=1)
        slope = np.where(spread > 0, (w * dx * (y - mean_y[:, None])).sum(axis=1) / spread, 0.0)
    return np.where((total > 0) & (np.abs(mean_x) <= half_width / 2), mean_y - slope * mean_x, np.nan)
