"""Parts of the error bars, each where the right size is known."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redoxmc.engine.thermodynamics.free_energy.canonical import _heat_capacity
from redoxmc.engine.thermodynamics.free_energy.entropy import _standard_error
from redoxmc.engine.thermodynamics.free_energy.isotherms import spread
from redoxmc.engine.thermodynamics.free_energy.least_squares import SMOOTHER, _rule_error, energy_steps
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import Isotherm
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

Float = NDArray[np.float64]
ONE = np.ones(1)
BLANK = Isotherm(np.zeros(1, int), ONE, ONE, ONE, 0.0, np.zeros(1, bool), ONE, ONE, ONE)


def two_levels(betas: Float, noise: float = 0.0, seed: int = 0) -> list[Isotherm]:
    """One composition with a state at 0 and thirty at 5."""
    rng, upper = np.random.default_rng(seed), 30 * np.exp(-5 * betas) / (1 + 30 * np.exp(-5 * betas))
    energy, variance = 5 * upper + noise * rng.normal(size=len(betas)), 25 * upper * (1 - upper)
    return [replace(BLANK, energy_neV=np.array([e]), energy_variance_neV2=np.array([v])) for e, v in zip(energy, variance)]


def test_a_hundred_resamples_make_no_error_wider_by_the_chance_in_their_third_moment() -> None:
    """Normal resamples: 1.03 m2 where it is taken off, 1.06 m2 where it is not."""
    squared = spread(np.random.default_rng(1).normal(size=(100, 8_000))) ** 2
    assert abs(squared.mean() - 1.03) < 0.01


def test_the_error_of_the_rule_is_that_of_the_longer_step() -> None:
    betas = np.array([2.0, 1.0, 0.5, 0.0])
    curves = two_levels(betas)
    exact = -np.log((1 + 30 * np.exp(-5 * betas)) / 31)
    missed = np.abs(energy_steps(curves, betas)[:, 0] - (exact[:-1] - exact[1:]))
    found = _rule_error(curves, [curves, curves], betas)[:, 0]
    assert (found > missed).all()
    one = energy_steps(curves, betas)
    change = np.abs(energy_steps(curves, betas, 2) - one[:-1] - one[1:])[:, 0]
    assert np.allclose(found, np.array([change[0], max(change[0] / 2**5, change[1]), change[1]]) / SMOOTHER)


def test_scatter_of_the_energies_is_no_error_of_the_rule() -> None:
    betas = np.linspace(2.0, 0.0, 41)
    scattered = [two_levels(betas, 0.1, seed) for seed in range(101)]
    found = _rule_error(scattered[0], scattered[1:], betas)
    change = np.abs([energy_steps(s, betas, 2) - energy_steps(s, betas)[:-1] - energy_steps(s, betas)[1:] for s in scattered])
    assert np.median(found) < 0.6 * np.median(change) / SMOOTHER
    two = betas[[0, 1]]
    assert _rule_error(two_levels(two), [two_levels(two)] * 2, two) > 0


def heat_capacity(error: list[float], energy_error_kT: float = 0.0, vibrational: float = 0.0) -> tuple[Float, Float]:
    """Of four formula units at five compositions, 1 k_B/fu by the samples between the ends and nothing at them."""
    t = np.array([500.0])
    share: Any = SimpleNamespace(heat_capacity_kB=np.full((1, 5), vibrational)) if vibrational else None
    isotherms: Any = SimpleNamespace(n_fu=4, temperature_K=t, grid=np.arange(5), vibrational=share)
    sampled = np.array([[0.0, 1.0, 1.0, 1.0, 0.0]])
    values = {
        "heat_capacity_x_kB": sampled + vibrational,
        "heat_capacity_x_kB_error": np.array([[0.0, *error, 0.0]]),
        "energy_eV_error": sampled * energy_error_kT * BOLTZMANN_EV_PER_K * t[0],
    }
    found = _heat_capacity(isotherms, values)
    return found["heat_capacity_x_kB"][0], found["heat_capacity_x_kB_error"][0]


def test_a_relative_error_less_than_at_both_neighbours_is_chance() -> None:
    for vibrational in (0.0, 3.0):
        value, error = heat_capacity([0.2, 0.05, 0.1], vibrational=vibrational)
        assert np.allclose(error, [0, 0.2, 0.1, 0.1, 0]) and np.allclose(value - vibrational, [0, 1, 1, 1, 0])
    assert np.allclose(heat_capacity([0.05, 0.2, 0.1])[1], [0, 0.05, 0.2, 0.1, 0])


def test_a_heat_capacity_is_no_better_known_than_the_energies_allow() -> None:
    """16 independent energies of four formula units: their mean has a variance of 1/16, its error per formula unit is 1/8 kT."""
    value, error = heat_capacity([0.01, 0.01, 0.5], 1 / 8)
    assert np.allclose(value[1:4], 1 + 1 / 16)  # the variance of the mean is added
    assert np.allclose(error[1:4] / value[1:4], [1 / np.sqrt(17), 1 / np.sqrt(17), 0.5 / value[1]])
    assert value[[0, 4]].tolist() == error[[0, 4]].tolist() == [0, 0]


def test_walkers_that_differ_by_chance_widen_no_error() -> None:
    """Thirteen independent states of each of four walkers: 1/52. Where the states of a walker are alike: 1/4."""
    rng = np.random.default_rng(2)
    independent = rng.normal(size=(4000, 4, 13))
    assert abs((_standard_error(independent) ** 2).mean() * 52 - 1.0) < 0.06
    alike = np.repeat(rng.normal(size=(4000, 4, 1)), 13, axis=2) + 0.01 * independent
    assert abs((_standard_error(alike) ** 2).mean() * 4 - 1.0) < 0.06
