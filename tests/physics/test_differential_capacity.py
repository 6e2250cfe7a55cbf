"""-dQ/dV of solutions whose free energy is known."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from ase import Atoms
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.report import figures
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.electrochemistry import DifferentialCapacity
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.thermodynamics.differential_capacity import BROADENING_V, STEP_V, differential_capacity_group
from redoxmc.engine.thermodynamics.free_energy.isotherms import Isotherms
from redoxmc.engine.thermodynamics.phase_diagram.diagram import Diagram, build_diagram
from redoxmc.engine.thermodynamics.voltage import capacity_per_x, richest
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.mean_field import Float, FreeEnergy, all_trusted, ideal, isotherms_of

SITE_EV, REFERENCE_EV, W_EV = -4.0, -1.3, 0.16
E0_V = REFERENCE_EV - SITE_EV


def of_olivine(free_energy: FreeEnergy, temperatures_K: list[float], olivine: Lattice, noise_eV: float = 0.0) -> Isotherms:
    found = isotherms_of(free_energy, temperatures_K, n_fu=4000, noise_eV=noise_eV)
    cell = Supercell(olivine, np.eye(3, dtype=int))
    full = np.zeros(cell.n_sites, np.int8)
    system: Any = SimpleNamespace(
        n_formula_units=4000,
        step=1,
        ion="Na+",
        lattice=olivine,
        supercell=cell,
        n_range=(0, 4),
        any_state=lambda n: full,
        charge=None,
        neutral_counts=found.system.neutral_counts,
    )
    return replace(found, system=system)


def group_of(isotherms: Isotherms, trusted_below: float = np.inf, diagram: Diagram | None = None) -> DifferentialCapacity:
    trusted = np.broadcast_to(isotherms.x_grid < trusted_below, (len(isotherms.rungs), len(isotherms.grid)))
    canonical = replace(all_trusted(isotherms), asked=isotherms.asked, trusted=trusted)
    group = differential_capacity_group(isotherms, diagram, REFERENCE_EV, trusted)
    assert figures.differential_capacity(Results(Attributes(), canonical=canonical, differential_capacity=group), None)
    return group


def regular(x: Float, t: float) -> Float:
    return SITE_EV * x + W_EV * x * (1 - x) + ideal(x, t)


def test_ideal_solution(olivine: Lattice) -> None:
    """V = E0 - 2kT ln[x/(1-x)], so -dQ/dV = C x (1 - x)/2kT, broadened alike; its integral is the capacity of NaFePO4, 154.2
    mAh/g.
    """
    isotherms = of_olivine(lambda x, t: SITE_EV * x + ideal(x, t), [300.0, 800.0], olivine)
    group, capacity = group_of(isotherms), capacity_per_x(isotherms)
    v = group.voltage_V
    assert abs(capacity - 154.2) < 0.1
    for t, found in zip(group.temperature_K, group.differential_capacity_mAh_per_g_per_V):
        width = 2 * BOLTZMANN_EV_PER_K * t
        x = 1 / (1 + np.exp((v - E0_V) / width))
        exact = gaussian_filter1d(capacity * x * (1 - x) / width, BROADENING_V / STEP_V)
        inner = np.abs(v - E0_V) < 5 * width  # beyond it there are only a few ions of the 4000
        assert np.abs(found - exact)[inner].max() < 2e-3 * exact.max()
        assert abs(found.sum() * STEP_V - capacity) < 1e-5 * capacity
    assert group.trusted.all()


def test_what_is_stored_where_nothing_is_trusted_has_no_value(olivine: Lattice) -> None:
    isotherms = of_olivine(lambda x, t: SITE_EV * x + ideal(x, t), [300.0, 800.0], olivine)
    every, part = group_of(isotherms), group_of(isotherms, trusted_below=0.6)
    v, found = part.voltage_V, part.differential_capacity_mAh_per_g_per_V
    for row, t in enumerate(part.temperature_K):
        x = 1 / (1 + np.exp((v - E0_V) / (2 * BOLTZMANN_EV_PER_K * t)))
        away = (np.abs(x - 0.6) > 0.07) & (x > 1e-3)
        assert (part.trusted[row] == (x < 0.6))[away].all() and (np.isfinite(found[row]) == part.trusted[row]).all()
        same = np.interp(v, every.voltage_V, every.differential_capacity_mAh_per_g_per_V[row])
        assert np.allclose(found[row][part.trusted[row] & away], same[part.trusted[row] & away], rtol=0.02)
    assert v.min() < E0_V < v.max() and len(v) < len(every.voltage_V), "the axis too is that of what is trusted"


def test_a_plateau_is_a_peak_of_its_charge(olivine: Lattice) -> None:
    """Regular solution at 300 K: the charge between the two phases goes in at E0, as a Gaussian; the integral stays."""
    isotherms = of_olivine(regular, [300.0], olivine)
    group, capacity = group_of(isotherms, diagram=build_diagram(isotherms)), capacity_per_x(isotherms)
    kT = BOLTZMANN_EV_PER_K * 300
    binodal = brentq(lambda x: 2 * kT * np.log(x / (1 - x)) + W_EV * (1 - 2 * x), 1e-9, 0.4)
    v, found = group.voltage_V, group.differential_capacity_mAh_per_g_per_V[0]
    charge = capacity * (1 - 2 * binodal)
    peak = charge / np.sqrt(2 * np.pi) / BROADENING_V
    assert abs(v[found.argmax()] - E0_V) <= STEP_V and peak < found.max() < 1.1 * peak
    assert abs(found.sum() * STEP_V - capacity) < 1e-5 * capacity
    near = np.abs(v - E0_V) < 5 * BROADENING_V
    assert charge < found[near].sum() * STEP_V < capacity


def test_errors_follow_the_noise(olivine: Lattice) -> None:
    """Ten times the noise of F, ten times the error, where the hull does not change with it."""
    quiet, loud = (group_of(of_olivine(lambda x, t: SITE_EV * x + ideal(x, t), [500.0], olivine, e)) for e in (1e-6, 1e-5))
    found = quiet.differential_capacity_mAh_per_g_per_V
    middle = found[0] > 0.2 * found.max()
    shared = np.interp(quiet.voltage_V, loud.voltage_V, loud.differential_capacity_mAh_per_g_per_V_error[0])
    ratio = shared[middle] / quiet.differential_capacity_mAh_per_g_per_V_error[0][middle]
    assert np.abs(np.median(ratio) - 10) < 1.5


def test_capacity_is_per_gram_of_a_compound_that_the_charges_allow() -> None:
    """Two sodium sites of which Mn3+ can pay for one: 243.8 mAh per gram of NaMnO2, not 201.6 of Na2MnO2."""
    positions = [(1 / 3, 2 / 3, 0.75), (0, 0, 0.25), (0, 0, 0), (1 / 3, 2 / 3, 0.09), (2 / 3, 1 / 3, 0.4)]
    atoms = Atoms("Na2MnO2", scaled_positions=positions, cell=[2.9, 2.9, 11, 90, 90, 120], pbc=True)
    manganese = Sublattice("Mn", (Species("Mn3+", 3), Species("Mn4+", 4)))
    lattice = build_lattice(atoms, (Sublattice("Na", (Species("Na+", 1), Species("Va", 0))), manganese), {"O": -2})
    isotherms: Any = SimpleNamespace(system=build_system(Hamiltonian(lattice), np.eye(3, dtype=int), ("Na+",)))
    assert richest(isotherms) == {"Na": 1, "Mn": 1, "O": 2}
    assert abs(capacity_per_x(isotherms) - 243.8) < 0.1
