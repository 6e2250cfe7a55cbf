"""How much the last labels changed the diagram: with the interactions of the last round and of this one, on the same samples.

The samples of two rounds also differ by chance; here only the effective cluster interactions do. To first order in their change,
as in `fit_uncertainty`.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...thermodynamics.fit_uncertainty import Changes
from ...thermodynamics.free_energy.isotherms import Isotherms
from ...thermodynamics.phase_diagram.boundaries import Gap, boundaries_drawn, gaps_of
from ...thermodynamics.phase_diagram.diagram import Diagram
from ...thermodynamics.phase_diagram.trace import Trace

Float = NDArray[np.float64]


def motion(diagram: Diagram, isotherms: Isotherms, found: Changes) -> tuple[float, float]:
    """Mean shift in x of the boundary points of both diagrams, and the largest change of the mixing free energy, eV/fu.

    found: what the other interactions change. Over the temperatures of the trace; a region that only one of the diagrams has
    counts with its width.
    """
    trace = diagram.trace
    other = found.traced(isotherms, trace).resampled[:, 0]
    change = other - trace.value
    moved = replace(
        trace,
        value=other,
        cubic=trace.cubic + change,
        resampled=trace.resampled + change[:, None],
        from_either_end=trace.from_either_end + change[:, None],
    )
    rows = gaps_of(moved)
    shifts = np.concatenate([_shifts(trace, diagram.rows, other), _shifts(trace, rows, trace.value)])
    return float(np.abs(shifts).mean()) if len(shifts) else 0.0, float(np.abs(change).max())


def _shifts(trace: Trace, rows: list[list[Gap]], curves: Float) -> Float:
    """Distances in x between the ends of every gap and those of the region of the curve there, (boundary points,).

    curves: (temperatures, x).
    """
    given = replace(trace, resampled=curves[:, None])
    found = [boundaries_drawn(given.at(k), gap)[0] - gap.x for k, row in enumerate(rows) for gap in row]
    return np.array(found).ravel()
