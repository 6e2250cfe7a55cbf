"""Sites, neutral exchanges and the number of neutral states."""

from itertools import product
from math import comb

import numpy as np
import pytest
from ase import Atoms

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice, hermite_form
from redoxmc.engine.crystal.neutral_states import count_neutral_states, random_neutral_state
from redoxmc.engine.crystal.neutrality import count_change, exchangeable_ions, neutral_exchanges

LITHIUM = Sublattice("Li", (Species("Li+", 1), Species("Va", 0)))
MANGANESE = Sublattice("Mn", (Species("Mn2+", 2), Species("Mn3+", 3), Species("Mn4+", 4)))


def manganese_oxide(n_mn: int) -> Lattice:
    """Li2Mn O3 cells: neutral from Mn4+ with two Li to ... whatever the oxygen allows."""
    symbols = ["Li"] * 2 * n_mn + ["Mn"] * n_mn + ["O"] * 2 * n_mn
    atoms = Atoms(
        symbols, positions=np.arange(len(symbols))[:, None] * np.array([2.0, 0, 0]), cell=[2.0 * len(symbols), 5, 5], pbc=True
    )
    return build_lattice(atoms, (LITHIUM, MANGANESE), {"O": -2})


def test_formula_units_and_order(olivine: Lattice) -> None:
    assert olivine.n_formula_units == 4
    assert [olivine.atoms[i].symbol for i in olivine.site_atom] == ["Na"] * 4 + ["Fe"] * 4
    supercell = Supercell(olivine, np.array([[1, 1, 0], [0, 2, 1], [0, 0, 3]]))
    assert supercell.n_cells == 6 and supercell.n_formula_units == 24
    assert len(set(supercell.cell_index(np.indices(supercell.shape).reshape(3, -1).T).tolist())) == 6


@pytest.mark.parametrize("seed", range(20))
def test_hermite_form_spans_the_same_lattice(seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(-4, 5, (3, 3))
    if round(abs(np.linalg.det(matrix))) == 0:
        with pytest.raises(ValueError):
            hermite_form(matrix)
        return
    h = hermite_form(matrix)
    assert np.allclose(h, np.triu(h)) and (np.diag(h) > 0).all()
    there = h @ np.linalg.inv(matrix)
    assert np.allclose(there, np.rint(there)) and round(abs(np.linalg.det(there))) == 1


def test_wrapped_cells_are_equivalent(olivine: Lattice) -> None:
    supercell = Supercell(olivine, np.array([[2, 1, 0], [0, 2, -1], [1, 0, 3]]))
    cells = np.random.default_rng(0).integers(-9, 10, (200, 3))
    wrapped = supercell.wrap(cells)
    assert ((wrapped >= 0) & (wrapped < supercell.shape)).all()
    shift = (cells - wrapped) @ np.linalg.inv(supercell.matrix)
    assert np.allclose(shift, np.rint(shift))


def test_olivine_has_one_exchange(olivine: Lattice) -> None:
    (exchange,) = neutral_exchanges(olivine)
    assert exchange.describe(olivine) == "Na+→Va with Fe2+→Fe3+"
    assert exchangeable_ions(olivine, [exchange]) == ["Na+"]
    assert count_change(exchange, olivine, "Na+") == -1


def test_three_valences() -> None:
    lattice = manganese_oxide(1)
    exchanges = neutral_exchanges(lattice)
    names = {e.describe(lattice) for e in exchanges}
    assert "Mn2+→Mn3+ with Mn4+→Mn3+" in names or "Mn3+→Mn2+ with Mn3+→Mn4+" in names
    assert len(exchanges) == 4
    rows = np.array(
        [
            [
                sum((f.new == k) - (f.old == k) for f in e.flips if f.sublattice == g)
                for g, s in enumerate(lattice.sublattices)
                for k in range(len(s.species))
            ]
            for e in exchanges
        ]
    )
    assert np.linalg.matrix_rank(rows) == 2
    assert exchangeable_ions(lattice, exchanges) == ["Li+"]
    charge = np.array([1, 0, 2, 3, 4])
    assert not (rows @ charge).any()


@pytest.mark.parametrize("n_mn", [1, 2])
def test_every_neutral_state_is_reachable(n_mn: int) -> None:
    lattice = manganese_oxide(n_mn)
    sizes = [2] * 2 * n_mn + [3] * n_mn
    neutral = {
        s
        for s in product(*[range(k) for k in sizes])
        if sum(1 - v for v in s[: 2 * n_mn]) + sum(2 + v for v in s[2 * n_mn :]) == 4 * n_mn
    }
    start = next(iter(sorted(neutral)))
    seen, pending = {start}, [start]
    moves = [e for x in neutral_exchanges(lattice) for e in (x, x.reversed())]
    while pending:
        state = pending.pop()
        for exchange in moves:
            for sites in product(range(len(sizes)), repeat=len(exchange.flips)):
                if len(set(sites)) < len(sites):
                    continue
                if all(lattice.site_sublattice[i] == f.sublattice and state[i] == f.old for i, f in zip(sites, exchange.flips)):
                    new = list(state)
                    for i, f in zip(sites, exchange.flips):
                        new[i] = f.new
                    if tuple(new) not in seen:
                        seen.add(tuple(new))
                        pending.append(tuple(new))
    assert seen == neutral
    supercell = Supercell(lattice, np.eye(3, dtype=int))
    _, log_states = count_neutral_states(supercell, "Li+")
    assert np.isclose(np.exp(log_states).sum(), len(neutral))


def test_numbers_of_neutral_states(olivine: Lattice) -> None:
    n, log_states = count_neutral_states(Supercell(olivine, np.diag([1, 2, 1])), "Na+")
    assert n.tolist() == list(range(9))
    assert np.allclose(np.exp(log_states), [comb(8, k) ** 2 for k in range(9)])


def test_random_neutral_states_are_uniform() -> None:
    supercell = Supercell(manganese_oxide(2), np.eye(3, dtype=int))
    rng = np.random.default_rng(3)
    drawn = [random_neutral_state(supercell, "Li+", 2, rng).tobytes() for _ in range(4000)]
    counts = np.unique(drawn, return_counts=True)[1]
    n, log_states = count_neutral_states(supercell, "Li+")
    expected = int(round(np.exp(log_states[n.tolist().index(2)])))
    assert len(counts) == expected
    chi2 = ((counts - 4000 / expected) ** 2 / (4000 / expected)).sum()
    assert abs(chi2 - (expected - 1)) < 4 * np.sqrt(2 * (expected - 1))
