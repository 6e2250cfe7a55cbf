"""Where chemical potentials are added: lines that are not seen, compositions that are not certain, ends of an order far apart."""

from types import SimpleNamespace

import numpy as np
import pytest

from redoxmc.engine.sampling.phases.tasks import Catalogue
from redoxmc.engine.thermodynamics.phases.grand_potential import GrandPotential
from redoxmc.engine.thermodynamics.phases.lines import Along, Crossing, crossings, joined
from redoxmc.engine.thermodynamics.phases.phases import PhasesOfCell
from redoxmc.engine.thermodynamics.phases.surface import Surface
from redoxmc.engine.thermodynamics.phases.uncertain import uncertain_eV
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

RESAMPLES = 50
T_K = 400.0
BETA = 1 / (BOLTZMANN_EV_PER_K * T_K)
GRID_EV = np.linspace(-0.2, 0.2, 9)
CATALOGUE = Catalogue((), GRID_EV, (T_K,))


def phase(number: int, energy_eV: float, x: float, last: int, error_x: float = 0.0) -> GrandPotential:
    """A compound that takes up a little more with mu, known at the first `last` points of the grid, or the last -last."""
    exists = np.arange(9)[None] < last if last > 0 else np.arange(9)[None] >= 9 + last
    shift = np.concatenate([[0.0], np.random.default_rng(number + 9).normal(scale=error_x, size=RESAMPLES)])[:, None, None]
    composition = np.broadcast_to(x + 0.2 * GRID_EV, (1 + RESAMPLES, 1, 9)) + shift
    variance = np.zeros((3, 1, 9))
    variance[2] = 4.0 / BETA  # dx/dmu of 4 per eV: 0.2 over a step, too much to be continued
    value = np.broadcast_to(energy_eV - GRID_EV * x - 0.1 * GRID_EV**2, (1 + RESAMPLES, 1, 9))
    noise = 1e-6 * np.random.default_rng(number + 90).normal(size=(1 + RESAMPLES, 1, 1))
    surface = Surface(number, np.array([BETA]), GRID_EV, composition, composition, variance, exists, np.ones((1, 9)))
    return GrandPotential(surface, np.where(exists, value + noise, np.nan), 0.0, 0.0)


def of(*grand: GrandPotential) -> PhasesOfCell:
    found = [c for c in crossings(grand, -1, T_K, BETA, 0.05) if c.is_region]
    return PhasesOfCell(64, grand, tuple(joined(found, np.array([T_K]), GRID_EV)), ())


def test_a_line_that_is_seen_needs_nothing() -> None:
    found = of(phase(0, 0.0, 0.2, 9), phase(1, 0.013, 0.5, 9))
    assert len(found.lines) == 1 and uncertain_eV(found, CATALOGUE) == []


def test_a_line_between_the_limits_of_both_phases_is_looked_for_between_them() -> None:
    """One is seen up to mu = 0, the other one from 0.05 on."""
    found = of(phase(0, 0.0, 0.2, 5), phase(1, 0.013, 0.5, -4))
    assert found.lines == () and uncertain_eV(found, CATALOGUE) == [pytest.approx(0.025)]
    assert (
        uncertain_eV(of(phase(0, 0.0, 0.2, 5), phase(-1, 0.013, 0.5, -4)), CATALOGUE) == []
    )  # continuous, for all that is known


def test_uncertain_compositions_are_sampled_again_beside_the_line() -> None:
    found = of(phase(0, 0.0, 0.2, 9), phase(1, 0.013, 0.5, 9, error_x=0.015))
    assert uncertain_eV(found, CATALOGUE) == [pytest.approx(0.025)]


def test_ends_of_an_order_far_apart_are_divided_the_widest_first() -> None:
    """393 to 432 K is 9 % of T, 432 to 455 K is 5 %, 455 to 460 K is near; the grid does not become finer without end."""
    flat = np.ones(1 + RESAMPLES)
    ends = [(-0.05, 393.0), (0.0, 432.0), (0.05, 455.0), (0.1, 460.0)]
    line = tuple(Crossing((0, -1), t * flat, mu * flat, np.array([[0.3], [0.32]]) * flat, Along.TEMPERATURE) for mu, t in ends)
    found = PhasesOfCell(64, (), (line,), ())
    assert uncertain_eV(found, CATALOGUE) == [pytest.approx(-0.025), pytest.approx(0.025)]
    fine = SimpleNamespace(grid_eV=np.linspace(-0.2, 0.2, 161), mu_eV=GRID_EV)
    assert uncertain_eV(found, fine) == []  # type: ignore[arg-type]
