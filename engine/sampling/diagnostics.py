"""Convergence of chains: equilibration, autocorrelation time, effective sample size, R-hat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Float = NDArray[np.float64]
WINDOW = 5.0  # Sokal's automatic window: sum to the first lag above WINDOW * tau
DISCARDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
LEAST_ESS = 30.0
MOST_R_HAT = 1.1
LEAST_UNITS = 10  # independent parts of the samples, below which nothing is trusted


@dataclass(frozen=True)
class Convergence:
    """Convergence of the chains of each slot, all (slots,).

    equilibrated_after: sweeps that are dropped. autocorrelation: time in sweeps, the longer of energy and count. ess: effective
    samples of all walkers together. r_hat: the larger of energy and count. The three are nan for chains that do not move.
    trusted: whether the chains are long enough.
    """

    equilibrated_after: NDArray[np.int64]
    autocorrelation: Float
    ess: Float
    r_hat: Float
    trusted: NDArray[np.bool_]


def autocorrelation_time(series: Float) -> Float:
    """Integrated autocorrelation time in samples, (...), of series (..., samples); 1 for white noise and for a constant.

    tau = 1 + 2 sum_t rho(t) up to the first lag M >= WINDOW * tau(M) (Madras and Sokal, J. Stat. Phys. 50, 109, 1988).
    """
    n = series.shape[-1]
    centred = series - series.mean(axis=-1, keepdims=True)
    spectrum = np.fft.rfft(centred, n=2 * n, axis=-1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=-1)[..., :n]
    variance = covariance[..., :1]
    rho = np.divide(covariance, variance, out=np.zeros_like(covariance), where=variance > 1e-300)
    tau = 2 * np.cumsum(rho, axis=-1) - 1
    beyond = np.arange(n) >= WINDOW * np.maximum(tau, 1e-12)
    last = np.where(beyond.any(axis=-1), beyond.argmax(axis=-1), n - 1)
    result = np.take_along_axis(tau, last[..., None], axis=-1)[..., 0]
    constant = variance[..., 0] <= 1e-12 * np.maximum(np.abs(series).max(axis=-1), 1e-150) ** 2 * n
    return np.where(constant, 1.0, np.maximum(result, 1.0))


def equilibration(series: Float) -> NDArray[np.int64]:
    """Samples to drop from the start of series (..., walkers, samples), so that the rest has the most effective samples, (...).

    The cuts are on a coarse grid (Chodera, J. Chem. Theory Comput. 12, 1799, 2016). All walkers together: the longest cut of any
    of them is often that of noise.
    """
    n = series.shape[-1]
    cuts = [int(d * n) for d in DISCARDS]
    effective = np.array([(n - c) * (1 / autocorrelation_time(series[..., c:])).sum(axis=-1) for c in cuts])
    return np.array(cuts)[effective.argmax(axis=0)]


def split_r_hat(series: Float) -> Float:
    """Rank-normalised split R-hat (slots,) over series (slots, walkers, samples); 1 where nothing varies.

    The larger of that of the values and that of their distances from the median (Vehtari et al., Bayesian Anal. 16, 667, 2021).
    nan for a single walker or fewer than 4 samples.
    """
    half = series.shape[-1] // 2
    if series.shape[-1] < 4 or series.shape[1] < 2:
        return np.full(len(series), np.nan)
    values = np.concatenate([series[..., :half], series[..., -half:]], axis=1)
    return np.array([1.0 if np.ptp(s) == 0 else max(_r_hat(_normal_scores(v)) for v in (s, _folded(s))) for s in values])


def _folded(chains: Float) -> Float:
    return np.abs(chains - np.median(chains))


def _normal_scores(chains: Float) -> Float:
    """Normal quantiles of the ranks of the values, those of equal values averaged (Blom, 1958)."""
    _, place, counts = np.unique(chains, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place].reshape(chains.shape)
    return ndtri((rank - 3 / 8) / (chains.size + 1 / 4))


def _r_hat(chains: Float) -> float:
    """R-hat of chains (chains, samples)."""
    n = chains.shape[1]
    between, within = n * chains.mean(axis=1).var(ddof=1), chains.var(axis=1, ddof=1).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt((between / within + n - 1) / n))


def _of_walkers(series: Float) -> Float:
    """Autocorrelation time (slots,) of series (slots, walkers, samples): the mean over walkers, by their variance."""
    weight = series.var(axis=-1)
    total = weight.sum(axis=1)
    tau = (weight * autocorrelation_time(series)).sum(axis=1)
    return np.divide(tau, total, out=np.ones_like(total), where=total > 0)


def assess(energy: Float, ions: Float, accepted: NDArray[np.int64]) -> Convergence:
    """Convergence of replicas from energy and ion count, each (slots, walkers, sweeps), and their accepted moves (slots,).

    Chains that accepted nothing, or in which nothing varies, say nothing about convergence: they have no R-hat, no
    autocorrelation time and no effective samples.
    """
    n = energy.shape[-1]
    energy, ions = (series - series[:, :1, :1] for series in (energy, ions))  # an offset would hide what varies
    cut = np.maximum(equilibration(energy), equilibration(ions))
    tau, r_hat, varied = np.ones(len(energy)), np.ones(len(energy)), np.zeros(len(energy), bool)
    for c in np.unique(cut):
        rows = cut == c
        kept = [series[rows][..., c:] for series in (energy, ions)]
        varied[rows] = np.any([np.ptp(series, axis=-1) > 0 for series in kept], axis=(0, 2))
        for series in kept:
            tau[rows] = np.maximum(tau[rows], _of_walkers(series))
            if n - c >= 4:
                r_hat[rows] = np.fmax(r_hat[rows], np.nan_to_num(split_r_hat(series), nan=np.inf))
    tau, r_hat = (np.where((accepted > 0) & varied, values, np.nan) for values in (tau, r_hat))
    ess = energy.shape[1] * (n - cut) / tau
    with np.errstate(invalid="ignore"):
        trusted = (ess >= LEAST_ESS) & (r_hat <= MOST_R_HAT) & (cut < n / 2) & (n >= 8)
    return Convergence(cut, tau, ess, r_hat, trusted)
