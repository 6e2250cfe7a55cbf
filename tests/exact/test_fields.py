"""One chain weighed in three ways, by the table, by evaluated and by kept fields: the same moves from the same stream."""

import numpy as np
import pytest
from icet import ClusterExpansion
from numpy.typing import NDArray

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.clusters import cluster_space, from_icet
from redoxmc.engine.hamiltonian.polynomial import wide_polynomial
from redoxmc.engine.hamiltonian.table import round_to_neV
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.sampling.chains.chain import Chain
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.kernels.chain import ALWAYS, BLOCK, NEVER, WHERE_CHEAPER, is_cheaper, run
from redoxmc.kernels.fields import field_at, may_meet, mutual_at, spread
from redoxmc.kernels.halo import fill_halo, place
from redoxmc.kernels.layout import Board, Record, Scheme, State, Tally

from ..helpers.enumeration import begin, semigrand
from ..physics.test_electrostatics import CHARGES, charged_system

SKEWED = np.array([[4, 1, 0], [0, 3, -1], [1, 0, 3]])
TABLE = -1  # beside NEVER, ALWAYS and WHERE_CHEAPER


@pytest.fixture(scope="module")
def quadruplets(olivine: Lattice) -> Hamiltonian:
    space = cluster_space(olivine, (5.0, 4.5, 6.0))
    return from_icet(ClusterExpansion(space, np.random.default_rng(2).normal(scale=0.01, size=len(space))), olivine)


@pytest.fixture(scope="module")
def systems(olivine: Lattice, olivine_hamiltonian: Hamiltonian, quadruplets: Hamiltonian) -> dict[str, System]:
    built = {
        "smallest": build_system(olivine_hamiltonian, np.eye(3, dtype=int), ("Na+",)),
        "skewed": build_system(olivine_hamiltonian, SKEWED, ("Na+",)),
        "quadruplets": build_system(quadruplets, np.diag([1, 2, 2]), ("Na+",)),
        "charges": charged_system(olivine, np.diag([2, 2, 2]), CHARGES),
    }
    assert built["quadruplets"].fields[0].many_size.size
    return built


