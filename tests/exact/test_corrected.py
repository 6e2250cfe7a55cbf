"""The potential's chain, for which a deliberately bad expansion proposes, against enumeration."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from icet import ClusterExpansion
from mpi4py import MPI
from scipy.special import logsumexp
from scipy.stats import chi2

from redoxmc.engine.correction.correct import Correction, run_correction
from redoxmc.engine.correction.corrected import LENGTHS, Corrected, advance_corrected, tuned_stretch
from redoxmc.engine.correction.energies import Energies
from redoxmc.engine.correction.estimate import by_both_ways, by_reweighting, by_transitions, resampled
from redoxmc.engine.correction.walker import Walk, expansion_samples, first_weights, tune, walk
from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.crystal.symmetry import site_permutations
from redoxmc.engine.errors import Interrupted
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.sampling.anneal import ideal_steps
from redoxmc.engine.sampling.plan import empty_tally
from redoxmc.engine.sampling.system import System, build_system
from redoxmc.engine.stages.cells import hamiltonian_of
from redoxmc.engine.stages.correct import correction_of
from redoxmc.engine.stages.fit import short_range
from redoxmc.engine.stages.output import Output
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.units import NEV_PER_EV, inverse_temperature
from redoxmc.kernels.layout import Ensemble
from redoxmc.kernels.random import new_stream

from ..helpers.command import LABELLED_LATTICE
from ..helpers.command import run as run_command
from ..helpers.enumeration import Enumeration, begin, enumerate_states, mean_and_error, p_value, semigrand
from ..helpers.paths import ROOT, STRUCTURE
from ..helpers.toy_calculator import with_toy_calculator
from ..helpers.transition_matrix import transition_matrix

TEMPERATURE_K = 600.0
MU_EV = 0.02


@pytest.fixture(scope="module")
def true(small: System) -> Enumeration:
    """The states with the potential's energies: a cheap one with a known answer."""
    return enumerate_states(small)


@pytest.fixture(scope="module")
def bad(olivine: Lattice, olivine_expansion: ClusterExpansion) -> System:
    """All couplings halved, and the largest pair's sign flipped."""
    parameters = np.array(olivine_expansion.parameters) * 0.5
    orders = np.array([o["order"] for o in olivine_expansion.get_cluster_space_copy().as_list])
    pairs = np.flatnonzero(orders == 2)
    parameters[pairs[np.argmax(np.abs(parameters[pairs]))]] *= -1
    worse = ClusterExpansion(olivine_expansion.get_cluster_space_copy(), parameters)
    return build_system(from_icet(worse, olivine), np.diag([1, 1, 1]), ("Na+",))


def state_of(e: Enumeration, bad: System, k: int, seed: int = 3) -> Corrected:
    return Corrected(begin(bad, seed, e.states[k]), float(e.energy_eV[k]))


def energies_of(e: Enumeration) -> Energies:
    return Energies(site_permutations(e.system.supercell), lambda s: float(e.energy_eV[e.index[s.tobytes()]]))


def corrected_matrix(e: Enumeration, bad: System, stretch: int) -> np.ndarray:
    """(states, states): the stretch's matrix, and the acceptance of the potential upon it."""
    ensemble = semigrand(bad, TEMPERATURE_K, MU_EV)
    of_bad = enumerate_states(bad)
    assert (of_bad.states == e.states).all()
    stretched = np.linalg.matrix_power(transition_matrix(of_bad, bad.moves, ensemble), stretch)
    excess = e.energy_eV - of_bad.energy_eV
    accepted = np.exp(np.minimum(-ensemble.beta * NEV_PER_EV * (excess[None, :] - excess[:, None]), 0.0))
    matrix = stretched * accepted
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    return matrix


