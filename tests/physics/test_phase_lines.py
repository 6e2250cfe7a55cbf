"""First-order lines between phases of known grand potentials, and the two-phase regions that follow."""

import numpy as np
import pytest

from redoxmc.engine.thermodynamics.phase_diagram.boundaries import Gap
from redoxmc.engine.thermodynamics.phase_diagram.phase_lines import beside, congruent_points, gaps_of_lines, meets
from redoxmc.engine.thermodynamics.phases.grand_potential import GrandPotential
from redoxmc.engine.thermodynamics.phases.hull import above_hull_eV
from redoxmc.engine.thermodynamics.phases.lines import Along, Crossing, crossings, joined
from redoxmc.engine.thermodynamics.phases.melting import Column, first_order
from redoxmc.engine.thermodynamics.phases.surface import Surface
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

RESAMPLES = 50
T_K = 400.0
BETA = 1 / (BOLTZMANN_EV_PER_K * T_K)
MU_EV = np.linspace(-0.2, 0.2, 9)


def phase(number: int, energy_eV: float, x: float, chi: float, error: float) -> GrandPotential:
    """phi = e - mu x - chi mu^2 / 2 at one temperature; resamples move it by `error`."""
    shift = np.concatenate([[0.0], np.random.default_rng(number + 9).normal(scale=error, size=RESAMPLES)])[:, None, None]
    composition = np.broadcast_to(x + chi * MU_EV, (1 + RESAMPLES, 1, 9))
    variance = np.zeros((3, 1, 9))
    variance[2] = chi / BETA
    exists = np.ones((1, 9), bool)
    surface = Surface(number, np.array([BETA]), MU_EV, composition, composition, variance, exists, np.ones((1, 9)))
    return GrandPotential(surface, energy_eV - MU_EV * x - chi * MU_EV**2 / 2 + shift, 0.0, 0.0)


def test_phases_cross_where_their_grand_potentials_are_equal() -> None:
    """e + mu x linear in mu: equal at mu = (e1 - e0) / (x1 - x0), off the grid; the error of mu is that of phi over the gap."""
    found = crossings([phase(-1, 0.0, 0.2, 0.1, 1e-5), phase(0, 0.013, 0.5, 0.1, 1e-5)], -1, T_K, BETA, 0.05)
    assert len(found) == 1 and found[0].phases == (-1, 0) and found[0].is_region
    assert found[0].mu_eV[0] == pytest.approx(0.013 / 0.3, abs=1e-9)
    assert found[0].x[:, 0] == pytest.approx([0.2 + 0.1 * 0.013 / 0.3, 0.5 + 0.1 * 0.013 / 0.3], abs=1e-6)
    assert found[0].mu_eV[1:].std() == pytest.approx(2**0.5 * 1e-5 / 0.3, rel=0.3)


def test_a_phase_that_is_nowhere_lowest_has_no_lines() -> None:
    assert crossings([phase(-1, 0.0, 0.2, 0.1, 1e-5), phase(0, 0.5, 0.5, 0.1, 1e-5)], -1, T_K, BETA, 0.05) == []


def column(latent_eV: float, at: float, betas: np.ndarray, noise: float) -> Column:
    """beta phi with slope u = latent (0 for the ordered phase), equal to 0 at beta = at."""
    shift = np.concatenate([[0.0], np.random.default_rng(int(latent_eV > 0)).normal(scale=noise, size=RESAMPLES)])[:, None]
    g = np.full((1 + RESAMPLES, len(betas)), latent_eV) + shift
    flat = np.zeros(len(betas))
    return Column(betas, latent_eV * (betas - at) + shift, g, np.full(g.shape, 0.4 + latent_eV), (flat, flat))


def test_an_order_melts_where_both_columns_cross() -> None:
    """Ordered up to beta = 28 and disordered down to 31, equal at 29.3; dT from the error of phi and the latent heat."""
    ordered, disordered = column(0.0, 29.3, np.linspace(28, 33, 11), 1e-5), column(0.02, 29.3, np.linspace(26, 31, 11), 1e-5)
    (found,) = first_order(0, 0.05, ordered, disordered)
    assert found.temperature_K[0] == pytest.approx(1 / (BOLTZMANN_EV_PER_K * 29.3), abs=1e-3)
    betas = 1 / (BOLTZMANN_EV_PER_K * found.temperature_K)
    assert betas[1:].std() == pytest.approx(2**0.5 * 1e-5 / 0.02, rel=0.4)
    assert found.x[:, 0] == pytest.approx([0.4, 0.42]) and found.phases == (0, -1)


