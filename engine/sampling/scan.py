"""Scans through composition: from one end to the other, at one temperature, learning ln Z_n on the way.

They give the chains their starting states, the flat bias its shape, and the hysteresis its measure (up against down).
"""
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Ensemble, Tally
from ...kernels.random import new_stream
from ..neutrality import random_neutral_state
from ..system import System, inverse_temperature
from .chain import advance, start_chain
from .ladder import SCAN_STREAM
from .plan import empty_tally, end_energies, integrate_steps

Float = NDArray[np.float64]
STEPS_PER_WINDOW = 8
EDGE = 12            # steps of ln Z_n nearest to the unexplored side that are extrapolated
FORGIVING = 3.0      # a step of ln Z_n that was never accepted is taken to be this much further off


@dataclass(frozen=True)
class Scan:
    """reference (n_max+1,): estimate of ln Z_n - ln Z_(n+step). starts (windows, n_sites): a state near each target."""

    reference: Float
    starts: NDArray[np.int8]


def ideal_steps(system: System, size: int) -> Float:
    """ln Z_n - ln Z_(n+step) at beta = 0, exactly, (size,); 0 where no neutral state is."""
    counts, log_states = system.neutral_counts
    full = np.full(size + system.step, np.nan)
    full[counts] = log_states
    steps = full[:size] - full[system.step : size + system.step]
    return np.nan_to_num(steps, nan=0.0)


def estimated_steps(tally_sums: NDArray[np.int64], reference: Float, step: int) -> Float:
    """ln Z_n - ln Z_(n+step) from the acceptances up from n and down from n+step, (n_max+1,); nan where either is missing.

    Detailed balance: Z_n <a_up>_n = exp(reference) ... the expected count of transitions stands for the count, so the ideal
    part (N-n)^2/(n+1)^2 is exact. (Fitzgerald, Picard, Silver, Europhys. Lett. 46, 282, 1999.)
    """
    tries_up, up, tries_down, down = (tally_sums[:, k].astype(float) for k in range(4))
    steps = np.full(len(reference), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(up[: len(up) - step] / tries_up[: len(up) - step]) - np.log(down[step:] / tries_down[step:])
    steps[: len(up) - step] = reference[: len(up) - step] - ratio
    return steps


def scan(system: System, temperature_K: float, upward: bool, targets: Float, sigma_n: float, sweeps_per_window: int, seed: int, key: tuple[int, ...]) -> Scan:
    """Drag a chain through all targets with a soft spring, refining the bias as it goes."""
    low, high, e_low, e_high = end_energies(system)
    step = system.step
    beta = inverse_temperature(temperature_K)
    tally = empty_tally(system)
    n = np.arange(len(tally.sums))
    ideal = ideal_steps(system, len(n))
    excess = np.full(len(n), beta * (e_high - e_low) / max(high - low, 1) * step)
    frozen = np.zeros(len(n), bool)
    begin = low if upward else high
    stream = new_stream(seed, SCAN_STREAM, *key)
    rng = np.random.default_rng([seed, SCAN_STREAM, *key])
    chain = start_chain(system, random_neutral_state(system.supercell, system.ion, begin, rng), stream)

    spring = max(sigma_n / 4, 1.0)
    path = np.linspace(low, high, (len(targets) - 1) * STEPS_PER_WINDOW + 1)
    order = np.arange(len(path)) if upward else np.arange(len(path))[::-1]
    burst = max(1, sweeps_per_window // STEPS_PER_WINDOW)
    reference = excess + ideal
    starts = np.zeros((len(targets), system.supercell.n_sites), np.int8)
    for k in order:
        bias = integrate_steps(np.where(frozen, _refined(tally, reference, step), excess + ideal), step)
        log_weight = bias - (n - path[k]) ** 2 / (2 * spring**2)
        advance(chain, system, system.moves, Ensemble(beta, np.zeros(len(chain.ions)), log_weight, reference, step), tally, burst)
        touched = (tally.sums[:, 0] > 0) | np.roll(tally.sums[:, 2] > 0, -step)
        frozen |= touched
        excess = _extrapolate(_refined(tally, reference, step) - ideal, tally, frozen, step, upward)
        reference = np.where(frozen, reference, excess + ideal)
        if k % STEPS_PER_WINDOW == 0:
            starts[k // STEPS_PER_WINDOW] = chain.species
    return Scan(_refined(tally, reference, step), starts)


def _refined(tally: Tally, reference: Float, step: int) -> Float:
    """The tally's estimate where it has one; where moves were tried and none accepted, the reference moved towards it."""
    found = estimated_steps(tally.sums, reference, step)
    return np.where(np.isfinite(found), found, reference + np.nan_to_num(np.sign(found), nan=0.0) * FORGIVING)


def _extrapolate(refined: Float, tally: Tally, frozen: NDArray[np.bool_], step: int, upward: bool) -> Float:
    """Excess steps: the refined ones where visited, ahead of them the mean of the last ones, weighted by how often tried."""
    known = np.flatnonzero(frozen)
    edge = known[-EDGE:] if upward else known[:EDGE]
    tries = np.minimum(tally.sums[:, 0], np.roll(tally.sums[:, 2], -step))[edge] + 1e-3
    return np.where(frozen, refined, float(np.average(refined[edge], weights=tries)))