@pytest.mark.parametrize("stretch", [1, 3, 64])
def test_detailed_balance_as_a_matrix(true: Enumeration, bad: System, stretch: int) -> None:
    """And the expansion is bad: its own distribution is far from the potential's."""
    log_pi = true.log_weight(TEMPERATURE_K, MU_EV)
    pi = np.exp(log_pi - logsumexp(log_pi))
    matrix = corrected_matrix(true, bad, stretch)
    assert np.abs(pi[:, None] * matrix - (pi[:, None] * matrix).T).max() < 1e-12
    of_bad = enumerate_states(bad).probability(TEMPERATURE_K, MU_EV)
    assert 0.5 * np.abs(of_bad - pi).sum() > 0.2


@pytest.mark.parametrize("stretch", [1, 16])
def test_the_chain_follows_the_matrix(true: Enumeration, bad: System, stretch: int) -> None:
    """One proposal, many times from one state."""
    row = corrected_matrix(true, bad, stretch)[30]
    energy_of, ensemble, counts = energies_of(true), semigrand(bad, TEMPERATURE_K, MU_EV), np.zeros(70)
    state = state_of(true, bad, 30)
    begun = state.chain.energy, state.chain.ions.copy()
    for _ in range(20_000):
        state.chain.species[:], state.potential_eV = true.states[30], float(true.energy_eV[30])
        state.chain.energy, state.chain.ions[:] = begun
        advance_corrected(state, bad, bad.moves, ensemble, energy_of, stretch, 1)
        counts[true.index[state.chain.species.tobytes()]] += 1
    assert p_value(counts, row) > 1e-3


def test_averages_are_those_of_the_potential(true: Enumeration, bad: System) -> None:
    """Energy and composition within 4 standard errors, of which 8 would tell the bad expansion's own averages."""
    ensemble, state = semigrand(bad, TEMPERATURE_K, MU_EV), state_of(true, bad, 0)
    energy_of = energies_of(true)
    stretch = tuned_stretch(state, bad, bad.moves, ensemble, energy_of, 600)
    assert stretch in LENGTHS
    record = advance_corrected(state, bad, bad.moves, ensemble, energy_of, stretch, 40_000)
    right, wrong = true.probability(TEMPERATURE_K, MU_EV), enumerate_states(bad).probability(TEMPERATURE_K, MU_EV)
    for series, exact in ((record.potential_eV, true.energy_eV), (record.ions[:, 0].astype(float), true.n.astype(float))):
        mean, error = mean_and_error(series)
        assert abs(mean - right @ exact) < 4 * error
    assert abs(right @ true.energy_eV - wrong @ true.energy_eV) > 8 * mean_and_error(record.potential_eV)[1]
    assert 0.05 < record.acceptance < 1.0
    assert len(energy_of.known) < 70 and set(np.round(list(energy_of.known.values()), 9)) <= set(np.round(true.energy_eV, 9))


def test_energies_are_consistent_and_failures_are_never_entered(true: Enumeration, bad: System) -> None:
    """The state carries the energies of its own occupation, and a state without an energy is not visited."""
    lost = {s.tobytes() for s in true.states[true.n == 2][:9]}
    permutations = site_permutations(true.system.supercell)
    lost = {image.tobytes() for s in lost for image in np.frombuffer(s, np.int8)[permutations]}

    def of(species: np.ndarray) -> float:
        return np.inf if species.tobytes() in lost else float(true.energy_eV[true.index[species.tobytes()]])

    energy_of, ensemble, state = Energies(permutations, of), semigrand(bad, TEMPERATURE_K, MU_EV), state_of(true, bad, 0)
    tried = 0
    for _ in range(2_000):
        record = advance_corrected(state, bad, bad.moves, ensemble, energy_of, 8, 1)
        tried += int(record.asked[0])
        here = state.chain.species.tobytes()
        assert here not in lost
        assert state.potential_eV == pytest.approx(true.energy_eV[true.index[here]], abs=1e-12)
        assert state.chain.energy == bad.energy_neV(state.chain.species)
        assert state.chain.ions[0] == bad.count_ions(state.chain.species)[0]
    assert tried > 1_000 and np.inf in energy_of.known.values()


