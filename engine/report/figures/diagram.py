"""Phase diagrams for print: two-phase fields with tie lines, transitions, names of the phases, experiments."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...crystal.phase_names import variable_formula
from ...errors import RedoxError
from ...runtime.results import Results
from ...runtime.results.experiment import ExperimentalPoints
from ...runtime.results.phase_diagram import PhaseDiagram
from ...runtime.results.transitions import Transitions
from ..exports.formula import formula_unit
from .experiment import draw_experiment
from .fields import draw_fields, draw_invariants, draw_lines, draw_second, draw_three_phases, outlines, transition_lines
from .names import Panel, name_phases
from .style import one_column, plain, side_by_side

Float = NDArray[np.float64]
ZERO_C_IN_K = 273.15


def phase_diagram(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """In the style of analysis: style of the input; `full` adds invariant points, fit uncertainty and the second cell."""
    diagram = results.phase_diagram
    if diagram is None:
        return None
    figure, axes = one_column(3.0)
    full = _style(results) == "full"
    band = diagram.boundary.x_fit_uncertainty if full else None
    panel = draw_diagram(axes, diagram, results.transitions, results.experiment, band)
    if full:
        draw_invariants(axes, diagram)
        if results.phase_diagram_second is not None:
            draw_second(axes, results.phase_diagram_second)
    axes.set(xlabel=x_label(results))
    celsius(axes)
    name_phases(figure, [panel])
    return figure


def phase_diagrams(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    """This diagram and that of another run, with the same axes."""
    own, other, experiment = results.phase_diagram, results.phase_diagram_beside, results.experiment
    if own is None or other is None:
        return None
    figure, axes = side_by_side(2, 3.0, sharey=True)
    left, right = axes[0]
    known = np.concatenate([own.temperature_K, other.temperature_K])
    panels = [
        draw_diagram(left, own, results.transitions, experiment, temperature_K=known),
        draw_diagram(right, other, results.transitions_beside, experiment, temperature_K=known),
    ]
    left.set(title="this run", xlabel=x_label(results))
    right.set(xlabel=x_label(results), ylabel="")
    right.set_title(plain(str(other.title)), wrap=True)
    celsius(right)
    name_phases(figure, panels)
    return figure


def draw_diagram(
    axes: Axes,
    diagram: PhaseDiagram,
    transitions: Transitions | None,
    experiment: ExperimentalPoints | None,
    band: Float | None = None,
    temperature_K: Float | None = None,
) -> Panel:
    """Two-phase fields, isotherms of three phases, transitions and measured points.

    band: errors (boundary points,) that are drawn in place of those of the sampling. temperature_K: what the axis contains.
    """
    known = diagram.temperature_K if temperature_K is None else temperature_K
    axes.set(xlim=(diagram.x[0], diagram.x[-1]), ylim=(known.min(), known.max()), ylabel="temperature (K)")
    axes.grid(False)
    fields = outlines(diagram, band)
    draw_fields(axes, fields)
    draw_three_phases(axes, diagram)
    lines = transition_lines(transitions) if transitions is not None else []
    draw_lines(axes, lines)
    if experiment is not None:
        draw_experiment(axes, experiment)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    return Panel(axes, diagram, fields, lines, experiment)


def celsius(axes: Axes) -> None:
    """The temperature in °C on the right."""
    to_celsius: Any = (lambda t: t - ZERO_C_IN_K, lambda t: t + ZERO_C_IN_K)
    right = axes.secondary_yaxis("right", functions=to_celsius)
    right.set_ylabel("temperature (°C)")


def x_label(results: Results) -> str:
    """Such as x in NaₓFePO₄; without a formula, ions per formula unit."""
    try:
        unit = formula_unit(results)
    except RedoxError:
        return "x (ions per formula unit)"
    return f"x in {variable_formula(unit.atoms, unit.sublattices)}"


def _style(results: Results) -> str:
    return str(((results.attributes.config or {}).get("analysis") or {}).get("style", "paper"))
