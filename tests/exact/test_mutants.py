"""Each mistake must be caught by the tests that the intact code passes."""

import pytest

from redoxmc.engine.sampling import chain as sampling_chain
from redoxmc.engine.sampling.system import System

from ..helpers import enumeration as exact
from ..helpers.enumeration import Enumeration, enumerate_states
from ..helpers.mutants import MUTANTS, broken_chain
from .test_exact import TEMPERATURE_K, p_value

DRAWS, THIN = 20_000, 12


def distribution_is_right(e: Enumeration, draws: int = DRAWS) -> bool:
    """The chi2 test over all states, and states that cannot be are never met."""
    from .test_exact import state_counts

    try:
        counts = state_counts(e, draws, THIN)
    except (KeyError, IndexError, ZeroDivisionError, AssertionError):
        return False
    return p_value(counts, e.probability(TEMPERATURE_K, 0.02)) > 1e-6


@pytest.fixture(scope="module")
def states(small: System) -> Enumeration:
    return enumerate_states(small)


def test_the_intact_chain_passes(states: Enumeration) -> None:
    assert distribution_is_right(states)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_chain_fail(name: str, states: Enumeration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_chain, "run", broken_chain(name).run)
    assert not distribution_is_right(states)


def test_boltzmann_constant_in_other_units_fails(states: Enumeration, monkeypatch: pytest.MonkeyPatch) -> None:
    """8.314e-5 (as in bar m3 / mol K) instead of 8.617e-5 eV/K is only 4 % off."""
    monkeypatch.setattr(exact, "inverse_temperature", lambda temperature_K: 1.0 / (8.314e-5 * temperature_K * 1e9))
    assert not distribution_is_right(states, 20 * DRAWS)
