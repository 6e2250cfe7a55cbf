"""Steps of ln Z: ln Z_n - ln Z_(n+step), with n the count of the ion. A step is beta times F_(n+step) - F_n.

Steps are known exactly at beta = 0. At other temperatures they are estimated from tallied moves (transition-matrix estimate).
"""

import numpy as np
from numpy.typing import NDArray

from .system import System
from .tally import end_energies

Float = NDArray[np.float64]
LEAST_TRIES = 30.0  # in either direction, for an estimate to be used


def ideal_steps(system: System, size: int) -> Float:
    """ln Z_n - ln Z_(n+step) at beta = 0, (size,), which is exact; 0 where there is no neutral state."""
    counts, log_states = system.neutral_counts
    full = np.full(size + system.step, np.nan)
    full[counts] = log_states
    return np.nan_to_num(full[:size] - full[system.step : size + system.step], nan=0.0)


def mixed_ends(system: System, size: int, beta: float) -> Float:
    """ln Z_n - ln Z_(n+step), (size,), of an ideal solution with the energies of the ends of composition."""
    low, high, e_low, e_high = end_energies(system)
    return ideal_steps(system, size) + beta * (e_high - e_low) / max(high - low, 1) * system.step


def estimated_steps(sums: NDArray[np.int64] | Float, reference: Float, step: int) -> Float:
    """ln Z_n - ln Z_(n+step), (n_max+1,), from the mean acceptance up from n and down from n+step; not finite if one is missing.

    The acceptance is a_up = min(1, q exp(-beta dE + r_n)) and a_down = min(1, q exp(-beta dE - r_n)), where q is the Hastings
    factor. Detailed balance gives Z_n <a_up>_n = exp(r_n) Z_(n+step) <a_down>_(n+step) for any reference r_n. Expected
    transitions take the place of counts (Fitzgerald, Picard, Silver, Europhys. Lett. 46, 282, 1999). The estimate has no noise
    if dE = 0.
    """
    tries_up, up, tries_down, down = (np.asarray(sums[:, k], float) for k in range(4))
    steps = np.full(len(reference), np.nan)
    last = len(up) - step
    with np.errstate(divide="ignore", invalid="ignore"):
        steps[:last] = reference[:last] - np.log(up[:last] / tries_up[:last]) + np.log(down[step:] / tries_down[step:])
    return steps


def seen_steps(sums: NDArray[np.int64], reference: Float, step: int) -> tuple[NDArray[np.int64], Float]:
    """Counts n between which and n+step moves were tried often enough in both directions, and ln Z_n - ln Z_(n+step) there."""
    found = estimated_steps(sums, reference, step)
    tries = np.minimum(sums[:, 0], np.roll(sums[:, 2], -step))
    good = np.flatnonzero(np.isfinite(found) & (tries >= LEAST_TRIES))
    return good, found[good]


def integrate_steps(steps: Float, step: int) -> Float:
    """The function f, (n_max+1,), with f[n+step] - f[n] = steps[n] and f[0..step-1] = 0."""
    total = np.zeros(len(steps))
    for start in range(max(step, 1)):
        if step:
            part = steps[start::step]
            total[start::step] = np.concatenate([[0.0], np.cumsum(part[:-1])])
    return total
