"""Transitions of two runs, matched one by one: made-up diagrams, lines and phases."""

from typing import Any

import numpy as np
import pytest

from redoxmc.engine.report.diagram_tables import diagram_tables
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.phase_diagram import Invariants, PhaseDiagram
from redoxmc.engine.runtime.results.phases import Lines, Phases
from redoxmc.engine.runtime.results.transitions import Transitions
from redoxmc.engine.thermodynamics.phase_diagram.two_runs import (
    ORDER,
    PHASE_ENDS,
    along_lines,
    compared,
    order_points,
    phase_ends,
)

from ..helpers.blank import blank

SHEETS_K = np.array([300.0, 350.0, 400.0, 450.0, 500.0])


def diagram(*points: tuple[str, float, float, float]) -> PhaseDiagram:
    """points: kind, x of the middle phase, temperature (K) and its error; errors of x of 0.01."""
    kind, x, t, error = zip(*points)
    middle = np.full((len(x), 3), np.nan)
    middle[:, 1] = x
    return blank(
        PhaseDiagram,
        invariant=blank(
            Invariants, kind=np.array(kind), temperature_K=np.array(t), temperature_K_error=np.array(error), x=middle,
            x_error=np.full(middle.shape, 0.01), found=np.ones(len(x)),
        ),
    )  # fmt: skip


def line(x: np.ndarray, shift_K: float, kind: str = "continuous", species: str = "Na+") -> Transitions:
    """A dome of order, T = 500 K + shift - 8000 K (x - 0.5)^2, with errors of 2 K and 0.001."""
    n = len(x)
    return blank(
        Transitions, kind=np.array([kind] * n), species=np.array([species] * n), q=np.tile([0.5, 0.5, 0], (n, 1)), x=x,
        x_error=np.full(n, 0.001), temperature_K=500 + shift_K - 8e3 * (x - 0.5) ** 2, temperature_K_error=np.full(n, 2.0),
        chemical_potential_eV=np.zeros(n),
    )  # fmt: skip


def test_invariant_points_are_matched_by_kind_and_the_nearest_x() -> None:
    """Two critical points swap neither places nor kinds; what has no partner is in one run only."""
    own = Results(
        Attributes(), phase_diagram=diagram(("critical", 0.3, 600, 3), ("eutectoid", 0.5, 400, 4), ("critical", 0.7, 500, 3))
    )
    other = Results(
        Attributes(title="other"),
        phase_diagram=diagram(("critical", 0.68, 610, 4), ("critical", 0.34, 495, 4), ("critical", 0.95, 590, 4)),
    )
    found = compared(own, other)
    assert found is not None and found.title == "other"
    rows = {(k, round(x, 2)): (d, e) for k, x, d, e in zip(found.kind, found.x, found.difference_K, found.difference_K_error)}
    assert rows["critical", 0.3] == (pytest.approx(-105), pytest.approx(5)) and rows["critical", 0.7] == (
        pytest.approx(110),
        pytest.approx(5),
    )
    assert np.isnan(rows["eutectoid", 0.5]).all() and np.isnan(rows["critical", 0.95]).all() and len(rows) == 4
    assert (
        np.isnan(found.temperature_K[found.x > 0.9]).all()
        and np.isnan(found.temperature_there_K[found.kind == "eutectoid"]).all()
    )
    (table,) = [
        t
        for t in diagram_tables(Results(Attributes(), phase_diagram=own.phase_diagram, transitions_compared=found))
        if "other run" in t.heading
    ]
    last = {row[1]: row[-1] for row in table.rows}
    assert last == {"0.300": "-105.0 ± 5.0", "0.700": "110.0 ± 5.0", "0.500": "only here", "0.950": "only there"}


