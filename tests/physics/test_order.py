"""Ordered phases: structure factors and short-range order of states that are known, and the names given to regions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from redoxmc.engine.crystal.lattice import (
    Lattice,
    Species,
    Sublattice,
    Supercell,
    build_lattice,
    diagonal_form,
    hermite_form,
)
from redoxmc.engine.crystal.long_range_order import FALSE_ALARM, LEAST_ORDER, Recognised, recognise
from redoxmc.engine.crystal.structure_factor import Field, Waves, deviations, electron_field, ion_field
from redoxmc.engine.report.figures.order import dilute_limits, order_parameters, short_range_order
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.runtime.results.order import LongRangeOrder, Order
from redoxmc.engine.runtime.results.phase_diagram import PhaseDiagram
from redoxmc.engine.runtime.results.transitions import Transitions
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.samples import read_samples
from redoxmc.engine.thermodynamics.order.group import MOST_SNAPSHOTS, _thinned
from redoxmc.engine.thermodynamics.order.probe import ChainMeans
from redoxmc.engine.thermodynamics.phase_diagram.phases import Seen, _orders, name_ends, phases_of, with_phases, write_cells

from ..helpers.blank import blank
from ..helpers.command import run, write_input
from ..helpers.cubic import NON_DIAGONAL, cells_of, cubic_lattice, random_states, state

Float = np.ndarray
Deviations = Callable[[Field, Supercell, np.ndarray], Float]


@pytest.fixture(scope="module")
def cubic() -> Lattice:
    return cubic_lattice()


def strongest(supercell: Supercell, field: Field, states: np.ndarray) -> tuple[float, list[float], Recognised]:
    waves = Waves(supercell)
    weights = waves.star_weights(deviations(field, supercell, states))
    assert np.allclose(weights.sum(axis=1), 1)
    found = recognise(weights, np.array([len(states)]), waves, field)
    return float(found.weight[0]), waves.star_q[found.star[0]].tolist(), found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=9, max_size=9))
def test_translations_become_a_box(entries: list[int]) -> None:
    matrix = np.array(entries).reshape(3, 3)
    if round(np.linalg.det(matrix)) == 0:
        return
    sizes, columns = diagonal_form(matrix)
    assert abs(round(np.linalg.det(columns))) == 1 and np.prod(sizes) == np.prod(np.diag(hermite_form(matrix)))
    assert not (matrix @ columns % sizes).any()


@pytest.mark.parametrize("matrix", [np.diag([4, 3, 2]), NON_DIAGONAL, np.array([[4, 2, 5], [0, 1, 6], [3, 2, 1]])])
def test_weights_are_the_plain_sum_over_sites(matrix: np.ndarray, olivine: Lattice) -> None:
    supercell, field = Supercell(olivine, matrix), ion_field(olivine, "Na+")
    waves, cells = Waves(supercell), cells_of(Supercell(olivine, matrix))
    assert len(np.unique(waves.whole % waves.period, axis=0)) == supercell.n_cells
    assert np.allclose(waves.q @ matrix.T, np.rint(waves.q @ matrix.T))
    d = deviations(field, supercell, random_states(supercell, 3, 0.4, 0))
    amplitude = np.einsum("kcb,cq->kqb", d, np.exp(-2j * np.pi * cells @ waves.q.T))
    plain = (np.abs(amplitude) ** 2).sum(axis=-1) / (supercell.n_cells * (d**2).sum(axis=(1, 2)))[:, None]
    assert np.allclose(waves.weights(d), plain, atol=1e-12) and np.allclose(plain.sum(axis=1), 1)


def test_fully_ordered_states_have_weight_one(cubic: Lattice) -> None:
    ions, electrons = ion_field(cubic, "Na+"), electron_field(cubic)
    assert electrons is not None and electrons.name == "Fe2+"
    for matrix in (np.diag([6, 6, 6]), NON_DIAGONAL, np.array([[24, 0, 0], [5, 1, 0], [5, 0, 1]])):
        supercell = Supercell(cubic, matrix)
        total = cells_of(supercell).sum(axis=1)
        checkerboard, thirds = total % 2 == 0, total % 3 == 0
        occupation = state(supercell, checkerboard, thirds)
        weight, q, found = strongest(supercell, ions, occupation)
        assert weight == pytest.approx(1) and q == [0.5, 0.5, 0.5] and found.ordered[0] and found.parameter[0] == pytest.approx(1)
        weight, q, found = strongest(supercell, electrons, occupation)
        assert weight == pytest.approx(1) and np.allclose(np.abs(q), 1 / 3) and found.ordered[0] and not found.separated[0]


def test_equivalent_waves_are_one_star(cubic: Lattice, olivine: Lattice) -> None:
    supercell = Supercell(cubic, np.diag([6, 6, 6]))
    for axis in range(3):
        rows = cells_of(supercell)[:, axis] % 3 > 0
        weight, q, _ = strongest(supercell, ion_field(cubic, "Na+"), state(supercell, rows, rows))
        assert weight == pytest.approx(1) and sorted(q) == pytest.approx([0, 0, 1 / 3])
    assert sorted(Waves(Supercell(cubic, np.diag([2, 2, 2]))).star_size.tolist()) == [1, 1, 3, 3]  # Gamma, R, X, M
    assert sorted(Waves(Supercell(olivine, np.diag([1, 3, 3]))).star_size.tolist()) == [1, 2, 2, 4]


def test_sublattice_order_is_a_wave_at_zero(olivine: Lattice) -> None:
    supercell = Supercell(olivine, np.diag([2, 3, 2]))
    heights = olivine.atoms.get_scaled_positions()[olivine.site_atom][:, 1]
    cell = np.where(np.isclose(heights % 1, 0.5), 1, 0).astype(np.int8)
    weight, q, found = strongest(supercell, ion_field(olivine, "Na+"), np.tile(cell, (1, supercell.n_cells)))
    assert weight == pytest.approx(1) and q == [0, 0, 0] and found.ordered[0]


def disorder_has_its_level(olivine: Lattice, deviate: Deviations) -> bool:
    """Random states with fixed counts: M/(M-1)/N at q, (M-N)/(M-1)/N at 0, of M sites in N cells."""
    supercell, field = Supercell(olivine, np.array([[2, 0, 0], [0, 2, 1], [0, 0, 3]])), ion_field(olivine, "Na+")
    n, m, states = supercell.n_cells, 4 * supercell.n_cells, random_states(supercell, 3000, 0.25, 1)
    with np.errstate(invalid="ignore"):
        weights = Waves(supercell).weights(deviate(field, supercell, states))
    expected = np.full(n, m / (m - 1) / n)
    expected[(Waves(supercell).whole == 0).all(axis=1)] = (m - n) / (m - 1) / n
    error = weights.std(axis=0, ddof=1) / np.sqrt(len(weights))
    assert (error < 0.02 * expected.mean()).all()
    return bool((np.abs(weights.mean(axis=0) - expected) < 4 * error).all())


def test_random_states_have_the_level_of_disorder(olivine: Lattice) -> None:
    assert disorder_has_its_level(olivine, deviations)


def test_wrong_means_are_noticed(olivine: Lattice) -> None:
    def about_zero(field: Field, supercell: Supercell, states: np.ndarray) -> Float:
        cells = states.reshape(len(states), supercell.n_cells, -1)
        return field.table[supercell.lattice.site_sublattice[field.sites], cells[..., field.sites]]

    def of_each_basis_site(field: Field, supercell: Supercell, states: np.ndarray) -> Float:
        values = about_zero(field, supercell, states)
        return values - values.mean(axis=1, keepdims=True)

    for wrong in (about_zero, of_each_basis_site):
        assert not disorder_has_its_level(olivine, wrong)


def test_random_states_are_not_called_ordered(cubic: Lattice) -> None:
    supercell, field = Supercell(cubic, np.diag([3, 3, 3])), ion_field(cubic, "Na+")
    waves, draws = Waves(supercell), 4000
    weights = waves.star_weights(deviations(field, supercell, random_states(supercell, draws, 13 / 27, 2)))
    found = recognise(weights, np.ones(draws, int), waves, field)
    assert found.ordered.sum() + found.separated.sum() <= 3 * FALSE_ALARM * draws
    assert (found.parameter**2 >= LEAST_ORDER).mean() > 0.1  # the share alone would often be fooled in so small a cell


def test_phases_side_by_side_are_no_order(cubic: Lattice) -> None:
    supercell, field = Supercell(cubic, np.diag([12, 4, 4])), ion_field(cubic, "Na+")
    x = cells_of(supercell)[:, 0]
    for half, separated in ((x < 6, True), (x % 6 < 3, False), (x % 3 == 0, False)):
        _, _, found = strongest(supercell, field, state(supercell, half, half))
        assert (bool(found.separated[0]), bool(found.ordered[0])) == (separated, not separated)
    short = Supercell(cubic, np.diag([3, 3, 3]))
    rows = cells_of(short)[:, 0] == 0
    assert strongest(short, field, state(short, rows, rows))[2].ordered[0]


def test_chain_means() -> None:
    means = ChainMeans((2, 1), 1)
    for values in ([[1.0], [3.0]], [[4.0]], [[6.0]]):
        means.add((0, 0), np.array(values))
    mean, error = means.mean_and_error()
    assert mean[0, 0, 0] == pytest.approx(4) and error[0, 0, 0] == pytest.approx(np.std([2, 4, 6], ddof=1) / np.sqrt(3))
    assert np.isnan(mean[1, 0, 0]) and np.isnan(error[1, 0, 0])
    few, many = _thinned(np.array([7])), _thinned(np.arange(100))
    assert few.tolist() == [7] and len(many) == MOST_SNAPSHOTS and many[[0, -1]].tolist() == [0, 99]


def order_around_two_thirds() -> Order:
    """Two temperatures, x = 0, 1/12 ... 1: ordered around 2/3 at the lower one."""
    ordered = np.zeros((2, 13), bool)
    ordered[0, 7:10] = True
    weight = np.where(ordered, [[0.5 - 0.1 * abs(c - 8) for c in range(13)]] * 2, 0.01)
    q = np.where(ordered[..., None], [0, 1 / 3, 0], [0.5, 0, 0])
    ion, electron = (
        blank(LongRangeOrder, ordered=mask, order_weight=weight, order_q=q, species=species)
        for mask, species in ((ordered, "Na+"), (np.zeros_like(ordered), "Fe2+"))
    )
    x, chains = np.linspace(0, 1, 13), np.ones((2, 13), int)
    return blank(
        Order, temperature_K=[300.0, 500.0], x=x, chains=chains, ion=ion, electron=electron, low_x="FePO4", high_x="NaFePO4"
    )


def test_fields_are_named_after_the_end_that_they_have() -> None:
    group = order_around_two_thirds()
    labels = np.full((2, 13), -1)
    labels[:, :2], labels[0, 7:10], labels[:, 11:], labels[1, 3:10] = 0, 1, 2, 3
    assert name_ends(group, labels) == ["FePO₄ (Na-poor)", "disordered", "NaFePO₄ (Na-rich)", "disordered"]
    assert name_ends(group, np.zeros((2, 13), int)) == ["disordered"]


def orders_found(cubic: Lattice, size: int, q: float, end_K: float | None) -> list[list[float]]:
    """Wave vectors of the orders that count, where q is recognised around 2/3 and its order ends at end_K."""
    group = order_around_two_thirds()
    group.ion.order_q[..., 1] = q
    seen: Any = SimpleNamespace(order=group, supercell=Supercell(cubic, np.diag([1, size, 1])))
    ends = (
        None if end_K is None else blank(Transitions, q=np.array([[0, q, 0]]), x=np.array([0.6]), temperature_K=np.array([end_K]))
    )
    return [wave_vector.tolist() for wave_vector, _ in _orders(seen, ends)]


def test_an_order_counts_below_its_end_and_if_the_cell_repeats_it(cubic: Lattice) -> None:
    third = [[0, 1 / 3, 0]]
    assert orders_found(cubic, 6, 1 / 3, None) == orders_found(cubic, 6, 1 / 3, 400.0) == third
    assert orders_found(cubic, 6, 1 / 3, 250.0) == [] and orders_found(cubic, 3, 1 / 3, None) == third
    assert orders_found(cubic, 6, 1 / 6, None) == [] and orders_found(cubic, 12, 1 / 6, None) == [[0, 1 / 6, 0]]


def test_orders_of_one_star_are_phases_by_their_arms() -> None:
    """fcc in its cubic cell, where both orders are waves at q = 0: L1_0 at 1/2, L1_2 at 1/4, and disorder elsewhere."""
    alloy = Sublattice("Cu", (Species("Cu", 0), Species("Au", 0)))
    supercell = Supercell(build_lattice(bulk("Cu", "fcc", a=4, cubic=True), (alloy,), {}), np.diag([4, 4, 4]))
    x, y, z = np.rint(supercell.to_atoms(np.zeros(supercell.n_sites, np.int8)).positions / 2).astype(int).T % 2
    layers, corners = z, np.where(x + y + z == 0, 0, 1)
    states = [layers if c > 4 else corners for c in range(9)]
    ordered = np.zeros((2, 9), bool)
    ordered[0, 1:8] = True
    ion = blank(LongRangeOrder, ordered=ordered, order_weight=0.9 * ordered, order_q=np.zeros((2, 9, 3)), species="Cu")
    example = np.stack(np.broadcast_arrays(np.arange(9), np.full((2, 9), 10), 0), axis=-1)
    order = blank(
        Order, temperature_K=[300.0, 500.0], x=np.where(np.arange(9) > 4, 0.5, 0.25), chains=np.ones((2, 9), int),
        ion=ion, electron=None, low_x="Au", high_x="Cu", example=example,
    )  # fmt: skip

    def snapshots(replica: int) -> SimpleNamespace:
        return SimpleNamespace(sweep=np.array([10]), species=states[replica].astype(np.int8).reshape(1, 1, -1))

    samples: Any = SimpleNamespace(snapshots=snapshots)
    diagram = blank(PhaseDiagram, sampled_temperature_K=order.temperature_K, phase_number=np.zeros((2, 9), int), x=order.x)
    found = phases_of(diagram, Seen(order, samples, supercell), None)
    named = with_phases(diagram, order, found)
    assert sorted(named.phase_name.tolist()) == [
        "Cu₁/₂Au₁/₂, every second Cu along c", "Cu₁/₄Au₃/₄, ordered, 1×1×1 cell", "disordered CuₓAu₁₋ₓ",
    ]  # fmt: skip
    where = {name: np.flatnonzero((named.phase_number == k)[0]).tolist() for k, name in enumerate(named.phase_name.tolist())}
    assert where["Cu₁/₂Au₁/₂, every second Cu along c"] == [5, 6, 7] and where["disordered CuₓAu₁₋ₓ"] == [0, 8]
    assert all(p.cell is not None and p.cell.whole for p in found if ", " in p.name)


@pytest.mark.runs
def test_a_run_writes_its_order(tmp_path: Path, olivine: Lattice) -> None:
    path = write_input(tmp_path, 120)
    done = run(path, 1, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    results = read_results(out / "results.h5")
    found, canonical = results.order, results.canonical
    assert found is not None and canonical is not None
    assert np.array_equal(found.x, canonical.x) and np.array_equal(found.temperature_K, canonical.temperature_K)
    seen = found.chains > 0
    assert seen[:, 1:-1].mean() > 0.5 and not seen[:, [0, -1]].any() and found.low_x == "FePO4"
    assert (np.isfinite(found.ion.order_weight) == seen).all()
    with h5py.File(out / "samples/replica_000/segment_0000.h5") as segment:
        assert segment["snapshots"].shape == (3, 2, 16) and segment["snapshot_sweeps"][()].tolist() == [40, 80, 120]
        assert (segment["snapshots"][-1] == segment["state/species"][()]).all()
    assert results.phase_diagram is not None
    diagram = replace(results.phase_diagram, phase_number=np.zeros_like(results.phase_diagram.phase_number))
    seen_in = Seen(found, read_samples(SampleStore(out / "samples")), Supercell(olivine, np.diag([1, 2, 1])))
    (phase,) = phases_of(diagram, seen_in, None)
    (written,) = write_cells([phase], out / "phases")
    assert phase.name == "disordered NaₓFePO₄" and written.name == "disordered_NaxFePO4.cif"
    assert with_phases(diagram, found, [phase]).phase_name.tolist() == [phase.name]
    structure = Structure.from_file(written)
    count = structure.composition.as_dict()
    assert structure.charge == pytest.approx(0, abs=1e-3) and count["Na+"] == pytest.approx(count["Fe2+"], abs=1e-4)
    assert count["O2-"] == 16 and written.read_text().startswith("# disordered NaxFePO4\n# mean of states at T = ")
    assert all(draw(results, None) is not None for draw in (order_parameters, short_range_order, dilute_limits))
