"""Estimators and diagnostics against exact answers."""

import numpy as np
import pytest
from scipy.optimize import brentq

from redoxmc.engine.sampling.diagnostics import assess, autocorrelation_time, equilibration, split_r_hat
from redoxmc.engine.sampling.preparation.place_temperatures import place_temperatures
from redoxmc.engine.thermodynamics.free_energy.hull import facets, hull_values, lower_hull
from redoxmc.engine.thermodynamics.free_energy.isotherms import spread, student_factor
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import local_mean
from redoxmc.engine.thermodynamics.phase_diagram.boundaries import connect_regions, find_gaps
from redoxmc.engine.thermodynamics.phase_diagram.coexistence import Domain, coexistence, domains, fourth_cumulants
from redoxmc.engine.thermodynamics.phase_diagram.trace import Curves
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV, inverse_temperature

from ..helpers.coverage import ising_levels


def test_boltzmann_constant() -> None:
    from scipy.constants import Boltzmann, elementary_charge

    assert abs(BOLTZMANN_EV_PER_K / (Boltzmann / elementary_charge) - 1) < 1e-12
    assert abs(inverse_temperature(300.0) * 300.0 * BOLTZMANN_EV_PER_K * NEV_PER_EV - 1) < 1e-12
    assert inverse_temperature(np.inf) == 0.0


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_autocorrelation_of_an_autoregressive_series(phi: float) -> None:
    rng = np.random.default_rng(1)
    series = np.zeros((64, 4000))
    noise = rng.normal(size=series.shape)
    for k in range(1, series.shape[1]):
        series[:, k] = phi * series[:, k - 1] + noise[:, k]
    tau = autocorrelation_time(series)
    exact = (1 + phi) / (1 - phi)
    error = tau.std(ddof=1) / 8
    assert error < 0.05 * exact and abs(tau.mean() - exact) < 0.06 * exact + 3.5 * error


def test_equilibration_is_detected_and_short_chains_are_not_trusted() -> None:
    rng = np.random.default_rng(2)
    steady = rng.normal(size=(6, 2, 1000))
    drifting = steady + 8 * np.exp(-np.arange(1000) / 60)
    assert (equilibration(drifting) >= 100).all() and np.median(equilibration(steady)) == 0
    moved = np.ones(6, int)
    assert assess(steady, steady, moved).trusted.all()
    apart = steady + np.array([0.0, 5.0])[None, :, None]
    assert not assess(apart, steady, moved).trusted.any()
    assert not assess(steady[..., :10], steady[..., :10], moved).trusted.any()


def two_walkers() -> np.ndarray:
    t = np.arange(30)
    return np.array([np.sin(t * t / 7.0), 0.4 * np.cos(t / 3.0) + t / 60])


def test_r_hat_is_that_of_arviz() -> None:
    """Values of arviz 0.23 for a series and for one with many equal values."""
    series = two_walkers()
    found = split_r_hat(np.array([series, np.round(3 * series), np.full_like(series, 2.0)]))
    assert np.abs(found - [1.108710084321391, 1.1072461284193507, 1.0]).max() < 1e-12
    assert np.isnan([split_r_hat(series[None, :1]), split_r_hat(series[None, :, :3])]).all()


@pytest.mark.runs
def test_r_hat_of_many_series_is_that_of_arviz() -> None:
    arviz, rng = pytest.importorskip("arviz"), np.random.default_rng(5)
    for k in range(40):
        series = rng.normal(size=(rng.integers(2, 5), rng.integers(4, 200)))
        series = (series, np.round(series), series.cumsum(axis=1), np.abs(series))[k % 4]
        assert split_r_hat(series[None])[0] == pytest.approx(float(arviz.rhat(series)), rel=1e-10)


def test_chains_that_do_not_move_have_no_statistics() -> None:
    rng = np.random.default_rng(2)
    steady = rng.normal(size=(3, 2, 1000))
    still = np.full((3, 2, 1000), 7.0)
    for found in (assess(still, still, np.ones(3, int)), assess(steady, steady, np.zeros(3, int))):
        assert np.isnan([found.r_hat, found.ess, found.autocorrelation]).all() and not found.trusted.any()
    one = steady.copy()
    one[:, 1] = one.mean()
    assert not assess(one, one, np.ones(3, int)).trusted.any(), "one walker alone moves"
    rare = np.where(np.arange(2000) % 300 == 7, 1.0, 0.0) * np.array([1.0, 0.0])[:, None]
    assert assess(rare[None], rare[None], np.ones(1, int)).trusted.all(), "rare events, which one walker did not see"


