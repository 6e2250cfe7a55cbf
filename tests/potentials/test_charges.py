"""Charge states of unlabelled frames, and the reading of finished calculations."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import ArrayLike

from redoxmc.engine.crystal.lattice import Species
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials import charges as intact
from redoxmc.engine.potentials.calculations import Calculation, Labelled, label_calculation, read_calculations
from redoxmc.engine.potentials.charges import (
    anion_bonds,
    assign_charges,
    bond_lengths_A,
    states_by_bond_length,
    states_by_moment,
)
from redoxmc.engine.potentials.labels import Labels

from ..helpers.paths import ROOT

FRAMES = ROOT / "tests/data/frames.extxyz"  # made by the project: energies of SevenNet-l3i5, moments of CHGNet 0.3.0
IRON = (Species("Fe2+", 2), Species("Fe3+", 3, "Ga"))
MANGANESE = (Species("Mn2+", 2), Species("Mn3+", 3, "Al"), Species("Mn4+", 4, "Ge"))
FIXED = (Species("Na+", 1), Species("P", 5), Species("O", -2))


def labels_for(*elements: tuple[Species, ...]) -> Labels:
    ions = {s.symbol: s for states in (*elements, FIXED) for s in states}
    return Labels(ions, {states[0].element: states for states in elements})


FE, MN, FE_MN = labels_for(IRON), labels_for(MANGANESE), labels_for(IRON, MANGANESE)


def octahedra(metals: str, charge: int, bonds_A: ArrayLike, moments: ArrayLike | None = None) -> Atoms:
    """MO6 octahedra 12 A apart and as many Na as make it neutral if the metals have this charge together."""
    symbols = metals.split()
    n = len(symbols)
    centres = np.arange(n)[:, None] * np.array([12.0, 0, 0]) + 6
    arms = np.vstack([np.eye(3), -np.eye(3)])
    oxygen = (centres[:, None] + np.broadcast_to(bonds_A, n)[:, None, None] * arms).reshape(-1, 3)
    n_na = 12 * n - charge
    sodium = np.column_stack([np.linspace(0, 12 * n, n_na, endpoint=False), np.full(n_na, 11.5), np.full(n_na, 11.5)])
    atoms = Atoms(
        [*["Na"] * n_na, *symbols, *["O"] * 6 * n], np.vstack([sodium, centres, oxygen]), cell=[12.0 * n, 12, 12], pbc=True
    )
    atoms.info = {"config": "octahedra", "step": 7}
    results: dict[str, Any] = {"energy": -3.5, "forces": np.full((len(atoms), 3), 0.25), "stress": np.arange(6.0)}
    if moments is not None:
        results["magmoms"] = np.zeros(len(atoms))
        results["magmoms"][n_na : n_na + n] = moments
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def labelling(frame: Atoms, labels: Labels) -> Labelled:
    return label_calculation(Calculation(Path("cells.extxyz"), 3, "octahedra", frame, None), labels)


def refusal(frame: Atoms, labels: Labels) -> str:
    found = labelling(frame, labels)
    assert found.atoms is None and found.left_out
    assert found.calculation.described == "config octahedra step 7 (cells.extxyz, frame 3)"
    return found.left_out


def label(frame: Atoms, labels: Labels) -> str:
    """Symbols of the redox atoms of a frame that must not be refused."""
    found = labelling(frame, labels)
    assert found.atoms is not None and not found.left_out
    return " ".join(found.atoms.symbols[labels.redox_atoms(found.atoms)])


def test_two_states_by_moments() -> None:
    frame = octahedra("Fe Fe Fe Fe", 10, [2.08, 2.2, 2.1, 2.18], [4.3, 3.9, -4.4, -3.8])
    assert label(frame, FE) == "Ga Fe Ga Fe"
    assert assign_charges(frame, FE, frame.calc.results["magmoms"]).gaps_muB == pytest.approx(0.4)
    kept = labelling(frame, FE).atoms
    assert kept is not None and kept.info == frame.info and kept.info is not frame.info
    for name in ("energy", "forces", "stress", "magmoms"):
        assert np.array_equal(kept.calc.results[name], frame.calc.results[name])
    assert np.array_equal(kept.positions, frame.positions) and FE.charges(kept).sum() == 0


def test_noncollinear_moments_count_by_length() -> None:
    frame = octahedra("Fe Fe", 5, [2.08, 2.2])
    moments = np.zeros((len(frame), 3))
    moments[FE.redox_atoms(frame)] = [[3, 0, 3.1], [0, 3.8, 0]]
    assigned = assign_charges(frame, FE, moments)
    assert assigned.problem is None and assigned.charges[FE.redox_atoms(frame)].tolist() == [3, 2]


@pytest.mark.parametrize(
    "moments, bonds, expected",
    [
        ([4.6, 3.8, 3.75, 3.0], [2.2, 2.05, 2.04, 1.9], "Mn Al Al Ge"),
        ([3.0, 4.55, 3.05, 4.6], [1.9, 2.2, 1.91, 2.21], "Ge Mn Ge Mn"),
        ([3.7, 3.8, 3.8, 3.75], [2.05] * 4, "Al Al Al Al"),
    ],
)
def test_three_states_with_counts_from_the_moments(moments: list[float], bonds: list[float], expected: str) -> None:
    assert label(octahedra("Mn Mn Mn Mn", 12, bonds, moments), MN) == expected


def test_several_elements() -> None:
    bonds = [2.19, 2.2, 2.04, 2.05]
    assert label(octahedra("Fe Fe Mn Mn", 10, bonds, [3.8, 3.75, 3.8, 3.85]), FE_MN) == "Fe Fe Al Al"
    bonds = [2.09, 2.1, 2.2, 2.19]
    assert label(octahedra("Fe Fe Mn Mn", 10, bonds, [4.3, 4.4, 4.6, 4.65]), FE_MN) == "Ga Ga Mn Mn"


def test_counts_that_the_moments_do_not_choose() -> None:
    problem = refusal(octahedra("Mn Mn Mn Mn", 12, [2.05, 1.9, 2.04, 2.2], [3.8, 3.4, 3.75, 4.2]), MN)
    assert "1 Mn of +2, 2 Mn of +3, 1 Mn of +4" in problem and "4 Mn of +3" in problem and "3.40 3.75 3.80 4.20" in problem


def test_narrow_gap_is_refused_with_the_evidence() -> None:
    problem = refusal(octahedra("Fe Fe Fe Fe", 10, [2.08, 2.2, 2.1, 2.18], [4.3, 3.9, 4.05, 3.95]), FE)
    assert "0.100 muB" in problem and "3.90 3.95 4.05 4.30" in problem and "2.200 2.180 2.100 2.080" in problem


def test_moments_and_bonds_that_disagree_are_refused() -> None:
    problem = refusal(octahedra("Fe Fe Fe Fe", 10, [2.08, 2.1, 2.2, 2.18], [4.3, 3.9, 4.4, 3.8]), FE)
    assert "give different atoms" in problem and "3.80 3.90 4.30 4.40" in problem
    assert "give different atoms" in refusal(octahedra("Fe Fe", 5, [2.15, 2.15], [4.3, 3.9]), FE)


def test_charge_that_cannot_balance_is_refused() -> None:
    problem = refusal(octahedra("Fe Fe", 7, [2.1, 2.1], [4.3, 4.3]), FE)
    assert "-7" in problem and "2 Fe (Fe2+, Fe3+)" in problem
    assert "no redox ions" in refusal(octahedra("P", 4, 1.6), FE)
    assert "found V; allowed: Fe, Ga, Na, O, P" in refusal(octahedra("V", 4, 1.9), FE)


def test_one_state_needs_no_moments() -> None:
    assert label(octahedra("Fe Fe", 6, 2.1), FE) == "Ga Ga"
    assert label(octahedra("Fe Fe", 4, 2.1), FE) == "Fe Fe"


def test_bond_lengths_alone() -> None:
    frame = octahedra("Fe Fe Fe", 7, [2.2, 2.1, 2.18])
    assert label(frame, FE) == "Fe Ga Fe" and np.isnan(assign_charges(frame, FE).gaps_muB)
    assert "0.010 A" in refusal(octahedra("Fe Fe Fe", 7, [2.2, 2.17, 2.18]), FE)
    assert "do not decide between them" in refusal(octahedra("Mn Mn Mn", 9, [2.2, 2.05, 1.9]), MN)


def test_moment_of_the_species_goes_before_the_table() -> None:
    states = (Species("Ru3+", 3, moment_muB=0.9), Species("Ru4+", 4, "Ge", 1.6))
    assert label(octahedra("Ru Ru", 7, [2.0, 2.1], [1.5, 0.8]), labels_for(states)) == "Ge Ru"
    with pytest.raises(RedoxError, match="Ru3.*moment_muB"):
        label(octahedra("Ru Ru", 7, [2.0, 2.1], [1.5, 0.8]), labels_for((Species("Ru3+", 3), states[1])))


def test_element_whose_states_all_have_a_proxy() -> None:
    states = (Species("Fe2+", 2, "Mg"), Species("Fe3+", 3, "Ga"))
    assert label(octahedra("Fe Fe", 5, [2.1, 2.2], [4.3, 3.8]), labels_for(states)) == "Ga Mg"


def test_labelled_frames_pass_if_they_are_neutral() -> None:
    assert label(octahedra("Fe Ga", 5, 2.1), FE) == "Fe Ga"
    assert "charge +1, not 0" in refusal(octahedra("Ga Ga", 5, 2.1), FE)


def test_bond_lengths_through_the_cell_walls() -> None:
    rock_salt = Atoms("FeO", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=4.3 / 2 * (1 - np.eye(3)), pbc=True)
    assert bond_lengths_A(rock_salt, FE) == pytest.approx([2.15])
    neighbours, vectors = anion_bonds(rock_salt, FE, 0)
    assert neighbours.tolist() == [1] * 6 and np.allclose(np.abs(vectors).sum(axis=1), 2.15)
    assert np.isnan(bond_lengths_A(Atoms("Fe", cell=[4, 4, 4], pbc=True), FE)).all()


def test_coordination_is_that_of_the_widest_gap() -> None:
    tetrahedron = Atoms("FeO4O2", [[0, 0, 0], *(1.1 * (1 - 2 * np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]))),
                                   [3.2, 0, 0], [0, 3.2, 0]], cell=[20, 20, 20], pbc=True)  # fmt: skip
    assert bond_lengths_A(tetrahedron, FE) == pytest.approx([1.1 * 3**0.5])


def test_charge_order_of_a_relaxed_cell() -> None:
    frame = octahedra("Fe Ga Ga Fe", 10, [2.1, 2.2, 2.08, 2.18], [3.8, 4.3, 4.4, 3.9])
    prepared, iron = FE.charges(frame), FE.redox_atoms(frame)
    assert states_by_bond_length(frame, FE, prepared)[iron].tolist() == [3, 2, 3, 2]
    assert np.array_equal(states_by_moment(frame, FE, prepared, frame.calc.results["magmoms"]), prepared)
    assert prepared.sum() == states_by_bond_length(FE.unlabelled(frame), FE, prepared).sum() == 0


def fe3_sites(cell: Atoms) -> np.ndarray | None:
    """The rule of the reference data in its own words: indices of the Fe3+ atoms, None if uncertain."""
    fe, oxygen = (np.flatnonzero(cell.symbols == s) for s in ("Fe", "O"))
    n = int(np.sum(cell.symbols == "Na"))
    if n == len(fe):
        return fe[:0]
    moments = np.abs(cell.get_magnetic_moments()[fe])
    by_moment = np.argsort(moments)
    if n == 0:
        return fe
    if moments[by_moment[n]] - moments[by_moment[n - 1]] <= 0.15:
        return None
    bonds = [np.sort(cell.get_distances(f, oxygen, mic=True))[:6].mean() for f in fe]
    if set(np.argsort(bonds)[len(fe) - n :]) != set(by_moment[:n]):
        return None
    return fe[by_moment[n:]]


def test_stored_frames_as_the_data_set_labelled_them() -> None:
    calculations = read_calculations(FRAMES, every_step=True)
    frames = [c.atoms for c in calculations if c.atoms is not None]
    expected = [fe3_sites(f) for f in frames]
    found = [label_calculation(c, FE) for c in calculations]
    kept = [f.atoms for f in found if f.atoms is not None]
    refused = [f.calculation for f in found if f.left_out]
    assert (len(kept), len(refused)) == (9, 3)
    assert [np.flatnonzero(f.symbols == "Ga").tolist() for f in kept] == [sorted(e.tolist()) for e in expected if e is not None]
    uncertain = [f for f, e in zip(frames, expected) if e is None]
    assert [id(r.atoms) for r in refused] == [id(f) for f in uncertain]
    certain = kept[0], kept[-1]
    for frame in certain:
        long, short = (bond_lengths_A(frame, FE)[frame.symbols[FE.redox_atoms(frame)] == s] for s in ("Fe", "Ga"))
        assert ((1.9 < short) & (short < 2.16)).all() and ((2.1 < long) & (long < 2.3)).all()


MUTANTS = {
    "counts not neutral": ("return best.get(0, [])", "return sorted(sum(best.values(), []), key=lambda f: f[0])[:2]"),
    "neutrality off by one": ("return best.get(0, [])", "return best.get(1, [])"),
    "no second opinion": ("elif not gap_A > TIE_A", "elif False"),
    "misfit not asked": ("largest > LARGEST_MISFIT_MU_B", "largest > 9"),
    "gap of moments not asked": ("elif by_moment and not gap_muB > LEAST_GAP_MU_B", "elif False"),
    "states in the order of charge": (
        "ascending = ascending_charges(states, numbers, values[where])",
        "ascending = np.repeat(list(numbers), list(numbers.values()))",
    ),
}


def verdicts(module: types.ModuleType) -> list[list[int] | None]:
    frames = [
        (FE, octahedra("Fe Fe Fe Fe", 10, [2.08, 2.2, 2.1, 2.18], [4.3, 3.9, 4.4, 3.8])),
        (FE, octahedra("Fe Fe Fe Fe", 11, [2.08, 2.2, 2.1, 2.18], [4.3, 3.9, 4.4, 3.8])),  # a lost electron
        (FE, octahedra("Fe Fe Fe Fe", 10, [2.08, 2.1, 2.2, 2.18], [4.3, 3.9, 4.4, 3.8])),
        (FE, octahedra("Fe Fe Fe Fe", 10, [2.08, 2.2, 2.1, 2.18], [4.1, 3.9, 4.0, 3.8])),
        (MN, octahedra("Mn Mn Mn Mn", 12, [2.2, 2.05, 2.04, 1.9], [4.6, 3.8, 3.75, 3.0])),
        (FE, octahedra("Fe Fe", 5, [2.2, 2.1], [3.6, 3.9])),
    ]
    assigned = [(labels, f, module.assign_charges(f, labels, f.calc.results["magmoms"])) for labels, f in frames]
    return [None if a.problem else a.charges[labels.redox_atoms(f)].tolist() for labels, f, a in assigned]


RIGHT = [[3, 2, 3, 2], None, None, None, [2, 3, 3, 4], None]


def test_intact_verdicts() -> None:
    assert verdicts(intact) == RIGHT


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(str(intact.__file__)).read_text()
    old, new = MUTANTS[name]
    assert source.count(old) == 1
    module = types.ModuleType("redoxmc.engine.potentials.mutant")
    module.__package__ = intact.__package__
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source.replace(old, new), f"<{name}>", "exec"), module.__dict__)
    assert verdicts(module) != RIGHT