def visits(true: Enumeration, bad: System, stretch: int | None, energy_of: Energies, proposals: int = 20_000) -> np.ndarray:
    """Of the states, (70,), after each proposal. stretch: None: until something has changed."""
    ensemble, state, counts = semigrand(bad, TEMPERATURE_K, MU_EV), state_of(true, bad, 0), np.zeros(70)
    state.potential_eV = energy_of(true.states[0])
    for _ in range(proposals):
        if stretch is None:
            until_changed(state, bad, ensemble, energy_of)
        else:
            advance_corrected(state, bad, bad.moves, ensemble, energy_of, stretch, 1)
        counts[true.index[state.chain.species.tobytes()]] += 1
    return counts


def until_changed(state: Corrected, bad: System, ensemble: Ensemble, energy_of: Energies) -> None:
    """A proposal whose length hangs on what happens: not reversible."""
    while not advance_corrected(state, bad, bad.moves, ensemble, energy_of, 1, 1).asked[0]:
        pass


def test_mutants_are_caught(true: Enumeration, bad: System) -> None:
    """Visits of the states tell two mistakes: the expansion's change left out of the acceptance, a stretch that
    goes on until something changes."""
    of_bad = enumerate_states(bad)
    right = true.probability(TEMPERATURE_K, MU_EV)

    def both(species: np.ndarray) -> float:
        k = true.index[species.tobytes()]
        return float(true.energy_eV[k] + of_bad.energy_eV[k])

    assert distance(visits(true, bad, 16, energies_of(true), 60_000), right) < 0.03
    left_out = Energies(site_permutations(true.system.supercell), both)
    assert distance(visits(true, bad, 16, left_out), right) > 0.1
    assert distance(visits(true, bad, None, energies_of(true)), right) > 0.1


def distance(counts: np.ndarray, probability: np.ndarray) -> float:
    """In total variation; 20 000 independent draws from 70 states would be apart by 0.02."""
    return float(0.5 * np.abs(counts / counts.sum() - probability).sum())


@pytest.mark.parametrize("temperature_K", [500.0, 1000.0])
def test_free_energies_by_every_way(true: Enumeration, bad: System, temperature_K: float) -> None:
    """F(T, n) of the potential, of chains that a bad expansion and none proposes for, and by reweighting: all within 4 standard
    errors of the enumeration, and these below 0.05 kT per cell, which the shift of the bad expansion exceeds."""
    beta, counts = inverse_temperature(temperature_K), true.system.neutral_counts[0]
    beta_eV, rng = beta * NEV_PER_EV, np.random.default_rng(1)
    exact = -true.log_z(temperature_K)
    ends = float(exact[0]), float(exact[-1])
    reference = -np.append(np.diff(enumerate_states(bad).log_z(temperature_K)), 0.0)
    reference = np.append(reference, np.zeros(len(empty_tally(bad).sums) - len(reference)))
    energy_of, of_bad = energies_of(true), []
    nothing = build_system(Hamiltonian(bad.lattice, ()), np.diag([1, 1, 1]), ("Na+",))
    for system, stretch, proposals in ((bad, None, 6_000), (nothing, 1, 30_000)):
        guess = first_weights(bad, beta, reference, energy_of, true.states[0], new_stream(1, 0), 500)
        own = reference if system is bad else ideal_steps(nothing, len(reference))
        tuned = tune(system, beta, own, guess, energy_of, true.states[0], new_stream(1, 0), 2_000, stretch)
        walks = [
            walk(system, beta, tuned, energy_of, true.states[-(w % 2)], new_stream(1, 1, w), 500, proposals) for w in range(4)
        ]
        of_bad = walks if system is bad else of_bad
        found = by_transitions(walks, counts, ends)
        error = np.std([by_transitions(resampled(walks, rng), counts, ends).beta_f for _ in range(40)], axis=0)
        assert (np.abs(found.beta_f - exact) <= 4 * error + 1e-9).all() and error.max() < 0.1
        assert abs(found.closure) < 0.3
    samples = [expansion_samples(bad, beta, reference, energy_of, true.states[0], new_stream(2, w), 4_000) for w in range(4)]
    shift = exact + enumerate_states(bad).log_z(temperature_K)
    by_weights = by_reweighting(samples, counts, beta_eV)
    spread = np.std([by_reweighting(resampled(samples, rng), counts, beta_eV).exponential for _ in range(40)], axis=0)
    assert (np.abs(by_weights.exponential - shift) <= 4 * spread + 1e-6).all() and spread.max() < 0.1
    both = by_both_ways(samples, of_bad, counts, beta_eV)
    assert np.abs(both - shift).max() < 0.15
    assert np.abs(shift - np.linspace(shift[0], shift[-1], 5)).max() > 0.4