def test_an_offset_of_the_energy_changes_no_statistics() -> None:
    """Total energies of 60 000 eV per cell that fluctuate by 1 meV (neV)."""
    energy = np.cumsum(np.random.default_rng(3).normal(size=(2, 2, 500)), axis=-1).round() * 1e5
    ions, moved = energy.round(-6), np.ones(2, int)
    near, far = (assess(energy + offset, ions, moved) for offset in (0.0, 6e13))
    assert (near.ess < 100).all() and np.array_equal(near.ess, far.ess) and np.array_equal(near.trusted, far.trusted)


def test_standard_errors_count_one_rare_event_more_than_was_seen() -> None:
    assert spread(np.zeros((100, 2))).tolist() == [0.0, 0.0]
    rng = np.random.default_rng(4)
    seen = rng.poisson(2.0, size=(20_000, 1)).astype(float)
    assert abs(spread(seen)[0] ** 2 - 3.0) < 0.1
    assert abs(spread(rng.normal(size=(20_000, 1)))[0] - 1.0) < 0.02
    assert np.isnan(spread(np.array([[1.0], [np.nan], [2.0]]))).all()


def test_few_independent_units_widen_the_errors() -> None:
    """Student: 68.27 % of means of n normal numbers lie within the widened standard error."""
    rng = np.random.default_rng(5)
    for units in (3, 10, 19):
        values = rng.normal(size=(20_000, units))
        bootstrap = values.std(axis=1) / np.sqrt(units)
        inside = np.mean(np.abs(values.mean(axis=1)) < student_factor(units) * bootstrap)
        assert abs(inside - 0.6827) < 0.012
    assert student_factor(1) == np.inf and abs(student_factor(400) - 1) < 0.01


def test_lower_hull() -> None:
    x = np.linspace(0, 1, 101)
    convex = (x - 0.4) ** 2
    assert np.allclose(hull_values(x, convex, lower_hull(x, convex)), convex)
    points = np.array([0.0, 1.0, -1.0, 2.0, 0.0])
    vertices = lower_hull(np.linspace(0, 1, 5), points)
    assert vertices.tolist() == [0, 2, 4]
    assert max(f.depth for f in facets(np.linspace(0, 1, 5), points, vertices)) == pytest.approx(2.5)
    assert lower_hull(x, 0.3 * x).tolist()[0] == 0 and lower_hull(x, 0.3 * x).tolist()[-1] == 100


