"""The chain of the 4+4-site cell against its transition matrix, and its 70 states against their weights."""

import numpy as np
import pytest
from scipy.special import logsumexp

from redoxmc.engine.sampling.chains.chain import advance
from redoxmc.engine.sampling.chains.moves import Mix, Scope, build_moves
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.kernels.layout import Ensemble

from ..helpers.enumeration import Enumeration, begin, p_value, semigrand, state_counts
from ..helpers.transition_matrix import MIXES, log_target, transition_matrix

TEMPERATURE_K = 600.0


def ensembles(system: System) -> dict[str, Ensemble]:
    sg = semigrand(system, TEMPERATURE_K, 0.02)
    n = np.arange(len(sg.log_weight))
    return {
        "semigrand": sg,
        "vcsgc": sg._replace(beta_mu=np.zeros(1), log_weight=0.3 * n - 0.5 * (n - 1.5) ** 2),
        "canonical": sg,
    }


@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("name", ["semigrand", "vcsgc", "canonical"])
def test_detailed_balance_as_a_matrix(small_states: Enumeration, mix: Mix, name: str) -> None:
    e = small_states
    assert len(e.states) == 70
    ensemble = ensembles(e.system)[name]
    matrix = transition_matrix(
        e, build_moves(e.system.supercell, ("Na+",), mix, Scope.FIXED_COMPOSITION if name == "canonical" else Scope.ALL), ensemble
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


def test_states_are_visited_as_they_should(small_states: Enumeration) -> None:
    """20 000 draws thinned by 12 sweeps (autocorrelation time below 2)."""
    counts = state_counts(small_states, 20_000, 12, TEMPERATURE_K)
    assert p_value(counts, small_states.probability(TEMPERATURE_K, 0.02)) > 1e-3


@pytest.mark.validate
def test_states_at_length(small_states: Enumeration) -> None:
    """A million draws thinned by 12 sweeps at 300 K."""
    assert p_value(state_counts(small_states, 1_000_000, 12, 300.0), small_states.probability(300.0, 0.02)) > 1e-3
