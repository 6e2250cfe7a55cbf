"""Boundaries between the sampled temperatures, invariant points and their errors, against solutions known exactly."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.optimize import brentq

from redoxmc.engine.runtime.results.order import LongRangeOrder, Order
from redoxmc.engine.thermodynamics.phase_diagram.boundaries import Gap, find_gaps, gaps_of
from redoxmc.engine.thermodynamics.phase_diagram.compare import boundary_shifts, invariant_points, matched, with_size
from redoxmc.engine.thermodynamics.phase_diagram.diagram import Beside, build_diagram, congruent
from redoxmc.engine.thermodynamics.phase_diagram.fields import labels, single_phase_fields
from redoxmc.engine.thermodynamics.phase_diagram.group import diagram_group
from redoxmc.engine.thermodynamics.phase_diagram.invariants import invariants
from redoxmc.engine.thermodynamics.phase_diagram.trace import trace
from redoxmc.engine.thermodynamics.phase_diagram.trusted import trusted_part
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.blank import blank
from ..helpers.mean_field import Float, all_trusted, ideal, isotherms_of, no_order

LADDER = [250.0, 300.0, 350.0, 400.0, 500.0, 600.0]
W_EV, SPLITTING_EV = 0.16, 0.05


def gas(x: Float, t: float) -> Float:
    """A regular solution on whose energy an internal excitation sits, so that its interaction depends on temperature."""
    kT = BOLTZMANN_EV_PER_K * t
    return (W_EV - kT * np.log1p(3 * np.exp(-SPLITTING_EV / kT))) * x * (1 - x) + ideal(x, t)


def critical_K(added_eV: float = 0.0) -> float:
    """With so much more interaction."""

    def excess(t: float) -> float:
        kT = BOLTZMANN_EV_PER_K * t
        return (added_eV + W_EV - kT * np.log1p(3 * np.exp(-SPLITTING_EV / kT))) - 4 * kT

    return float(brentq(excess, 100, 900))


def binodal(t: float) -> float:
    kT = BOLTZMANN_EV_PER_K * t
    w = W_EV - kT * np.log1p(3 * np.exp(-SPLITTING_EV / kT))
    return float(brentq(lambda x: 2 * kT * np.log(x / (1 - x)) + w * (1 - 2 * x), 1e-9, 0.5 - 1e-6))


def test_a_gap_is_traced_between_the_rungs() -> None:
    """Two-phase boundaries within 0.005, farther than 25 K from the critical point, and this within 2 K of exact ones, at
    temperatures that were not sampled. Boundaries are means of peaks, whose width shifts them nearer to it.
    """
    diagram = build_diagram(isotherms_of(gas, LADDER, n_fu=4000, noise_eV=1e-6))
    t_c = critical_K()
    assert 400 < t_c < 500 and min(abs(t_c - np.array(LADDER))) > 5
    checked = 0
    for t, row in zip(diagram.trace.temperature_K, diagram.rows):
        if t < t_c - 25:
            (gap,) = row
            exact = binodal(float(t))
            assert abs(gap.x[0] - exact) < 5e-3 and abs(gap.x[1] - (1 - exact)) < 5e-3
            assert max(gap.x_error) < 5e-3 and abs(gap.x[0] - exact) < 4 * gap.x_error[0] + 1e-3
            checked += 1
        assert t < t_c + 2 or not row
    (point,) = diagram.invariants
    assert checked > 10 and point.kind == "critical" and abs(point.x[1] - 0.5) < 4 * point.x_error[1]
    assert abs(point.temperature_K - t_c) < 2 * point.error_K and point.error_K < 5 and point.found > 0.9


@pytest.mark.runs
def test_two_sizes_find_the_critical_point_and_nothing_beyond() -> None:
    """Cells of 600 and 150 formula units: regions are found beyond where one size resolves them, and not beyond the critical
    point; the cumulants cross within three errors of it."""
    larger, smaller = (isotherms_of(gas, LADDER, n_fu=n, noise_eV=v) for n, v in ((600, 2e-5), (150, 5e-5)))
    diagram, t_c = build_diagram(larger, Beside(smaller)), critical_K()
    (point,) = diagram.invariants
    assert point.kind == "critical" and abs(point.temperature_K - t_c) < 3 * point.error_K < 15
    ends = [max(t for t, row in zip(diagram.trace.temperature_K, rows) if row) for rows in (diagram.rows, diagram.unresolved)]
    (alone,) = build_diagram(larger).invariants
    assert alone.temperature_K + 5 < ends[0] < t_c + 1 and ends[1] < t_c + 15


@pytest.mark.runs
def test_spinodal_of_a_solution() -> None:
    """x (1 - x) = kT / W(T), within 0.005 and four of the errors stated."""
    diagram = build_diagram(isotherms_of(gas, LADDER, n_fu=4000, noise_eV=1e-6))
    checked = 0
    for s in diagram.spinodals:
        kT = BOLTZMANN_EV_PER_K * s.temperature_K
        w = W_EV - kT * np.log1p(3 * np.exp(-SPLITTING_EV / kT))
        exact = 0.5 - np.sqrt(0.25 - kT / w) if kT / w < 0.25 else 0.5
        if s.temperature_K < critical_K() - 20:
            assert abs(s.x[0] - exact) < min(5e-3, 4 * s.x_error[0] + 1e-3), (s, exact)
            assert abs(s.x[1] - (1 - exact)) < min(5e-3, 4 * s.x_error[1] + 1e-3)
            checked += 1
    assert checked > 20


def three_phases(x: Float, t: float, height_eV: float, entropy_kB: float) -> Float:
    """Parabolic phases at 0.2 and 0.9, and one at 0.6 that is height - T entropy higher."""
    f = [2.0 * (x - 0.2) ** 2, 2.0 * (x - 0.9) ** 2, 2.0 * (x - 0.6) ** 2 + height_eV - BOLTZMANN_EV_PER_K * t * entropy_kB]
    return np.min(f, axis=0)


@pytest.mark.parametrize(
    ("kind", "height", "entropy"), [("eutectoid", 0.02, 0.62), pytest.param("peritectoid", -0.02, -0.62, marks=pytest.mark.runs)]
)
def test_three_phases_meet(kind: str, height: float, entropy: float) -> None:
    """The middle phase touches the common tangent of the other two, f = 0, at T = height/entropy, 374.3 K."""
    exact = height / entropy / BOLTZMANN_EV_PER_K

    def f(x: Float, t: float) -> Float:
        return three_phases(x, t, height, entropy)

    diagram = build_diagram(isotherms_of(f, LADDER, noise_eV=2e-6))
    (point,) = [i for i in diagram.invariants if len(i.regions) == 2]
    assert point.kind == kind and point.error_K < 4 and point.found > 0.9
    assert abs(point.temperature_K - exact) < max(2 * point.error_K, 2.0)
    assert np.allclose(point.x, (0.2, 0.6, 0.9), atol=0.01)
    assert (np.abs(np.array(point.x) - (0.2, 0.6, 0.9)) < 4 * np.array(point.x_error) + 2e-3).all()


@pytest.mark.runs
def test_noise_widens_the_errors_and_hides_what_it_must() -> None:
    quiet, loud = (build_diagram(isotherms_of(gas, LADDER, noise_eV=v)) for v in (1e-6, 3e-4))
    assert loud.rows[0][0].x_error[0] > 3 * quiet.rows[0][0].x_error[0]
    assert loud.invariants[0].temperature_K < quiet.invariants[0].temperature_K
    hidden = build_diagram(isotherms_of(gas, LADDER, noise_eV=1e-2))
    assert not any(hidden.rows)


@pytest.mark.runs
def test_a_region_lost_to_sight_is_not_said_to_end_there() -> None:
    """In a cell of 100 formula units the gap is too low to be seen far below its critical point, and still wide."""
    diagram = build_diagram(isotherms_of(gas, LADDER, n_fu=100, noise_eV=1e-6))
    (point,) = diagram.invariants
    assert point.kind == "closing" and diagram.rows[0] and point.temperature_K < critical_K() - 20
    assert point.temperature_K < point.vanishes_K[0] < critical_K() < point.vanishes_K[1]
    (seen,) = build_diagram(isotherms_of(gas, LADDER, n_fu=4000, noise_eV=1e-6)).invariants
    assert seen.kind == "critical" and np.isnan(seen.vanishes_K).all()


@pytest.mark.runs
def test_a_region_is_followed_to_its_end_through_the_noise() -> None:
    """Past where it is three errors high; a region that is nowhere is none."""

    def gaps(temperatures_K: list[float]) -> tuple[Float, list[list[Gap]], list[list[Gap]]]:
        """Temperatures; the gaps of each by itself; what is kept of them."""
        isotherms = isotherms_of(gas, temperatures_K, noise_eV=3e-4)
        t = trace(isotherms)
        return t.temperature_K, [find_gaps(t.at(k)) for k in range(len(t.temperature_K))], gaps_of(t)

    at, alone, kept = gaps(LADDER)
    certain = max(t for t, row in zip(at, alone) if any(g.certain for g in row))
    seen, followed = (max(t for t, row in zip(at, rows) if row) for rows in (alone, kept))
    assert certain + 5 < followed == seen < critical_K()
    _, alone, kept = gaps([certain + 2, certain + 12])
    assert any(alone) and not any(kept)


@pytest.mark.runs
@pytest.mark.parametrize("of", ["from_either_end", "cubic", "neither"])
def test_errors_of_where_a_region_ends(of: str) -> None:
    """Half of what walkers from either end differ by; all of what the lower rule does: known, by an interaction changed by 3
    %.
    """
    isotherms = isotherms_of(gas, LADDER, n_fu=4000, noise_eV=1e-6)
    diagram = build_diagram(isotherms)
    traced, bump = diagram.trace, 0.03 * W_EV * diagram.trace.x * (1 - diagram.trace.x)
    if of == "from_either_end":
        traced = replace(traced, from_either_end=np.stack([traced.value - bump, traced.value + bump], axis=1))
        expected = (critical_K(0.03 * W_EV) - critical_K(-0.03 * W_EV)) / 2
    elif of == "cubic":
        traced = replace(traced, cubic=traced.value + bump)
        expected = critical_K(0.03 * W_EV) - critical_K()
    else:
        expected = 0.0
    (point,) = invariants(traced, diagram.rows)
    assert expected == 0 or expected > 8
    assert point.error_K == pytest.approx(expected, rel=0.1, abs=3.0)


@pytest.mark.runs
def test_a_wide_ladder_says_that_it_is_too_wide() -> None:
    """Rungs 350 K apart: what the boundary is off by between them stays within three of the errors stated."""
    diagram = build_diagram(isotherms_of(gas, [250.0, 600.0], n_fu=4000, noise_eV=1e-6))
    off = [
        (abs(gap.x[side] - (binodal(float(t)), 1 - binodal(float(t)))[side]), gap.x_error[side])
        for t, row in zip(diagram.trace.temperature_K, diagram.rows)
        if t < critical_K() - 20
        for gap in row
        for side in (0, 1)
    ]
    assert off and all(a < 3 * b + 1e-3 for a, b in off)


@pytest.mark.runs
def test_transitions_are_matched_between_diagrams() -> None:
    """A middle phase that lies 2 meV lower appears 37.4 K earlier; between the two temperatures the boundaries differ widely."""

    groups = []
    for height in (0.02, 0.018):
        isotherms = isotherms_of(partial(three_phases, height_eV=height, entropy_kB=0.62), LADDER, noise_eV=2e-6)
        diagram, canonical = build_diagram(isotherms), all_trusted(isotherms)
        groups.append(diagram_group(diagram, trusted_part(diagram, canonical), canonical, no_order(isotherms)))
    (pair,) = [p for p in matched(*map(invariant_points, groups)) if p.either.kind == "eutectoid"]
    assert abs(pair.difference_K + 0.002 / 0.62 / BOLTZMANN_EV_PER_K) < 2 * pair.difference_error_K < 8
    shifts, errors = boundary_shifts(*groups)
    assert np.array_equal(np.isnan(shifts), np.isnan(errors))
    assert np.nanmax(np.abs(shifts[groups[0].boundary.temperature_K < 330])) < 5e-3
    between = (groups[0].boundary.temperature_K > 345) & (groups[0].boundary.temperature_K < 365)
    assert between.any() and np.nanmax(np.abs(shifts[between])) > 0.2
    errors = with_size(*groups).boundary.x_error
    assert errors[between].max() > 0.1 > 0.01 > errors[groups[0].boundary.temperature_K < 330].max()


@pytest.mark.runs
def test_single_phase_fields_begin_where_others_meet() -> None:
    """Below the eutectoid two fields, above it three; the middle one falls between two compositions and is still there."""
    isotherms = isotherms_of(partial(three_phases, height_eV=0.02, entropy_kB=0.62), LADDER, noise_eV=2e-6)
    diagram = build_diagram(isotherms)
    fields = single_phase_fields(diagram.rows, (0.0, 1.0), diagram.trace.spacing)
    found = labels(fields, diagram.trace.temperature_K, np.array(LADDER), np.linspace(0, 1, 8))
    assert (found[:3, [0, 1]] == 0).all() and (found[:3, [2, 3, 4, 5]] == -1).all() and (found[:3, 7] == 1).all()
    assert (found[3:, 4] == 2).all() and (found[3:, [0, 1]] == 0).all() and (found[3:, 7] == 1).all() and found.max() == 2


@pytest.mark.runs
def test_order_tells_congruent_from_critical() -> None:
    diagram = build_diagram(isotherms_of(gas, LADDER, n_fu=4000, noise_eV=1e-6))
    (point,) = diagram.invariants
    shape = (len(LADDER), 11)
    for ordered, kind in ((np.zeros(shape, bool), "critical"), (np.arange(11) * np.ones(shape) > 5, "congruent")):
        ions = blank(LongRangeOrder, order_q=np.zeros((*shape, 3)), ordered=ordered)
        x, chains = np.linspace(0, 1, 11), np.ones(shape, int)
        order = blank(Order, temperature_K=LADDER, x=x, chains=chains, ion=ions)
        assert congruent(point, diagram, order).kind == kind


@pytest.mark.runs
def test_a_moving_phase_is_no_new_phase() -> None:
    """The middle phase drifts by 0.0003 per K: still one eutectoid and three fields."""

    def drifting(x: Float, t: float) -> Float:
        middle = 0.55 + 3e-4 * (t - 400)
        return np.min(
            [20 * (x - 0.2) ** 2, 20 * (x - 0.9) ** 2, 20 * (x - middle) ** 2 + 0.02 - BOLTZMANN_EV_PER_K * t * 0.62], axis=0
        )

    isotherms = isotherms_of(drifting, LADDER, noise_eV=2e-6)
    diagram = build_diagram(isotherms)
    assert [i.kind for i in diagram.invariants] == ["eutectoid"]
    fields = single_phase_fields(diagram.rows, (0.0, 1.0), diagram.trace.spacing)
    assert {f.number for row in fields for f in row} == {0, 1, 2}
