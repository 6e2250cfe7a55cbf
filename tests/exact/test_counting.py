"""Numbers of neutral states: generating functions against whole numbers, and draws against lists."""

import time
import tracemalloc
from collections import Counter
from math import comb, log

import numpy as np
import pytest
from ase import Atoms

from redoxmc.engine.crystal import neutral_states as counting
from redoxmc.engine.crystal.generating_function import GeneratingFunction, Sites
from redoxmc.engine.crystal.lattice import Species, Sublattice, Supercell, build_lattice

TEN = (1, 0, 2, 3, 4, 2, 3, 2, 3, 5)  # charges; the first is the ion


def sites(number: int, *charges: int, ion: int | None = None) -> Sites:
    return Sites(number, tuple((q, k == ion) for k, q in enumerate(charges)))


SMALL = {
    "five species": ([sites(12, 1, 2, 3, 4, 0, ion=0)], -24),
    "ions and electrons": ([sites(8, 1, 0, ion=0), sites(8, 2, 3, 2, 3, 2, 3, 4, 3)], -24),
    "an ion on two sublattices": ([sites(8, 1, 0, ion=0), sites(9, 1, 2, 4, ion=0), sites(5, -2, -1, 0)], -7),
    "gaps in the counts": ([sites(10, 2, 2, 3, 0, ion=1)], -17),
    "even charges": ([sites(10, 2, 4, 0, ion=0)], -16),
    "no neutral state": ([sites(10, 2, 4, 0, ion=0)], -15),
    "one count only": ([sites(6, 1, 0, ion=0)], -4),
    "nothing but ions": ([sites(6, 1, ion=0), sites(6, -1, 0, 2)], 0),
    "an ion of high charge": ([sites(40, 0, 7, 3, ion=1)], -61),
    "no ion": ([sites(20, 2, 3, 4)], -55),
}


def counted_one_by_one(groups: list[Sites], charge: int) -> dict[int, int]:
    """Whole numbers of neutral arrangements by number of ions, with one site more at a time."""
    found = Counter({(charge, 0): 1})
    for group in groups:
        for _ in range(group.number):
            more: Counter[tuple[int, int]] = Counter()
            for (q, n), number in found.items():
                for dq, is_ion in group.species:
                    more[q + dq, n + is_ion] += number
            found = more
    return {n: number for (q, n), number in sorted(found.items()) if q == 0}


@pytest.mark.parametrize("name", SMALL)
def test_small_numbers_are_whole(name: str) -> None:
    groups, charge = SMALL[name]
    exact = counted_one_by_one(groups, charge)
    n, log_number = GeneratingFunction(tuple(groups), charge).neutral_counts()
    assert n.tolist() == list(exact)
    assert np.abs(log_number - [log(v) for v in exact.values()]).max(initial=0) < 1e-13


def coefficient(power: int, k: int) -> int:
    """Of x^k in (1 + 3x^2 + 3x^3 + x^4 + x^5)^power, the species of TEN that are not the ion: Euler's recurrence, exact."""
    a, c = [1, 0, 3, 3, 1, 1], [1]
    for j in range(1, k + 1):
        c.append(sum((i * (power + 1) - j) * a[i] * c[j - i] for i in range(1, min(5, j) + 1)) // j)
    return c[k]


def test_ten_species_on_ten_thousand_sites() -> None:
    """Relative error of ln Omega at most 1e-10, at most 2 s and 200 MB; the largest and the smallest counts among them."""
    function = GeneratingFunction((sites(10_000, *TEN, ion=0),), -20_000)
    began = time.process_time()
    tracemalloc.start()
    n, log_number = function.neutral_counts()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began < 2 and peak < 200e6
    assert n.tolist() == list(range(7501))
    for ions in (7400, 7500):
        exact = log(comb(10_000, ions)) + log(coefficient(10_000 - ions, 20_000 - ions))
        assert abs(log_number[ions] - exact) <= 1e-12 * exact


def test_two_sublattices_agree_with_pairs_of_compositions(monkeypatch: pytest.MonkeyPatch) -> None:
    atoms = Atoms("LiMn", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], cell=[3, 3, 3], pbc=True)
    kinds = (Species("Mn2+", 2), Species("Mn3+", 3), Species("Mn4+", 4))
    lattice = build_lattice(atoms, (Sublattice("Li", (Species("Li+", 1), Species("Va", 0))), Sublattice("Mn", kinds)), {})
    lattice = build_lattice(Atoms([*atoms, *Atoms("O", [(1, 0, 0)])], cell=atoms.cell, pbc=True), lattice.sublattices, {"O": -4})
    pairs = counting.count_neutral_states(Supercell(lattice, np.diag([5, 5, 8])), "Li+")
    monkeypatch.setattr(counting, "MOST_COMBINED", 0)
    coefficients = counting.count_neutral_states(Supercell(lattice, np.diag([5, 5, 8])), "Li+")
    assert pairs[0].tolist() == coefficients[0].tolist() and np.abs(pairs[1] - coefficients[1]).max() < 1e-10


def test_drawn_states_are_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    """By rejection, as where the compositions are too many to list, and with an ion on two sublattices: chi squared."""
    monkeypatch.setattr(counting, "MOST_COMBINED", 0)
    atoms = Atoms("NaFeO", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0, 0)], cell=[3, 3, 3], pbc=True)
    shared = Species("Na+", 1)
    iron = (Species("Fe2+", 2), Species("Fe3+", 3))
    for second in (iron, (*iron, shared)):
        lattice = build_lattice(atoms, (Sublattice("Na", (shared, Species("Va", 0))), Sublattice("Fe", second)), {"O": -3})
        supercell = Supercell(lattice, np.diag([4, 1, 1]))
        states = counting.neutral_states(supercell, "Na+", 3)
        rng, n = np.random.default_rng(3), 10 * len(states)
        drawn = Counter(counting.random_neutral_state(supercell, "Na+", 3, rng).tobytes() for _ in range(n))
        assert set(drawn) <= {s.tobytes() for s in states}
        excess = sum((drawn[s.tobytes()] - 10) ** 2 / 10 for s in states) - (len(states) - 1)
        assert abs(excess) < 5 * np.sqrt(2 * len(states))


def test_eight_species_on_sixteen_sites_take_no_gigabytes() -> None:
    """Compositions are listed without those that have too many sites: of 17^7 only 245157."""
    tracemalloc.start()
    counts, *_ = counting._compositions(Sublattice("Fe", tuple(Species(f"A{k}", k) for k in range(8))), None, 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts.shape == (8, 245157) and (counts.sum(axis=0) == 16).all() and peak < 150e6