def test_a_crossing_beyond_the_limits_is_anywhere_between_them() -> None:
    ordered, disordered = column(0.0, 35.0, np.linspace(28, 33, 11), 1e-5), column(0.02, 35.0, np.linspace(26, 31, 11), 1e-5)
    (found,) = first_order(0, 0.05, ordered, disordered)
    betas = 1 / (BOLTZMANN_EV_PER_K * found.temperature_K)
    assert betas[0] == pytest.approx(29.5) and betas[1:].std() == pytest.approx(3.5 / 12**0.5, rel=0.05)


def test_an_order_without_latent_heat_does_not_melt() -> None:
    ordered, disordered = column(0.0, 29.3, np.linspace(28, 33, 11), 1e-5), column(1e-10, 29.3, np.linspace(26, 31, 11), 1e-5)
    assert first_order(0, 0.05, ordered, disordered) == []


def point(t: float, mu: float, x: tuple[float, float], along: Along) -> Crossing:
    flat = np.ones(1 + RESAMPLES)
    return Crossing((-1, 0), t * flat, mu * flat, np.array(x)[:, None] * flat, along)


def test_regions_follow_their_lines_and_take_the_place_of_others() -> None:
    lines = [point(300, 0.1, (0.2, 0.5), Along.MU), point(310, 0.1, (0.3, 0.4), Along.MU)]
    lines += [point(t, mu, x, Along.TEMPERATURE) for mu, t, x in ((0.5, 340, (0.6, 0.62)), (0.6, 350, (0.65, 0.65)))]
    lines.append(point(342, 0.7, (0.68, 0.70), Along.TEMPERATURE))
    temperatures = np.arange(295.0, 355.0, 5.0)
    joined_lines = joined(lines, np.array([300.0, 310.0]), np.array([0.5, 0.6, 0.7]))
    assert sorted(len(line) for line in joined_lines) == [2, 3]
    rows = gaps_of_lines(joined_lines, temperatures)
    found = {t: [g.x for g in row] for t, row in zip(temperatures.tolist(), rows)}
    assert found[305.0] == [pytest.approx((0.25, 0.45))] and found[295.0] == found[310.0] == []
    assert found[345.0] == [pytest.approx((0.625, 0.635)), pytest.approx((0.66875, 0.68125), abs=1e-3)]
    other, far = Gap((0.4, 0.5), (0.01, 0.01), 1.0), Gap((0.8, 0.9), (0.01, 0.01), 1.0)
    row = rows[list(temperatures).index(305.0)]
    assert meets(other, row) and beside([other, far], row) == [*row, far]
    (top,) = congruent_points(joined_lines, rows, temperatures)
    assert (top.kind, top.temperature_K, top.x[1]) == ("congruent", 350.0, pytest.approx(0.65))


def test_errors_in_temperature_become_errors_in_x_and_in_mu() -> None:
    """dx/dT = 0.01/K and dmu/dT = 1 meV/K: both ends off by 2 K together is 0.02 in x and 2 meV."""
    off_K = np.concatenate([[0.0], np.random.default_rng(1).normal(scale=2.0, size=400)])
    flat = np.ones(401)
    line = tuple(
        Crossing((-1, 0), t + off_K, mu * flat, np.array([[x], [x + 0.2]]) * flat, Along.TEMPERATURE)
        for t, mu, x in ((300.0, 0.1, 0.3), (310.0, 0.11, 0.4))
    )
    ((gap,),) = gaps_of_lines([line], np.array([306.0]))
    assert gap.x == pytest.approx((0.36, 0.56)) and gap.x_error == pytest.approx((0.02, 0.02), rel=0.15)
    assert gap.mu_eV[0] == pytest.approx(0.106) and np.std(gap.mu_eV[1:]) == pytest.approx(0.002, rel=0.15)


def test_the_hull_of_all_phases() -> None:
    """Stable points are on it; a phase 1 meV above a tie line is that much above it."""
    both = [phase(-1, 0.0, 0.2, 0.1, 1e-6), phase(0, 0.013, 0.5, 0.1, 1e-6)]
    mu = 0.013 / 0.3  # of the tie line, through F = mu x + phi
    phi = -mu * 0.2 - 0.1 * mu**2 / 2
    metastable = phase(1, 0.0, 0.35, 0.0, 1e-6)
    shift = phi + mu * 0.35 + 0.001  # F(0.35) one meV above the line
    metastable = GrandPotential(metastable.surface, metastable.value_eV + shift, 0.0, 0.0)
    low, high, above = above_hull_eV([*both, metastable], 1)
    stable = crossings(both, -1, T_K, BETA, 0.05)[0].mu_eV[0]
    assert low[0, 0, stable > MU_EV] == pytest.approx(0, abs=2e-4) and high[0, 0, stable < MU_EV] == pytest.approx(0, abs=2e-4)
    assert above[0, 0] == pytest.approx(0.001, abs=2e-4) and (above[1:, 0].std(axis=0) < 1e-5).all()
