"""Tables of the phase diagram: fields, boundaries, invariant points, other diagrams and experiments beside it."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.results import Group
from ..thermodynamics.phase_diagram.compare import transitions
from ..thermodynamics.phase_diagram.diagram import height_vanishes_K
from ..thermodynamics.phase_diagram.lever import gaps_at
from .page import Table

OTHERS = {"phase_diagram_second": "Transitions in the smaller cell", "phase_diagram_beside": "Transitions in the run beside"}
NOT_THE_END = "Closing, opening: at T the region is lost to sight, too low for a cell of this size; that is not where it ends. The end lies between T and where the height of F, followed on with exponents from 1 to 2, vanishes in this cell. A larger cell sees further."


def diagram_tables(groups: dict[str, Group]) -> list[Table]:
    if "phase_diagram" not in groups:
        return []
    diagram = groups["phase_diagram"]
    found = [
        Table(
            "Single-phase fields",
            ["number", "name", "T (K)", "x"],
            _fields(diagram),
            "Numbers as in the figure, where there is room.",
        ),
        *_invariants(diagram),
        *_boundaries(diagram),
        *(_compared(diagram, groups[name], title) for name, title in OTHERS.items() if name in groups),
    ]
    found += [_experiment(diagram, groups["experiment"])] if "experiment" in groups else []
    return [table for table in found if table.rows]


def _fields(diagram: Group) -> list[list[str]]:
    rows = []
    for k, name in enumerate(diagram["phase_name"]):
        t, x = np.nonzero(diagram["phase_number"] == k)
        spans = [(diagram[axis][at].min(), diagram[axis][at].max()) for axis, at in (("sampled_temperature_K", t), ("x", x))]
        rows.append([str(k), str(name), f"{spans[0][0]:.4g} to {spans[0][1]:.4g}", f"{spans[1][0]:.3f} to {spans[1][1]:.3f}"])
    return rows


def _invariants(diagram: Group) -> list[Table]:
    by_couplings, vanishes_K = "invariant_temperature_K_fit_uncertainty", height_vanishes_K(diagram)
    rows = [
        [
            str(diagram["invariant_kind"][k]),
            _with_error(diagram["invariant_temperature_K"][k], diagram["invariant_temperature_K_error"][k], 1),
            _range_K(vanishes_K[k]),
            ", ".join(
                _with_error(x, e, 3) for x, e in zip(diagram["invariant_x"][k], diagram["invariant_x_error"][k]) if np.isfinite(x)
            ),
            f"{diagram['invariant_found'][k]:.0%}",
            "yes" if diagram["invariant_trusted"][k] else "no",
            *([f"± {e:.0f}" if np.isfinite(e := diagram[by_couplings][k]) else "–"] if by_couplings in diagram else []),
        ]
        for k in np.argsort(diagram["invariant_temperature_K"])
    ]
    columns = ["kind", "T (K)", "height vanishes (K)", "x of the phases", "in resamples", "trusted"]
    columns += ["by the couplings (K)"] if by_couplings in diagram else []
    return [Table("Invariant points", columns, rows, "" if np.isnan(vanishes_K).all() else NOT_THE_END)]


def _range_K(ends: NDArray[np.float64]) -> str:
    if np.isnan(ends).any():
        return "–"
    return f"{max(ends[0], 0):.0f} to {max(ends[1], 0):.0f}" if np.isfinite(ends).all() else "not known"


def _boundaries(diagram: Group) -> list[Table]:
    rows = [
        [
            f"{diagram['boundary_temperature_K'][k]:g}",
            *(_with_error(diagram["boundary_x"][i], diagram["boundary_x_error"][i], 4) for i in (k, k + 1)),
            f"{1e3 * diagram['boundary_height_eV'][k]:.3f}",
        ]
        for k in np.flatnonzero(diagram["boundary_side"] == 0)
    ]
    return [Table("Two-phase boundaries", ["T (K)", "low x", "high x", "height of F (meV/fu)"], rows)]


def _compared(diagram: Group, other: Group, title: str) -> Table:
    """How invariant points differ in the smaller cell, or in the run beside this one."""
    rows = [
        [
            p.kind,
            f"{p.x:.3f}",
            *(_with_error(t, e, 1) for t, e in zip(p.temperature_K, p.error_K)),
            _with_error(p.difference_K, p.difference_error_K, 1),
        ]
        for p in transitions(diagram, other)
    ]
    return Table(f"{title} ({other.attributes['title']})", ["kind", "x", "T here (K)", "T there (K)", "difference (K)"], rows)


def _experiment(diagram: Group, measured: Group) -> Table:
    rows = [
        [label, kind, _with_bar(x, x_error, 3), _with_bar(t, t_error, 0), _phases_at(diagram, t, x), source]
        for label, kind, x, x_error, t, t_error, source in zip(
            *(measured[n].tolist() for n in ("label", "kind", "x", "x_error", "temperature_K", "temperature_K_error", "source"))
        )
    ]
    words = "A bar is an error or the range that is stated. Nothing is fitted to these points."
    return Table("Experiments", ["", "kind", "x", "T (K)", "this run there", "source"], rows, words)


def _phases_at(diagram: Group, temperature_K: float, x: float) -> str:
    """What the run has at a point."""
    known = diagram["temperature_K"]
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
