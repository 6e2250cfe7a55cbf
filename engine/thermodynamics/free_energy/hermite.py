"""Hermite interpolation: polynomials through values and derivatives at both ends of an interval."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def hermite_basis(t: Float, derivatives: int) -> Float:
    """Polynomials (ends, derivatives, t) that interpolate values and derivatives at the ends of [0, 1]: cubic or quintic."""
    if derivatives == 2:
        low = [1 - 3 * t**2 + 2 * t**3, t - 2 * t**2 + t**3]
        high = [3 * t**2 - 2 * t**3, t**3 - t**2]
    else:
        low = [1 - 10 * t**3 + 15 * t**4 - 6 * t**5, t - 6 * t**3 + 8 * t**4 - 3 * t**5, (t**2 - 3 * t**3 + 3 * t**4 - t**5) / 2]
        high = [10 * t**3 - 15 * t**4 + 6 * t**5, -4 * t**3 + 7 * t**4 - 3 * t**5, (t**3 - 2 * t**4 + t**5) / 2]
    return np.array([low, high])