def test_reweighting_is_refused_where_few_samples_count(true: Enumeration) -> None:
    """A single sample that outweighs all others is no average."""
    counts, many = np.array([0]), 400
    work = np.zeros(many)
    work[7] = -30.0
    zeros, ones = np.zeros(many, np.int64), np.ones(many)
    one = Walk(work, np.zeros(many), zeros, zeros, zeros, ones, zeros, ones > 0, np.zeros(1), 1, np.zeros((1, 6), np.int64))
    found = by_reweighting([one], counts, 1.0)
    assert np.isnan(found.exponential[0]) and found.ess[0] < 1.1 and np.isfinite(found.cumulant[0])


INPUT = f"""\
{LABELLED_LATTICE}  supercell: [1, 1, 1]
potential:
  model: tests.helpers.toy_calculator.Springs
  options: {{structure: {STRUCTURE}, strength_eV_A: 0.3}}
energy:
  points: [{{species: Na+, energy_eV: 0.4}}]
  pairs: [{{species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.05}}]
sampling:
  temperature_K: [600]
  sweeps: {{equilibrate: 20, measure: 40}}
  refine: {{temperatures: 0}}
correction:
  temperature_K: [600, 1200]
  methods: [corrected, reweighted, direct, enumerated]
  walkers: 2
  equilibrate: 400
  proposals: 3000
analysis: {{entropy_compositions: 0, compositions: 5}}
"""


