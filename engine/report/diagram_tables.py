"""Tables of the phase diagram: fields, boundaries, invariant points, comparison with other diagrams and experiments."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.results import Results
from ..runtime.results.comparison import TransitionsCompared
from ..runtime.results.experiment import ExperimentalPoints
from ..runtime.results.phase_diagram import PhaseDiagram
from ..runtime.results.transitions import Transitions
from ..thermodynamics.phase_diagram.compare import invariant_points, matched
from ..thermodynamics.phase_diagram.lever import gaps_at
from ..thermodynamics.phase_diagram.phases import wave
from .page import Table

NOT_RESOLVED = (
    "Closing, opening: at T the free-energy barrier of the region drops below 5 kT for the cell, so that the region is not "
    "resolved above (below) T. It ends between T and the temperature at which the extrapolated barrier (exponents 1 to 2) "
    "vanishes in this cell. A larger cell resolves it further."
)


def diagram_tables(results: Results) -> list[Table]:
    diagram = results.phase_diagram
    if diagram is None:
        return []
    found = [_fields(diagram), _invariants(diagram), _boundaries(diagram)]
    if results.transitions is not None:
        found.append(_transitions(results.transitions))
    if results.phase_diagram_second is not None:
        found.append(_smaller(diagram, results.phase_diagram_second))
    if results.transitions_compared is not None:
        found.append(_other_run(results.transitions_compared))
    if results.experiment is not None:
        found.append(_experiment(diagram, results.experiment))
    return [table for table in found if table.rows]


def _fields(diagram: PhaseDiagram) -> Table:
    rows = []
    for k, name in enumerate(diagram.phase_name):
        at_t, at_x = np.nonzero(diagram.phase_number == k)
        t, x = diagram.sampled_temperature_K[at_t], diagram.x[at_x]
        rows.append([str(name), f"{t.min():.4g} to {t.max():.4g}", f"{x.min():.3f} to {x.max():.3f}"])
    return Table("Phases", ["name", "T (K)", "x"], rows, "Where they are found as single phases and trusted. Cells: phases/.")


def _invariants(diagram: PhaseDiagram) -> Table:
    points, uncertainty_K = diagram.invariant, diagram.invariant.temperature_K_fit_uncertainty
    parts = points.temperature_K_interpolation, points.temperature_K_size
    rows = [
        [
            str(points.kind[k]),
            _with_error(points.temperature_K[k], points.temperature_K_error[k], 1),
            *(_plus_minus(v[k]) if v is not None else "–" for v in parts),
            _range_K(points.height_vanishes_K[k]),
            ", ".join(_with_error(x, e, 3) for x, e in zip(points.x[k], points.x_error[k]) if np.isfinite(x)),
            f"{points.found[k]:.0%}",
            "yes" if points.trusted[k] else "no",
            *([_plus_minus(uncertainty_K[k])] if uncertainty_K is not None else []),
        ]
        for k in np.argsort(points.temperature_K)
    ]
    columns = ["kind", "T (K)", "by interpolation", "by size", "barrier vanishes (K)", "x", "in resamples", "trusted"]
    columns += ["fit uncertainty (K)"] if uncertainty_K is not None else []
    caption = "By interpolation, by size: parts of the error of T (K); the rest is by the sampling."
    caption += "" if np.isnan(points.height_vanishes_K).all() else " " + NOT_RESOLVED
    return Table("Invariant points", columns, rows, caption)


def _plus_minus(error_K: float) -> str:
    return f"± {error_K:.1f}" if np.isfinite(error_K) else "–"


def _range_K(ends: NDArray[np.float64]) -> str:
    if np.isnan(ends).any():
        return "–"
    return f"{max(ends[0], 0):.0f} to {max(ends[1], 0):.0f}" if np.isfinite(ends).all() else "not known"


def _boundaries(diagram: PhaseDiagram) -> Table:
    points = diagram.boundary
    rows = [
        [
            f"{points.temperature_K[k]:g}",
            *(_with_error(points.x[i], points.x_error[i], 4) for i in (k, k + 1)),
            f"{1e3 * points.height_eV[k]:.3f}" if np.isfinite(points.height_eV[k]) else "–",
        ]
        for k in np.flatnonzero(points.side == 0)
    ]
    return Table("Two-phase boundaries", ["T (K)", "low x", "high x", "barrier (meV/fu)"], rows)


def _transitions(found: Transitions) -> Table:
    rows = [
        [
            f"{found.species[k]}, q = {wave(found.q[k])}",
            str(found.kind[k]),
            _with_error(found.x[k], found.x_error[k], 3),
            _with_error(found.temperature_K[k], found.temperature_K_error[k], 1),
        ]
        for k in np.argsort(found.x)
    ]
    return Table("Order–disorder transitions", ["order below", "kind", "x", "T (K)"], rows, f"Method: {found.method}.")


def _smaller(diagram: PhaseDiagram, other: PhaseDiagram) -> Table:
    """Differences of the invariant points in the smaller cell."""
    rows = [
        [
            p.either.kind,
            f"{p.either.x:.3f}",
            *(_with_error(q.temperature_K, q.error_K, 1) if q else "–" for q in (p.here, p.there)),
            _with_error(p.difference_K, p.difference_error_K, 1),
        ]
        for p in matched(invariant_points(diagram), invariant_points(other))
    ]
    columns = ["kind", "x", "T here (K)", "T there (K)", "difference (K)"]
    return Table(f"Transitions in the smaller cell ({other.title})", columns, rows)


def _other_run(found: TransitionsCompared) -> Table:
    """Transitions of both runs, and of one alone."""
    here, there = (
        list(zip(t, e))
        for t, e in (
            (found.temperature_K, found.temperature_K_error),
            (found.temperature_there_K, found.temperature_there_K_error),
        )
    )
    only = ["only there" if np.isnan(t) else "only here" for t, _ in here]
    rows = [
        [
            f"{found.kind[k]} ({found.of[k]})" if found.of[k] else str(found.kind[k]),
            f"{found.x[k]:.3f}",
            _with_error(*here[k], 1),
            _with_error(*there[k], 1),
            _with_error(found.difference_K[k], found.difference_K_error[k], 1) if np.isfinite(found.difference_K[k]) else only[k],
        ]
        for k in range(len(found.x))
    ]
    caption = (
        f"Matched by kind and order; up to {found.tolerance_x:g} apart in x, beside three standard errors. Order–disorder lines "
        "are compared at one x: one of them is interpolated. Errors of both runs are added in quadrature. Of a tricritical "
        "interval the error is half its length."
    )
    columns = ["kind", "x", "T here (K)", "T there (K)", "there less here (K)"]
    return Table(f"Transitions here and in the other run ({found.title})", columns, rows, caption)


def _experiment(diagram: PhaseDiagram, measured: ExperimentalPoints) -> Table:
    columns = zip(
        measured.label, measured.kind, measured.x, measured.x_error, measured.temperature_K, measured.temperature_K_error,
        measured.source,
    )  # fmt: skip
    rows = [
        [str(label), str(kind), _with_bar(x, x_error, 3), _with_bar(t, t_error, 0), _phases_at(diagram, t, x), str(source)]
        for label, kind, x, x_error, t, t_error, source in columns
    ]
    caption = "A bar is an error or the stated range. Nothing is fitted to these points."
    return Table("Experiments", ["", "kind", "x", "T (K)", "this run at this point", "source"], rows, caption)


def _phases_at(diagram: PhaseDiagram, temperature_K: float, x: float) -> str:
    known = diagram.temperature_K
    if not known.min() <= temperature_K <= known.max():
        return "not sampled"
    for gap in gaps_at(diagram, temperature_K):
        if gap.low < x < gap.high:
            return f"two phases, x = {gap.low:.3f} and {gap.high:.3f}" if gap.certain else "a two-phase region ends near here"
    return "one phase"


def _with_error(value: float, error: float, digits: int) -> str:
    return f"{value:.{digits}f} ± {error:.{digits}f}" if np.isfinite(value) else "–"


def _with_bar(value: float, error: float, digits: int) -> str:
    return _with_error(value, error, digits) if error else f"{value:.{digits}f}"
