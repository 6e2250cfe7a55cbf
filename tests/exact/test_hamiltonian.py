"""The flat table against icet and against its own total, also where sites see their own images."""

import numpy as np
import pytest
from ase import Atoms
from icet import ClusterExpansion

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.clusters import cluster_space, from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.chain import advance
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.units import NEV_PER_EV
from redoxmc.kernels.energy import site_change
from redoxmc.kernels.halo import fill_halo

from ..helpers.enumeration import begin, semigrand
from ..helpers.systems import HOST, SODIUM

CELLS = [
    np.diag([1, 1, 1]),
    np.diag([1, 2, 1]),
    np.diag([2, 1, 2]),
    np.array([[1, 1, 0], [0, 2, 1], [0, 0, 3]]),
    np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
]


def random_species(system: System, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([rng.integers(len(system.lattice.sublattices[g].species)) for g in system.supercell.site_sublattice], np.int8)


def change(system: System, species: np.ndarray, site: int, new: int) -> int:
    g = system.geometry
    return site_change(fill_halo(species, g), g.home[site], g.template[site], int(species[site]), new, system.couplings)


def check_against_icet(expansion: ClusterExpansion, lattice: Lattice, matrix: np.ndarray) -> None:
    system = build_system(from_icet(expansion, lattice), matrix, ())
    n_fu = system.n_formula_units
    for seed in range(4):
        species = random_species(system, seed)
        energy = system.energy_neV(species)
        assert abs(energy / NEV_PER_EV / n_fu - expansion.predict(system.supercell.to_atoms(species))) < 1e-6
        for site in np.random.default_rng(seed).integers(len(species), size=6):
            for new in range(len(lattice.sublattices[system.supercell.site_sublattice[site]].species)):
                flipped = species.copy()
                flipped[site] = new
                d = change(system, species, site, new)
                assert d == system.energy_neV(flipped) - energy
                icet = expansion.predict(system.supercell.to_atoms(flipped)) - expansion.predict(
                    system.supercell.to_atoms(species)
                )
                assert abs(d / NEV_PER_EV / n_fu - icet) < 1e-6


@pytest.mark.parametrize("matrix", CELLS, ids=lambda m: str(m.tolist()))
def test_table_agrees_with_icet(matrix: np.ndarray, olivine: Lattice, olivine_expansion: ClusterExpansion) -> None:
    check_against_icet(olivine_expansion, olivine, matrix)


@pytest.mark.parametrize("matrix", CELLS[:2], ids=lambda m: str(m.tolist()))
def test_three_species_and_quadruplets(matrix: np.ndarray, olivine: Lattice) -> None:
    manganese = Sublattice("Fe", (Species("Mn2+", 2), Species("Mn3+", 3, "Cr"), Species("Mn4+", 4, "V")))
    lattice = build_lattice(olivine.atoms, (SODIUM, manganese), HOST)
    space = cluster_space(lattice, (5.0, 4.5, 4.2))
    check_against_icet(ClusterExpansion(space, np.random.default_rng(2).normal(size=len(space))), lattice, matrix)


def test_cell_of_several_primitive_cells(olivine: Lattice) -> None:
    doubled = build_lattice(olivine.atoms * (1, 2, 1), olivine.sublattices, HOST)
    space = cluster_space(doubled, (5.0, 4.5))
    check_against_icet(ClusterExpansion(space, np.random.default_rng(3).normal(size=len(space))), doubled, np.diag([1, 1, 1]))


def test_unordered_pairs_count_once_with_images() -> None:
    """Simple cubic, one site per cell: three bonds per site in any cell, also 1x1x1 where a site bonds with itself."""
    lattice = build_lattice(Atoms("H", cell=[2, 2, 2], pbc=True), (Sublattice("H", (Species("A", 0), Species("B", 0))),), {})
    both = Hamiltonian(
        lattice, tuple(pair_clusters(lattice, ("A", "A"), (0, 2.1), 1.0) + pair_clusters(lattice, ("A", "B"), (0, 2.1), 10.0))
    )
    for matrix in (np.eye(3, dtype=int), np.diag([2, 1, 1]), np.diag([3, 2, 2]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]])):
        system = build_system(both, matrix, ())
        all_a = np.zeros(system.supercell.n_sites, np.int8)
        assert system.energy_neV(all_a) == 3 * len(all_a) * NEV_PER_EV
        one_b = all_a.copy()
        one_b[0] = 1
        if len(all_a) > 4:
            assert system.energy_neV(one_b) == (3 * len(all_a) - 6 + 60) * NEV_PER_EV
    single = build_system(both, np.eye(3, dtype=int), ())
    assert single.energy_neV(np.ones(1, np.int8)) == 0


def test_shells_are_half_open() -> None:
    lattice = build_lattice(Atoms("H", cell=[2, 2, 2], pbc=True), (Sublattice("H", (Species("A", 0), Species("B", 0))),), {})
    assert len(pair_clusters(lattice, ("A", "B"), (2.0, 2.5), 1.0)) == 3
    assert len(pair_clusters(lattice, ("A", "B"), (1.0, 2.0), 1.0)) == 0
    assert len(point_clusters(lattice, "A", 1.0)) == 1


@pytest.mark.parametrize("millions", [1, pytest.param(10, marks=pytest.mark.validate)])
def test_running_energy_is_exact_after_millions_of_accepted_moves(olivine_hamiltonian: Hamiltonian, millions: int) -> None:
    system = build_system(olivine_hamiltonian, np.diag([2, 3, 3]), ("Na+",))
    chain, accepted = begin(system, 1), 0
    while accepted < millions * 1_000_000:
        record = advance(chain, system, system.moves, semigrand(system, 3000.0, 0.0), empty_tally(system), 20_000)
        accepted += int(record.accepted.sum())
    assert chain.energy == system.energy_neV(chain.species) == record.energy[-1]
    assert chain.ions[0] == system.count_ions(chain.species)[0]
    assert int(sum(np.sum(chain.species[system.supercell.site_sublattice == g] == 0) * s for g, s in ((0, 1), (1, -1)))) == 0
