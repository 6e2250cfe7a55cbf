"""The figure of the phase diagram: what is drawn where, from a diagram that is made up."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from redoxmc.engine.report.figures.diagnostics import phase_diagram_diagnostics
from redoxmc.engine.report.figures.diagram import phase_diagram, phase_diagrams
from redoxmc.engine.report.figures.fields import DRAWN, outlines, transition_lines
from redoxmc.engine.report.figures.names import REMARK, short_names
from redoxmc.engine.report.figures.style import STYLE, lay_out
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.phase_diagram import Boundaries, Invariants, PhaseDiagram, Spinodals
from redoxmc.engine.runtime.results.transitions import Transitions

from ..helpers.blank import blank

T_C, X_C, POWER = 600.0, 0.3, 0.3  # of the gap
X, SAMPLED_K = np.linspace(0, 1, 41), np.linspace(300, 800, 11)
NAMES = ["FePO₄ (Na-poor)", "disordered NaₓFePO₄", "Na₂/₃FePO₄, two of three Na along b", "NaFePO₄ (Na-rich)"]
CONFIG = {
    "lattice": {
        "structure": "a.cif",
        "supercell": [2, 2, 2],
        "sublattices": [
            {"element": "Na", "species": {"Na+": 1, "Va": 0}},
            {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": 3}},
        ],
        "spectators": {"P": 5, "O": -2},
    },
    "analysis": {"style": "paper"},
}


def gap(t: np.ndarray) -> np.ndarray:
    """Both boundaries at T below the critical point, (temperatures, 2)."""
    return X_C + np.outer(0.25 * (1 - t / T_C) ** POWER, [-1, 1])


def made_up(narrow: bool = False) -> Results:
    """A gap that closes, a dome of order beside it, and a corner that is not trusted."""
    t = np.arange(300.0, 580.0)
    n = 2 * len(t)
    boundary = blank(
        Boundaries, temperature_K=np.repeat(t, 2), x=gap(t).ravel(), x_error=np.full(n, 0.004), region=np.zeros(n, int),
        side=np.arange(n) % 2, height_eV=np.ones(n), trusted=np.ones(n, bool), x_fit_uncertainty=np.full(n, 0.02),
    )  # fmt: skip
    invariant = blank(
        Invariants, kind=np.array(["critical"]), temperature_K=np.array([T_C]), temperature_K_error=np.array([2.0]),
        x=np.array([[np.nan, X_C, np.nan]]), x_error=np.full((1, 3), 0.01), found=np.ones(1),
        height_vanishes_K=np.full((1, 2), np.nan), trusted=np.ones(1, bool),
    )  # fmt: skip
    number = np.ones((len(SAMPLED_K), len(X)), int)
    cold = SAMPLED_K[:, None] < T_C
    number[cold & (X < X_C)] = 0
    dome = SAMPLED_K[:, None] < 500 - 8e3 * (X - 0.67) ** 2
    number[dome & (np.abs(X - 0.67) < (0.02 if narrow else 0.12))] = 2
    number[(SAMPLED_K[:, None] < 450) & (X > 0.85)] = 3
    number[cold & (np.abs(X - X_C) < np.abs(gap(np.minimum(SAMPLED_K, T_C))[:, :1] - X_C))] = -1
    number[(SAMPLED_K[:, None] > 700) & (X > 0.5)] = -1
    diagram = blank(
        PhaseDiagram, temperature_K=np.arange(300.0, 801.0), sampled_temperature_K=SAMPLED_K, x=X, trusted=number >= 0,
        phase_name=np.array(NAMES), phase_number=number, boundary=boundary, invariant=invariant, spinodal=blank(Spinodals),
    )  # fmt: skip
    x = np.array([0.7, 0.58, 0.64, 0.76])
    transitions = blank(
        Transitions, kind=np.array(["continuous"] * 4), species=np.array(["Na+"] * 4), q=np.tile([0, 1 / 3, 0], (4, 1)),
        temperature_K=500 - 8e3 * (x - 0.67) ** 2, temperature_K_error=np.full(4, 2.0), x=x, x_error=np.zeros(4),
        chemical_potential_eV=np.zeros(4),
    )  # fmt: skip
    attributes = Attributes(config=CONFIG, formula_unit={"Na": 1, "Fe": 1, "P": 1, "O": 4}, ion="Na+")
    return Results(attributes, phase_diagram=diagram, transitions=transitions)


def drawn(results: Results) -> tuple[Figure, Axes]:
    with plt.rc_context(STYLE):
        figure = phase_diagram(results, None)
        assert figure is not None
        lay_out(figure)
    return figure, figure.axes[0]


def written(axes: Axes) -> dict[str, tuple[float, float]]:
    """Place (x, T) of every text."""
    (x0, x1), (t0, t1) = axes.get_xlim(), axes.get_ylim()
    places = {t.get_text(): t.get_position() for t in axes.texts}
    return {text: (x0 + x * (x1 - x0), t0 + t * (t1 - t0)) for text, (x, t) in places.items()}


def test_names_stand_in_their_fields_and_one_remark_where_nothing_is_resolved() -> None:
    figure, axes = drawn(made_up())
    places = written(axes)
    assert set(places) == {"FePO₄", "disordered", "Na₂/₃FePO₄", "NaFePO₄", REMARK}
    assert places["FePO₄"][0] < gap(np.array([places["FePO₄"][1]]))[0, 0] and places[REMARK][0] > 0.5 < places[REMARK][1] / 700
    x, t = places["Na₂/₃FePO₄"]
    assert t < 500 - 8e3 * (x - 0.67) ** 2 and places["NaFePO₄"][0] > 0.85
    boxes = [text.get_window_extent() for text in axes.texts]
    assert all(axes.bbox.containsx(b.x0) and axes.bbox.containsx(b.x1) for b in boxes)
    plt.close(figure)


def test_a_name_without_room_gets_a_number() -> None:
    figure, axes = drawn(made_up(narrow=True))
    legend = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "1" in written(axes) and "Na₂/₃FePO₄" not in written(axes) and "Na₂/₃FePO₄" in legend
    plt.close(figure)


def test_two_runs_side_by_side_have_names_too() -> None:
    """A phase has one number in both panels, and one entry in the legend. Temperatures are the same, transitions its own."""
    other = made_up(narrow=True)
    assert other.phase_diagram is not None
    beside = replace(other.phase_diagram, title="other")
    with plt.rc_context(STYLE):
        figure = phase_diagrams(replace(other, phase_diagram_beside=beside, transitions_beside=other.transitions), None)
    assert figure is not None
    assert all("continuous transition" in axes.get_legend_handles_labels()[1] for axes in figure.axes)
    left, right = (written(axes) for axes in figure.axes)
    assert {"1", "disordered"} <= left.keys() & right.keys() and "2" not in left.keys() | right.keys()
    assert [t.get_text() for legend in figure.legends for t in legend.get_texts()].count("Na₂/₃FePO₄") == 1
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    plt.close(figure)


def test_equal_short_names_are_written_in_full() -> None:
    names = ["Cu₁/₂Au₁/₂, every second Cu along c", "Cu₁/₂Au₁/₂, ordered, 2×1×1 cell", "disordered CuₓAu₁₋ₓ"]
    assert short_names(names) == [names[0].replace(", ", "\n"), names[1].replace(", ", "\n"), "disordered"]


def test_axes_name_the_compound_and_both_scales() -> None:
    figure, axes = drawn(made_up())
    right = axes.child_axes[0]
    assert axes.get_xlabel() == "x in NaₓFePO₄" and axes.get_ylabel() == "temperature (K)"
    assert right.get_ylabel() == "temperature (°C)"
    assert right.get_ylim() == pytest.approx([v - 273.15 for v in axes.get_ylim()])
    unknown = replace(made_up(), attributes=Attributes())
    assert drawn(unknown)[1].get_xlabel() == "x (ions per formula unit)"
    plt.close("all")


def test_a_gap_is_closed_by_the_power_law_of_its_end() -> None:
    diagram = made_up().phase_diagram
    assert diagram is not None
    (field,) = outlines(diagram)
    above = field.temperature_K > 579
    assert field.temperature_K[-1] == T_C and np.allclose(field.x[-1], X_C, atol=1e-6) and above.sum() > 20
    assert np.allclose(field.x[above], gap(field.temperature_K[above]), atol=2e-3)
    lost = replace(diagram, invariant=replace(diagram.invariant, found=np.zeros(1)))
    assert outlines(lost)[0].temperature_K[-1] == 579


def test_transitions_of_an_order_are_one_smooth_line_or_points() -> None:
    found = made_up().transitions
    assert found is not None
    (line,) = transition_lines(found)
    assert (
        len(line.x) == DRAWN
        and np.allclose(line.temperature_K, 500 - 8e3 * (line.x - 0.67) ** 2, atol=3)
        and not line.first_order
    )
    other = replace(found, q=np.array([[0, 1 / 3, 0], [0, 0, 0], [0, 0, 0], [0, 1 / 3, 0]]))
    assert [line.is_point for line in transition_lines(other)] == [True] * 4


def test_full_style_adds_marks_and_the_second_cell_and_diagnostics_show_the_rest() -> None:
    results = made_up()
    assert results.phase_diagram is not None
    second = replace(results.phase_diagram, title="cell of 8 formula units")
    results = replace(results, phase_diagram_second=second)
    full = replace(results, attributes=replace(results.attributes, config=CONFIG | {"analysis": {"style": "full"}}))
    labels = []
    for shown in (results, full):
        figure, axes = drawn(shown)
        labels.append(set(axes.get_legend_handles_labels()[1]))
        plt.close(figure)
    assert labels[0] == {"continuous transition"} and labels[1] - labels[0] == {"critical", "cell of 8 formula units"}
    figure = phase_diagram_diagnostics(results, None)
    assert figure is not None
    shown = set(figure.axes[0].get_legend_handles_labels()[1])
    assert shown == {"boundaries", "critical", "cell of 8 formula units", "crossings of cumulants", "not trusted"}
    plt.close(figure)
