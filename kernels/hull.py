"""Lower convex hull of points in the plane (Andrew, Inf. Process. Lett. 9, 216, 1979)."""

import numpy as np

from .compiling import entry

FLAT = 1e-13  # of the unit square; a point this close to the line between its neighbours is no vertex


@entry
def lower_vertices(x, y):
    """Indices of the vertices of the lower hull of points (x ascending, y), both in the unit square, both ends included."""
    kept, n = np.empty(x.size, np.int64), 0
    for k in range(x.size):
        while n > 1:
            a, b = kept[n - 2], kept[n - 1]
            if (x[b] - x[a]) * (y[k] - y[a]) - (y[b] - y[a]) * (x[k] - x[a]) > FLAT:
                break
            n -= 1
        kept[n] = k
        n += 1
    return kept[:n].copy()
