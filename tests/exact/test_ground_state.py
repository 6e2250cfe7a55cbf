"""Ions with the best electrons, against enumeration of both."""

import numpy as np
import pytest
from ase.spacegroup import crystal
from scipy.special import gammaln, logsumexp

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.hamiltonian.electrostatics import electrostatic_clusters
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.ground_states.electron_ground_state import (
    bias_eV,
    exact_hamiltonian,
    ground_states,
    ions_lattice,
    of_ions,
)
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV

from ..helpers.cubic import cubic_lattice
from ..helpers.enumeration import Enumeration, enumerate_states
from ..helpers.systems import HOST, SODIUM


def lowest(e: Enumeration) -> dict[bytes, float]:
    """Least energy (eV) of every ion arrangement, by brute force."""
    found: dict[bytes, float] = {}
    for ions, energy in zip(of_ions(e.system, e.states), e.energy_eV):
        found[ions.tobytes()] = min(energy, found.get(ions.tobytes(), np.inf))
    return found


@pytest.mark.parametrize("cell", ["small", "medium"])
def test_energies_of_the_ions_are_the_minima_over_the_electrons(cell: str, request: pytest.FixtureRequest) -> None:
    """All 16 and all 256 arrangements; and F, in which a degenerate minimum counts once."""
    system: System = request.getfixturevalue(cell)
    wanted = lowest(enumerate_states(system))
    ions = ions_lattice(system.lattice)
    alone = build_system(exact_hamiltonian(system, ions), system.supercell.matrix, ("Na+",))
    assert len(wanted) == 2**system.n_formula_units
    for state, energy in wanted.items():
        assert alone.energy_neV(np.frombuffer(state, np.int8)) / NEV_PER_EV == pytest.approx(energy, abs=1e-7)
    e = enumerate_states(alone)
    log_z = e.log_z(400.0)
    for n in range(system.n_formula_units + 1):
        minima = [v for s, v in wanted.items() if (np.frombuffer(s, np.int8) == 0).sum() == n]
        assert log_z[n] == pytest.approx(logsumexp(-np.array(minima) / (BOLTZMANN_EV_PER_K * 400.0)), abs=1e-5)
    hot = np.diff(e.log_z(1e9))
    assert hot == pytest.approx(np.diff(enumerate_states(alone).log_z(1e12)), abs=1e-3), "the ideal part is C(N, n), once"
    assert e.log_z(1e12)[1] == pytest.approx(np.log(system.n_formula_units), abs=1e-6)


@pytest.mark.parametrize("attraction_eV", [0.0, -0.05])
def test_degenerate_minima_of_the_electrons_count_once(attraction_eV: float) -> None:
    """8 + 8 sites. With electrons in equilibrium all their arrangements count.

    If the energy does not see them, F differs by kT ln C(8, n), at any temperature. Else, near T = 0, by kT times the logarithm
    of the mean number of lowest electron arrangements of a lowest ion arrangement.
    """
    lattice, matrix = cubic_lattice(), np.diag([2, 2, 2])
    clusters = pair_clusters(lattice, ("Na+", "Na+"), (3.9, 4.1), 0.08)
    clusters += pair_clusters(lattice, ("Na+", "Fe2+"), (3.3, 3.6), attraction_eV) if attraction_eV else []
    hamiltonian = Hamiltonian(lattice, tuple(clusters))
    system = build_system(hamiltonian, matrix, ("Na+",))
    found = ground_states(lattice, matrix, "Na+", lambda _: hamiltonian, (400.0,), 1)
    both, alone = enumerate_states(system), enumerate_states(build_system(found.hamiltonian, matrix, ("Na+",)))
    n = np.arange(9)
    if not attraction_eV:
        more = both.log_z(300.0) - alone.log_z(300.0)
        assert more == pytest.approx(gammaln(9) - gammaln(n + 1) - gammaln(9 - n), abs=1e-4)
        return
    more = both.log_z(3.0) - alone.log_z(3.0)
    for m in n:
        states = both.states[(both.n == m)][both.energy_eV[both.n == m] < both.energy_eV[both.n == m].min() + 1e-6]
        ions = {s.tobytes() for s in of_ions(system, states)}
        assert more[m] == pytest.approx(np.log(len(states) / len(ions)), abs=1e-4)
    assert more.max() > 1.5, "there are degenerate minima"


def electronic(lattice: Lattice) -> Hamiltonian:
    """Ions repel, electrons are drawn to them: minima that are many-body in the ions."""
    clusters = point_clusters(lattice, "Na+", -1.0)
    clusters += pair_clusters(lattice, ("Na+", "Fe2+"), (0, 3.9), -0.05) + pair_clusters(
        lattice, ("Fe2+", "Fe2+"), (0, 4.2), 0.03
    )
    return Hamiltonian(lattice, tuple(clusters))