def regular_solution(x: np.ndarray, t: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nan_to_num(x * np.log(x)) - np.nan_to_num((1 - x) * np.log(1 - x))
    return 2.5 * x * (1 - x) - t * entropy


def halves(x: np.ndarray, t: float) -> np.ndarray:
    return np.array([regular_solution(x, t)] * 2)


def solution(x: np.ndarray, t: float, resampled: np.ndarray, ends: np.ndarray | None = None) -> Curves:
    """A regular solution in a cell of as many formula units as there are steps in x; kT = t."""
    f = regular_solution(x, t)
    return Curves(x, f, f, resampled, halves(x, t) if ends is None else ends, (len(x) - 1) / t)


def test_walkers_that_disagree_make_no_gap() -> None:
    x = np.linspace(0, 1, 301)
    f = regular_solution(x, 1.0)
    boot = np.array([f] * 5)
    assert find_gaps(solution(x, 1.0, boot))
    bump = 0.2 * np.exp(-(((x - 0.5) / 0.1) ** 2))
    assert find_gaps(solution(x, 1.0, boot, np.array([f + bump, f - bump]))) == []
    assert find_gaps(solution(x, 1.0, boot), least_kT=0.1 * 300) == []


def test_gap_of_a_regular_solution() -> None:
    """Binodal ln[x/(1-x)] = (W/T)(2x - 1)."""
    x = np.linspace(0, 1, 3001)
    rng = np.random.default_rng(0)
    for t in (0.7, 0.9, 1.1):
        exact = brentq(lambda v: np.log(v / (1 - v)) - 2.5 / t * (2 * v - 1), 1e-6, 0.45)  # noqa: B023
        noise = 1e-5 * np.cumsum(rng.normal(size=(50, len(x))), axis=1) / np.sqrt(len(x))
        (gap,) = find_gaps(solution(x, t, regular_solution(x, t) + noise))
        assert abs(gap.x[0] - exact) < 2e-3 and abs(gap.x[1] - (1 - exact)) < 2e-3
    assert find_gaps(solution(x, 1.4, regular_solution(x, 1.4) + noise)) == []
    rough = 3e-3 * rng.normal(size=(50, len(x)))
    assert find_gaps(solution(x, 1.24, regular_solution(x, 1.24) + rough)) == []
    rows = connect_regions([find_gaps(solution(x, t, np.empty((0, len(x))))) for t in (0.7, 0.8, 1.4)])
    assert [len(r) for r in rows] == [1, 1, 0] and rows[0][0].region == rows[1][0].region == 0


def test_phases_of_equal_weight_are_those_of_the_infinite_lattice() -> None:
    """6 x 6 Ising spins, exactly counted: within 0.001 of Yang's magnetization (Phys. Rev. 85, 808, 1952), which the vertices of
    the hull miss by more; the barrier is that of the two peaks.
    """
    coupling_eV, levels, x = 0.02, ising_levels(6, 0.02), np.linspace(0, 1, 37)
    for t in (300.0, 350.0, 375.0):
        f, per_kT = levels.canonical(t)["free_energy_eV"], 36 / (BOLTZMANN_EV_PER_K * t)
        (domain,) = domains(x, f, x[1], 0.0)
        exact = (1 - (1 - np.sinh(2 * coupling_eV / (BOLTZMANN_EV_PER_K * t)) ** -4) ** 0.125) / 2
        low, high, barrier = coexistence(x, f[None], per_kT, domain)[0]
        assert abs(low - exact) < 1e-3 and abs(high - (1 - exact)) < 1e-3
        assert np.abs(x[lower_hull(x, f)] - exact).min() > 2 * abs(low - exact)
        assert barrier == pytest.approx((f[1:-1].max() - f.min()) * per_kT, rel=1e-4)


def test_cumulants_of_known_distributions() -> None:
    """A Gaussian has 0, two narrow peaks 2/3 at their middle, whatever the tilt; where one x has all the weight there is none."""
    x = np.linspace(0, 1, 401)
    gauss = ((x - 0.4) / 0.05) ** 2 / 2
    peaks = -np.log(np.exp(-(((x - 0.2) / 0.01) ** 2)) + np.exp(-(((x - 0.8) / 0.01) ** 2)) + 1e-12)
    spike = np.where(x == 0.5, 0.0, 1e4)
    found = fourth_cumulants(x, np.vstack([gauss, peaks + 300 * x, spike]), 1.0, Domain(0, 200, 400, 80, 320), 0.5)
    assert found[:2] == pytest.approx([0.0, 2 / 3], abs=2e-3) and np.isnan(found[2])


def test_phases_of_different_width_have_equal_weight() -> None:
    """Two Gaussian peaks of any weights and tilt: their means where the weights are equal. A single peak has no coexistence."""
    x, at, width, share = np.linspace(0, 1, 1001), np.array([0.3, 0.8]), np.array([0.02, 0.05]), np.array([1.0, 0.01])
    p = (share * np.exp(-(((x[:, None] - at) / width) ** 2))).sum(axis=1)
    one = np.exp(-(((x - 0.5) / 0.1) ** 2))
    found = coexistence(x, -np.log(np.vstack([p * np.exp(20 * x), one])), 1.0, Domain(0, 500, 1000, 300, 800))

    def log_weight(slope: float) -> np.ndarray:
        return np.log(share * width) + slope * at + (slope * width / 2) ** 2

    slope = brentq(lambda s: np.subtract(*log_weight(s)), -100, 100)
    assert np.abs(found[0, :2] - (at + slope * width**2 / 2)).max() < 1e-4
    assert found[1, 2] == pytest.approx(0.0, abs=1e-9) or np.isnan(found[1]).all()


def test_local_mean_is_exact_for_straight_lines() -> None:
    values = 3.0 + 0.5 * np.arange(50)
    weight = np.random.default_rng(0).uniform(0.1, 5, 50)
    weight[[7, 8, 20]] = 0
    at = np.array([0, 1, 8, 25, 49])
    assert np.allclose(local_mean(values, weight, at, 6), values[at])
    assert np.isnan(local_mean(values, np.zeros(50), at, 6)).all()


def test_rungs_fill_the_ladder_to_beta_zero() -> None:
    betas = np.linspace(0, inverse_temperature(250.0), 30)
    ladder, notes = place_temperatures((250.0, 500.0), betas, np.full(30, 0.05 * NEV_PER_EV), None)
    assert np.isinf(ladder.temperature_K[-1]) and not notes
    assert ladder.temperature_K[ladder.asked].tolist() == [250.0, 500.0] and len(ladder.rungs_asked) < len(ladder)
    steps = -np.diff(ladder.beta_per_neV) * 0.05 * NEV_PER_EV
    assert (steps <= 1.6001).all()
    ladder, notes = place_temperatures((250.0, 500.0), betas, np.full(30, 3.0 * NEV_PER_EV), 10)
    assert len(ladder) <= 10 and ladder.temperature_K[ladder.asked].tolist() == [250.0, 500.0] and notes
