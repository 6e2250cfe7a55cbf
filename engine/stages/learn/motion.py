"""What the last labels moved: the diagram by the couplings of the round before and by those of now, on the same samples.

Two rounds' samples differ by chance as well; here only the couplings do. To first order in what they change, as in `couplings`.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...thermodynamics.fit_uncertainty import Changes
from ...thermodynamics.free_energy.isotherms import Isotherms
from ...thermodynamics.phase_diagram.boundaries import Gap, boundaries_drawn, gaps_of
from ...thermodynamics.phase_diagram.diagram import Diagram, least_height_eV

Float = NDArray[np.float64]


def motion(diagram: Diagram, isotherms: Isotherms, found: Changes) -> tuple[float, float]:
    """Mean shift in x of the boundary points of both diagrams, and the largest change of the mixing free energy, eV/fu.

    found: of the one other set of couplings. Over the temperatures of the trace; a region that only one of the diagrams has counts
    with its width.
    """
    trace = diagram.trace
    other = found.traced(isotherms, trace).resampled[:, 0]
    change = other - trace.value
    moved = replace(
        trace,
        value=other,
        cubic=trace.cubic + change,
        resampled=trace.resampled + change[:, None],
        halves=trace.halves + change[:, None],
    )
    rows = gaps_of(moved, least_height_eV(moved, isotherms.n_fu))
    shifts = np.concatenate([_shifts(trace.x, diagram.rows, other), _shifts(trace.x, rows, trace.value)])
    return float(np.abs(shifts).mean()) if len(shifts) else 0.0, float(np.abs(change).max())


def _shifts(x: Float, rows: list[list[Gap]], curves: Float) -> Float:
    """How far the ends of every gap are from those of the facet that the curve (temperatures, x) has there, (boundary points,)."""
    found = [boundaries_drawn(x, f[None], gap)[0] - gap.x for row, f in zip(rows, curves) for gap in row]
    return np.array(found).ravel()
