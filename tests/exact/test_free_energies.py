"""Averages, free energies and entropies against enumeration; the ideal solution."""

from collections.abc import Callable
from math import comb, log

import numpy as np
import pytest

from redoxmc.engine.sampling.chains.log_z import ideal_steps
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV

from ..helpers.enumeration import (
    Enumeration,
    mean_and_error,
    sample_semigrand,
)
from ..helpers.isotherms import measured_isotherm, reference_of
from ..helpers.lengths import LENGTHS, bar

TEMPERATURE_K = 600.0


@LENGTHS
def test_averages_of_the_small_cell(small_states: Enumeration, length: int) -> None:
    e, system, kT = small_states, small_states.system, BOLTZMANN_EV_PER_K * TEMPERATURE_K
    for mu in (-0.05, 0.02, 0.1):
        p = e.probability(TEMPERATURE_K, mu)
        record, _ = sample_semigrand(system, TEMPERATURE_K, mu, length * 400_000, 3)
        for series, exact in (
            (record.energy / NEV_PER_EV / kT / 4, p @ e.energy_eV / kT / 4),
            (record.ions[:, 0] / 4, p @ e.n / 4),
        ):
            mean, error = mean_and_error(series)
            assert error < bar(3e-4, length)
            assert abs(mean - exact) < 3.5 * error


def check_isotherms(e: Enumeration, temperature_K: float, n_sweeps: int, largest_error: float) -> None:
    """F and S per formula unit in kT and k_B: eight independent chains give the error bar."""
    system, n_fu, kT = e.system, e.system.n_formula_units, BOLTZMANN_EV_PER_K * temperature_K
    reference = reference_of(system, temperature_K)
    found = [measured_isotherm(system, temperature_K, n_sweeps, seed, reference) for seed in range(8)]
    log_z, energy = e.log_z(temperature_K), e.canonical_energy_eV(temperature_K)
    f = np.array([i.beta_f / n_fu for i in found])
    s = np.array([i.energy_neV / NEV_PER_EV / kT / n_fu for i in found]) - f
    for values, exact in ((f, -log_z / n_fu), (s, (energy / kT + log_z) / n_fu)):
        mean, error = values.mean(axis=0)[1:-1], values.std(axis=0, ddof=1)[1:-1] / np.sqrt(8)
        assert error.max() < largest_error
        assert (np.abs(mean - exact[1:-1]) < 4.5 * error + 1e-9).all()  # t distribution of 7 degrees: 3.5 sigma two-sided
    closure = np.array([i.closure for i in found]) / n_fu
    error = closure.std(ddof=1) / np.sqrt(8)
    assert error < largest_error and abs(closure.mean()) < 4.5 * error


@LENGTHS
def test_free_energy_and_entropy_of_the_small_cell(small_states: Enumeration, length: int) -> None:
    check_isotherms(small_states, TEMPERATURE_K, length * 300_000, bar(3e-4, length))


@LENGTHS
def test_free_energy_and_entropy_of_the_medium_cell(medium_states: Enumeration, length: int) -> None:
    assert len(medium_states.states) == 12_870
    check_isotherms(medium_states, TEMPERATURE_K, length * 300_000, bar(3e-4, length))


@LENGTHS
@pytest.mark.parametrize(
    ("repeats", "x", "fluctuation", "n_sweeps", "largest_error"),
    [((1, 2, 1), 0.630667, 0.125469, 300_000, 3e-4), ((2, 2, 4), 0.623424, 0.118429, 20_000, 1e-3)],
)
def test_ideal_solution(
    ideal: Callable[[tuple[int, int, int]], System],
    repeats: tuple[int, int, int],
    x: float,
    fluctuation: float,
    n_sweeps: int,
    largest_error: float,
    length: int,
) -> None:
    """beta mu = 1; half the fluctuation of a lattice gas because of the electron."""
    system = ideal(repeats)
    n_fu = system.n_formula_units
    record, _ = sample_semigrand(system, 1000.0, BOLTZMANN_EV_PER_K * 1000, length * n_sweeps, 1)
    mean, error = mean_and_error(record.ions[:, 0] / n_fu)
    assert error < bar(3e-4, length) and abs(mean - x) < 3.5 * error + 5e-7
    mean, error = mean_and_error((record.ions[:, 0] / n_fu - x) ** 2 * n_fu)
    assert error < bar(largest_error, length) and abs(mean - fluctuation) < 3.5 * error + 5e-7


def test_ideal_joint_entropy(ideal: Callable[..., System]) -> None:
    """2 ln C(N, n): exact to rounding with free exchanges, within its error bar with all moves."""
    exact = np.array([2 * log(comb(8, n)) for n in range(9)])
    free = ideal((1, 2, 1), Mix(0.5, 0.5, 0.0, 0.0, 0.0))
    i = measured_isotherm(free, 300.0, 20_000, 1, ideal_steps(free, 10))
    assert np.allclose(-i.beta_f, exact, atol=1e-6) and abs(i.closure) < 1e-6
    system = ideal((1, 2, 1))
    found = np.array([-measured_isotherm(system, 300.0, 100_000, seed, ideal_steps(system, 10)).beta_f / 8 for seed in range(8)])
    mean, error = found.mean(axis=0)[1:-1], found.std(axis=0, ddof=1)[1:-1] / np.sqrt(8)
    assert error.max() < 1e-3 and (np.abs(mean - exact[1:-1] / 8) < 4.5 * error).all()


def test_extreme_chemical_potentials_fill_and_empty(small: System) -> None:
    for mu, n in ((10.0, 4), (-10.0, 0)):
        record, _ = sample_semigrand(small, 300.0, mu, 100, 1)
        assert (record.ions[:, 0] == n).all()


@pytest.mark.validate
@pytest.mark.parametrize("temperature_K", [250.0, 400.0, 1000.0])
def test_isotherms_at_length(small_states: Enumeration, medium_states: Enumeration, temperature_K: float) -> None:
    """As above, with the bars of the full length, at three temperatures and in both cells."""
    check_isotherms(small_states, temperature_K, 10_000_000, 3e-4)
    check_isotherms(medium_states, temperature_K, 12_000_000, 3e-4)
