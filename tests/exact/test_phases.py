"""Phases as objects: their catalogue, the coupling to a pattern, and grand potentials against enumeration and Onsager."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from mpi4py import MPI
from scipy.integrate import quad

from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice
from redoxmc.engine.crystal.symmetry import cell_operations
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters
from redoxmc.engine.input.schema.sampling import SamplingInput, SweepsInput
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.phases import phases, sheets, tasks
from redoxmc.engine.sampling.phases.catalogue import Phase, find_phases
from redoxmc.engine.sampling.phases.coupling import coupled, off_pattern
from redoxmc.engine.sampling.phases.existence import existence
from redoxmc.engine.sampling.phases.phases import read_phases, run_phases
from redoxmc.engine.sampling.phases.sheets import STRENGTHS, Kind, Sheet, Task, make_sheet
from redoxmc.engine.sampling.phases.tasks import DISORDERED, Catalogue, pattern_of
from redoxmc.engine.thermodynamics.phases.grand_potential import (
    Anchor,
    coupling_anchors,
    grand_potential,
    states_anchors,
)
from redoxmc.engine.thermodynamics.phases.surface import Surface, surface_of
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV

from .test_order_scans import COUPLING_EV, antiferromagnet, exact_grand_potential

ASKED_K = (300.0, 700.0)
SEED = 5


def alloy(size: int) -> System:
    """Fcc in its cubic cell, two neutral elements that prefer each other as nearest neighbours."""
    elements = ("Cu", "Au")
    cell = Atoms("H4", scaled_positions=[(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)], cell=[4.0] * 3, pbc=True)
    lattice = build_lattice(cell, (Sublattice("H", tuple(Species(e, 0) for e in elements)),), {})
    pairs = [(a, b, COUPLING_EV if a == b else -COUPLING_EV) for a, b in (("Cu", "Cu"), ("Au", "Au"), ("Cu", "Au"))]
    clusters = [c for a, b, energy in pairs for c in pair_clusters(lattice, (a, b), (2.7, 2.9), energy)]
    return build_system(Hamiltonian(lattice, tuple(clusters)), np.diag([size] * 3), ("Cu",))


def catalogue_of(system: System, mu_eV: Sequence[float]) -> Catalogue:
    """The checkerboard alone."""
    phases = [p for p in find_phases((system, system), np.array([0.0]), ASKED_K, [], SEED) if 2 * p.n == system.supercell.n_sites]
    return Catalogue(tuple(phases), np.array(mu_eV), ASKED_K)


def made(system: System, catalogue: Catalogue, phase: int, kinds: Sequence[Kind], sweeps: int) -> list[Sheet]:
    tasks = [Task(phase, kind, mu, 0) for kind in kinds for mu in catalogue.mu_of(phase).tolist() if kind is not Kind.COUPLED]
    if Kind.COUPLED in kinds:
        tasks += [Task(phase, Kind.COUPLED, catalogue.reference_mu_eV(phase), 0, node) for node in range(STRENGTHS)]
    patterns = [pattern_of(catalogue, t, system) for t in tasks]
    return [make_sheet(system, p, (), t, ASKED_K, sweeps, SEED, (k, phase + 1)) for k, (t, p) in enumerate(zip(tasks, patterns))]


def test_coupled_energies_are_exact() -> None:
    """H + lambda D, in whole neV, for any state."""
    system, random = antiferromagnet(4), np.random.default_rng(0)
    pattern = random.integers(0, 2, 16).astype(np.int8)
    with_coupling = coupled(system, pattern, 7_000_001)
    for state in random.integers(0, 2, (20, 16)).astype(np.int8):
        expected = system.energy_neV(state) + 7_000_001 * int(off_pattern(state[None], pattern)[0])
        assert with_coupling.energy_neV(state) == expected


def test_the_catalogue_tells_one_arm_from_three() -> None:
    """L1_0 has one arm of the star (100), L1_2 all three; the many tied states with domain walls are merged."""
    found = find_phases((alloy(2), alloy(2)), np.linspace(-0.48, 0.48, 7), ASKED_K, [], SEED)
    assert [p.n for p in found] == [8, 16, 24]
    quarter, half, _ = (p.pattern for p in found)
    to_order, to_stars, _ = half.likeness(np.array([half.species, quarter.species]))
    assert to_order == pytest.approx([1, 1 / 3]) and to_stars == pytest.approx([1, 1])
    images = np.array([half.species[np.argsort(image)] for image in cell_operations(half.supercell)])
    energies = {alloy(2).energy_neV(s) for s in images}
    assert len(half.variants) == 3 and half.likeness(images)[0] == pytest.approx(1) and energies == {found[1].energy_neV}
    assert found[1].mu_eV == pytest.approx((-0.16, 0.16))


def test_likeness_to_a_translation_is_full_and_its_correlation_negative() -> None:
    (phase,) = find_phases((antiferromagnet(4), antiferromagnet(4)), np.array([0.0]), ASKED_K, [], SEED)
    found = phase.pattern.likeness(np.array([phase.pattern.species, 1 - phase.pattern.species]))
    assert found[0] == pytest.approx([1, 1]) and found[2] == pytest.approx([1, -1])


def test_chains_that_are_more_like_another_phase_have_left_theirs() -> None:
    """The likeness of 1/4 to 1/2 is 1/3, more than the threshold. Noise at one temperature is filled in, at two it is not."""
    _, half, _ = find_phases((alloy(2), alloy(2)), np.linspace(-0.48, 0.48, 7), ASKED_K, [], SEED)
    system, task = alloy(2), Task(1, Kind.COLD, 0.0, 0)
    sheet = make_sheet(system, half.pattern, (), task, ASKED_K, 40, SEED, (1,))
    assert existence(sheet)[1][0]
    moved = replace(sheet, to_others=np.full(sheet.to_others.shape, 0.5), likeness=np.full(sheet.likeness.shape, 1 / 3))
    assert not existence(moved)[1].any()
    assert existence(replace(moved, to_others=np.zeros(sheet.to_others.shape)))[1][0]
    apart = np.zeros(sheet.means.energy_eV.shape)
    apart[:, 2], apart[:, 6:8] = [[0.0, 0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0, 1.0]]
    apart += 1e-3 * np.random.default_rng(0).normal(size=apart.shape)
    noisy = replace(sheet, means=replace(sheet.means, energy_eV=apart), likeness=np.ones(sheet.likeness.shape))
    assert np.flatnonzero(~existence(noisy)[1]).tolist() == [6, 7]


def disordered(sweeps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """beta Phi of the 4 x 4 cell from beta = 0, exact values and errors, (beta, mu), the order left out of account."""
    system = antiferromagnet(4)
    catalogue = Catalogue((), np.linspace(-0.16, 0.16, 5), ASKED_K)
    sheets = made(system, catalogue, DISORDERED, (Kind.HOT, Kind.COLD), sweeps)
    surface = surface_of(catalogue, sheets, DISORDERED, 0, 16, SEED)
    assert surface is not None
    surface = replace(surface, exists=np.ones_like(surface.exists))  # in this small cell the chains flip between all orders
    found = grand_potential(surface, states_anchors(surface, system.neutral_counts[1], 16), 16).value_eV[:, 1:]
    beta = surface.beta_per_eV[1:, None]
    exact = np.array([[exact_grand_potential(1 / b, mu) for mu in surface.mu_eV] for b in beta[:, 0]])
    return 16 * beta * found[0], beta * exact, 16 * beta * found[1:].std(axis=0, ddof=1)


def test_grand_potentials_from_the_number_of_states_are_exact() -> None:
    found, exact, error = disordered(2000)
    assert error.max() < 0.05
    deviation = (found - exact) / error
    assert np.sqrt((deviation**2).mean()) < 2 and np.abs(deviation).max() < 5


def onsager_eV(temperature_K: float) -> float:
    """Grand potential per site of the infinite square lattice at x = 1/2 (Onsager, Phys. Rev. 65, 117, 1944)."""
    kT = BOLTZMANN_EV_PER_K * temperature_K
    double = 2 * COUPLING_EV / kT
    kappa = 2 * np.sinh(double) / np.cosh(double) ** 2
    integral, _ = quad(lambda v: np.log((1 + np.sqrt(max(1 - (kappa * np.sin(v)) ** 2, 0))) / 2), 0, np.pi)
    return float(-kT * (np.log(2 * np.cosh(double)) + integral / (2 * np.pi)))


def test_the_coupling_to_the_pattern_gives_onsagers_grand_potential() -> None:
    """Of the ordered phase below 450 K, where 8 x 8 sites are as good as infinitely many; the closure within its error."""
    system = antiferromagnet(8)
    catalogue = catalogue_of(system, [-0.04, 0.0, 0.04])
    sheets = made(system, catalogue, 0, (Kind.COLD, Kind.COUPLED), 400)
    surface = surface_of(catalogue, sheets, 0, 0, 64, SEED)
    assert surface is not None
    anchors = anchors_of(system, catalogue.phases[0], surface, sheets)
    found = grand_potential(surface, anchors, 64)
    for row in range(-8, 0):
        beta = surface.beta_per_eV[row]
        error = 64 * beta * found.value_eV[1:, row, 1].std(ddof=1)
        deviation = 64 * beta * (found.value_eV[0, row, 1] - onsager_eV(1 / (BOLTZMANN_EV_PER_K * beta)))
        assert error < 0.15 and abs(deviation) < 4 * error + 0.02
    mistaken = [replace(a, value=a.value + np.log(2) * (k == len(anchors) - 1)) for k, a in enumerate(anchors)]
    assert abs(found.closure_kT) < 4 * found.closure_kT_error
    assert abs(grand_potential(surface, mistaken, 64).closure_kT) > 10 * found.closure_kT_error  # ln 2 for each site
    assert np.isnan(found.value_eV[0, 0, 1]), "at 700 K the order has ended"
    followed = grand_potential(replace(surface, exists=np.ones_like(surface.exists)), anchors, 64)
    beta = surface.beta_per_eV[0]
    off = 64 * beta * (followed.value_eV[:, 0, 1] - onsager_eV(ASKED_K[1]))
    assert abs(off[0]) > 4 * off[1:].std(ddof=1) + 0.02, (
        "mutant: followed past its basin, one variant counted where there are two"
    )


def anchors_of(system: System, phase: Phase, surface: Surface, sheets: Sequence[Sheet]) -> list[Anchor]:
    nodes, pattern = [s for s in sheets if s.task.kind is Kind.COUPLED], (phase.energy_neV / NEV_PER_EV, phase.n)
    return coupling_anchors(surface, nodes, ASKED_K, pattern, system.n_formula_units, SEED)


def few_chains(monkeypatch: pytest.MonkeyPatch) -> tuple[System, System]:
    """Two cells, two chemical potentials, two strengths of the coupling."""
    systems = antiferromagnet(4), antiferromagnet(2)
    plan = SimpleNamespace(mu_eV=(np.array([-0.01, 0.01]),), mix=systems[0].mix)
    monkeypatch.setattr(phases, "read_ladder", lambda store: (plan, None))
    monkeypatch.setattr(phases, "MU_POINTS", 2)
    for module in (tasks, sheets):
        monkeypatch.setattr(module, "STRENGTHS", 2)
    return systems


def test_sheets_are_kept_and_go_on_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits at once or in two parts; more sweeps make all again; another smaller cell has another catalogue."""
    systems, comm = few_chains(monkeypatch), MPI.COMM_SELF
    store, more = SampleStore(tmp_path), list[float]()

    def contents(sweeps: int, smaller: System = systems[1]) -> dict[str, str]:
        given = SamplingInput(temperature_K=ASKED_K, sweeps=SweepsInput(measure=sweeps))
        run_phases((systems[0], smaller), given, list, lambda *_: list(more), 1, store, comm, StopWatch(comm, None))
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(store.phases.iterdir())}

    first = contents(40)
    made_at = {p.name: p.stat().st_mtime_ns for p in store.phases.iterdir()}
    for lost in list(first)[::3]:
        if lost != "catalogue.h5":
            (store.phases / lost).unlink()
    assert contents(40) == first
    kept = {name: at for name, at in made_at.items() if (store.phases / name).stat().st_mtime_ns == at}
    assert 0 < len(kept) < len(made_at)
    more.append(0.003)
    assert contents(40) == first  # its rounds are over
    found = read_phases(store, *systems)
    assert found is not None and {s.task.kind for s in found[1]} >= {Kind.HOT, Kind.COLD, Kind.COUPLED}
    assert (
        contents(80) != first
        and read_phases(store, systems[0], antiferromagnet(3)) is None
        and read_phases(store, systems[0], None) is None
    )


