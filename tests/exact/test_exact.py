"""The chain against enumeration: detailed balance as a matrix, averages, free energies; ideal solution; Ising."""

from collections.abc import Callable
from math import comb, log

import numpy as np
import pytest
from mpi4py import MPI
from scipy.special import logsumexp
from scipy.stats import chi2

from redoxmc.engine.sampling.anneal import anneal, estimated_steps, ideal_steps
from redoxmc.engine.sampling.chain import advance
from redoxmc.engine.sampling.moves import Mix, MoveSet, build_moves
from redoxmc.engine.sampling.plan import empty_tally, end_energies, integrate_steps
from redoxmc.engine.sampling.run import window_targets
from redoxmc.engine.sampling.system import System
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import Ends, Isotherm, isotherm
from redoxmc.engine.units import BOLTZMANN_EV_PER_K, NEV_PER_EV, inverse_temperature
from redoxmc.kernels.chain import group_sites, hastings, hastings_shifts
from redoxmc.kernels.layout import Ensemble, Tally

from ..helpers.enumeration import Enumeration, begin, enumerate_states, mean_and_error, sample_semigrand, semigrand

TEMPERATURE_K = 600.0
MIXES = [Mix(), Mix(0.5, 0.5, 0.0, 0.0, 0.0), Mix(0.1, 0.1, 0.8, 0.0), Mix(0.1, 0.1, 0.0, 0.8), Mix(0.1, 0.1, 0.0, 0.0, 0.8)]