@pytest.mark.runs
def test_small_supercells_are_exact_and_large_ones_fitted(olivine: Lattice) -> None:
    hamiltonian = electronic(olivine)
    small = ground_states(olivine, np.diag([1, 2, 1]), "Na+", lambda _: hamiltonian, (400.0,), 1)
    assert small.record == {"ground_states": "listed"}
    large = ground_states(olivine, np.diag([2, 3, 3]), "Na+", lambda _: hamiltonian, (400.0,), 1)
    assert large.record["n_cells"] > 300 and large.record["validation_rmse_eV"] < 0.006
    cell = build_system(hamiltonian, np.diag([1, 2, 1]), ("Na+",))
    assert np.abs(bias_eV(cell, small.hamiltonian, 400.0)).max() < 1e-8
    bias = bias_eV(cell, large.hamiltonian, 400.0)
    assert np.abs(bias[[0, -1]]).max() < 1e-7, "the ends are exact"
    assert 1e-5 < np.abs(bias).max() < 0.006, "and what lies between is measured"
    assert np.abs(bias).max() <= large.record["largest_bias_eV"][400.0] < 0.01
    assert f"{1e3 * large.record['largest_bias_eV'][400.0]:.1f} meV/fu" in large.note


@pytest.mark.runs
def test_ions_that_need_no_electrons_are_fitted_exactly(olivine: Lattice) -> None:
    """The energy does not see the electrons: the expansion must be the Hamiltonian itself, in any supercell."""
    clusters = point_clusters(olivine, "Na+", -1.0) + pair_clusters(olivine, ("Na+", "Na+"), (0, 4.0), 0.03)
    found = ground_states(olivine, np.diag([2, 3, 3]), "Na+", lambda _: Hamiltonian(olivine, tuple(clusters)), (400.0,), 1)
    assert found.record["rmse_eV"] < 1e-5
    full = build_system(Hamiltonian(olivine, tuple(clusters)), np.diag([2, 3, 3]), ("Na+",))
    alone = build_system(found.hamiltonian, np.diag([2, 3, 3]), ("Na+",))
    rng = np.random.default_rng(0)
    state = np.ones(full.supercell.n_sites, np.int8)
    state[rng.permutation(np.flatnonzero(full.supercell.site_sublattice == 0))[:30]] = 0
    difference = alone.energy_neV(of_ions(full, state[None])[0]) - full.energy_neV(state)
    assert abs(difference) / NEV_PER_EV / full.n_formula_units < 1e-5


@pytest.mark.runs
def test_point_charges_are_those_of_each_supercell(olivine: Lattice) -> None:
    """Mutant: the table of the sampled supercell in a small one. The spread of the energies is 0.56 eV/fu."""
    asked: list[list[list[int]]] = []

    def charged(matrix: np.ndarray) -> Hamiltonian:
        asked.append(matrix.tolist())
        charges = {"Na+": 0.3, "Fe2+": -0.3}
        return Hamiltonian(olivine, tuple(electrostatic_clusters(Supercell(olivine, matrix), charges, 1.0)))

    found = ground_states(olivine, np.diag([2, 3, 3]), "Na+", charged, (400.0,), 1)
    assert found.record["validation_rmse_eV"] < 0.006
    assert len(asked) == 15 and all(round(np.linalg.det(m)) <= 3 for m in asked) and len({str(m) for m in asked}) == 15
    cell = build_system(charged(np.diag([1, 2, 1])), np.diag([1, 2, 1]), ("Na+",))
    assert 1e-4 < np.abs(bias_eV(cell, found.hamiltonian, 400.0)).max() < 0.02


@pytest.mark.runs
def test_clusters_that_small_cells_cannot_tell_apart_are_left_out() -> None:
    """Two sites of the diamond lattice, with four sites of electrons between them: no set of cutoffs is determined as a whole."""
    spinel = crystal(
        ["Li", "Mn"], [(1 / 8,) * 3, (0.5,) * 3], spacegroup=227, setting=2, cellpar=[8.247] * 3 + [90] * 3, primitive_cell=True
    )
    kinds = (Sublattice("Li", (Species("Li+", 1), Species("Va", 0))), Sublattice("Mn", (Species("Mn3+", -1), Species("Mn4+", 0))))
    lattice = build_lattice(spinel, kinds, {})
    clusters = pair_clusters(lattice, ("Li+", "Li+"), (3.4, 3.7), 0.066) + pair_clusters(
        lattice, ("Li+", "Mn3+"), (3.3, 3.5), -0.07
    )
    found = ground_states(lattice, np.diag([2, 4, 4]), "Li+", lambda _: Hamiltonian(lattice, tuple(clusters)), (400.0,), 1)
    assert 5 < found.record["n_parameters"] < found.record["n_cells"] and found.record["validation_rmse_eV"] < 0.02


def test_elements_that_mix_with_charges_are_refused(olivine: Lattice) -> None:
    mixed = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3), Species("Mn2+", 2)))
    for sublattices in ((SODIUM, mixed), (Sublattice("Na", (Species("Na+", 1), Species("K+", 1))),)):
        lattice = build_lattice(olivine.atoms, sublattices, HOST | ({"Fe": 2} if len(sublattices) == 1 else {}))
        with pytest.raises(RedoxError, match="sublattices of ions and sublattices of electrons, apart"):
            ions_lattice(lattice)
