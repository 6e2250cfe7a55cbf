"""Box by box: each box leaves the distribution alone, the whole chain samples what it should, threads change nothing."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
from ase import Atoms
from numpy.typing import NDArray

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.polynomial import wide_polynomial
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.chain import advance
from redoxmc.engine.sampling.chains.domains import cut
from redoxmc.engine.sampling.chains.log_z import estimated_steps
from redoxmc.engine.sampling.chains.moves import Mix, build_moves
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.units import NEV_PER_EV
from redoxmc.kernels.chain import NEVER, walk
from redoxmc.kernels.domains import map_boxes, run_domains, run_domains_together
from redoxmc.kernels.halo import lay_out, read_species
from redoxmc.kernels.layout import Domains, Record, Scheme, State
from redoxmc.kernels.random import new_stream
from redoxmc.kernels.view import view

from ..helpers.enumeration import Enumeration, begin, enumerate_states, mean_and_error, p_value, semigrand
from ..helpers.lengths import FULL, SHORT, bar
from ..helpers.transition_matrix import MIXES, log_target, transition_matrix

TEMPERATURE_K = 600.0
BOX = np.array([0, 2, 3, 4, 5, 7])  # three sites of each sublattice of the small cell


def in_boxes(
    hamiltonian: Hamiltonian, repeats: tuple[int, ...], box_sites: int, reach: NDArray[np.int64] | None = None
) -> System:
    """A system whose chains go box by box; reach: instead of the true one."""
    system = build_system(hamiltonian, np.diag(repeats), ("Na+",))
    domains = cut(system.supercell, system.geometry.margin if reach is None else reach, box_sites)
    assert domains is not None
    return replace(system, domains=(domains, build_system(hamiltonian, np.diag(domains.board), ("Na+",))))


@pytest.fixture(scope="module")
def row() -> Hamiltonian:
    """Cells of one Na and one Fe in a row, neighbours interact."""
    atoms = Atoms("NaFe", positions=[[0, 0, 0], [0, 0, 1.5]], cell=[9.0, 9.0, 3.5], pbc=True)
    sublattices = (
        Sublattice("Na", (Species("Na+", 1), Species("Va", 0))),
        Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3))),
    )
    lattice = build_lattice(atoms, sublattices, {})
    lattice = replace(lattice, spectators={"Na": -3})
    clusters = [
        *point_clusters(lattice, "Na+", -0.02),
        *pair_clusters(lattice, ("Na+", "Fe2+"), (1.0, 1.9), -0.07),
        *pair_clusters(lattice, ("Na+", "Fe2+"), (1.9, 2.5), 0.03),
        *pair_clusters(lattice, ("Na+", "Na+"), (3.0, 4.0), 0.05),
        *pair_clusters(lattice, ("Fe2+", "Fe2+"), (3.0, 4.0), -0.04),
    ]
    return Hamiltonian(lattice, tuple(clusters))


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_a_box_leaves_the_distribution_alone(small_states: Enumeration, mix: Mix) -> None:
    """As a matrix, with counts of the box. Mutant: which of two boxes is advanced depends on what a site holds."""
    ensemble = semigrand(small_states.system, TEMPERATURE_K, 0.02)._replace(log_weight=np.array([0.0, 0.5, 0.2, 1.0, 0.3]))
    moves = build_moves(small_states.system.supercell, ("Na+",), mix)
    weight = log_target(small_states, ensemble)
    p = np.exp(weight - weight.max())
    p /= p.sum()
    one, other = (transition_matrix(small_states, moves, ensemble, box) for box in (BOX, np.array([1, 2, 3, 4, 5, 6])))
    for matrix in (one, other):
        assert np.abs(p @ matrix - p).max() < 1e-12
        frozen = small_states.states[:, 1] if matrix is one else small_states.states[:, 0]
        assert not matrix[frozen[:, None] != frozen[None, :]].any()
    chosen_by_state = np.where(small_states.states[:, 2, None] == 1, one, other)
    assert np.abs(p @ chosen_by_state - p).max() > 1e-5


@nb.njit
def walk_in_box(sites: Any, state: Any, model: Any, scheme: Any, record: Any, attempts: Any) -> None:
    """As `run`, with the given sites alone."""
    board = lay_out(state.species, model.geometry)
    walk(view(board), sites, view(state), view(model), view(scheme), view(record), attempts, NEVER)
    read_species(board.halo, model.geometry, state.species)


@pytest.mark.runs
def test_the_kernel_follows_the_matrix_of_a_box(small_states: Enumeration) -> None:
    system, ensemble = small_states.system, semigrand(small_states.system, TEMPERATURE_K, 0.02)
    expected = np.linalg.matrix_power(transition_matrix(small_states, system.moves, ensemble, BOX), 6)[30]
    start, stream, tally, counts = (
        small_states.states[30],
        new_stream(3, 1),
        empty_tally(system),
        np.zeros(len(small_states.states)),
    )
    energy, kinds = system.energy_neV(start), len(system.moves.names)
    record = Record(np.zeros(1, int), np.zeros((1, 1), int), np.zeros(kinds, int), np.zeros(kinds, int))
    scheme = Scheme(system.moves.arrays, ensemble, tally)
    for _ in range(20_000):
        state = State(start.copy(), energy, small_states.n[30:31].copy(), stream)
        walk_in_box(BOX, state, system.model, scheme, record, 6)
        counts[small_states.index[state.species.tobytes()]] += 1
    assert p_value(counts, expected) > 1e-3


@pytest.mark.validate
@pytest.mark.parametrize("length", [SHORT, FULL])
def test_averages_and_free_energies_of_a_row(row: Hamiltonian, length: int) -> None:
    """Four boxes of two cells, two of a colour a pair: semigrand averages, and steps of ln Z_n tallied by free and near
    exchanges within boxes.
    """
    system = in_boxes(row, (1, 1, 8), 4)
    assert system.domains is not None and system.domains[0].boxes.shape == (2, 2, 3, 2)
    exact = enumerate_states(system)
    assert len(exact.states) == 12_870
    p = exact.probability(TEMPERATURE_K, 0.05)
    log_z = exact.log_z(TEMPERATURE_K)
    reference = np.append(log_z[:-1] - log_z[1:], 0.0)
    chain, tally = begin(system, 4), empty_tally(system)
    ensemble = semigrand(system, TEMPERATURE_K, 0.05)
    ensemble = ensemble._replace(reference=np.resize(reference, len(ensemble.reference)))
    advance(chain, system, system.moves, ensemble, empty_tally(system), 1000)
    record = advance(chain, system, system.moves, ensemble, tally, length * 40_000)
    for series, expected in ((record.energy / NEV_PER_EV / 8, p @ exact.energy_eV / 8), (record.ions[:, 0] / 8, p @ exact.n / 8)):
        mean, error = mean_and_error(series)
        assert error < bar(1e-3, length) and abs(mean - expected) < 3.5 * error
    flat = ensemble._replace(beta_mu=np.zeros(1), log_weight=np.resize(-log_z, len(ensemble.log_weight)))
    found = []
    for _ in range(8):
        tally.sums[:] = 0
        advance(chain, system, system.moves, flat, tally, length * 2000)
        found.append(estimated_steps(tally.sums, ensemble.reference, 1)[:8])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(8)
    assert error.max() < bar(0.03, length) and (np.abs(np.mean(found, axis=0) - reference[:8]) < 4.5 * error).all()
    assert chain.energy == system.energy_neV(chain.species) and chain.ions == system.count_ions(chain.species)


def half_full(system: System) -> NDArray[np.int8]:
    return random_neutral_state(system.supercell, "Na+", sum(system.n_range) // 2, np.random.default_rng(1))


@pytest.fixture(scope="module")
def olivine_boxes(olivine_hamiltonian: Hamiltonian) -> System:
    """Two boxes on one axis, six on the next, one on the last: a pair and a single one of each of four colours."""
    return in_boxes(olivine_hamiltonian, (5, 13, 6), 100)


def digest(system: System, temperature_K: float, together: bool, tabled: bool = False, sweeps: int = 40) -> tuple[str, float]:
    """What a chain at 0.05 eV comes to, and its acceptance; its energy must be that of its state."""
    assert system.domains is not None
    domains, board = system.domains
    kinds, model = len(system.moves.names), board.model
    if tabled:
        model = model._replace(polynomial=wide_polynomial(None))
    record = Record(np.zeros(sweeps, int), np.zeros((sweeps, 1), int), np.zeros(kinds, int), np.zeros(kinds, int))
    chain, ensemble = begin(system, 2, half_full(system)), semigrand(system, temperature_K, 0.05)._replace(step=0)
    scheme = Scheme(system.moves.within(board.supercell), ensemble, empty_tally(system))
    state = State(chain.species, chain.energy, chain.ions, chain.stream)
    advance_boxes = run_domains_together if together else run_domains
    chain.energy = advance_boxes(state, domains, model, scheme, record, system.supercell.n_sites)
    assert chain.energy == system.energy_neV(chain.species) and chain.ions == system.count_ions(chain.species)
    parts = (chain.species, chain.stream, *record)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest(), record.accepted.sum() / record.tried.sum()


@pytest.mark.parametrize("temperature_K", [150.0, 2000.0])
def test_kept_and_evaluated_fields_and_the_table_agree(olivine_boxes: System, temperature_K: float) -> None:
    """Bit for bit. In the cold they are kept after the first colour."""
    found, accepted = digest(olivine_boxes, temperature_K, together=False)
    assert (found, accepted) == digest(olivine_boxes, temperature_K, together=False, tabled=True)
    assert (accepted < 0.05) == (temperature_K == 150.0)


@pytest.mark.runs
def test_threads_change_nothing(olivine_boxes: System) -> None:
    """One by one, as threads but one, and two threads in a process of their own."""
    alone, _ = digest(olivine_boxes, 600.0, together=False)
    assert alone == digest(olivine_boxes, 600.0, together=True)[0]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.exact.test_domains"],
        env={**os.environ, "NUMBA_NUM_THREADS": "2"}, cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["2", alone]


def test_a_margin_too_narrow_spoils_the_energy(olivine_hamiltonian: Hamiltonian) -> None:
    narrow = in_boxes(olivine_hamiltonian, (5, 13, 10), 100, np.array([1, 1, 1]))
    with pytest.raises(AssertionError):
        digest(narrow, 600.0, together=False, sweeps=2)


def cells_of(domains: Domains, around: NDArray[np.int64], origin: NDArray[np.int64]) -> list[list[set[int]]]:
    """Cells of every box of every colour, with those so far around."""
    return [[set(map_boxes(box[None], around, origin, domains)[1].tolist()) for box in boxes] for boxes in domains.boxes]


@pytest.mark.parametrize("shape", [(5, 9, 6), (16, 2, 9), (8, 8, 8), (13, 17, 11)], ids=str)
@pytest.mark.parametrize("reach", [(1, 1, 2), (2, 1, 1)], ids=str)
def test_boxes_fill_the_cell_and_those_of_a_colour_share_nothing(
    olivine: Lattice, shape: tuple[int, ...], reach: tuple[int, ...]
) -> None:
    """What is copied with a box, and changed there, belongs to no other box of its colour. Mutant: boxes too close."""
    supercell, origin = Supercell(olivine, np.diag(shape)), np.array([3, 1, 2])
    domains = cut(supercell, np.array(reach), 8)
    assert domains is not None
    own = [cells for colour in cells_of(domains, np.zeros(3, int), origin) for cells in colour]
    assert sum(map(len, own)) == supercell.n_cells == len(set().union(*own))

    def disjoint(around: NDArray[np.int64]) -> bool:
        return all(sum(map(len, colour)) == len(set().union(*colour)) for colour in cells_of(domains, around, origin))

    assert disjoint(domains.margin)
    assert not disjoint(np.where(domains.margin > 0, domains.boxes[0, 0, :, 1], 0))


def test_species_travel_across_the_cell(ideal: Callable[..., System]) -> None:
    """By pairs of boxes, at fixed counts: a wave of 96 cells is gone within a few sweeps."""
    system = ideal([96, 1, 1])
    domains = cut(system.supercell, np.array([1, 1, 1]), 30)
    assert domains is not None and domains.boxes.shape[:2] == (2, 24)
    system = replace(system, domains=(domains, ideal(domains.board.tolist())))
    start = np.zeros((96, 8), np.int8)
    start[:48] = 1

    def wave(s: System) -> float:
        chain, ensemble = begin(s, 1, start.ravel()), semigrand(s, np.inf, 0.0)
        record = []
        for _ in range(40):
            advance(chain, s, s.canonical_moves, ensemble, empty_tally(s), 1)
            record.append(chain.species.reshape(96, 8)[:48].mean() - 0.5)
        return float(np.mean(record[10:]))

    assert abs(wave(system)) < 0.03


def test_very_large_cells_have_domains(ideal: Callable[..., System], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ideal([4, 4, 4]).domains is None
    monkeypatch.setattr("redoxmc.engine.sampling.chains.system.VERY_LARGE", 8000)
    system = ideal([4, 16, 20])
    assert system.domains is not None and system.domains[1].domains is None
    chain, ensemble = begin(system, 1, half_full(system)), semigrand(system, 600.0, 0.0)
    record = advance(chain, system, system.moves, ensemble, empty_tally(system), 3)
    assert record.tried.sum() == 3 * system.supercell.n_sites
    skewed = build_system(Hamiltonian(system.lattice), np.array([[16, 1, 0], [0, 16, 0], [0, 0, 16]]), ("Na+",))
    assert skewed.domains is None


def main() -> None:
    """The digest of `olivine_boxes` on the threads of this process."""
    import numba

    from redoxmc.engine.hamiltonian.clusters import from_icet

    from ..helpers.systems import olivine_lattice, random_expansion

    lattice = olivine_lattice()
    hamiltonian = from_icet(random_expansion(lattice), lattice)
    print(numba.get_num_threads(), digest(in_boxes(hamiltonian, (5, 13, 6), 100), 600.0, together=True)[0])


if __name__ == "__main__":
    main()
