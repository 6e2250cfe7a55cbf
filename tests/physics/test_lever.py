"""The lever rule on a diagram drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.canonical import Canonical
from redoxmc.engine.runtime.results.phase_diagram import Boundaries, PhaseDiagram
from redoxmc.engine.thermodynamics.phase_diagram.lever import gaps_at, lever_rule

from ..helpers.blank import blank

POINTS = [  # temperature, x, region, side: one region closes between 500 and 600 K, the other exists from 400 K to the top
    (300.0, 0.1, 0, 0), (300.0, 0.5, 0, 1), (500.0, 0.2, 0, 0), (500.0, 0.3, 0, 1),
    (600.0, 0.8, 1, 0), (400.0, 0.6, 1, 0), (400.0, 0.9, 1, 1), (600.0, 0.85, 1, 1),
]  # fmt: skip


def diagram(points: list[tuple[float, float, int, int]] = POINTS) -> Results:
    table = np.array(points, float).reshape(-1, 4).T
    boundary = blank(Boundaries, temperature_K=table[0], x=table[1], region=table[2].astype(int), side=table[3].astype(int))
    t, x = np.array([300.0, 400.0, 500.0, 600.0]), np.linspace(0, 1, 11)
    trusted = np.ones((4, 11), bool)
    return Results(
        Attributes(),
        phase_diagram=blank(PhaseDiagram, temperature_K=t, sampled_temperature_K=t, x=x, trusted=trusted, boundary=boundary),
        canonical=blank(Canonical, x=x),
    )


def test_shares_and_compositions() -> None:
    low, high = lever_rule(diagram(), 300.0, 0.2)
    assert (low.x, high.x) == (0.1, 0.5) and low.fraction == pytest.approx(0.75) and high.fraction == pytest.approx(0.25)
    low, high = lever_rule(diagram(), 450.0, 0.3)  # three quarters of the way from 300 to 500 K
    assert low.x == pytest.approx(0.175) and high.x == pytest.approx(0.35)
    assert low.fraction == pytest.approx((0.35 - 0.3) / 0.175)
    for t, x in ((300.0, 0.45), (333.0, 0.31), (500.0, 0.25), (410.0, 0.7), (600.0, 0.83)):
        shares = lever_rule(diagram(), t, x)
        assert len(shares) == 2 and sum(s.fraction for s in shares) == pytest.approx(1)
        assert sum(s.fraction * s.x for s in shares) == pytest.approx(x), "what was put in comes out"


def test_one_phase_outside_the_regions_and_on_their_boundaries() -> None:
    for t, x in (
        (300.0, 0.05),
        (300.0, 0.1),
        (300.0, 0.5),
        (500.0, 0.5),
        (600.0, 0.25),
        (550.0, 0.4),
        (300.0, 0.7),
        (350.0, 0.0),
    ):
        assert lever_rule(diagram(), t, x) == ((x, 1.0),)
    assert lever_rule(diagram([]), 400.0, 0.5) == ((0.5, 1.0),)


def test_nothing_is_said_where_the_free_energy_is_not_trusted() -> None:
    found = diagram()
    assert found.phase_diagram is not None
    trusted = found.phase_diagram.trusted.copy()
    trusted[1, 4] = False  # 400 K, x = 0.4
    found = replace(found, phase_diagram=replace(found.phase_diagram, trusted=trusted))
    for t, x in ((400.0, 0.4), (400.0, 0.45), (450.0, 0.4)):
        with pytest.raises(RedoxError, match="not trusted"):
            lever_rule(found, t, x)
    assert lever_rule(found, 400.0, 0.5) == ((0.5, 1.0),) and len(lever_rule(found, 400.0, 0.3)) == 2


@pytest.mark.parametrize("t, x", [(550.0, 0.25), (599.0, 0.21), (350.0, 0.7)])
def test_where_a_region_may_have_ended_nothing_is_said(t: float, x: float) -> None:
    with pytest.raises(RedoxError, match="ends between"):
        lever_rule(diagram(), t, x)
    found = diagram().phase_diagram
    assert found is not None
    assert [g.certain for g in gaps_at(found, t) if g.low < x < g.high] == [False]


@pytest.mark.parametrize(
    "t, x, key", [(299.0, 0.5, "temperature_K"), (601.0, 0.5, "temperature_K"), (400.0, 1.01, "x"), (400.0, -0.1, "x")]
)
def test_outside_the_range(t: float, x: float, key: str) -> None:
    with pytest.raises(RedoxError, match=f"{key}: found .*; allowed"):
        lever_rule(diagram(), t, x)
    with pytest.raises(RedoxError, match="no phase diagram"):
        lever_rule(Results(Attributes()), 400.0, 0.5)