def test_chemical_potentials_are_added_in_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in three rounds: more chains, the others as before; after an interruption between rounds the same files."""
    systems, comm = few_chains(monkeypatch), MPI.COMM_SELF
    given = SamplingInput(temperature_K=ASKED_K, sweeps=SweepsInput(measure=40))

    def contents(store: SampleStore, rounds: list[list[float]]) -> dict[str, str]:
        def uncertain(catalogue: Catalogue, sheets: list[Sheet]) -> list[float]:
            assert len(sheets) >= len(tasks.tasks_of(catalogue))
            found = rounds[catalogue.rounds]
            if found is None:
                raise InterruptedError
            return found

        run_phases(systems, given, list, uncertain, 1, store, comm, StopWatch(comm, None))
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(store.phases.iterdir())}

    without = contents(SampleStore(tmp_path / "without"), [[]])
    at_once = contents(SampleStore(tmp_path / "once"), [[0.0], [0.005], []])
    assert {k: v for k, v in without.items() if k != "catalogue.h5"}.items() <= at_once.items()
    catalogue = phases.read_catalogue(SampleStore(tmp_path / "once"), systems)
    assert catalogue is not None and catalogue.added_eV == (0.0, 0.005) and catalogue.rounds == len(tasks.ADDED)
    assert catalogue.grid_eV.tolist() == [-0.01, 0.0, 0.005, 0.01] and [catalogue.number(m) for m in (0.01, 0.005)] == [1, 3]
    parted = SampleStore(tmp_path / "parted")
    with pytest.raises(InterruptedError):
        contents(parted, [[0.0], None])
    assert contents(parted, [None, [0.005], []]) == at_once
