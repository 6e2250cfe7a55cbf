"""Isotherms of a solution whose free energy is known, as the samples would give them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from redoxmc.engine.runtime.results.canonical import Canonical
from redoxmc.engine.runtime.results.order import Order
from redoxmc.engine.sampling.ladder.ladder import Ladder
from redoxmc.engine.sampling.ladder.plan import Plan
from redoxmc.engine.thermodynamics.free_energy.isotherms import Isotherms
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import Curves, Ends, Isotherm
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV, inverse_temperature

from .blank import blank

Float = NDArray[np.float64]
FreeEnergy = Callable[[Float, float], Float]
NOISES = 30


def ideal(x: Float, temperature_K: float) -> Float:
    """-T S of ions and electrons, eV/fu."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * BOLTZMANN_EV_PER_K * temperature_K * np.nan_to_num(x * np.log(x) + (1 - x) * np.log(1 - x))


def isotherms_of(
    free_energy: FreeEnergy, temperatures_K: list[float], n_fu: int = 1200, noise_eV: float = 0.0, layers: int = 1
) -> Isotherms:
    """free_energy(x, T) in eV/fu; U and the variance by differences. Resamples differ by smooth noise of this size.

    layers: of the cell, along its last axis.
    """
    n = np.arange(n_fu + 1)
    x, rng = n / n_fu, np.random.default_rng(3)
    shapes = rng.normal(size=(NOISES, 6)) @ np.sin(np.pi * np.arange(1, 7)[:, None] * x) / np.sqrt(6)
    shapes -= shapes.mean(axis=0)
    curves = []
    for t in temperatures_K:
        beta = inverse_temperature(t)
        beta_f, energy, variance = _derivatives(free_energy, x, beta, n_fu)
        scale = noise_eV * n_fu * NEV_PER_EV * beta

        def curve(shift: Float, b: Any = (beta_f, energy, variance)) -> Isotherm:
            f = b[0] + shift
            return Isotherm(n, np.diff(f), f, f, 0.0, np.zeros(len(n), bool), b[1], b[2], np.ones(len(n)))

        resampled = [curve(scale * s) for s in shapes]
        curves.append(Curves(curve(0 * x), resampled, curve(0 * x), curve(0 * x), 100))
    log_states = 2 * (gammaln(n_fu + 1) - gammaln(n + 1) - gammaln(n_fu - n + 1))
    cell = SimpleNamespace(layers=(1, 1, layers))
    system: Any = SimpleNamespace(supercell=cell, n_formula_units=n_fu, step=1, ion="Na+", neutral_counts=(n, log_states))
    asked = np.ones(len(temperatures_K), bool)
    plan = Plan(Ladder(np.array(temperatures_K), asked), (), np.array([0.0]), 1.0, (), np.zeros((len(asked), n_fu + 2)), 2)
    energies = tuple(int(round(float(curves[0].all.energy_neV[k]))) for k in (0, -1))
    grid = np.linspace(0, n_fu, 97).astype(int)
    ends = Ends(0, n_fu, (0.0, 0.0), (energies[0], energies[1]))
    return Isotherms(system, plan, ends, tuple(range(len(asked))), tuple(curves), (), grid)


def all_trusted(isotherms: Isotherms) -> Canonical:
    """What a diagram needs of /canonical: everything is trusted."""
    shape = len(isotherms.rungs), len(isotherms.grid)
    return blank(Canonical, temperature_K=isotherms.temperature_K, x=isotherms.x_grid, trusted=np.ones(shape, bool))


def no_order(isotherms: Isotherms) -> Order:
    """What a diagram needs of /order: nothing was seen."""
    return blank(Order, temperature_K=isotherms.temperature_K, x=isotherms.x_grid)


def _derivatives(free_energy: FreeEnergy, x: Float, beta: float, n_fu: int) -> tuple[Float, Float, Float]:
    """beta F, U and the variance of the cell, by central differences of the free energy in beta."""

    def beta_f(b: float) -> Float:
        return b * n_fu * NEV_PER_EV * free_energy(x, 1 / (b * BOLTZMANN_EV_PER_K * NEV_PER_EV))

    h = 1e-4 * beta
    low, here, high = beta_f(beta - h), beta_f(beta), beta_f(beta + h)
    return here, (high - low) / (2 * h), np.maximum(-(high - 2 * here + low) / h**2, 0.0)
