"""Relaxed cells on the sites of the lattice: the same arrangement in any orientation, and that of icet's search."""

import warnings
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.io import read
from scipy.stats import special_ortho_group

from redoxmc.engine.crystal.arrangements import Arrangements
from redoxmc.engine.crystal.lattice import Lattice, Supercell, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.crystal.primitive import primitive_lattice
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.site_mapping import LARGEST_SHIFT_A, LARGEST_STRAIN, Mapped, SiteMapping

from ..helpers.paths import ROOT


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return read(ROOT / "inputs/nafepo4/labelled.extxyz", ":")


@pytest.fixture(scope="module")
def mapping(olivine: Lattice) -> SiteMapping:
    return SiteMapping(olivine)


def disguised(frame: Atoms, seed: int) -> Atoms:
    """Rotated, shifted, with its atoms and its vectors in another order, in another cell of the same crystal."""
    rng = np.random.default_rng(seed)
    sheared = np.eye(3, dtype=int)[rng.permutation(3)] @ np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    other = make_supercell(frame, sheared)
    rotation = special_ortho_group.rvs(3, random_state=rng)
    other.set_cell(np.asarray(other.cell) @ rotation.T)
    other.positions = other.positions @ rotation.T + 5 * rng.random(3)
    other.wrap()
    return other[rng.permutation(len(other))]


def name(arrangements: Arrangements, found: Mapped) -> bytes:
    assert found.problem is None
    return arrangements.canonical(found.supercell, found.species)


@pytest.mark.parametrize("step", [60, pytest.param(4, marks=pytest.mark.runs)])
def test_any_orientation_gives_the_same_arrangement(step: int, frames: list[Atoms], mapping: SiteMapping) -> None:
    arrangements = Arrangements(mapping.lattice)
    for k, frame in enumerate(frames[::step]):
        plain, other = mapping(frame), mapping(disguised(frame, k))
        assert name(arrangements, plain) == name(arrangements, other)
        assert other.strain == pytest.approx(plain.strain) and other.shift_A == pytest.approx(plain.shift_A)
        assert np.abs(np.asarray(plain.cell.cell) - np.asarray(frame.cell)).max() < 1.5  # where it can, it keeps the orientation


@pytest.mark.parametrize("step", [90, pytest.param(1, marks=pytest.mark.validate)])
def test_the_sites_are_those_of_icet(step: int, frames: list[Atoms], mapping: SiteMapping, olivine: Lattice) -> None:
    from icet.tools import map_structure_to_reference

    def content(cell: Atoms) -> Counter[tuple]:
        places = np.rint(1e3 * cell.get_scaled_positions()).astype(int) % 1000
        return Counter((s, *p) for s, p in zip(cell.symbols, places.tolist()))

    for frame in frames[::step]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, _ = map_structure_to_reference(frame, olivine.atoms, inert_species=["P", "O"], suppress_warnings=True)
        assert content(mapping(frame).cell) == content(expected)


def test_what_does_not_fit_is_named(frames: list[Atoms], mapping: SiteMapping) -> None:
    frame = frames[5]
    p, o = (list(frame.symbols).index(s) for s in ("P", "O"))
    swapped, strained, moved, few = frame.copy(), frame.copy(), frame.copy(), frame.copy()
    swapped.positions[[p, o]] = swapped.positions[[o, p]]
    strained.set_cell(np.asarray(frame.cell) @ np.diag([1.2, 1, 1 / 1.2]), scale_atoms=True)
    sodium = list(frame.symbols).index("Na")
    moved.positions[sodium] += [0.7, 0.7, 0]
    del few[o]
    assert "is it another structure" in (mapping(swapped).problem or "")
    found = mapping(strained)
    assert found.strain > LARGEST_STRAIN and "strained by" in (found.problem or "")
    assert mapping(moved).shift_A > LARGEST_SHIFT_A and "A from its site; allowed: up to" in (mapping(moved).problem or "")
    with pytest.raises(RedoxError, match="not a whole number of cells"):
        mapping(few)


def test_a_cell_of_another_volume_keeps_its_sites(frames: list[Atoms], mapping: SiteMapping) -> None:
    frame = frames[5].copy()
    frame.set_cell(1.03 * np.asarray(frame.cell), scale_atoms=True)
    grown, plain = mapping(frame), mapping(frames[5])
    assert (grown.species == plain.species).all() and grown.strain == pytest.approx(plain.strain)
    assert grown.expansion == pytest.approx(1.03**3 * (1 + plain.expansion) - 1)


def test_a_conventional_parent_takes_cells_of_the_primitive_one(mapping: SiteMapping, olivine: Lattice) -> None:
    """The parent doubled; a cell of a single primitive cell, and the coordinates stay those of the parent."""
    doubled = build_lattice(make_supercell(olivine.atoms, np.diag([1, 2, 1])), olivine.sublattices, olivine.spectators)
    doubled.atoms.translate([0.1, 0.2, 0.3])
    primitive = primitive_lattice(doubled)
    assert len(primitive.atoms) == len(olivine.atoms) and primitive_lattice(olivine) is olivine
    supercell = Supercell(olivine, np.eye(3, dtype=int))
    cell = supercell.to_atoms(random_neutral_state(supercell, "Na+", 2, np.random.default_rng(1)))
    found = SiteMapping(doubled)(cell[cell.numbers > 0])
    assert found.problem is None and found.shift_A < 1e-6 and len(found.cell) == len(olivine.atoms)
    apart = found.cell.positions[:, None] - doubled.atoms.positions
    apart = apart @ np.linalg.inv(np.asarray(doubled.atoms.cell))
    assert np.abs(apart - np.rint(apart)).max(axis=2).min(axis=1).max() < 1e-6


def test_lattices_without_spectators(olivine: Lattice) -> None:
    bare = olivine.atoms[[s in ("Na", "Fe") for s in olivine.atoms.get_chemical_symbols()]]
    lattice = build_lattice(bare, olivine.sublattices, {})
    supercell = Supercell(lattice, np.diag([1, 2, 1]))
    species = np.zeros(supercell.n_sites, np.int8)
    species[supercell.site_sublattice == 0] = [0, 1, 0, 0, 1, 0, 0, 0]
    cell = supercell.to_atoms(species)
    found = SiteMapping(lattice)(disguised(cell[cell.numbers > 0], 3))
    arrangements = Arrangements(found.supercell.lattice)
    assert found.problem is None
    assert name(arrangements, found) == arrangements.canonical(supercell, species)


def test_arrangements_have_one_name(olivine: Lattice) -> None:
    """In a cell twice as large, and in two cells that symmetry relates; neighbours in the list of states differ."""
    arrangements, rng = Arrangements(olivine), np.random.default_rng(5)
    single = Supercell(olivine, np.eye(3, dtype=int))
    state = random_neutral_state(single, "Na+", 2, rng)
    for matrix in ([[1, 0, 0], [0, 2, 0], [0, 0, 1]], [[1, 1, 0], [0, 2, 0], [0, 0, 1]]):
        double = Supercell(olivine, np.array(matrix))
        assert arrangements.canonical(double, np.tile(state, 2)) == arrangements.canonical(single, state)
    changed = state.copy()
    changed[:4] = np.roll(changed[:4], 1)
    images = {arrangements.canonical(single, s) for s in (state, changed, 1 - state)}
    assert len(images) >= 2
