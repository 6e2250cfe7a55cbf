"""Two phases of equal weight in P(n) ~ exp(log_weight + slope x) of a finite cell, and moments of P, by Newton's method."""

import numpy as np

from .compiling import entry, part

PRECISION = 1e-10  # of ln of the ratio of the weights
MOST_STEPS = 200
MOST_CUTS = 20
NEGLIGIBLE = 40.0  # ln of the ratio to the largest weight from which on a weight adds nothing


@entry
def equal_weights(x, log_weights, low, cut, high, left, right):
    """Rows of mean x of either phase, the barrier ln(p_max / p_min) and the slope, (curves, 4).

    log_weights (curves, n): ln P at slope 0. The phases are the x from index low to cut, and from cut to high (included), where
    cut is moved to the least weight between them. left, right: indices near the peaks.
    nan: there are no two peaks.
    """
    found = np.full((log_weights.shape[0], 4), np.nan)
    for row in range(log_weights.shape[0]):
        middle, slope = cut, (log_weights[row, left] - log_weights[row, right]) / (x[right] - x[left])
        for _ in range(MOST_CUTS):
            slope, low_mean, high_mean = _balanced(x, log_weights[row], low, middle, high, slope)
            if not np.isfinite(slope):
                break
            least, barrier = _least(x, log_weights[row], low, middle, high, slope)
            if least <= low or least >= high:
                break
            found[row] = low_mean, high_mean, barrier, slope
            if least == middle:
                break
            middle = least
    return found


@entry
def cumulants(x, log_weights, low, high, mean):
    """Fourth-order cumulants 1 - <d^4> / (3 <d^2>^2), (curves,), d = x - <x>, of x[low:high+1] at the slope where <x> = mean.

    nan: there is no such slope, or one x has all the weight.
    """
    found = np.full(log_weights.shape[0], np.nan)
    for row in range(log_weights.shape[0]):
        near = min(max(np.searchsorted(x, mean), low + 1), high - 1)
        slope = (log_weights[row, near - 1] - log_weights[row, near + 1]) / (x[near + 1] - x[near - 1])
        least, most = -np.inf, np.inf
        for _ in range(MOST_STEPS):
            at, second, fourth = _moments(x, log_weights[row], low, high, slope)
            if second <= 0:  # a single x: no distribution to speak of
                break
            if abs(at - mean) < PRECISION:
                found[row] = 1 - fourth / (3 * second**2)
                break
            if at < mean:
                least = max(least, slope)
            else:
                most = min(most, slope)
            slope += (mean - at) / second
            if slope <= least or slope >= most:
                slope = (least + most) / 2
    return found


@part
def _moments(x, log_weight, low, high, slope):
    """Mean of x, and second and fourth central moments."""
    _, mean = _side(x, log_weight, low, high + 1, slope)
    most = -np.inf
    for k in range(low, high + 1):
        most = max(most, log_weight[k] + slope * x[k])
    total, second, fourth = 0.0, 0.0, 0.0
    for k in range(low, high + 1):
        log_p, square = log_weight[k] + slope * x[k] - most, (x[k] - mean) ** 2
        if log_p > -NEGLIGIBLE:
            p = np.exp(log_p)
            total += p
            second += p * square
            fourth += p * square**2
    return mean, second / total, fourth / total


@part
def _balanced(x, log_weight, low, cut, high, slope):
    """The slope at which both sides of the cut have the same weight, and their mean x; nan if it does not converge."""
    least, most = -np.inf, np.inf
    for _ in range(MOST_STEPS):
        a, left = _side(x, log_weight, low, cut, slope)
        b, right = _side(x, log_weight, cut, high + 1, slope)
        if abs(a - b) < PRECISION:
            return slope, left, right
        if a > b:  # the ratio left to right falls as the slope rises
            least = max(least, slope)
        else:
            most = min(most, slope)
        slope += (a - b) / (right - left)
        if slope <= least or slope >= most:
            slope = (least + most) / 2
    return np.nan, np.nan, np.nan


@part
def _side(x, log_weight, first, last, slope):
    """ln of the weight of x[first:last], and its mean x."""
    most = -np.inf
    for k in range(first, last):
        most = max(most, log_weight[k] + slope * x[k])
    total, moment = 0.0, 0.0
    for k in range(first, last):
        log_p = log_weight[k] + slope * x[k] - most
        if log_p > -NEGLIGIBLE:
            p = np.exp(log_p)
            total += p
            moment += p * x[k]
    return most + np.log(total), moment / total


@part
def _least(x, log_weight, low, cut, high, slope):
    """Index of the least weight between the peaks on both sides of the cut, and the barrier of the lower peak above it."""
    left, right = low, cut
    for k in range(low, cut):
        if log_weight[k] + slope * x[k] > log_weight[left] + slope * x[left]:
            left = k
    for k in range(cut, high + 1):
        if log_weight[k] + slope * x[k] > log_weight[right] + slope * x[right]:
            right = k
    least = left
    for k in range(left, right + 1):
        if log_weight[k] + slope * x[k] < log_weight[least] + slope * x[least]:
            least = k
    peak = min(log_weight[left] + slope * x[left], log_weight[right] + slope * x[right])
    return least, peak - (log_weight[least] + slope * x[least])
