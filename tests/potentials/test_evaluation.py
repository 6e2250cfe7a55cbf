"""What the evaluation counts: retention, intervals, prepared orders, formation energies, hull, series, held-out errors."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st

from redoxmc.engine.crystal.lattice import Lattice, Supercell, build_lattice, hermite_form
from redoxmc.engine.crystal.neutral_states import count_neutral_states, random_neutral_state
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.input.schema import EvaluationInput, RelaxationInput
from redoxmc.engine.potentials.dataset import read_frame_table
from redoxmc.engine.potentials.labelling.configurations import (
    Configuration,
    charge_orders,
    choose_configurations,
    enumerate_configurations,
    key,
)
from redoxmc.engine.potentials.labelling.relaxations import Relaxations
from redoxmc.engine.potentials.labelling.retention import total
from redoxmc.engine.potentials.labels import Labels, labels_of
from redoxmc.engine.potentials.potential import LabelledCalculator
from redoxmc.engine.potentials.relax import FailureKind, RelaxationFailure, relax, start
from redoxmc.engine.stages.evaluate.against_reference import _hull, against_reference
from redoxmc.engine.stages.evaluate.reference import (
    ReferenceCell,
    configuration_of,
    formation_energies,
    reference_cells,
    series,
)
from redoxmc.engine.stages.evaluate.retention import prepared_orders, retention

from ..helpers.paths import STRUCTURE
from ..helpers.systems import HOST, IRON, SODIUM
from ..helpers.toy_calculator import Springs

OLIVINE = build_lattice(read_structure(Path(STRUCTURE)), (SODIUM, IRON), HOST)
UNIT = np.eye(3, dtype=int)
DOUBLE = np.diag([1, 2, 1])


# Shares and intervals.


@pytest.mark.parametrize(
    "kept, n, low, high", [(34, 40, 0.709, 0.929), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (81, 263, 0.255, 0.366)]
)
def test_wilson_intervals(kept: int, n: int, low: float, high: float) -> None:
    """The last one is the example of Newcombe (1998)."""
    found = total([(kept, n - 1), (0, 1)] if kept < n else [(n, n)])
    assert found["share"] == kept / n
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=5.1e-4)


def test_a_share_of_nothing() -> None:
    assert total([]) == {"kept": 0, "labels": 0, "share": None, "low": None, "high": None}


NOT_CONVERGED = RelaxationFailure(FailureKind.NOT_CONVERGED, "forces above 0.03 eV/A after 300 steps")


def keep(store: Relaxations, order: Configuration, swaps: int, failure: RelaxationFailure | None) -> np.ndarray:
    """A relaxed file whose bond lengths show `swaps` pairs of ions exchanged. Returns moments that show all as prepared."""
    labels = labels_of(store.lattice)
    cell = start(order.supercell(store.lattice), order.occupation(), labels, store.settings)
    shown = labels.charges(cell)
    for two, three in list(zip(np.flatnonzero(cell.symbols == "Fe"), np.flatnonzero(cell.symbols == "Ga")))[:swaps]:
        shown[[two, three]] = 3, 2
    cell.calc = SinglePointCalculator(cell, energy=-1.0)
    cell.arrays["by_bond"] = shown
    cell.info = {"config": order.name, "steps": 5, "seconds": 1.0}
    if failure:
        cell.info |= {"failure": failure.kind.value, "failure_detail": failure.detail}
    store.folder.mkdir(exist_ok=True)
    write(store.path(order), cell, format="extxyz")
    return np.select([cell.symbols == "Fe", cell.symbols == "Ga"], [3.6, 4.2], 0.01)


def test_retention_counts_ions(olivine: Lattice, labels: Labels, tmp_path: Path) -> None:
    store = Relaxations(tmp_path / "relaxations", olivine, RelaxationInput(), "by hand")
    pool = choose_configurations(olivine, [UNIT, DOUBLE], 40, 1)

    def one(cells: int, x: float) -> Configuration:
        return next(c for c in pool if c.composition(olivine) == x and c.supercell(olivine).n_cells == cells)

    orders = [one(1, 0.5), one(1, 0.25), one(2, 0.5), one(2, 0.875)]
    lost = RelaxationFailure(FailureKind.CHARGE_ORDER_LOST, "some ions")
    plans = [(0, None), (1, lost), (2, lost), (1, NOT_CONVERGED)]
    moments = {store.path(o): keep(store, o, *plan) for o, plan in zip(orders, plans)}
    moments[store.path(orders[0])] *= -1  # sizes count
    third = moments[store.path(orders[2])]
    iron = np.flatnonzero(third > 1)
    third[iron] = 3.6 + 0.6 * (third[iron] < 4)  # all of this one show the other charge
    found = retention(store, orders, labels, moments)
    assert (found["orders"], found["failed_relaxations"]) == (4, 1)
    assert found["bond_lengths"] == total([(24 - 2 - 4 - 2, 24)])
    assert found["moments"] == total([(24 - 8, 24)])
    assert found["dilute"]["moments"]["labels"] == 12  # x = 1/4 of 4 fu and 7/8 of 8
    assert found["dilute"]["bond_lengths"] == total([(8, 12)]) and found["dilute"]["moments"] == total([(12, 12)])


@pytest.mark.runs
def test_a_potential_that_keeps_its_labels(olivine: Lattice, labels: Labels, springs: LabelledCalculator, tmp_path: Path) -> None:
    swapped = LabelledCalculator(Springs(STRUCTURE, swapped=True), labels, knows_proxies=True)
    orders = prepared_orders(EvaluationInput(orders=6, dilute=1), olivine, 1)
    shares = []
    for name, calculator in (("right", springs), ("swapped", swapped)):
        store = Relaxations(tmp_path, olivine, RelaxationInput(), name)
        for order in orders:
            store.run(order, calculator)
        moments = {store.path(o): np.zeros(len(store.read(o).cell)) for o in orders}
        shares.append(retention(store, orders, labels, moments)["bond_lengths"]["share"])
    assert shares[0] == 1 and shares[1] <= 0.5


# Prepared orders.


@pytest.mark.parametrize("shapes, orders", [([[1, 1, 1]], 30), ([[1, 1, 1], [1, 2, 1]], 60), ([[1, 2, 2]], 12)])
def test_prepared_orders(olivine: Lattice, shapes: list[list[int]], orders: int) -> None:
    given = EvaluationInput(orders=orders, supercells=tuple(shapes), dilute=3)
    found = prepared_orders(given, olivine, 4)
    assert len(found) <= orders and len({(c.matrix, key(c, olivine)) for c in found}) == len(found)
    assert [(c.matrix, c.species) for c in prepared_orders(given, olivine, 4)] == [(c.matrix, c.species) for c in found]
    if shapes != [[1, 1, 1]]:
        assert len(found) == orders
    counts: dict[tuple[int, int], int] = {}
    for c in found:
        fu = c.supercell(olivine).n_formula_units
        ions = round(c.composition(olivine) * fu)
        assert 0 < ions < fu
        counts[fu, ions] = counts.get((fu, ions), 0) + 1
    for shape in shapes:
        fu = 4 * int(np.prod(shape))
        everything = enumerate_configurations(olivine, np.diag(shape), 5000) or []
        for ions in (1, fu - 1):
            exist = sum(round(c.composition(olivine) * fu) == ions for c in everything) or 3
            assert counts[fu, ions] >= min(3, exist), (fu, ions)
    missing = [(fu, n) for fu in {fu for fu, _ in counts} for n in range(1, fu) if not counts.get((fu, n))]
    assert len(missing) <= max(0, 15 - (orders - 6)), missing


# Configurations of structures.


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    rows = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    matrix = np.array(draw(st.lists(rows, min_size=3, max_size=3)))
    volume = round(np.linalg.det(matrix))
    if not 1 <= abs(volume) <= 4:
        matrix = np.diag(draw(st.sampled_from([(1, 1, 1), (1, 2, 1), (2, 1, 1), (1, 1, 3)])))
        matrix[0, 1:] = draw(st.integers(-2, 2)), draw(st.integers(-2, 2))
    return matrix


@settings(max_examples=30, deadline=None)
@given(matrices(), st.integers(0, 2**31), st.booleans())
def test_configuration_of_is_the_inverse(matrix: np.ndarray, seed: int, scramble: bool) -> None:
    supercell, rng = Supercell(OLIVINE, matrix), np.random.default_rng(seed)
    counts, _ = count_neutral_states(supercell, "Na+")
    state = random_neutral_state(supercell, "Na+", int(rng.choice(counts)), rng)
    atoms = supercell.to_atoms(state)
    if scramble:  # other order, other images, no exact positions
        atoms = atoms[rng.permutation(len(atoms))]
        atoms.positions += rng.integers(-2, 3, (len(atoms), 3)) @ np.asarray(atoms.cell) + rng.normal(
            scale=1e-5, size=(len(atoms), 3)
        )
    found = configuration_of(atoms, OLIVINE, "it")
    assert np.array_equal(found.occupation(), state)
    assert np.array_equal(found.supercell(OLIVINE).hermite, hermite_form(matrix))
    assert np.array_equal(np.array(found.matrix), matrix)


def test_structures_that_are_no_configuration(olivine: Lattice) -> None:
    supercell = Supercell(olivine, UNIT)
    whole = supercell.to_atoms(np.zeros(8, np.int8))

    def changed(**what: object) -> Atoms:
        atoms = whole.copy()
        for name, value in what.items():
            setattr(atoms, name, value)
        return atoms

    strained = changed()
    strained.set_cell(1.02 * np.asarray(strained.cell), scale_atoms=True)
    foreign, exchanged = changed(), changed()
    foreign.symbols[int(np.flatnonzero(foreign.symbols == "Na")[0])] = "K"
    exchanged.positions[0] += 0.7
    for atoms, words in (
        (strained, "no supercell"), (whole[1:], "27 sites, not 28"), (foreign, "K is not allowed"), (exchanged,
            "not on the sites")
    ):  # fmt: skip
        with pytest.raises(RedoxError, match=f"configuration it: .*{words}"):
            configuration_of(atoms, olivine, "it")


@pytest.mark.runs
def test_relaxed_cells_are_recognised(olivine: Lattice, labels: Labels, springs: LabelledCalculator, tmp_path: Path) -> None:
    chosen = choose_configurations(olivine, [UNIT, np.array([[1, 0, 0], [0, 1, 1], [0, 0, 2]])], 10, 3)
    frames = []
    for c in chosen:
        found = relax(start(c.supercell(olivine), c.occupation(), labels, RelaxationInput()), springs, RelaxationInput())
        frame = found.cell
        frame.calc = SinglePointCalculator(frame, energy=found.energy_eV)
        frame.info["config"] = c.name
        frames.append(frame)
    write(tmp_path / "cells.extxyz", frames, format="extxyz")
    cells = reference_cells(read_frame_table([tmp_path / "cells.extxyz"], olivine).data(), olivine)
    for c, frame, cell in zip(chosen, frames, cells, strict=True):
        assert cell.configuration.name == c.name and cell.x == c.composition(olivine)
        assert key(cell.configuration, olivine) == key(c, olivine)
        assert cell.energy_eV * c.supercell(olivine).n_formula_units == pytest.approx(frame.get_potential_energy())


# Series, formation energies, hull.


def test_series_share_their_ions(olivine: Lattice) -> None:
    half = np.array([0, 1, 0, 1, 0, 0, 1, 1], np.int8)
    other = np.array([1, 0, 1, 0, 0, 0, 1, 1], np.int8)
    groups = [charge_orders(olivine, UNIT, half, 6, 1), charge_orders(olivine, UNIT, other, 3, 1)]
    wide = charge_orders(olivine, DOUBLE, np.tile(half, 2), 5, 1)
    cells = [ReferenceCell(c, 0.5, 0.0) for c in (*groups[0], *wide, *groups[1])]
    sizes = [len(groups[0]), len(wide), len(groups[1])]
    assert min(sizes) >= 2
    found = series(cells, olivine, 2)
    assert [len(g) for g in found] == sizes and sorted(k for g in found for k in g) == list(range(sum(sizes)))
    assert series(cells, olivine, max(sizes) + 1) == []
    assert [len(g) for g in series(cells, olivine, max(sizes))] == [n for n in sizes if n == max(sizes)]


def test_formation_energies_by_hand() -> None:
    x = np.array([0.0, 0.0, 0.25, 0.5, 1.0, 1.0])
    energy = np.array([-9.0, -10.0, -11.5, -12.5, -14.0, -13.0])
    assert formation_energies(x, energy) == pytest.approx([1.0, 0.0, -0.5, -0.5, 0.0, 1.0])
    assert formation_energies(x, np.array([np.nan, -10.0, np.nan, -12.5, -14.0, -13.0])) == pytest.approx(
        [np.nan, 0.0, np.nan, -0.5, 0.0, 1.0], nan_ok=True
    )
    assert np.isnan(formation_energies(x, np.where(x == 0, np.nan, energy))).all()
    assert np.isnan(formation_energies(np.full(3, 0.5), np.zeros(3))).all()


def test_hull_by_hand() -> None:
    x = np.array([0.0, 0.25, 0.25, 0.5, 0.75, 1.0, 1.0])
    found = _hull(x, np.array([0.0, 0.3, -0.1, -0.4, -0.1, 0.0, 0.2]))
    assert found["x"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found["lowest_eV"].tolist() == [0, -0.1, -0.4, -0.1, 0]
    assert found["hull_eV"] == pytest.approx([0, -0.2, -0.4, -0.2, 0])
    assert found["on_hull"].tolist() == [True, False, True, False, True]


@pytest.mark.runs
def test_against_its_own_reference(
    olivine: Lattice, labels: Labels, springs: LabelledCalculator, reference: list[ReferenceCell], tmp_path: Path
) -> None:
    """Exact agreement; an energy per atom beside it is no energy of formation, as far as atoms come with ions."""
    store = Relaxations(tmp_path, olivine, RelaxationInput(), "springs")
    for cell in reference:
        store.run(cell.configuration, springs)
    found = against_reference(store, reference, olivine)
    assert found["formation_energy_mae_eV"] < 5e-5  # relaxed from another equivalent start
    assert found["hull"]["largest_deviation_eV"] < 5e-5 and found["hull"]["on_hull_reference"] == found["hull"]["on_hull_found"]
    (ranks,) = found["ranks"]
    assert ranks["orders"] == 12 and ranks["spearman"] == pytest.approx(1) and ranks["x"] == 0.5
    shifted = [ReferenceCell(r.configuration, r.x, r.energy_eV + 3 + 2 * r.x) for r in reference]
    assert against_reference(store, shifted, olivine)["formation_energy_mae_eV"] < 5e-5
    turned = [ReferenceCell(r.configuration, r.x, -r.energy_eV) for r in reference]
    assert against_reference(store, turned, olivine)["ranks"][0]["spearman"] == pytest.approx(-1)


@pytest.mark.runs
def test_failed_relaxations_count_as_unknown(olivine: Lattice, reference: list[ReferenceCell], tmp_path: Path) -> None:
    store = Relaxations(tmp_path, olivine, RelaxationInput(), "by hand")
    ends = [k for k, r in enumerate(reference) if r.x in (0, 1)]
    for k, cell in enumerate(reference):
        keep(store, cell.configuration, 0, NOT_CONVERGED if k not in ends else None)
    found = against_reference(store, reference, olivine)
    assert [v is None for v in found["formation_energy_eV"]] == [k not in ends for k in range(len(reference))]
    assert found["ranks"] == [] and found["hull"]["x"] == [0, 1]
    for k in ends:
        keep(store, reference[k].configuration, 0, NOT_CONVERGED)
    with pytest.raises(RedoxError, match="ends of composition"):
        against_reference(store, reference, olivine)


# Held-out errors.


# The stage.