def test_lines_of_one_order_are_compared_at_one_composition() -> None:
    """The other line lies 30 K lower and has other points. What its curvature may change is part of the error."""
    own, other = line(np.array([0.36, 0.42, 0.5, 0.58]), 0.0), line(np.array([0.40, 0.49, 0.62]), -30.0)
    pairs = along_lines(order_points(own), order_points(other))
    both = {round(p.either.x, 2): (p.difference_K, p.difference_error_K) for p in pairs if p.here and p.there}
    assert both.keys() == {0.42, 0.5, 0.58} and [d for d, _ in both.values()] == pytest.approx([-30] * 3)
    chord, sag = (
        8e3 * (0.12**2 - 0.01**2) / 0.13,
        8e3 * 0.09 * 0.04,
    )  # at x = 0.58: slope (K), and height of the parabola above it
    weights = np.array([-0.09 * 0.04 / (0.09 * 0.22), 0.18 * 0.04 / (0.09 * 0.13), 0.18 * 0.09 / (0.22 * 0.13)])
    one = np.hypot(2, 0.001 * chord)
    assert both[0.58][1] == pytest.approx(np.sqrt(4 + (0.001 * chord) ** 2 + one**2 * (weights @ weights) + sag**2), rel=1e-6)
    assert [p.here.x for p in pairs if p.here and not p.there] == [0.36]
    assert [p.there.x for p in pairs if p.there and not p.here] == [0.62]
    few = line(np.array([0.42, 0.5]), 0.0)
    between = [p for p in along_lines(order_points(few), order_points(line(np.array([0.45, 0.48]), -30.0))) if p.here and p.there]
    assert [p.either.x for p in between] == [0.45, 0.48], "two points of the other line lie between two of this one"
    other_order = line(np.array([0.40, 0.45, 0.6]), 0.0, species="Fe2+")
    assert not any(p.here and p.there for p in along_lines(order_points(own), order_points(other_order)))


def test_a_tricritical_interval_is_no_point_of_a_line() -> None:
    own, other = (Results(Attributes(), transitions=line(np.array([x]), 0.0, "tricritical interval")) for x in (0.45, 0.5))
    found = compared(own, other)
    assert found is not None and found.kind.tolist() == ["tricritical interval"] and found.difference_K[0] == pytest.approx(20)
    assert order_points(own.transitions) == []


def phases(*points: tuple[int, int, float, float, float], names: Any = ("disordered", "A", "B")) -> Phases:
    """points: low phase, high phase, temperature (K), its error, mu (eV)."""
    low, high, t, error, mu = np.array(points, float).T
    n = len(t)
    lines = blank(
        Lines, low_phase=low.astype(int), high_phase=high.astype(int), temperature_K=t, temperature_K_error=error,
        chemical_potential_eV=mu, x=np.tile([0.3, 0.5], (n, 1)), x_error=np.full((n, 2), 0.001), x_size_shift=np.zeros((n, 2)),
        temperature_K_size_shift=np.zeros(n), chemical_potential_eV_error=np.zeros(n),
    )  # fmt: skip
    return blank(Phases, temperature_K=SHEETS_K, name=np.array(names), line=lines)


def test_where_a_phase_ends_on_heating() -> None:
    """A melts at the vertex of T = 420 K - 1e5 (mu - 0.003)^2, between points of the grid; B after 350 K and before 400 K."""
    dome = [(0, 1, 420 - 1e5 * (mu - 0.003) ** 2, 1.0, mu) for mu in (-0.01, 0.0, 0.01, 0.02)]
    a, b = phase_ends(phases(*dome, (1, 2, 300, 0, 0.1), (1, 2, 350, 0, 0.1)))
    assert (a.kind, a.of, a.x) == (PHASE_ENDS, "A", 0.5) and a.temperature_K == pytest.approx(420)
    assert a.error_K == pytest.approx(np.hypot(1.0, 0.9))
    assert (b.of, b.temperature_K, b.error_K) == ("B", 375.0, pytest.approx(50 / 12**0.5))
    assert phase_ends(phases((0, 1, 500, 0, 0.1))) == [] and phase_ends(None) == []
    found = compared(Results(Attributes(), phases=phases(*dome)), Results(Attributes(), transitions=line(np.array([0.5]), 0)))
    assert found is not None and sorted(zip(found.kind, found.of)) == [(ORDER, "Na+, q = (1/2 1/2 0)"), (PHASE_ENDS, "A")]
