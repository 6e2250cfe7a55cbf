"""Short-range order: Warren-Cowley parameters against a plain count of neighbours."""

from itertools import product

import numpy as np
import pytest

from redoxmc.engine.crystal.lattice import (
    Lattice,
    Supercell,
)
from redoxmc.engine.crystal.structure_factor import deviations, electron_field, ion_field
from redoxmc.engine.thermodynamics.order.short_range import correlations, neighbour_shells

from ..helpers.cubic import NON_DIAGONAL, cells_of, cubic_lattice, random_states, state


@pytest.fixture(scope="module")
def cubic() -> Lattice:
    return cubic_lattice()


def plain_correlation(supercell: Supercell, one: np.ndarray, sites: tuple[int, int], distance_A: float) -> float:
    """1 - P(other species at that distance | the species) / c, over all pairs of sites and images one by one."""
    cells, atoms = cells_of(supercell), supercell.lattice.atoms
    edges = supercell.matrix @ np.asarray(atoms.cell)
    images = np.array(list(product(range(-4, 5), repeat=3))) @ edges
    occupied = one.reshape(supercell.n_cells, -1) == 0
    met = others = 0
    for a, b in product(range(supercell.n_cells), repeat=2):
        if occupied[a, sites[0]]:
            places = (
                (cells[b] - cells[a]) @ np.asarray(atoms.cell) + atoms.positions[sites[1]] - atoms.positions[sites[0]] + images
            )
            number = int(np.isclose(np.linalg.norm(places, axis=1), distance_A, atol=1e-3).sum())
            met, others = met + number, others + number * int(not occupied[b, sites[1]])
    return 1 - others / met / (1 - occupied[:, sites[1]].mean())


@pytest.mark.parametrize("matrix", [np.diag([3, 2, 2]), np.array([[2, 1, 0], [0, 2, -1], [1, 0, 3]])])
def test_correlations_are_the_plain_count_of_neighbours(matrix: np.ndarray, cubic: Lattice) -> None:
    supercell = Supercell(cubic, matrix)
    electrons = electron_field(cubic)
    assert electrons is not None
    fields = [ion_field(cubic, "Na+"), electrons]
    shells = neighbour_shells(supercell, fields)
    assert [s.distance_A for s in shells[:3]] == pytest.approx([4, 4 * 2**0.5, 4 * 3**0.5])
    assert [s.neighbours for s in shells] == [6, 12, 8, 6, 8, 24, 24, 32, 6, 12, 8, 6]
    states = random_states(supercell, 2, 0.4, 5)
    found = correlations(shells, [deviations(f, supercell, states) for f in fields])
    for s, row in product(range(len(shells)), range(2)):
        plain = plain_correlation(supercell, states[row], shells[s].fields, shells[s].distance_A)
        assert found[row, s] == pytest.approx(plain, abs=1e-12)


def test_short_range_order_of_known_states(cubic: Lattice) -> None:
    supercell = Supercell(cubic, NON_DIAGONAL)
    electrons = electron_field(cubic)
    assert electrons is not None
    fields = [ion_field(cubic, "Na+"), electrons]
    shells = neighbour_shells(supercell, fields)
    own, between = (
        [k for k, s in enumerate(shells) if s.fields == (0, 0)],
        [k for k, s in enumerate(shells) if s.fields == (0, 1)],
    )
    board = cells_of(supercell).sum(axis=1) % 2 == 0
    found = correlations(shells, [deviations(f, supercell, state(supercell, board, board)) for f in fields])[0]
    assert found[own] == pytest.approx([-1, 1, -1, 1]) and found[between] == pytest.approx(0)
    states = random_states(supercell, 4000, 0.25, 3)
    values = correlations(shells, [deviations(f, supercell, states) for f in fields])
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    expected = np.array([-1 / (supercell.n_cells - 1) if a == b else 0.0 for a, b in (s.fields for s in shells)])
    assert (error < 0.005).all() and (np.abs(values.mean(axis=0) - expected) < 4 * error).all()
    empty = correlations(shells, [deviations(f, supercell, np.ones((1, supercell.n_sites), np.int8)) for f in fields])
    assert np.isnan(empty).all()
