"""Scans through composition at one temperature, from one end to the other. The difference of up and down is hysteresis in x."""

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Ensemble, Tally
from ...crystal.neutral_states import random_neutral_state
from ...runtime.streams import Stream, chain_stream, generator
from ...units import inverse_temperature
from ..chains.chain import advance, start_chain
from ..chains.log_z import estimated_steps, ideal_steps, integrate_steps
from ..chains.system import System
from ..chains.tally import empty_tally, end_energies

Float = NDArray[np.float64]
STEPS_PER_WINDOW = 8
EDGE = 12  # steps of ln Z nearest to the counts not visited yet, from which those are extrapolated
NEVER_ACCEPTED = 3.0  # a step of ln Z whose moves were never accepted is taken to be this much further off


def scan(
    system: System,
    temperature_K: float,
    upward: bool,
    targets: Float,
    sigma_n: float,
    sweeps_per_window: int,
    seed: int,
    key: tuple[int, ...],
) -> Float:
    """Estimate of ln Z_n - ln Z_(n+step), (n_max+1,), by a chain that a soft spring draws through all targets.

    key: of the random streams.
    """
    low, high, e_low, e_high = end_energies(system)
    step = system.step
    beta = inverse_temperature(temperature_K)
    tally = empty_tally(system)
    n = np.arange(len(tally.sums))
    ideal = ideal_steps(system, len(n))
    excess = np.full(len(n), beta * (e_high - e_low) / max(high - low, 1) * step)
    frozen = np.zeros(len(n), bool)
    begin = low if upward else high
    stream = chain_stream(seed, Stream.SCAN, Stream.CHAIN, *key)
    rng = generator(seed, Stream.SCAN, Stream.START, *key)
    chain = start_chain(system, random_neutral_state(system.supercell, system.ion, begin, rng), stream)

    spring = max(sigma_n / 4, 1.0)
    path = np.linspace(low, high, (len(targets) - 1) * STEPS_PER_WINDOW + 1)
    order = np.arange(len(path)) if upward else np.arange(len(path))[::-1]
    burst = max(1, sweeps_per_window // STEPS_PER_WINDOW)
    reference = excess + ideal
    for k in order:
        bias = integrate_steps(np.where(frozen, _refined(tally, reference, step), excess + ideal), step)
        log_weight = bias - (n - path[k]) ** 2 / (2 * spring**2)
        advance(chain, system, system.moves, Ensemble(beta, np.zeros(len(chain.ions)), log_weight, reference, step), tally, burst)
        touched = (tally.sums[:, 0] > 0) | np.roll(tally.sums[:, 2] > 0, -step)
        frozen |= touched
        excess = _extrapolate(_refined(tally, reference, step) - ideal, tally, frozen, step, upward)
        reference = np.where(frozen, reference, excess + ideal)
    return _refined(tally, reference, step)


def _refined(tally: Tally, reference: Float, step: int) -> Float:
    """The estimate from the tally; where moves were tried and none accepted, the reference moved in the direction this shows."""
    found = estimated_steps(tally.sums, reference, step)
    return np.where(np.isfinite(found), found, reference + np.nan_to_num(np.sign(found), nan=0.0) * NEVER_ACCEPTED)


def _extrapolate(refined: Float, tally: Tally, frozen: NDArray[np.bool_], step: int, upward: bool) -> Float:
    """Excess steps of ln Z: `refined` where visited, and beyond that the mean of the last ones, weighted by their tries."""
    known = np.flatnonzero(frozen)
    edge = known[-EDGE:] if upward else known[:EDGE]
    tries = np.minimum(tally.sums[:, 0], np.roll(tally.sums[:, 2], -step))[edge] + 1e-3
    return np.where(frozen, refined, float(np.average(refined[edge], weights=tries)))
