"""Each mistake must be caught by the tests that the intact code passes."""

from pathlib import Path

import pytest

from redoxmc.engine.sampling.chains import chain as sampling_chain

from ..helpers import enumeration
from ..helpers.enumeration import Enumeration, p_value, state_counts
from ..helpers.mutants import MUTANTS, broken_chain

DRAWS, THIN, TEMPERATURE_K = 20_000, 12, 600.0


def distribution_is_right(e: Enumeration, draws: int = DRAWS) -> bool:
    """The chi2 test over all states, and states that cannot be are never met."""
    try:
        counts = state_counts(e, draws, THIN, TEMPERATURE_K)
    except (KeyError, IndexError, ZeroDivisionError, AssertionError):
        return False
    return p_value(counts, e.probability(TEMPERATURE_K, 0.02)) > 1e-6


def test_the_intact_chain_passes(small_states: Enumeration) -> None:
    assert distribution_is_right(small_states)


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept from one run of the tests to the next, where pytest keeps anything."""
    cache = getattr(request.config, "cache", None)
    return Path(cache.mkdir("mutants")) if cache else tmp_path_factory.mktemp("mutants")


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_chain_fail(name: str, small_states: Enumeration, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_chain, "run", broken_chain(name, home).run)
    assert not distribution_is_right(small_states)


def test_boltzmann_constant_in_other_units_fails(small_states: Enumeration, monkeypatch: pytest.MonkeyPatch) -> None:
    """8.314e-5 (as in bar m3 / mol K) instead of 8.617e-5 eV/K is only 4 % off."""
    monkeypatch.setattr(enumeration, "inverse_temperature", lambda temperature_K: 1.0 / (8.314e-5 * temperature_K * 1e9))
    assert not distribution_is_right(small_states, 5 * DRAWS)
