"""The 2D Ising model against its exact energies and entropies."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import logsumexp

from redoxmc.engine.sampling.chains.log_z import estimated_steps
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV

from ..helpers.enumeration import (
    mean_and_error,
    sample_semigrand,
)
from ..helpers.isotherms import flat_run, measured_isotherm, reference_of
from ..helpers.lengths import LENGTHS, bar


def kelvin(temperature: float) -> float:
    """Ising temperature in units of J = 1 eV."""
    return temperature / BOLTZMANN_EV_PER_K


@LENGTHS
@pytest.mark.parametrize(
    ("size", "temperature", "energy", "n_sweeps", "largest_error"),
    [
        (4, 2.0, -1.7553803, 200_000, 1e-3),
        (4, 3.0, -1.0170696, 200_000, 1e-3),
        (16, 2.0, -1.7455306, 15_000, 1e-3),
        (16, 2.2691853, -1.4530647, 30_000, 4e-3),
        (16, 3.0, -0.8176894, 20_000, 1e-3),
    ],
)
def test_ising_energy(
    ising: Callable[[int], System],
    size: int,
    temperature: float,
    energy: float,
    n_sweeps: int,
    largest_error: float,
    length: int,
) -> None:
    record, _ = sample_semigrand(ising(size), kelvin(temperature), 0.0, length * n_sweeps, 2)
    mean, error = mean_and_error(record.energy / NEV_PER_EV / size**2)
    assert error < bar(largest_error, length) and abs(mean - energy) < 3.5 * error


@pytest.mark.parametrize(
    ("size", "temperature", "entropy", "largest_error"),
    [
        (8, 2.0, 0.1637925, 3e-3),
        (8, 3.0, 0.5361460, 3e-3),
        pytest.param(16, 2.0, 0.1557355, 1.5e-3, marks=pytest.mark.validate),
        pytest.param(16, 3.0, 0.5433249, 1.5e-3, marks=pytest.mark.validate),
    ],
)
def test_ising_entropy(
    ising: Callable[[int], System], size: int, temperature: float, entropy: float, largest_error: float
) -> None:
    """S = (U - F)/T of the unrestricted magnet, F from the sum of exp(-beta F_n) over all magnetisations."""
    system, t, n_sweeps = ising(size), kelvin(temperature), 20_000 * size**2 // 256
    reference = reference_of(system, t, 20_000)
    for seed in range(100, 104):
        found = estimated_steps(flat_run(system, t, n_sweeps, seed, reference).sums, reference, system.step)
        reference = np.where(np.isfinite(found), found, reference)
    values = []
    for seed in range(6):
        i = measured_isotherm(system, t, 2 * n_sweeps, seed, reference)
        p = np.exp(-i.beta_f - logsumexp(-i.beta_f))
        values.append((p @ i.energy_neV / NEV_PER_EV / (BOLTZMANN_EV_PER_K * t) + logsumexp(-i.beta_f)) / size**2)
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(6)
    assert error < largest_error and abs(mean - entropy) < 5 * error
