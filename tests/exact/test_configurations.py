"""Arrangements of ions and electrons: none missing, none twice, all neutral, over all compositions."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from icet.tools import enumerate_structures
from numpy.typing import NDArray

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.crystal.neutral_states import count_neutral_states, neutral_states, random_neutral_state
from redoxmc.engine.crystal.occupations import full_occupation, species_on_sites
from redoxmc.engine.crystal.supercells import distinct_supercells
from redoxmc.engine.crystal.symmetry import canonical, is_primitive, orbits, site_permutations, site_translations, space_group
from redoxmc.engine.potentials.labelling.annealing import DIELECTRIC, Annealer
from redoxmc.engine.potentials.labelling.configurations import (
    Configuration,
    charge_orders,
    choose_configurations,
    enumerate_configurations,
    key,
)

from ..helpers.systems import IRON, SODIUM

UNIT = np.eye(3, dtype=int)
SKEWED = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 3]])
CELLS = [np.diag(d) for d in ((1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (1, 3, 1))] + [SKEWED]
MANGANESE = Sublattice("Mn", (Species("Mn2+", 2), Species("Mn3+", 3, "Ga"), Species("Mn4+", 4, "Ti")))
LITHIUM = Sublattice("Li", (Species("Li+", 1), Species("Va", 0)))


@pytest.fixture(scope="module")
def hexagonal() -> Lattice:
    """One ion, one redox site and a trivalent anion along c; the rotations, transposed, are no rotations of this lattice."""
    cell = [[4.0, 0, 0], [-2.0, 2.0 * 3**0.5, 0], [0, 0, 7.0]]
    atoms = Atoms("NaFeN", scaled_positions=[[0, 0, 0], [0, 0, 0.5], [0, 0, 0.3]], cell=cell, pbc=True)
    return build_lattice(atoms, (SODIUM, IRON), {"N": -3})


@pytest.fixture(scope="module")
def layered() -> Lattice:
    """LiMnO2 with Mn2+, Mn3+ and Mn4+, rhombohedral."""
    cell = [[2.9, 0, 0], [-1.45, 1.45 * 3**0.5, 0], [0, 1.45 * 2 / 3**0.5, 4.8]]
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.24, 0.24, 0.24], [0.76, 0.76, 0.76]]
    atoms = Atoms("LiMnO2", scaled_positions=places, cell=cell, pbc=True)
    return build_lattice(atoms, (LITHIUM, MANGANESE), {"O": -2})


@pytest.fixture(scope="module")
def chosen(olivine: Lattice) -> list[Configuration]:
    return choose_configurations(olivine, CELLS, 320, seed=7)


def charge(lattice: Lattice, configuration: Configuration) -> int:
    supercell = configuration.supercell(lattice)
    held = species_on_sites(supercell, configuration.occupation())
    return supercell.n_cells * lattice.spectator_charge + sum(sp.charge for sp in held)


def all_neutral(lattice: Lattice, supercell: Supercell) -> NDArray[np.int8]:
    """Brute force over every occupation."""
    choices = [range(len(lattice.sublattices[g].species)) for g in supercell.site_sublattice]
    states = np.array(list(product(*choices)), np.int8)
    charges = [sum(sp.charge for sp in species_on_sites(supercell, s)) for s in states]
    return states[np.array(charges) == -supercell.n_cells * lattice.spectator_charge]


def icet_count(lattice: Lattice, size: int) -> int:
    """Neutral structures of exactly so many cells that repeat no smaller one."""
    charge_of = dict(lattice.spectators) | {sp.symbol: sp.charge for s in lattice.sublattices for sp in s.species}
    found = enumerate_structures(lattice.atoms, [size], lattice.allowed_symbols())
    return sum(sum(charge_of[s] for s in atoms.get_chemical_symbols()) == 0 for atoms in found)


def test_olivine_cell_against_brute_force_and_icet(olivine: Lattice) -> None:
    cell = Supercell(olivine, UNIT)
    permutations = site_permutations(cell)
    brute = all_neutral(olivine, cell)
    fixed = [(brute[:, p] == brute).all(axis=1).sum() for p in permutations]
    found = enumerate_configurations(olivine, UNIT, 70)
    assert len(brute) == 70 and len(permutations) == 8 and found is not None
    assert len(found) == np.mean(fixed) == icet_count(olivine, 1) == len({c.name for c in found})  # Burnside
    assert {c.species for c in found} == {canonical(s, permutations) for s in brute}
    assert enumerate_configurations(olivine, UNIT, 69) is None


def test_mutant_without_rotations_counts_more(olivine: Lattice) -> None:
    supercell = Supercell(olivine, np.diag([1, 2, 1]))
    everything, moved = site_permutations(supercell), site_translations(supercell)
    identity = np.arange(supercell.n_sites)[None]
    states = neutral_states(supercell, "Na+", 2)
    assert len(orbits(states, np.vstack([identity, moved]))) > len(orbits(states, everything))
    assert {p.tobytes() for p in moved} <= {p.tobytes() for p in everything}


@pytest.mark.parametrize("name", ["hexagonal", "layered"])
def test_all_cells_up_to_a_size_against_icet(name: str, request: pytest.FixtureRequest) -> None:
    """Every supercell of a size, most of them equivalent: one of each is kept, and in it what no smaller cell holds."""
    lattice = request.getfixturevalue(name)
    boxes = [(a, b, n // a // b) for n in (1, 2, 3, 4) for a, b in product(range(1, n + 1), repeat=2) if n % (a * b) == 0]
    cells = [[[a, i, j], [0, b, k], [0, 0, c]] for a, b, c in boxes for i, j, k in product(range(b), range(c), range(c))]
    found = choose_configurations(lattice, cells, 10**6, seed=0, limit=10**6)
    sizes = Counter(c.supercell(lattice).n_cells for c in found)
    assert sizes == {n: icet_count(lattice, n) for n in (1, 2, 3, 4)}


def test_rotated_supercells_are_one(hexagonal: Lattice) -> None:
    cell, turn = np.asarray(hexagonal.atoms.cell), np.array([[0.5, 3**0.5 / 2, 0], [-(3**0.5) / 2, 0.5, 0], [0, 0, 1]])
    for matrix in ([[1, 0, 0], [0, 2, 0], [0, 0, 1]], [[1, 0, 1], [0, 1, 1], [0, 0, 4]], [[1, 0, 1], [0, 3, 0], [0, 0, 2]]):
        rotated = np.rint(np.array(matrix) @ cell @ turn @ np.linalg.inv(cell)).astype(int)
        both = [Supercell(hexagonal, np.array(matrix)), Supercell(hexagonal, rotated)]
        assert (both[0].hermite != both[1].hermite).any()
        assert distinct_supercells(both) == both[:1]


@pytest.mark.parametrize("matrix", [np.diag([1, 2, 1]), SKEWED, np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]])])
def test_permutations_form_the_group_that_keeps_the_supercell(olivine: Lattice, matrix: NDArray[np.int64]) -> None:
    supercell = Supercell(olivine, matrix)
    permutations = site_permutations(supercell)
    images = [matrix @ rotation.T @ np.linalg.inv(matrix) for rotation in space_group(olivine.atoms)[0]]
    keeping = sum(np.allclose(m, np.rint(m)) for m in images)
    assert len(permutations) == keeping * supercell.n_cells
    members = {p.tobytes() for p in permutations}
    assert all(p[q].tobytes() in members for p in permutations for q in permutations[:: max(1, len(permutations) // 8)])


@pytest.mark.parametrize("matrix", [np.diag([1, 1, 2]), SKEWED])
def test_key_is_the_same_for_equivalent_arrangements_only(olivine: Lattice, matrix: NDArray[np.int64]) -> None:
    supercell, rng = Supercell(olivine, matrix), np.random.default_rng(3)
    permutations = site_permutations(supercell)
    rows = tuple(map(tuple, matrix.tolist()))
    keys = set()
    states = [random_neutral_state(supercell, "Na+", 5, rng) for _ in range(6)]
    for state in states:
        images = [state, *state[rng.permutation(permutations)[:3]], *state[site_translations(supercell)[:1]]]
        mine = {key(Configuration(rows, i.tobytes(), ""), olivine) for i in images}
        assert len(mine) == 1
        keys |= mine
    assert len(keys) == len({canonical(s, permutations) for s in states}) > 1
    sheared = tuple(map(tuple, (np.array([[1, 0, 0], [1, 1, 0], [0, -2, 1]]) @ matrix).tolist()))
    assert key(Configuration(sheared, states[-1].tobytes(), ""), olivine) in keys


def test_repeated_cell_is_not_primitive(olivine: Lattice) -> None:
    rng = np.random.default_rng(0)
    unit = random_neutral_state(Supercell(olivine, UNIT), "Na+", 2, rng)
    for matrix in (np.diag([1, 3, 1]), SKEWED):
        supercell = Supercell(olivine, matrix)
        moved = site_translations(supercell)
        repeated = np.tile(unit, 3)
        assert not is_primitive(repeated, moved)
        a, b = np.flatnonzero(unit[:4] == 0)[0], np.flatnonzero(unit[:4] == 1)[0]
        repeated[[a, b]] = repeated[[b, a]]
        assert is_primitive(repeated, moved)
    assert is_primitive(unit, site_translations(Supercell(olivine, UNIT)))


def test_chosen_are_neutral_distinct_and_primitive(olivine: Lattice, chosen: list[Configuration]) -> None:
    assert len(chosen) == 320 == len({key(c, olivine) for c in chosen}) == len({c.name for c in chosen})
    assert not any(charge(olivine, c) for c in chosen)
    assert all(is_primitive(c.occupation(), site_translations(c.supercell(olivine))) for c in chosen)
    assert all(c.name.endswith(key(c, olivine)) for c in chosen[::20])


def test_chosen_spread_over_cells_and_compositions(olivine: Lattice, chosen: list[Configuration]) -> None:
    by_cell: dict[tuple, Counter] = {}
    for c in chosen:
        by_cell.setdefault(c.matrix, Counter())[c.composition(olivine)] += 1
    unit = by_cell.pop(tuple(map(tuple, UNIT.tolist())))
    assert unit.total() == icet_count(olivine, 1) and unit[0] == unit[1] == 1
    for matrix, counts in by_cell.items():
        units = 4 * round(np.linalg.det(matrix))
        assert counts.total() in (60, 61)
        assert set(counts) == {k / units for k in range(1, units)}  # from one ion and one electron to one hole of each
        full = max(counts.values())
        assert all(full - v <= 1 for x, v in counts.items() if 2 <= x * units <= units - 2)


def test_chosen_depend_on_the_seed_alone(olivine: Lattice, chosen: list[Configuration]) -> None:
    np.random.default_rng(0).normal(size=7)
    assert choose_configurations(olivine, CELLS, 320, seed=7) == chosen
    assert choose_configurations(olivine, [m.tolist() for m in CELLS[::-1]], 320, seed=7) == chosen
    other = choose_configurations(olivine, CELLS, 320, seed=8)
    assert len({c.name for c in other} - {c.name for c in chosen}) > 100


def test_smallest_supercell_holds_the_ends(olivine: Lattice) -> None:
    found = choose_configurations(olivine, [np.diag([1, 1, 2]), np.diag([1, 2, 1])], 200, seed=1)
    counts = Counter(c.composition(olivine) for c in found)
    assert counts[0] == counts[1] == 1 and len(found) == 200


def test_large_supercells_are_sampled(olivine: Lattice) -> None:
    found = choose_configurations(olivine, [np.diag([2, 2, 1])], 40, seed=1, limit=100)
    assert len(found) == 40 == len({c.name for c in found})
    assert not any(charge(olivine, c) for c in found)


def test_three_valences(layered: Lattice) -> None:
    matrix = np.array([[2, 0, 0], [1, 2, 0], [0, 0, 1]])
    supercell = Supercell(layered, matrix)
    brute = all_neutral(layered, supercell)
    counts, log_states = count_neutral_states(supercell, "Li+")
    assert len(brute) == round(np.exp(log_states).sum())
    listed = np.vstack([neutral_states(supercell, "Li+", int(n)) for n in counts])
    assert {s.tobytes() for s in listed} == {s.tobytes() for s in brute} and len(listed) == len(brute)
    permutations = site_permutations(supercell)
    found = enumerate_configurations(layered, matrix, len(brute))
    assert found is not None and len(found) == np.mean([(brute[:, p] == brute).all(axis=1).sum() for p in permutations])
    few = choose_configurations(layered, [UNIT, matrix, np.diag([2, 2, 2])], 60, seed=2)
    held = [Counter(sp.name for sp in species_on_sites(c.supercell(layered), c.occupation())) for c in few]
    assert len(few) == 60 and not any(charge(layered, c) for c in few)
    assert any(h["Mn2+"] and h["Mn4+"] for h in held) and any(h["Mn3+"] for h in held)


def test_charge_orders_keep_the_ions(olivine: Lattice) -> None:
    supercell = Supercell(olivine, np.diag([1, 2, 1]))
    sodium = supercell.site_sublattice == 0
    ions = random_neutral_state(supercell, "Na+", 3, np.random.default_rng(5))
    permutations = site_permutations(supercell)
    keeping = permutations[(ions[permutations] == ions)[:, sodium].all(axis=1)]
    states = neutral_states(supercell, "Na+", 3)
    states = states[(states[:, sodium] == ions[sodium]).all(axis=1)]
    everything = charge_orders(olivine, np.diag([1, 2, 1]), ions, 1000, seed=1)
    assert len(states) == 56 and len(everything) == len(orbits(states, keeping))
    some = charge_orders(olivine, np.diag([1, 2, 1]), ions, 20, seed=1)
    sampled = charge_orders(olivine, np.diag([1, 2, 1]), ions, 20, seed=1, limit=10)
    for found in (some, sampled):
        assert len(found) == 20 and {c.name for c in found} < {c.name for c in everything}
        assert all((c.occupation()[sodium] == ions[sodium]).all() and not charge(olivine, c) for c in found)
        assert len({key(c, olivine) for c in found}) == 20
    assert some == charge_orders(olivine, np.diag([1, 2, 1]), ions, 20, seed=1)


def test_charge_orders_of_a_sublattice_with_three_valences(layered: Lattice) -> None:
    matrix = np.diag([2, 2, 1])
    ions = np.array([0, 0, 0, 0, 1, 0, 0, 0], np.int8)  # 3 Li+ over 4 Mn, whose charges here mean nothing
    found = charge_orders(layered, matrix, ions, 1000, seed=0)
    held = [Counter(sp.name for sp in species_on_sites(c.supercell(layered), c.occupation())) for c in found]
    assert not any(charge(layered, c) for c in found) and {h["Li+"] for h in held} == {3}
    assert {(h["Mn2+"], h["Mn3+"], h["Mn4+"]) for h in held} == {(0, 3, 1), (1, 1, 2)}


def test_energy_of_formal_charges(layered: Lattice) -> None:
    """Differences against pymatgen with the charges themselves; the spectators' own energy cancels."""
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import DummySpecies, Structure

    supercell, rng = Supercell(layered, np.array([[2, 0, 0], [1, 2, 0], [0, 0, 1]])), np.random.default_rng(1)
    atoms, anneal = full_occupation(supercell), Annealer(supercell)
    energies = []
    for n in (1, 3, 3):
        state = random_neutral_state(supercell, "Li+", n, rng)
        occupied = supercell.to_atoms(state)
        charges = {"X": 0, "Li": 1, "Mn": 2, "Ga": 3, "Ti": 4, "O": -2}
        ions = [DummySpecies("X", charges[s]) for s in occupied.get_chemical_symbols()]
        structure = Structure(np.asarray(atoms.cell), ions, atoms.positions, coords_are_cartesian=True)
        energies.append((DIELECTRIC * anneal.energy_eV(state), EwaldSummation(structure).total_energy))
    ours, theirs = np.diff(np.array(energies), axis=0).T
    assert np.allclose(ours, theirs, atol=1e-3) and abs(ours).min() > 0.1


def test_annealing_lowers_the_energy_and_keeps_the_composition(olivine: Lattice) -> None:
    supercell, rng = Supercell(olivine, np.diag([1, 3, 1])), np.random.default_rng(1)
    anneal = Annealer(supercell)
    states = [random_neutral_state(supercell, "Na+", 6, rng) for _ in range(12)]
    mean = {}
    for electrons_only in (True, False):
        found = [anneal(s, electrons_only, rng) for s in states]
        for before, after in zip(states, found):
            assert Counter(s.name for s in species_on_sites(supercell, before)) == Counter(
                s.name for s in species_on_sites(supercell, after)
            )
            if electrons_only:
                assert (before == after)[supercell.site_sublattice == 0].all()
        mean[electrons_only] = np.mean([anneal.energy_eV(s) for s in found])
    assert mean[False] < mean[True] < np.mean([anneal.energy_eV(s) for s in states])
    best = min(found, key=anneal.energy_eV)
    assert len({anneal(best, False, rng).tobytes() for _ in range(12)}) > 6  # heated first, not only quenched
