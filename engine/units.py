"""Units and their conversions: energies in the kernels are whole neV, everywhere else eV; temperatures are K."""

from fractions import Fraction

import numpy as np

NEV_PER_EV = 1_000_000_000
BOLTZMANN_EV_PER_K = 8.617333262145179e-05  # exact in the SI of 2019


def inverse_temperature(temperature_K: float) -> float:
    """beta in 1/neV; 0 at infinite temperature."""
    return 0.0 if np.isinf(temperature_K) else 1.0 / (BOLTZMANN_EV_PER_K * temperature_K * NEV_PER_EV)


def temperature_of(beta_per_neV: float) -> float:
    """Temperature (K) at beta (1/neV); inf at 0."""
    return np.inf if beta_per_neV == 0 else 1 / (beta_per_neV * BOLTZMANN_EV_PER_K * NEV_PER_EV)


def fraction(x: float) -> str:
    """2/3 for 0.6667: a composition of a small cell."""
    return str(Fraction(float(x)).limit_denominator(10_000))
