"""Smoothing by local cubics (Savitzky and Golay, Anal. Chem. 36, 1627, 1964), as scipy's filter, which is slow to import."""

from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

Float = NDArray[np.float64]
ORDER = 3


def local_cubics(values: Float, window: int, derivative: int = 0, spacing: float = 1.0) -> Float:
    """The cubics that fit `window` (odd) neighbouring values best, or a derivative of them, (..., n) as `values`.

    Within half a window of an end it is the cubic of the last window.
    """
    half, n, scale = window // 2, values.shape[-1], spacing**derivative
    powers = np.arange(-half, window - half, dtype=float)[::-1] ** np.arange(ORDER + 1).reshape(-1, 1)
    wanted = np.zeros(ORDER + 1)
    wanted[derivative] = factorial(derivative) / scale
    found = convolve1d(values, np.linalg.lstsq(powers, wanted, rcond=None)[0], axis=-1, mode="constant")
    for start, inside in ((0, slice(0, half)), (n - window, slice(window - half, window))):
        cubics = np.polyfit(np.arange(window), values[..., start : start + window].reshape(-1, window).T, ORDER)
        cubics = np.array([np.polyder(c, derivative) for c in cubics.T]).T
        at = np.arange(window, dtype=float)[inside]
        edge = np.array([np.polyval(c, at) for c in cubics.T]) / scale
        found[..., start + inside.start : start + inside.stop] = edge.reshape(*values.shape[:-1], half)
    return found
