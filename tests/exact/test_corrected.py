"""The potential's chain, for which a deliberately bad expansion proposes, against enumeration."""

import numpy as np
import pytest
from icet import ClusterExpansion
from scipy.special import logsumexp

from redoxmc.engine.correction.corrected import LENGTHS, Corrected, advance_corrected, tuned_stretch
from redoxmc.engine.correction.energies import Energies
from redoxmc.engine.correction.estimate import by_bennett, by_reweighting, by_transitions, resampled
from redoxmc.engine.correction.walker import Walk, expansion_samples, first_weights, tune, walk
from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.crystal.symmetry import site_permutations
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.sampling.chains.log_z import ideal_steps
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.units import NEV_PER_EV, inverse_temperature
from redoxmc.kernels.layout import Ensemble
from redoxmc.kernels.random import new_stream

from ..helpers.enumeration import Enumeration, begin, enumerate_states, mean_and_error, p_value, semigrand
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

    assert distance(visits(true, bad, 16, energies_of(true), 40_000), right) < 0.03
    left_out = Energies(site_permutations(true.system.supercell), both)
    assert distance(visits(true, bad, 16, left_out), right) > 0.1
    assert distance(visits(true, bad, None, energies_of(true)), right) > 0.1


def distance(counts: np.ndarray, probability: np.ndarray) -> float:
    """In total variation; 20 000 independent draws from 70 states would be apart by 0.02."""
    return float(0.5 * np.abs(counts / counts.sum() - probability).sum())


@pytest.mark.runs
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
    both = by_bennett(samples, of_bad, counts, beta_eV)
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
