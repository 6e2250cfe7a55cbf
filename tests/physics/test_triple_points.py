"""Eutectoid and peritectoid points, where lines between phases of known grand potentials meet."""

import numpy as np
import pytest

from redoxmc.engine.thermodynamics.phase_diagram.phase_lines import gaps_of_lines, three_phase_points
from redoxmc.engine.thermodynamics.phases.lines import Along, Crossing, Line, joined
from redoxmc.engine.thermodynamics.phases.triple_points import extended, triple_points

RESAMPLES = 200
GRID_K = np.arange(300.0, 420.0, 20.0)
GRID_EV = np.arange(-0.2, 0.21, 0.02)
LOW, MIDDLE, HIGH = 0, 1, -1
X = {LOW: 0.2, MIDDLE: 0.5, HIGH: 0.7}
INVARIANT_K = 371.0
NOISE_EV = 2e-5


def phi(phase: int, temperature_K: float, mu_eV: float, entropy: float) -> float:
    """Of line compounds, eV/fu: all three are equal at INVARIANT_K and mu = 0.03; the middle one has another entropy."""
    own = entropy * (temperature_K - INVARIANT_K) if phase == MIDDLE else 0.0
    return -X[phase] * (mu_eV - 0.03) - own


def along_mu(low: int, high: int, temperature_K: float, entropy: float) -> Crossing:
    """Where phi is equal: mu - 0.03 = (difference of phi there) / (difference of x); the error is that of phi over the latter."""
    apart = phi(high, temperature_K, 0.03, entropy) - phi(low, temperature_K, 0.03, entropy)
    random = np.random.default_rng(int(temperature_K) + 7 * (low + 1) + 3 * (high + 1))
    shift = np.concatenate([[0.0], random.normal(scale=NOISE_EV, size=RESAMPLES)])
    mu_eV = 0.03 + (apart + shift) / (X[high] - X[low])
    x = np.repeat([[X[low]], [X[high]]], 1 + RESAMPLES, axis=1)
    return Crossing((low, high), np.full(1 + RESAMPLES, temperature_K), mu_eV, x, Along.MU)


def lines(entropy: float) -> list[Line]:
    """The stable ones on the grid. entropy < 0: the middle phase is stable below."""
    points = []
    for t in GRID_K.tolist():
        middle = phi(MIDDLE, t, 0.03, entropy) < 0
        pairs = [(LOW, MIDDLE), (MIDDLE, HIGH)] if middle else [(LOW, HIGH)]
        points += [along_mu(*pair, t, entropy) for pair in pairs]
    return joined(points, GRID_K, GRID_EV)


@pytest.mark.parametrize(("entropy", "kind"), [(-1e-4, "peritectoid"), (1e-4, "eutectoid")])
def test_three_lines_meet_in_a_point(entropy: float, kind: str) -> None:
    """Without noise in the points themselves, exactly; the error of the sampling is that of phi over the entropy, about."""
    (point,) = triple_points(lines(entropy))
    assert point.kind == kind and point.phases == (LOW, MIDDLE, HIGH)
    assert point.temperature_K[0] == pytest.approx(INVARIANT_K, abs=1e-6)
    assert point.mu_eV[0] == pytest.approx(0.03, abs=1e-9) and point.x[:, 0] == pytest.approx([0.2, 0.5, 0.7])
    assert 0.5 < point.sampling_K / (NOISE_EV / 1e-4) < 3 and 0 < point.interpolation_K < 12.0


def test_errors_of_the_point_are_those_of_its_scatter() -> None:
    """Two lines moved by one of their resamples: their meetings scatter as the error says, within 15 %."""
    found = [line for line in lines(-1e-4) if MIDDLE in line[0].phases]
    sampling_K = triple_points(found)[0].sampling_K
    scattered = []
    for k in range(1, RESAMPLES):
        moved = [tuple(Crossing(c.phases, c.temperature_K, np.roll(c.mu_eV, -k), c.x, c.along) for c in line) for line in found]
        scattered.append(float(triple_points(moved)[0].temperature_K[0]))
    assert np.std(scattered, ddof=1) == pytest.approx(sampling_K, rel=0.15)


def test_lines_go_on_to_the_point_and_regions_change_there() -> None:
    """Two regions below, one above; half the shift by size, here 0, is part of the error of the point."""
    known = lines(-1e-4)
    points = triple_points(known)
    temperature_K = np.arange(300.0, 400.0, 2.0)
    rows = gaps_of_lines(list(extended(known, points)), temperature_K)
    number = {t: len(row) for t, row in zip(temperature_K.tolist(), rows)}
    assert number[300.0] == number[360.0] == number[368.0] == 2
    assert number[374.0] == number[378.0] == 1
    (found,) = three_phase_points(points, points, rows, temperature_K)
    assert found.kind == "peritectoid" and found.x == pytest.approx((0.2, 0.5, 0.7)) and found.size_K == 0.0
    assert found.error_K == pytest.approx(np.hypot(points[0].sampling_K, points[0].interpolation_K))


def test_lines_that_do_not_meet_have_no_point() -> None:
    """Of the same phases, or far from one another."""
    below = [line for line in lines(-1e-4) if MIDDLE in line[0].phases]
    assert triple_points([below[0], below[0]]) == []
    far = tuple(Crossing(c.phases, c.temperature_K, c.mu_eV + 0.1, c.x, c.along) for c in below[1])
    assert triple_points([below[0], far]) == []
