"""Free energies of the potential by transitions, by reweighting, by Bennett's acceptance ratio and by enumeration."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .walker import Walk, stationary, transitions

Float = NDArray[np.float64]
LEAST_ESS = 10.0  # effective samples at a composition, below which a reweighted free energy is not given
BLOCKS = 16  # of every walk, for the bootstrap
RESAMPLED = 64


@dataclass(frozen=True)
class Curve:
    """beta F (n,) of the cell and mean energy, eV; nan where nothing is known.

    closure: beta F that was missing at the last n; nan unless both ends are exact.
    """

    beta_f: Float
    energy_eV: Float
    closure: float


def by_transitions(walks: Sequence[Walk], counts: NDArray[np.int64], ends: Sequence[float] | Float) -> Curve:
    """From the probabilities of transitions between counts, of all walkers with the same weights together.

    The stationary distribution of these transitions is that of the chain (Fitzgerald, Picard, Silver, Europhys. Lett. 46, 282,
    1999); visits alone would also have the noise of the chain's walk over the counts. ends: exact beta F at the first and the
    last count, nan where that has several states; the closure error is distributed evenly.
    """
    matrix = np.sum([transitions(w, counts) for w in walks], axis=0)
    beta_f = walks[0].log_weight[counts] - np.log(stationary(matrix))
    energy = np.array([_mean(np.concatenate([w.potential_eV[w.n == n] for w in walks])) for n in counts])
    closure = float(beta_f[-1] - beta_f[0] - (ends[1] - ends[0]))
    anchor = 0 if np.isfinite(ends[0]) else -1
    beta_f += ends[anchor] - beta_f[anchor]
    if np.isfinite(closure):
        beta_f -= closure * (counts - counts[0]) / max(np.ptp(counts), 1)
    return Curve(beta_f, energy, closure)


def _mean(values: Float) -> float:
    return float(values.mean()) if len(values) else np.nan


@dataclass(frozen=True)
class Shift:
    """beta (F_potential - F_expansion) of the cell, (n,), by the exponential average and by its second cumulant.

    ess (n,): effective samples.
    """

    exponential: Float
    cumulant: Float
    ess: Float


def by_reweighting(walks: Sequence[Walk], counts: NDArray[np.int64], beta_per_eV: float) -> Shift:
    """-ln<exp(-beta (E_potential - E_expansion))> over the expansion's samples at every count; nan where ess < LEAST_ESS.

    States without an energy have weight 0; the cumulant leaves them out.
    """
    rows = []
    for n in counts:
        work = np.concatenate([beta_per_eV * (w.potential_eV - w.expansion_eV)[w.n == n] for w in walks])
        rows.append(_reweighted(work))
    exponential, cumulant, ess = np.array(rows).T
    return Shift(exponential, cumulant, ess)


def _reweighted(work: Float) -> tuple[float, float, float]:
    finite = work[np.isfinite(work)]
    if not len(finite):
        return np.nan, np.nan, 0.0
    ess = float(np.exp(2 * logsumexp(-finite) - logsumexp(-2 * finite)))
    cumulant = float(finite.mean() - finite.var() / 2)
    return (float(np.log(len(work)) - logsumexp(-finite)) if ess >= LEAST_ESS else np.nan), cumulant, ess


def by_bennett(expansion: Sequence[Walk], potential: Sequence[Walk], counts: NDArray[np.int64], beta_per_eV: float) -> Float:
    """beta (F_potential - F_expansion) (n,) by Bennett's acceptance ratio between samples of the two; nan where one has none."""
    from pymbar.other_estimators import bar  # slow to import

    found = np.full(len(counts), np.nan)
    for k, n in enumerate(counts):
        forward = np.concatenate([beta_per_eV * (w.potential_eV - w.expansion_eV)[w.n == n] for w in expansion])
        back = np.concatenate([-beta_per_eV * (w.potential_eV - w.expansion_eV)[w.n == n] for w in potential])
        if not len(forward) or not len(back) or not np.isfinite(forward).any():
            continue
        if np.ptp(forward[np.isfinite(forward)]) < 1e-9 and np.ptp(back) < 1e-9:
            found[k] = forward.min() + np.log(len(forward) / np.isfinite(forward).sum())
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[k] = bar(np.minimum(forward, 700.0), back, compute_uncertainty=False)["Delta_f"]
    return found


def by_enumeration(energies_eV: Sequence[Float], beta_per_eV: float) -> Curve:
    """Exact beta F and mean energy, from the energies of all states at every count."""
    beta_f = np.array([-logsumexp(-beta_per_eV * e) for e in energies_eV])
    mean = [
        float(np.average(e[np.isfinite(e)], weights=np.exp(-beta_per_eV * (e[np.isfinite(e)] - e.min())))) for e in energies_eV
    ]
    return Curve(beta_f, np.array(mean), 0.0)


def resampled(walks: Sequence[Walk], rng: np.random.Generator) -> list[Walk]:
    """The walks with their blocks drawn with replacement, within each walk."""
    found = []
    for w in walks:
        blocks = np.array_split(np.arange(len(w.n)), BLOCKS)
        found.append(w.at(np.concatenate([blocks[b] for b in rng.integers(len(blocks), size=len(blocks))])))
    return found
