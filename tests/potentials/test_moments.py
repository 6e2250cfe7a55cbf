"""Moments against the reference moments of charge and spin states."""

from itertools import product

import numpy as np
import pytest

from redoxmc.engine.crystal.lattice import Species
from redoxmc.engine.potentials.labels import Labels
from redoxmc.engine.potentials.moments import ascending_charges, best_counts

from .test_charges import FE, label, labelling, labels_for, octahedra, refusal

COBALT = (Species("Co2+", 2), Species("Co3+", 3, "Al"), Species("Co4+", 4, "Ge"))
NICKEL = (Species("Ni2+", 2), Species("Ni3+", 3, "Ga"))
CO_NI = labels_for(COBALT[:2], NICKEL)


def test_high_spin_cobalt() -> None:
    """Co 3.10 and Ni 1.84 muB are high-spin Co3+ and Ni2+; with low-spin Co3+ alone they would be read as Co2+ and Ni3+."""
    frame = octahedra("Co Ni", 5, [1.98, 2.08], [3.10, 1.84])
    assert label(frame, CO_NI) == "Al Ni"
    found = labelling(frame, CO_NI)
    assert found.misfit_muB == pytest.approx(0.14) and found.evidence == "moments"
    assert found.margin_muB2 == pytest.approx(0.4**2 + 0.84**2 - 0.14**2)
    low_spin = (COBALT[0], Species("Co3+", 3, "Al", 0.1))
    problem = refusal(frame, labels_for(low_spin, NICKEL))
    assert "atom 21 (Ni), 1.84 muB, is 0.84 muB from that of Ni3+" in problem and "Ni2+ 1.70, Ni3+ 1.00" in problem


def test_moment_far_from_its_state() -> None:
    """Whether or not another state would fit: the neutral cell does not have it."""
    problem = refusal(octahedra("Fe Fe", 5, [2.2, 2.1], [3.8, 3.9]), FE)
    assert "atom 21 (Fe), 3.90 muB, is 0.44 muB from that of Fe3+" in problem and "Fe2+ 3.78, Fe3+ 4.34" in problem
    assert label(octahedra("Fe Fe", 5, [2.2, 2.1], [3.75, 3.94]), FE) == "Fe Ga"
    titanium = Labels(FE.ions | {"Ti": Species("Ti", 4)}, FE.redox)
    assert label(octahedra("Fe Ti", 7, [2.1, 1.95], [4.3, 0.1]), titanium) == "Ga"
    assert "(Ti), 0.90 muB, is 0.90 muB from that of Ti4+" in refusal(octahedra("Fe Ti", 7, [2.1, 1.95], [4.3, 0.9]), titanium)


def test_counts_against_all_assignments() -> None:
    """Every way to give four cobalt atoms one of four levels."""
    levels = {0.1: 3, 1.0: 4, 2.7: 2, 3.1: 3}
    for moments in np.random.default_rng(3).uniform(0, 3.3, (20, 4)):
        least: dict[tuple[int, ...], float] = {}
        for ways in product(levels, repeat=4):
            counts = tuple([levels[w] for w in ways].count(q) for q in (2, 3, 4))
            least[counts] = min(least.get(counts, np.inf), float(np.sum((np.array(ways) - moments) ** 2)))
        expected: dict[int, list[tuple[float, tuple[int, ...]]]] = {}
        for counts, misfit in sorted(least.items(), key=lambda item: item[1]):
            expected.setdefault(int(np.dot(counts, (2, 3, 4))), []).append((misfit, counts))
        found: dict[int, list[tuple[float, tuple[int, ...]]]] = {}
        for misfit, by_charge in best_counts(COBALT, 4, moments):
            found.setdefault(sum(q * n for q, n in by_charge.items()), []).append((misfit, tuple(by_charge.values())))
        assert found.keys() == expected.keys()
        for charge, best in found.items():
            assert [m for m, _ in best] == pytest.approx([m for m, _ in expected[charge][:2]])
            assert [c for _, c in best] == [c for _, c in expected[charge][:2]]


def test_high_spin_atoms_lie_between_other_states() -> None:
    moments = np.array([3.05, 0.2, 2.6, 0.9])
    assert ascending_charges(COBALT, {2: 1, 3: 2, 4: 1}, moments).tolist() == [3, 4, 2, 3]


@pytest.mark.parametrize(
    "bonds, moments, evidence",
    [
        ([2.2, 2.1], [3.8, 4.3], "moments and bond lengths"),
        ([2.2, 2.1], None, "bond lengths"),
        ([2.1, 2.1], [4.3, 4.3], "moments"),
        ([2.1, 2.1], None, "composition"),
    ],
)
def test_what_the_charges_were_read_from(bonds: list[float], moments: list[float] | None, evidence: str) -> None:
    found = labelling(octahedra("Fe Fe", 5 if bonds[0] > bonds[1] else 6, bonds, moments), FE)
    assert found.atoms and found.evidence == evidence and np.isnan(found.misfit_muB) == (moments is None)
    assert labelling(octahedra("Fe Ga", 5, 2.1), FE).evidence == "proxy"
