"""Free energies over all counts of the ion at every finite temperature, with bootstrap resamples: the basis of all results."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from ....kernels.layout import Tally
from ...runtime.streams import Stream, generator
from ...sampling.chains.system import System
from ...sampling.chains.tally import empty_tally
from ...sampling.diagnostics import Convergence
from ...sampling.ladder.plan import Plan
from ...sampling.samples import Samples
from ...units import NEV_PER_EV
from ..vibrations import Vibrational, Vibrations
from .least_squares import least_squares
from .transition_matrix import Curves, Ends, Isotherm, isotherm

Float = NDArray[np.float64]
BOOTSTRAP = 100
MOST_BLOCKS = 20
FEW_UNITS = 20  # independent units below which errors are widened


@dataclass(frozen=True)
class Isotherms:
    """F(T, n) of one cell.

    rungs: of finite temperature, where vibrations, if they are included, are known. curves: one per rung. hotter: those of
    the rungs above, up to beta = 0 if the ladder reaches it. grid: indices into an isotherm of the requested compositions.
    """

    system: System
    plan: Plan
    ends: Ends
    rungs: tuple[int, ...]
    curves: tuple[Curves, ...]
    hotter: tuple[Curves, ...]
    grid: NDArray[np.int64]
    vibrations: Vibrations | None = None

    @property
    def n_fu(self) -> int:
        return self.system.n_formula_units

    @property
    def temperature_K(self) -> Float:
        return self.plan.ladder.temperature_K[list(self.rungs)]

    @property
    def asked(self) -> NDArray[np.bool_]:
        return self.plan.ladder.asked[list(self.rungs)]

    @cached_property
    def n(self) -> NDArray[np.int64]:
        """All counts of the ion."""
        return np.arange(self.ends.low, self.ends.high + 1, self.system.step)

    @cached_property
    def x(self) -> Float:
        """All compositions, ions per formula unit."""
        return self.n / self.n_fu

    @property
    def x_grid(self) -> Float:
        return self.x[self.grid]

    @property
    def spacing(self) -> float:
        """Distance in x of the requested compositions."""
        return float(self.x_grid[1] - self.x_grid[0]) if len(self.grid) > 1 else 1.0

    @property
    def half_step(self) -> int:
        """Half the distance between requested compositions, in steps of the count."""
        return int((self.grid[1] - self.grid[0]) // 2) if len(self.grid) > 1 else 0

    def per_fu_eV(self, rung: int) -> float:
        """Factor from beta times an energy of the cell to eV/fu."""
        return float(1 / self.plan.ladder.beta_per_neV[rung] / NEV_PER_EV / self.n_fu)

    @cached_property
    def vibrational(self) -> Vibrational | None:
        """Thermodynamics of the vibrations, (rungs, n); None if they are not included."""
        return self.vibrations.at(self.temperature_K, self.x) if self.vibrations else None

    def beta_f(self, curve: Isotherm, rung: int) -> Float:
        """-ln Z_n of the whole cell, vibrations included, at all counts."""
        if self.vibrational is None:
            return curve.beta_f
        return curve.beta_f + self.vibrational.free_energy_eV[self.rungs.index(rung)] / self.per_fu_eV(rung)

    def free_energy(self, curve: Isotherm, rung: int) -> Float:
        """F(T, x), eV/fu, at all counts."""
        return self.beta_f(curve, rung) * self.per_fu_eV(rung)

    def mixing_free_energy(self, curve: Isotherm, rung: int) -> Float:
        """F above the line between the ends, eV/fu, at all counts."""
        return above_ends(self.free_energy(curve, rung))


def above_ends(values: Float) -> Float:
    """Values (n,) over all counts above the line between the ends."""
    t = np.linspace(0, 1, len(values))
    return values - (1 - t) * values[0] - t * values[-1]


def build_isotherms(
    samples: Samples,
    system: System,
    convergence: Convergence,
    ends: Ends,
    compositions: int,
    seed: int,
    vibrations: Vibrations | None = None,
) -> Isotherms:
    """Estimate F(T, n) from the samples; compositions: number of points of the grid, which are whole numbers of ions."""
    temperature_K = samples.plan.ladder.temperature_K
    known = np.flatnonzero(vibrations.covers(temperature_K) if vibrations else np.isfinite(temperature_K))
    tally = empty_tally(system)
    apart = [_curves(samples, system, convergence, ends, r, tally, seed) for r in range(len(samples.plan.ladder))]
    counts, log_states = system.neutral_counts
    curves = least_squares(apart, samples.plan.ladder.beta_per_neV, ends, np.interp(apart[0].all.n, counts, log_states), seed)
    number = (ends.high - ends.low) // system.step + 1
    grid = np.unique(np.rint(np.linspace(0, number - 1, min(compositions, number))).astype(int))
    rungs, hotter = tuple(curves[: len(known)]), tuple(curves[len(known) :])
    return Isotherms(system, samples.plan, ends, tuple(known.tolist()), rungs, hotter, grid, vibrations)


def _curves(samples: Samples, system: System, convergence: Convergence, ends: Ends, rung: int, tally: Tally, seed: int) -> Curves:
    """The isotherms of one rung. Bins that overlap the equilibration are dropped for all rungs of a ladder, as they exchange."""
    plan, sums = samples.plan, samples.tallies
    ladders = {samples.origin[k][0] for k, s in enumerate(plan.slots) if s.rung == rung}
    own = [k for k, (ladder, _) in enumerate(samples.origin) if ladder in ladders]
    drop = min(int(np.ceil(np.percentile(convergence.equilibrated_after[own], 90) / samples.bin_sweeps)), len(sums) // 2)
    sums = sums[drop:, rung]
    blocks = np.array([b.sum(axis=0) for b in np.array_split(sums, min(len(sums), MOST_BLOCKS))])
    units = blocks.reshape(-1, *blocks.shape[2:])
    beta, reference = float(plan.ladder.beta_per_neV[rung]), plan.reference[rung]

    def curve(total: NDArray[np.int64] | Float) -> Isotherm:
        return isotherm(total, tally, reference, beta, system.step, ends)

    rng = generator(seed, Stream.BOOTSTRAP)  # the same resamples at every rung
    resampled, of_all, factor = [], curve(units.sum(axis=0)), student_factor(len(units))
    flat = units.reshape(len(units), -1).astype(float)
    for _ in range(BOOTSTRAP):
        weights = np.bincount(rng.integers(len(units), size=len(units)), minlength=len(units))
        resampled.append(_widened(curve((weights @ flat).reshape(units.shape[1:])), of_all, factor))
    up, down = (curve(blocks[:, side::2].sum(axis=(0, 1))) for side in (0, 1))
    return Curves(of_all, resampled, up, down, len(units))


def student_factor(units: int) -> float:
    """By how much a standard deviation over resamples of so many units is too small; inf for one.

    sqrt(n / (n - 1)) is the bias of the bootstrap. Below FEW_UNITS the error of the error counts too: the factor is that of
    Student's distribution at the probability of one standard error.
    """
    if units < 2:
        return float("inf")
    return float(np.sqrt(units / (units - 1)) * (stdtrit(units - 1, ndtr(1.0)) if units < FEW_UNITS else 1.0))


def _widened(found: Isotherm, of_all: Isotherm, factor: float) -> Isotherm:
    """The resample with its deviations from all samples times a factor."""
    names = ("steps", "transition_matrix_beta_f", "closure", "energy_neV", "energy_variance_neV2")
    pairs = {name: (getattr(found, name), getattr(of_all, name)) for name in names}
    return replace(found, **{name: all_ + factor * (one - all_) for name, (one, all_) in pairs.items()})


def spread(samples: Float) -> Float:
    """Standard error from bootstrap samples (samples, ...); nan where one of them is not known.

    The root of m2 + (m3 / m2)^2 of the central moments: where rare events are all that varies, k of them were seen and k + 1
    are counted. Elsewhere m3 is small: (m3 / m2)^2 of as many normal samples is 6 m2 / samples, which is taken off.
    """
    known = np.isfinite(samples)
    if not known.any():
        return np.full(samples.shape[1:], np.nan)
    deviation = np.where(known, samples, 0.0)
    deviation = deviation - deviation.mean(axis=0)
    variance, third = (deviation**2).sum(axis=0) / max(len(samples) - 1, 1), (deviation**3).mean(axis=0)
    jump = np.divide(third, variance, out=np.zeros_like(third), where=variance > 0)
    rare = np.maximum(jump**2 - 6 / len(samples) * variance, 0.0)
    return np.where(known.all(axis=0), np.sqrt(variance + rare), np.nan)