def half_full(system: System) -> NDArray[np.int8]:
    return random_neutral_state(system.supercell, "Na+", sum(system.n_range) // 2, np.random.default_rng(1))


def sweep(chain: Chain, system: System, temperature_K: float, tally: Tally, keep: int, sweeps: int = 1) -> Record:
    kinds = len(system.moves.names)
    record = Record(np.zeros(sweeps, int), np.zeros((sweeps, 1), int), np.zeros(kinds, int), np.zeros(kinds, int))
    model = system.model._replace(polynomial=wide_polynomial(None)) if keep == TABLE else system.model
    state = State(chain.species, chain.energy, chain.ions, chain.stream)
    scheme = Scheme(system.moves.arrays, semigrand(system, temperature_K, 0.05), tally)
    chain.energy = run(state, model, scheme, record, len(chain.species), keep)
    return record


@pytest.mark.parametrize("name", ["smallest", "skewed", "quadruplets", "charges"])
@pytest.mark.parametrize("temperature_K", [300.0, 2000.0])
def test_all_ways_make_the_same_moves(systems: dict[str, System], name: str, temperature_K: float) -> None:
    system = systems[name]
    ways = (TABLE, NEVER, ALWAYS)
    chains = [begin(system, 1, half_full(system)) for _ in ways]
    tallies = [empty_tally(system) for _ in ways]
    accepted = 0
    for _ in range(200):
        records = [sweep(c, system, temperature_K, t, k) for c, t, k in zip(chains, tallies, ways)]
        for chain, tally, record in zip(chains[1:], tallies[1:], records[1:]):
            assert chain.energy == chains[0].energy
            for a, b in zip(
                (chain.species, chain.stream, *record, tally.sums),
                (chains[0].species, chains[0].stream, *records[0], tallies[0].sums),
            ):
                assert np.array_equal(a, b)
        accepted += records[0].accepted.sum()
    assert accepted > 10
    assert chains[0].energy == system.energy_neV(chains[0].species)


def test_what_two_sites_have_in_common_matters(systems: dict[str, System]) -> None:
    """Without it the kept fields go wrong, so the comparison above would see it."""
    system = systems["smallest"]
    chain = begin(system, 1, half_full(system))
    polynomial, mutual = system.fields
    system.__dict__["fields"] = polynomial, mutual._replace(term=np.zeros_like(mutual.term))
    sweep(chain, system, 2000.0, empty_tally(system), ALWAYS, 20)
    system.__dict__["fields"] = polynomial, mutual
    assert chain.energy != system.energy_neV(chain.species)


def test_only_few_sites_may_meet(olivine_hamiltonian: Hamiltonian) -> None:
    """In a cell wider than the reach of the clusters: less than a tenth, all partners among them."""
    system = build_system(olivine_hamiltonian, np.diag([4, 7, 9]), ("Na+",))
    g, (p, m) = system.geometry, system.fields
    site = 700
    found = sum(may_meet(g.template[site], int(h) - int(g.home[site]), m) for h in g.home)
    partners = p.start[g.template[site] + 1] - p.start[g.template[site]]
    assert partners <= found < g.home.size / 10


@pytest.mark.parametrize("name", ["smallest", "skewed", "quadruplets"])
def test_who_may_meet_changes_but_the_time(systems: dict[str, System], name: str) -> None:
    """The same moves without the bits, as in large cells; with bits that say that nobody meets, wrong energies."""
    system = systems[name]
    polynomial, mutual = system.fields
    energies = []
    for bits in (mutual.near, np.zeros(0, np.uint64), np.zeros_like(mutual.near)):
        chain = begin(system, 1, half_full(system))
        system.__dict__["fields"] = polynomial, mutual._replace(near=bits)
        sweep(chain, system, 2000.0, empty_tally(system), ALWAYS, 20)
        energies.append((chain.energy, chain.stream.tolist(), chain.energy == system.energy_neV(chain.species)))
    system.__dict__["fields"] = polynomial, mutual
    assert mutual.near.size and energies[0] == energies[1] and energies[0][2] and not energies[2][2]


@pytest.mark.parametrize("name", ["smallest", "skewed", "quadruplets", "charges"])
def test_kept_fields_are_those_evaluated(systems: dict[str, System], name: str) -> None:
    """All of them, after flips here and there; and a mutual term is what one flip does to the other's field."""
    system = systems[name]
    g, (p, m) = system.geometry, system.fields
    species = half_full(system)
    halo, rng = fill_halo(species, g), np.random.default_rng(3)

    def evaluated() -> NDArray[np.int64]:
        return np.array([field_at(halo, g.home[s], g.template[s], p) for s in range(len(species))])

    fields = np.zeros(len(halo), np.int64)
    fields[g.home] = evaluated()
    for site in rng.integers(len(species), size=30):
        before, position, template = fields[g.home], g.home[site], g.template[site]
        shared = [
            sum(
                mutual_at(halo, position, template, int(at) - position, p, m)
                for at in g.images[g.image_start[s] : g.image_start[s + 1]]
            )
            for s in range(len(species))
        ]
        assert all(may_meet(template, int(g.home[s]) - position, m) for s in np.flatnonzero(shared))
        sign = 1 - 2 * int(species[site])
        spread(Board(halo, fields), position, template, sign, g, p)
        species[site] += sign
        place(halo, g, site, species[site])
        assert np.array_equal(fields[g.home], evaluated())
        assert np.array_equal(fields[g.home] - before, sign * np.array(shared))


def test_fields_are_kept_where_few_moves_are_accepted(systems: dict[str, System]) -> None:
    """A choice that changes nothing: the costs decide, by counts alone."""
    assert is_cheaper(False, 2 * BLOCK, 0, 10**6, 5760, 12288) and not is_cheaper(False, 2 * BLOCK, 0, 1000, 5760, 12288)
    assert not is_cheaper(True, 2 * BLOCK, BLOCK, 10**6, 5760, 12288) and is_cheaper(True, 2 * BLOCK, BLOCK // 3, 1, 5760, 12288)
    assert not is_cheaper(True, 2 * BLOCK, BLOCK // 3, 10**6, 500_000, 600_000)
    system = systems["skewed"]
    for temperature_K in (200.0, 5000.0):
        chains = [begin(system, 1, half_full(system)) for _ in range(2)]
        records = [sweep(c, system, temperature_K, empty_tally(system), k, 300) for c, k in zip(chains, (NEVER, WHERE_CHEAPER))]
        assert np.array_equal(records[0].energy, records[1].energy)
        assert np.array_equal(chains[0].species, chains[1].species) and np.array_equal(chains[0].stream, chains[1].stream)


def brute_force_neV(hamiltonian: Hamiltonian, system: System, species: NDArray[np.int8]) -> int:
    """Every cluster of every cell, its sites found by wrapping their cells."""
    cell = system.supercell
    cells = np.array(np.unravel_index(np.arange(cell.n_cells), cell.shape)).T
    energy = int(round_to_neV(np.array([hamiltonian.constant_eV]))[0]) * cell.n_cells
    for cluster in hamiltonian.clusters:
        held = [species[cell.cell_index(cells + np.array(c)) * cell.lattice.n_sites + s] for s, c in cluster.sites]
        energy += int(round_to_neV(cluster.energies_eV)[tuple(held)].sum())
    return energy


@pytest.mark.parametrize("matrix", [SKEWED, [[3, 3, -1], [-2, 3, 3], [3, -1, 4]], [[1, 5, 0], [0, 1, 7], [2, 0, 1]]], ids=str)
def test_energies_of_skewed_cells(olivine_hamiltonian: Hamiltonian, matrix: list[list[int]]) -> None:
    system = build_system(olivine_hamiltonian, np.array(matrix), ("Na+",))
    chain = begin(system, 2, half_full(system))
    for keep in (NEVER, ALWAYS):
        sweep(chain, system, 1000.0, empty_tally(system), keep, 50)
        assert chain.energy == system.energy_neV(chain.species) == brute_force_neV(olivine_hamiltonian, system, chain.species)
