"""Chemical potential over the mean composition, with plateaus in the two-phase regions, against free energies that are known."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.report.figures.curves import with_corners
from redoxmc.engine.sampling.ground_states.electron_ground_state import ions_lattice
from redoxmc.engine.thermodynamics.free_energy.isotherms import Isotherms
from redoxmc.engine.thermodynamics.phase_diagram.boundaries import Gap
from redoxmc.engine.thermodynamics.phase_diagram.diagram import Diagram, build_diagram
from redoxmc.engine.thermodynamics.plateaus import Curve, curves
from redoxmc.engine.thermodynamics.voltage import voltage_group
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.mean_field import Float, all_trusted, ideal, isotherms_of
from .test_differential_capacity import E0_V, REFERENCE_EV, W_EV, of_olivine, regular

T_K = 300.0
KT = BOLTZMANN_EV_PER_K * T_K


def exact_mu(x: Float) -> Float:
    """Of the regular solution in one phase, above the energy of a site."""
    return 2 * KT * np.log(x / (1 - x)) + W_EV * (1 - 2 * x)


def test_means_of_a_small_cell_are_exact() -> None:
    """Twelve counts with any F: the mean composition at the chemical potential that is found is the one asked for."""
    f = np.random.default_rng(2).normal(scale=0.01, size=(1, 13))
    of = Curve(np.arange(13) / 12, np.vstack([f, f + 1e-4 * np.arange(13) / 12]), 12 / KT, ())
    x = np.linspace(0.01, 0.99, 23)
    mu = of.mu_eV(x)
    weights = np.exp(12 / KT * (mu[0][:, None] * of.x - f))
    assert weights @ of.x / weights.sum(axis=1) == pytest.approx(x, abs=1e-8)
    assert mu[1] - mu[0] == pytest.approx(np.full(23, 1e-4), rel=0.02), "a resample that is tilted by 0.1 meV"
    assert np.isneginf(of.mu_eV(np.array([0.0]))).all() and np.isposinf(of.mu_eV(np.array([1.0]))).all()


def test_plateaus_have_the_boundaries_of_the_diagram(olivine: Lattice) -> None:
    """Regular solution: one plateau at E0, between the boundaries of the diagram, where the curve of one phase reaches it."""
    isotherms = of_olivine(regular, [T_K], olivine, noise_eV=1e-6)
    diagram = build_diagram(isotherms)
    (of,), ((gap,),) = curves(isotherms, diagram), diagram.rows
    (plateau,) = of.plateaus
    assert plateau.x == gap.x and plateau.mu_eV[0] == pytest.approx(REFERENCE_EV - E0_V, abs=1e-7)
    near = np.array([gap.x[0] - 1e-5, gap.x[0], 0.5, gap.x[1], gap.x[1] + 1e-5])
    assert of.mu_eV(near)[0] == pytest.approx(plateau.mu_eV[0], abs=2e-5) and np.ptp(of.mu_eV(near)[:, 1:4], axis=1).max() == 0
    x = np.concatenate([np.linspace(0.01, gap.x[0], 9), np.linspace(gap.x[1], 0.99, 9)])
    found = of.mu_eV(x)[0] - REFERENCE_EV + E0_V
    assert found == pytest.approx(exact_mu(x), abs=5e-4) and (np.diff(found) >= 0).all()
    group = voltage_group(isotherms, diagram, {"Na": REFERENCE_EV}, all_trusted(isotherms).trusted)
    assert group is not None and group.plateau is not None
    assert group.plateau.x.tolist() == [list(gap.x)] and group.plateau.voltage_V == pytest.approx([E0_V], abs=1e-7)
    inside = (group.x >= gap.x[0]) & (group.x <= gap.x[1])
    assert inside.sum() > 50 and (group.voltage_V[0, inside] == group.plateau.voltage_V[0]).all()
    x, drawn, _ = with_corners(group, 0)
    at = np.searchsorted(x, gap.x)
    assert x[at].tolist() == list(gap.x) and (drawn[at] == group.plateau.voltage_V[0]).all() and len(x) == len(group.x) + 2
    assert (group.voltage_V_error[0, inside] == group.plateau.voltage_V_error[0]).all() and 0 < group.plateau.voltage_V_error[
        0
    ] < 1e-5


def test_ions_alone_have_the_charge_of_the_input(olivine: Lattice) -> None:
    """With the electrons in their ground state the lattice of the ions has no charges, and the voltage is the same."""
    isotherms = of_olivine(regular, [T_K], olivine)
    alone = replace(isotherms, system=SimpleNamespace(**{**vars(isotherms.system), "lattice": ions_lattice(olivine)}))
    charged = replace(alone, system=SimpleNamespace(**{**vars(alone.system), "charge": 1}))
    trusted, reference = all_trusted(isotherms).trusted, {"Na": REFERENCE_EV}
    wanted, found = (voltage_group(i, None, reference, trusted) for i in (isotherms, charged))
    assert wanted is not None and found is not None and np.array_equal(wanted.voltage_V, found.voltage_V, equal_nan=True)
    assert voltage_group(alone, None, reference, trusted) is None


def test_without_a_region_there_is_no_plateau(olivine: Lattice) -> None:
    """What one cell shows and the diagram does not: the mean rises from phase to phase over a few kT per cell."""
    isotherms = of_olivine(regular, [T_K], olivine)
    (of,) = curves(isotherms, None)
    assert of.plateaus == () and not of.inside(np.array([0.5])).any()
    assert np.diff(of.mu_eV(np.array([0.2, 0.5, 0.8]))[0]) == pytest.approx([0, 0], abs=10 * KT / 4000)


def of_lines(isotherms: Isotherms, mu_eV: float, error_eV: float) -> Diagram:
    """A region between two phases of different order, from their grand potentials."""
    picks = mu_eV + error_eV * np.random.default_rng(0).normal(size=50)
    gap = Gap((0.3, 0.42), (0.001, 0.001), np.nan, np.nan, region=0, of_phases=True, mu_eV=(mu_eV, *picks.tolist()))
    trace: Any = SimpleNamespace(temperature_K=isotherms.temperature_K)
    return Diagram(trace, [[gap] for _ in isotherms.rungs], [], [], [], True)


@pytest.mark.parametrize("vibrating", [False, True])
def test_phases_of_different_order_coexist_at_the_mu_of_their_line(vibrating: bool) -> None:
    """Also where F(T, n) of the cell has one minimum; the curve stays monotonic. Vibrations shift it by their own slope."""
    isotherms = isotherms_of(lambda x, t: ideal(x, t), [T_K])
    if vibrating:
        energies: Any = SimpleNamespace(at=lambda t, x: SimpleNamespace(free_energy_eV=np.full((1, 1), 0.05) * x**2))
        isotherms = replace(isotherms, vibrations=energies)
    line_eV = float(2 * KT * np.log(0.36 / 0.64))
    (of,) = curves(isotherms, of_lines(isotherms, line_eV, 2e-4))
    shift = 0.05 * (0.42 + 0.3) * vibrating
    mu = of.mu_eV(np.linspace(0.05, 0.95, 91))
    inside = of.inside(np.linspace(0.05, 0.95, 91))
    assert inside.sum() == 13 and mu[0, inside] == pytest.approx(line_eV + shift) and (np.diff(mu[0]) >= 0).all()
    assert mu[1:, inside].std(axis=0) == pytest.approx(2e-4, rel=0.3)