def site_choices(moves: MoveSet, kind: int, members: np.ndarray, count: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """Every ordered choice of sites of a move and its probability, by the rule of pick_sites. What fails is left out."""
    a = moves.arrays
    found: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
    for f in range(a.flip_start[kind], a.flip_start[kind + 1]):
        row, grown = a.flip_from[f], []
        for sites, p in found:
            fitting = [s for s in members[row, : count[row]].tolist() if s not in sites]
            if a.flip_anchor[f] < 0:
                grown += [((*sites, s), p / len(fitting)) for s in fitting]
                continue
            start = a.near_start[f] + sites[a.flip_anchor[f]] * a.near_width[f]
            drawn = a.near[start : start + a.near_width[f]].tolist()
            grown += [((*sites, s), p * drawn.count(s) / len(drawn)) for s in fitting if s in drawn]
        found = grown
    return found


def transition_matrix(e: Enumeration, moves: MoveSet, ensemble: Ensemble, box: np.ndarray | None = None) -> np.ndarray:
    """(states, states), from the code's own kinds, flips, Hastings ratio and fixed-point energies. box: sites that alone may move."""
    system, arrays = e.system, moves.arrays
    matrix = np.zeros((len(e.states), len(e.states)))
    weights = np.diff(np.concatenate([[0.0], arrays.cumulative]))
    energies = [system.energy_neV(s) for s in e.states]
    shifts = hastings_shifts(arrays.flip_start, arrays.flip_from, arrays.flip_to)
    every, n_species = np.arange(system.supercell.n_sites), system.couplings.n_species
    rows = len(system.lattice.sublattices) * n_species
    for a, state in enumerate(e.states):
        members, count = group_sites(
            every if box is None else box,
            every,
            state,
            system.geometry.sublattice,
            rows,
            n_species,
            np.zeros(len(state), np.int32),
        )
        for kind, weight in enumerate(weights):
            start, stop = arrays.flip_start[kind], arrays.flip_start[kind + 1]
            for sites, p in site_choices(moves, kind, members, count):
                new = state.copy()
                new[list(sites)] = arrays.flip_species[start:stop]
                b = e.index[new.tobytes()]
                q = (
                    1.0
                    if arrays.conserves[kind]
                    else hastings(start, stop, arrays.flip_from, arrays.flip_to, arrays.flip_anchor, count, *shifts)
                )
                n, m = e.n[a], e.n[b]
                log_ratio = (
                    -ensemble.beta * (energies[b] - energies[a])
                    + ensemble.beta_mu[0] * (m - n)
                    + ensemble.log_weight[m]
                    - ensemble.log_weight[n]
                )
                accept = min(1.0, q * np.exp(log_ratio))
                matrix[a, b] += weight * p * accept
    matrix[np.diag_indices(len(matrix))] += 1 - matrix.sum(axis=1)
    return matrix


def log_target(e: Enumeration, ensemble: Ensemble) -> np.ndarray:
    energies = np.array([e.system.energy_neV(s) for s in e.states], float)
    return -ensemble.beta * energies + ensemble.beta_mu[0] * e.n + ensemble.log_weight[e.n]


def ensembles(system: System) -> dict[str, Ensemble]:
    sg = semigrand(system, TEMPERATURE_K, 0.02)
    n = np.arange(len(sg.log_weight))
    return {
        "semigrand": sg,
        "vcsgc": sg._replace(beta_mu=np.zeros(1), log_weight=0.3 * n - 0.5 * (n - 1.5) ** 2),
        "canonical": sg,
    }


@pytest.fixture(scope="module")
def small_states(small: System) -> Enumeration:
    return enumerate_states(small)


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("name", ["semigrand", "vcsgc", "canonical"])
def test_detailed_balance_as_a_matrix(small_states: Enumeration, mix: Mix, name: str) -> None:
    e = small_states
    assert len(e.states) == 70
    ensemble = ensembles(e.system)[name]
    matrix = transition_matrix(
        e, build_moves(e.system.supercell, ("Na+",), mix, "composition" if name == "canonical" else "nothing"), ensemble
    )
    log_pi = log_target(e, ensemble)
    pi = np.exp(log_pi - logsumexp(log_pi))
    assert np.abs(pi[:, None] * matrix - (pi[:, None] * matrix).T).max() < 1e-12
    reach = np.linalg.matrix_power((matrix > 0).astype(float) + np.eye(70), 64) > 0
    assert (reach == (e.n[:, None] == e.n[None, :])).all() if name == "canonical" else reach.all()


def test_kernel_follows_the_matrix(small_states: Enumeration) -> None:
    """One sweep of the compiled chain, many times from one state, against the matrix to the eighth power."""
    e = small_states
    system, ensemble = e.system, semigrand(e.system, TEMPERATURE_K, 0.02)
    row = np.linalg.matrix_power(transition_matrix(e, system.moves, ensemble), 8)[30]
    chain, tally, counts = begin(system, 5, e.states[30]), empty_tally(system), np.zeros(70)
    start_energy = chain.energy
    for _ in range(30_000):
        chain.species[:], chain.energy = e.states[30], start_energy
        chain.ions[:] = e.n[30]
        advance(chain, system, system.moves, ensemble, tally, 1)
        counts[e.index[chain.species.tobytes()]] += 1
    assert p_value(counts, row) > 1e-3


def p_value(counts: np.ndarray, probability: np.ndarray, least: float = 8.0) -> float:
    """chi2 of counts against probabilities, states expected less than `least` times pooled."""
    expected = counts.sum() * probability
    rare = expected < least
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    assert observed[~keep].sum() == 0
    return float(chi2.sf(((observed[keep] - expected[keep]) ** 2 / expected[keep]).sum(), keep.sum() - 1))


def state_counts(e: Enumeration, n_draws: int, thin_sweeps: int, temperature_K: float = TEMPERATURE_K) -> np.ndarray:
    system = e.system
    ensemble, chain, counts = semigrand(system, temperature_K, 0.02), begin(system, 11), np.zeros(len(e.states))
    tally = empty_tally(system)
    advance(chain, system, system.moves, ensemble, tally, 1000)
    for _ in range(n_draws):
        advance(chain, system, system.moves, ensemble, tally, thin_sweeps)
        counts[e.index[chain.species.tobytes()]] += 1
    return counts


def test_states_are_visited_as_they_should(small_states: Enumeration) -> None:
    """20 000 draws thinned by 12 sweeps (autocorrelation time below 2)."""
    counts = state_counts(small_states, 20_000, 12)
    assert p_value(counts, small_states.probability(TEMPERATURE_K, 0.02)) > 1e-3


def test_averages_of_the_small_cell(small_states: Enumeration) -> None:
    e, system, kT = small_states, small_states.system, BOLTZMANN_EV_PER_K * TEMPERATURE_K
    for mu in (-0.05, 0.02, 0.1):
        p = e.probability(TEMPERATURE_K, mu)
        record, _ = sample_semigrand(system, TEMPERATURE_K, mu, 4_000_000, 3)
        for series, exact in (
            (record.energy / NEV_PER_EV / kT / 4, p @ e.energy_eV / kT / 4),
            (record.ions[:, 0] / 4, p @ e.n / 4),
        ):
            mean, error = mean_and_error(series)
            assert error < 3e-4
            assert abs(mean - exact) < 3.5 * error


def reference_of(system: System, temperature_K: float) -> np.ndarray:
    targets, sigma = window_targets(system, "auto")
    betas = np.array([inverse_temperature(temperature_K)])
    return anneal(system, betas, targets, sigma, 2, max(12, 100_000 // system.supercell.n_sites), 1, MPI.COMM_SELF).reference[0]


def flat_run(system: System, temperature_K: float, n_sweeps: int, seed: int, reference: np.ndarray) -> Tally:
    """A chain made flat over all counts by the reference, as the sampler's windows are."""
    ensemble = semigrand(system, temperature_K, 0.0, reference)
    ensemble = ensemble._replace(log_weight=integrate_steps(reference, system.step))
    chain, tally = begin(system, seed), empty_tally(system)
    advance(chain, system, system.moves, ensemble, empty_tally(system), 1000)
    advance(chain, system, system.moves, ensemble, tally, n_sweeps)
    return tally


def measured_isotherm(system: System, temperature_K: float, n_sweeps: int, seed: int, reference: np.ndarray) -> Isotherm:
    low, high, e_low, e_high = end_energies(system)
    tally = flat_run(system, temperature_K, n_sweeps, seed, reference)
    log_states = system.neutral_counts[1]
    ends = Ends(low, high, (float(log_states[0]), float(log_states[-1])), (e_low, e_high))
    return isotherm(tally.sums, tally, reference, inverse_temperature(temperature_K), system.step, ends)


def check_isotherms(e: Enumeration, temperature_K: float, n_sweeps: int, largest_error: float) -> None:
    """F and S per formula unit in kT and k_B: eight independent chains give the error bar."""
    system, n_fu, kT = e.system, e.system.n_formula_units, BOLTZMANN_EV_PER_K * temperature_K
    reference = reference_of(system, temperature_K)
    found = [measured_isotherm(system, temperature_K, n_sweeps, seed, reference) for seed in range(8)]
    log_z, energy = e.log_z(temperature_K), e.canonical_energy_eV(temperature_K)
    f = np.array([i.beta_f / n_fu for i in found])
    s = np.array([i.energy_neV / NEV_PER_EV / kT / n_fu for i in found]) - f
    for values, exact in ((f, -log_z / n_fu), (s, (energy / kT + log_z) / n_fu)):
        mean, error = values.mean(axis=0)[1:-1], values.std(axis=0, ddof=1)[1:-1] / np.sqrt(8)
        assert error.max() < largest_error
        assert (np.abs(mean - exact[1:-1]) < 4.5 * error + 1e-9).all()  # t distribution of 7 degrees: 3.5 sigma two-sided
    closure = np.array([i.closure for i in found]) / n_fu
    error = closure.std(ddof=1) / np.sqrt(8)
    assert error < largest_error and abs(closure.mean()) < 4.5 * error


def test_free_energy_and_entropy_of_the_small_cell(small_states: Enumeration) -> None:
    check_isotherms(small_states, TEMPERATURE_K, 3_000_000, 3e-4)


def test_free_energy_and_entropy_of_the_medium_cell(medium: System) -> None:
    e = enumerate_states(medium)
    assert len(e.states) == 12_870
    check_isotherms(e, TEMPERATURE_K, 3_000_000, 3e-4)


@pytest.mark.parametrize(
    ("repeats", "x", "fluctuation", "n_sweeps", "largest_error"),
    [((1, 2, 1), 0.630667, 0.125469, 3_000_000, 3e-4), ((2, 2, 4), 0.623424, 0.118429, 200_000, 1e-3)],
)
def test_ideal_solution(
    ideal: Callable[[tuple[int, int, int]], System],
    repeats: tuple[int, int, int],
    x: float,
    fluctuation: float,
    n_sweeps: int,
    largest_error: float,
) -> None:
    """beta mu = 1; half the fluctuation of a lattice gas because of the electron."""
    system = ideal(repeats)
    n_fu = system.n_formula_units
    record, _ = sample_semigrand(system, 1000.0, BOLTZMANN_EV_PER_K * 1000, n_sweeps, 1)
    mean, error = mean_and_error(record.ions[:, 0] / n_fu)
    assert error < 3e-4 and abs(mean - x) < 3.5 * error + 5e-7
    mean, error = mean_and_error((record.ions[:, 0] / n_fu - x) ** 2 * n_fu)
    assert error < largest_error and abs(mean - fluctuation) < 3.5 * error + 5e-7


def test_ideal_joint_entropy(ideal: Callable[..., System]) -> None:
    """2 ln C(N, n): exact to rounding with free exchanges, within its error bar with all moves."""
    exact = np.array([2 * log(comb(8, n)) for n in range(9)])
    free = ideal((1, 2, 1), Mix(0.5, 0.5, 0.0, 0.0, 0.0))
    i = measured_isotherm(free, 300.0, 20_000, 1, ideal_steps(free, 10))
    assert np.allclose(-i.beta_f, exact, atol=1e-6) and abs(i.closure) < 1e-6
    system = ideal((1, 2, 1))
    found = np.array([-measured_isotherm(system, 300.0, 100_000, seed, ideal_steps(system, 10)).beta_f / 8 for seed in range(8)])
    mean, error = found.mean(axis=0)[1:-1], found.std(axis=0, ddof=1)[1:-1] / np.sqrt(8)
    assert error.max() < 1e-3 and (np.abs(mean - exact[1:-1] / 8) < 4.5 * error).all()


def test_extreme_chemical_potentials_fill_and_empty(small: System) -> None:
    for mu, n in ((10.0, 4), (-10.0, 0)):
        record, _ = sample_semigrand(small, 300.0, mu, 100, 1)
        assert (record.ions[:, 0] == n).all()


def kelvin(temperature: float) -> float:
    """Ising temperature in units of J = 1 eV."""
    return temperature / BOLTZMANN_EV_PER_K


@pytest.mark.parametrize(
    ("size", "temperature", "energy", "n_sweeps", "largest_error"),
    [
        (4, 2.0, -1.7553803, 2_000_000, 1e-3),
        (4, 3.0, -1.0170696, 2_000_000, 1e-3),
        (16, 2.0, -1.7455306, 150_000, 1e-3),
        (16, 2.2691853, -1.4530647, 300_000, 4e-3),
        (16, 3.0, -0.8176894, 200_000, 1e-3),
    ],
)
def test_ising_energy(
    ising: Callable[[int], System], size: int, temperature: float, energy: float, n_sweeps: int, largest_error: float
) -> None:
    record, _ = sample_semigrand(ising(size), kelvin(temperature), 0.0, n_sweeps, 2)
    mean, error = mean_and_error(record.energy / NEV_PER_EV / size**2)
    assert error < largest_error and abs(mean - energy) < 3.5 * error


@pytest.mark.parametrize(("temperature", "entropy"), [(2.0, 0.1557355), (3.0, 0.5433249)])
def test_ising_entropy(ising: Callable[[int], System], temperature: float, entropy: float) -> None:
    """S = (U - F)/T of the unrestricted magnet, F from the sum of exp(-beta F_n) over all magnetisations."""
    system, t = ising(16), kelvin(temperature)
    reference = reference_of(system, t)
    for seed in range(100, 104):
        found = estimated_steps(flat_run(system, t, 20_000, seed, reference).sums, reference, system.step)
        reference = np.where(np.isfinite(found), found, reference)
    values = []
    for seed in range(6):
        i = measured_isotherm(system, t, 40_000, seed, reference)
        p = np.exp(-i.beta_f - logsumexp(-i.beta_f))
        values.append((p @ i.energy_neV / NEV_PER_EV / (BOLTZMANN_EV_PER_K * t) + logsumexp(-i.beta_f)) / 256)
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(6)
    assert error < 1.5e-3 and abs(mean - entropy) < 5 * error


@pytest.mark.validate
@pytest.mark.parametrize("temperature_K", [250.0, 400.0, 1000.0])
def test_isotherms_at_length(small_states: Enumeration, medium: System, temperature_K: float) -> None:
    """As above, with the same bars, at three temperatures and in both cells."""
    check_isotherms(small_states, temperature_K, 10_000_000, 3e-4)
    check_isotherms(enumerate_states(medium), temperature_K, 12_000_000, 3e-4)


@pytest.mark.validate
def test_states_at_length(small_states: Enumeration) -> None:
    """A million draws thinned by 12 sweeps at 300 K."""
    assert p_value(state_counts(small_states, 1_000_000, 12, 300.0), small_states.probability(300.0, 0.02)) > 1e-3
