"""What to label next: possible ground states, the most frequent arrangements, and those that reduce the fit uncertainty most."""

import numpy as np
from numpy.typing import NDArray

from ...thermodynamics.free_energy.hull import hull_values, lower_hull
from .visited import Visited

Float = NDArray[np.float64]


def choose(visited: Visited, labelled: set[str], mixing: Float, band: Float, noise_eV: float, number: int) -> dict[int, str]:
    """Arrangement -> reason, of those without a label that are worth one: a third for each reason, if there are enough.

    mixing (arrangements, draws): mixing energies, eV/fu, predicted by every draw of the effective cluster interactions.
    band (draws,): the least certain number of the diagram by the same draws. noise_eV: of a label about any expansion.
    """
    free = [k for k, c in enumerate(visited.configurations) if visited.distinct[k] and c.name not in labelled]
    picked: dict[int, str] = {}
    third = -(-number // 3)
    for why, order in (("ground state", _by_height(visited)), ("frequent", _by_share(visited))):
        left = [k for k in order if k in set(free) - set(picked)]
        picked |= dict.fromkeys(left[: min(third, number - len(picked))], why)
    rest = [k for k in free if k not in picked]
    narrowing = _narrowing(mixing, band, noise_eV, list(picked), rest, number - len(picked))
    return picked | dict.fromkeys(narrowing, "widest band")


def _by_height(visited: Visited) -> list[int]:
    """By energy above the hull of all that was visited, lowest first."""
    levels, at = np.unique(visited.x.round(9), return_inverse=True)
    lowest = np.full(len(levels), np.inf)
    np.minimum.at(lowest, at, visited.energy_eV)
    hull = hull_values(levels, lowest, lower_hull(levels, lowest))
    return np.argsort(visited.energy_eV - hull[at], kind="stable").tolist()


def _by_share(visited: Visited) -> list[int]:
    """By the largest share of a composition at any temperature, largest first."""
    _, at = np.unique(visited.x.round(9), return_inverse=True)
    total = np.zeros((at.max() + 1, visited.seen.shape[1]))
    np.add.at(total, at, visited.seen)
    share = (visited.seen / np.maximum(total[at], 1)).max(axis=1)
    return np.argsort(-share, kind="stable").tolist()


def _narrowing(mixing: Float, band: Float, noise_eV: float, known: list[int], free: list[int], number: int) -> list[int]:
    """One after the other, those whose labels would reduce the variance of the band most, given the labels chosen before.

    From the covariance over the draws: a label reduces the variance by cov(band, E)^2 / (var E + noise^2), and all covariances
    likewise.
    """
    draws = mixing.shape[1]
    p = (mixing - mixing.mean(axis=1, keepdims=True)) / np.sqrt(draws - 1)
    q = (band - band.mean()) / np.sqrt(draws - 1)
    own, cross = p @ p.T, p @ q
    picked: list[int] = []

    def condition(k: int) -> None:
        nonlocal own, cross
        gain = own[:, k] / (own[k, k] + noise_eV**2)
        own, cross = own - np.outer(gain, own[k]), cross - gain * cross[k]

    for k in known:
        condition(k)
    while len(picked) < number and (left := [k for k in free if k not in picked]):
        best = left[int(np.argmax(cross[left] ** 2 / (np.diag(own)[left] + noise_eV**2)))]
        condition(best)
        picked.append(best)
    return picked


def ensemble_errors(visited: Visited, squared_eV2: Float, spacing: float) -> tuple[Float, Float]:
    """x (bins,) and the root mean square error of what is visited there, eV/fu, (temperatures, bins); nan if nothing is.

    squared_eV2 (arrangements,): expected squared error of each.
    """
    at = np.rint(visited.x / spacing).astype(int)
    total, weight = np.zeros((2, visited.seen.shape[1], at.max() + 1))
    for k, bin_ in enumerate(at):
        total[:, bin_] += visited.seen[k] * squared_eV2[k]
        weight[:, bin_] += visited.seen[k]
    with np.errstate(invalid="ignore"):
        return np.arange(at.max() + 1) * spacing, np.sqrt(total / weight)
