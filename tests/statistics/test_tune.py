"""The mix of moves is found at the rungs, once, from counts; it speeds chains up and changes nothing else."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.input.schema import Config
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling import run as stage
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.ladder.ladder import Ladder
from redoxmc.engine.sampling.ladder.ladder_file import read_ladder
from redoxmc.engine.sampling.ladder.plan import Plan
from redoxmc.engine.sampling.ladder.planning import window_targets
from redoxmc.engine.sampling.preparation import prepare_ladder as preparation
from redoxmc.engine.sampling.preparation.tune import LEAST_WEIGHT, mix_of, tuned_mix
from redoxmc.engine.sampling.run import run_sampling

from ..exact.test_sampling import configuration

FAMILIES = list(asdict(Mix()))
GIVEN = {"swap": 3.0, "neutral_exchange": 2.0, "near_exchange": 0.0, "pair_hop": 1.0, "near_swap": 0.5}


class OneOfTwo:
    """A rank of two, whose sums hold its own part alone."""

    size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def Allreduce(self, mine: np.ndarray, total: np.ndarray, op: Any) -> None:
        self.mine = mine


def test_weights_are_shares_above_the_least() -> None:
    gain = np.zeros((5, 2, 2))  # families, rungs, sublattices; nothing moves on the first rung's second sublattice
    gain[0, 0, 0], gain[1, 1, 0], gain[1, 1, 1] = 7.0, 1e-3, 1e6
    rest = 1 - 5 * LEAST_WEIGHT
    mix = mix_of(FAMILIES, gain)
    assert np.allclose(list(asdict(mix).values()), [LEAST_WEIGHT + rest / 3, LEAST_WEIGHT + 2 * rest / 3, *[LEAST_WEIGHT] * 3])
    assert mix_of(FAMILIES, 0 * gain) == Mix()
    assert mix_of(["swap", "near_swap"], np.ones((2, 1, 1))) == Mix(0.5, 0, 0, 0, 0.5)


def plan_of(system: System, walkers: int) -> tuple[Plan, np.ndarray]:
    """Two rungs; states with the ions of the windows' targets in the first sites."""
    targets, sigma = window_targets(system, 3)
    temperatures = np.array([400.0, 900.0])
    plan = Plan(Ladder(temperatures, temperatures > 0), (), targets, sigma, (), np.zeros((2, system.n_range[1] + 2)), walkers)
    species = np.ones((2, 3, walkers, system.supercell.n_sites), np.int8)
    for k, n in enumerate(targets):
        for g in (0, 1):
            species[:, k, :, np.flatnonzero(system.supercell.site_sublattice == g)[: round(n)]] = 0
    return plan, species


@pytest.mark.parametrize("walkers", [2, 20])
def test_the_mix_is_the_same_on_any_number_of_ranks(olivine_hamiltonian: Hamiltonian, walkers: int) -> None:
    """With few chains one by one, with many in lanes."""
    system = build_system(olivine_hamiltonian, np.diag([2, 2, 2]), ("Na+",))
    plan, starts = plan_of(system, walkers)
    found = tuned_mix(system, plan, starts, 3, MPI.COMM_SELF)
    assert found != Mix() and found == tuned_mix(system, plan, starts, 3, MPI.COMM_SELF)
    assert min(asdict(found).values()) >= LEAST_WEIGHT and sum(asdict(found).values()) == pytest.approx(
        1, abs=5 * 0.005 + 1e-9
    )  # each to hundredths
    ranks = [OneOfTwo(0), OneOfTwo(1)]
    for rank in ranks:
        tuned_mix(system, plan, starts, 3, rank)

    class Whole(OneOfTwo):
        def Allreduce(self, mine: np.ndarray, total: np.ndarray, op: Any) -> None:
            total[:] = ranks[0].mine + ranks[1].mine

    assert found == tuned_mix(system, plan, starts, 3, Whole(0)) == tuned_mix(system, plan, starts, 3, Whole(1))


def sampled_mixes(system: System, config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mix]:
    """The mixes with which the replicas went on, over a start and a continuation."""
    found, intact, store = [], stage.build_replicas, SampleStore(folder)

    def noted(plan: Plan, starts: np.ndarray, system: System, *rest: Any) -> Any:
        found.append(system.mix)
        return intact(plan, starts, system, *rest)

    monkeypatch.setattr(stage, "build_replicas", noted)
    watch = StopWatch(MPI.COMM_SELF, None)
    run_sampling(system, config, store, MPI.COMM_SELF, watch)
    monkeypatch.setattr(preparation, "tuned_mix", None)  # must not be asked again
    longer = config.sampler.sweeps.model_copy(update={"measure": 2 * config.sampler.sweeps.measure})
    again = config.model_copy(update={"sampling": config.sampler.model_copy(update={"sweeps": longer})})
    run_sampling(system, again, store, MPI.COMM_SELF, watch)
    assert store.committed() == 2
    return [*found, read_ladder(store)[0].mix]


@pytest.mark.runs
def test_a_continued_run_keeps_its_mix(small: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mixes = sampled_mixes(small, configuration(tmp_path, 20), tmp_path, monkeypatch)
    assert len(set(mixes)) == 1 and mixes[0] != Mix()


@pytest.mark.runs
def test_given_weights_are_left_alone(small: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = configuration(tmp_path, 20).model_dump()
    given["sampling"]["moves"] = GIVEN
    mixes = sampled_mixes(small.with_mix(Mix(**GIVEN)), Config.model_validate(given), tmp_path, monkeypatch)
    assert set(mixes) == {Mix(**GIVEN)}