@pytest.mark.runs
def test_the_whole_run_alike_on_any_number_of_ranks(tmp_path: Path) -> None:
    """From the input to the group of results and the report; free energies by every method, here for an expansion that is off by more than 1 eV/fu."""
    groups = []
    with_toy_calculator(tmp_path)
    for ranks in (1, 2):
        (tmp_path / str(ranks)).mkdir()
        path = tmp_path / str(ranks) / "input.yaml"
        path.write_text(
            INPUT if ranks == 1 else INPUT.replace(", enumerated", "")
        )  # what was not relaxed beforehand is when it is met
        done = run_command(path, ranks, PYTHONPATH=str(tmp_path))
        assert done.returncode == 0, done.stderr
        groups.append(read_results(path.parent / "out/results.h5").groups["corrected"])
    one, two = groups
    for name, variable in two.variables.items():
        assert np.array_equal(variable.values, one[name], equal_nan=variable.values.dtype.kind == "f"), name
    exact = one["enumerated_free_energy_eV"]
    assert one.attributes["states"] == 70
    for name, sound in (
        ("free_energy_eV", one["trusted"]),
        ("bar_free_energy_eV", one["trusted"]),
        ("direct_free_energy_eV", one["direct_trusted"]),
    ):
        error = one[f"{name}_error"][sound, 1:-1]
        assert (np.abs(one[name] - exact)[sound, 1:-1] <= 4.5 * error).all() and error.max() < 0.01, name
    assert one["trusted"].all() and one["direct_trusted"][1]
    assert np.abs(one["expansion_free_energy_eV"] - exact).min() > 1.0
    page = (tmp_path / "1/out/report.html").read_text()
    assert "Sampling with the potential, the expansion proposing (4 formula units)" in page
    assert "the expansion misses the potential&#39;s mixing free energy by up to" in page
    assert (tmp_path / "1/out/figures/correction.png").exists()
    (tmp_path / "2/input.yaml").write_text(INPUT.replace("proposals: 3000", "proposals: 2000"))
    early = run_command(tmp_path / "2/input.yaml", 1, "--only", "analyse", PYTHONPATH=str(tmp_path))
    assert early.returncode == 0, early.stderr
    results = read_results(tmp_path / "2/out/results.h5")
    assert "corrected" not in results.groups and "the potential has not been sampled yet" in results.attributes["notes"]
    again = run_command(tmp_path / "1/input.yaml", 1, PYTHONPATH=str(tmp_path))
    assert again.returncode == 0 and "nothing has changed" in again.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("supercell: [1, 1, 1]\npot", "supercell: [1, 1, 1]\nold", "old"),
        (
            "  walkers: 2",
            "  supercell: [1, 2, 2]\n  walkers: 2",
            "found enumerated with 1e9 neutral states; allowed: up to 20000",
        ),
        ("  pairs:", "  electrons: ground_state\n  pairs:", "which samples ions only"),
    ],
)
def test_wrong_input_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "input.yaml"
    assert old in INPUT
    path.write_text(INPUT.replace(old, new, 1))
    done = run_command(path, 1, "--check", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and message in done.stderr


@pytest.mark.validate
def test_the_shipped_potential_by_every_way(tmp_path: Path) -> None:
    """inputs/nafepo4_correction.yaml: by enumeration, corrected, direct and reweighted sampling F(T, x) of MACE is one, by joint chi2
    and to 1 meV/fu from 300 to 1000 K; the errors are small enough to tell."""
    text = (ROOT / "inputs/nafepo4_correction.yaml").read_text()
    text = text.replace("structure: ", f"structure: {ROOT}/inputs/").replace("dataset: ", f"dataset: {ROOT}/inputs/")
    text = text.replace("file: ", f"file: {ROOT}/inputs/").replace("../outputs/nafepo4_correction", "out")
    (tmp_path / "input.yaml").write_text(text)
    done = run_command(tmp_path / "input.yaml", 2, timeout=2400)
    assert done.returncode == 0, done.stderr
    group = read_results(tmp_path / "out/results.h5").groups["corrected"]
    exact = group["enumerated_free_energy_eV"]
    assert group.attributes["states"] == 70 and group.attributes["states_without_energy"] == 0
    for name in ("free_energy_eV", "direct_free_energy_eV", "reweighted_exponential_free_energy_eV", "bar_free_energy_eV"):
        apart, error = (group[name] - exact)[:, 1:-1], group[f"{name}_error"][:, 1:-1]
        assert np.abs(apart).max() < 1e-3 and error.max() < 0.6e-3, name
        assert chi2.sf(np.sum((apart / error) ** 2), apart.size) > 1e-3, name
    assert np.abs(group["expansion_free_energy_eV"] - exact).max() > 5e-3


@dataclass
class RingsLater(StopWatch):
    """Asks to stop from the given call on."""

    quiet: int = 0

    def rings(self) -> bool:
        self.quiet -= 1
        return self.quiet < 0


def test_a_stop_between_two_relaxations_loses_none(tmp_path: Path) -> None:
    """Relaxations are kept, no walk that was cut is; the rest, done later, gives what an undisturbed run does."""
    path = tmp_path / "input.yaml"
    path.write_text(INPUT.replace("[corrected, reweighted, direct, enumerated]", "[corrected]"))
    given, data = prepare(read_input(path))

    def correction(name: str) -> Correction:
        found = correction_of(
            replace(given, output=Output(tmp_path / name)), hamiltonian_of(given, short_range(given, data, None))
        )
        assert found is not None
        return found

    whole, cut = correction("whole"), correction("cut")
    run_correction(whole, MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None))
    with pytest.raises(Interrupted):
        run_correction(cut, MPI.COMM_SELF, RingsLater(MPI.COMM_SELF, None, quiet=5))
    kept = list(cut.relaxations.folder.glob("*.extxyz"))
    assert len(kept) == 5 and not cut.path("corrected", 0, 0).exists()
    run_correction(cut, MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None))
    for rung in (0, 1):
        for a, b in zip(whole.walks("corrected", rung), cut.walks("corrected", rung)):
            assert all(np.array_equal(x, y) for x, y in zip(a.data.values(), b.data.values()))
