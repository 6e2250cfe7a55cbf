"""Relaxed cells on the sites of the lattice: the short way against icet's search."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.site_mapping import SiteMapping

from ..helpers.paths import ROOT


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return read(ROOT / "inputs/nafepo4/labelled.extxyz", ":")


def equal(a: Atoms, b: Atoms) -> bool:
    return all(np.array_equal(x, y) for x, y in ((a.numbers, b.numbers), (a.positions, b.positions), (a.cell, b.cell)))


@pytest.mark.parametrize("step", [40, pytest.param(1, marks=pytest.mark.runs)])
def test_nearest_sites_are_those_of_the_search(step: int, frames: list[Atoms], olivine: Lattice) -> None:
    mapping = SiteMapping(olivine)
    for frame in frames[::step]:
        found = mapping._nearest_sites(frame)
        assert found is not None and equal(found, mapping._searched(frame))


def test_what_is_not_certain_is_searched(frames: list[Atoms], olivine: Lattice) -> None:
    mapping, frame = SiteMapping(olivine), frames[5]
    shifted, rotated, wrong = frame.copy(), frame.copy(), frame.copy()
    shifted.translate([1.0, 0.7, 0.4])
    rotated.rotate(90, "x", rotate_cell=True)
    for moved in (shifted, rotated):
        assert mapping._nearest_sites(moved) is None
    assert equal(mapping(shifted), mapping(frame))
    assert sorted(mapping(rotated).numbers) == sorted(mapping(frame).numbers)
    p, o = (list(frame.symbols).index(s) for s in ("P", "O"))
    wrong.positions[[p, o]] = wrong.positions[[o, p]]
    assert mapping._nearest_sites(wrong) is None
    with pytest.raises(RedoxError, match="is on a site of"):
        mapping(wrong)
    shared = frame.copy()
    shared.positions[p] = shared.positions[o] + 0.05
    assert mapping._nearest_sites(shared) is None


def test_a_rigid_shift_of_less_than_half_a_bond_changes_nothing(frames: list[Atoms], olivine: Lattice) -> None:
    mapping = SiteMapping(olivine)
    for frame in frames[::60]:
        shifted = frame.copy()
        shifted.translate([0.1, -0.1, 0.1])
        found = mapping._nearest_sites(shifted)
        assert found is not None and equal(found, mapping._nearest_sites(frame))
