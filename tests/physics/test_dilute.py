"""Pairs in the dilute limits against typed-in energies and enumeration; solubility limits of a diagram typed in."""

import numpy as np
import pytest

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.runtime.results.phase_diagram import Boundaries, PhaseDiagram
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.thermodynamics.order.dilute import dilute_group, dilute_pairs, solubility_limit
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV

from ..helpers.blank import blank
from ..helpers.enumeration import enumerate_states

NEAR_EV, NEXT_EV = -0.09, 0.03  # Na+ and Fe2+ up to 3.9 A, and from there to 5.7 A


@pytest.fixture(scope="module")
def typed(olivine: Lattice) -> System:
    clusters = [
        *point_clusters(olivine, "Na+", -4.0),
        *pair_clusters(olivine, ("Na+", "Fe2+"), (0, 3.9), NEAR_EV),
        *pair_clusters(olivine, ("Na+", "Fe2+"), (3.9, 5.7), NEXT_EV),
        *pair_clusters(olivine, ("Na+", "Na+"), (0, 4.0), 0.02),
    ]
    return build_system(Hamiltonian(olivine, tuple(clusters)), np.array([[2, 0, 0], [0, 3, 1], [0, 0, 3]]), ("Na+",))


@pytest.mark.parametrize("side", [0, 1])
def test_pairs_have_the_energies_of_their_states(side: int, olivine_hamiltonian: Hamiltonian) -> None:
    system = build_system(olivine_hamiltonian, np.diag([2, 2, 2]), ("Na+",))
    pairs = dilute_pairs(system, side)
    assert pairs is not None and pairs.count.sum() == 32 * 32 and pairs.species == ("Na+ and Fe2+", "Va and Fe3+")[side]
    host = random_neutral_state(system.supercell, "Na+", system.n_range[side], np.random.default_rng(0))
    for sites, energy in zip(pairs.sites, pairs.energy_neV):
        one = host.copy()
        one[sites] = 1 - one[sites]
        assert system.energy_neV(one) - system.energy_neV(host) == energy
    apart = system.supercell.to_atoms(host)
    atoms = [s // system.lattice.n_sites * len(system.lattice.atoms) + system.lattice.site_atom[s % 8] for s in pairs.sites[7]]
    assert apart.get_distance(*atoms, mic=True) == pytest.approx(pairs.distance_A[7])


def test_binding_energies_are_those_typed_in(typed: System) -> None:
    group = dilute_group(typed, np.array([300.0]))
    assert group is not None
    for pair in (group.low, group.high):
        assert pair is not None
        distance, energy = pair.distance_A, pair.binding_energy_eV
        expected = np.where(distance < 3.9, NEAR_EV, np.where(distance < 5.7, NEXT_EV, 0.0))
        assert np.allclose(energy, expected, atol=1e-9)  # bilinear: a vacancy and a hole attract like an ion and an electron
        random = pair.random_probability
        weight = random * np.exp(-expected / (BOLTZMANN_EV_PER_K * 300))
        assert np.allclose(pair.probability[0], weight / weight.sum(), rtol=1e-6)
        assert random[:3] * 72 == pytest.approx(2)  # 2 + 2 + 2 irons around a sodium, 72 in the cell


def test_exchanges_that_the_host_cannot_make_are_left_out(olivine: Lattice) -> None:
    """With Mn4+ beside Mn2+ and Mn3+ in an empty host of Mn3+ there is no Mn4+ to reduce."""
    manganese = Sublattice("Fe", (Species("Mn2+", 2), Species("Mn3+", 3), Species("Mn4+", 4)))
    lattice = build_lattice(olivine.atoms, (olivine.sublattices[0], manganese), {"P": 5, "O": -2})
    system = build_system(Hamiltonian(lattice, tuple(point_clusters(lattice, "Mn4+", 1.0))), np.diag([1, 1, 1]), ("Na+",))
    assert dilute_pairs(system, 0) is None  # Mn3+ may disproportionate, so that the empty host is not one state
    pairs = dilute_pairs(system, 1)
    assert pairs is not None and pairs.species == "Va and Mn3+" and pairs.count.sum() == 16


@pytest.mark.parametrize("side", ["low", "high"])
def test_probabilities_are_those_of_the_enumeration(side: str, medium: System) -> None:
    states, t = enumerate_states(medium), 400.0
    group = dilute_group(medium, np.array([t, 900.0]))
    assert group is not None
    pair = group.low if side == "low" else group.high
    assert pair is not None
    energy = states.energy_eV[states.n == (1 if side == "low" else 7)]
    weight = np.exp(-(energy - energy.min()) / (BOLTZMANN_EV_PER_K * t))
    levels, member = np.unique(np.rint(energy * NEV_PER_EV).astype(int), return_inverse=True)
    exact = np.bincount(member.reshape(-1), weight) / weight.sum()
    binding = np.rint(pair.binding_energy_eV * NEV_PER_EV).astype(int)
    own, place = np.unique(binding, return_inverse=True)
    assert (np.diff(own) == np.diff(levels)).all()
    assert np.bincount(place.reshape(-1), pair.probability[0]) == pytest.approx(exact, rel=1e-6)


def test_no_pairs_without_electrons_or_a_single_host(typed: System, ising: object) -> None:
    system: System = ising(3)  # type: ignore[operator]
    assert dilute_group(system, np.array([300.0])) is None


def test_solubility_limits_are_the_outermost_boundaries() -> None:
    t, x, side = np.array(
        [(300.0, 0.01, 0), (300.0, 0.3, 1), (300.0, 0.4, 0), (300.0, 0.95, 1), (400.0, 0.05, 0), (400.0, 0.2, 1)]
    ).T
    error, trusted = 0.001 * np.arange(6), [True] * 5 + [False]
    points = blank(Boundaries, temperature_K=t, x=x, side=side.astype(int), x_error=error, trusted=trusted)
    group = blank(PhaseDiagram, boundary=points)
    low, high = solubility_limit(group, 0), solubility_limit(group, 1)
    assert low.temperature_K.tolist() == [300, 400] and low.x.tolist() == [0.01, 0.05] and low.error.tolist() == [0, 0.004]
    assert high.x == pytest.approx([0.05, 0.8]) and high.trusted.tolist() == [True, False]
