"""The ladder settles: a bias that keeps the windows away from some counts is mended, and the counts are seen."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from mpi4py import MPI

from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.sampling.chains.log_z import ideal_steps
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.sampling.ladder.ladder import Ladder
from redoxmc.engine.sampling.ladder.plan import Plan
from redoxmc.engine.sampling.ladder.planning import mu_axis, place_slots, window_targets
from redoxmc.engine.sampling.ladder.slots import EnsembleKind
from redoxmc.engine.sampling.preparation.equilibrate import equilibrate
from redoxmc.engine.sampling.preparation.prepare_ladder import round_sweeps
from redoxmc.engine.sampling.replicas.replicas import build_replicas

KINK = slice(26, 38)  # of 64 formula units
WRONG = 4.0  # kT per step


def make_plan(system: System) -> Plan:
    """Three temperatures, windows over all counts, the exact reference of the ideal solution but for a kink."""
    size = len(empty_tally(system).sums)
    reference = np.tile(ideal_steps(system, size), (3, 1))
    reference[:, KINK] += WRONG * np.sign(np.arange(KINK.start, KINK.stop) - 31.5)
    targets, sigma = window_targets(system, "auto")
    plan = Plan(Ladder(np.array([400.0, 500.0, 600.0]), np.ones(3, bool)), (), targets, sigma, (), reference, 2)
    return replace(plan, slots=place_slots(system, plan, [EnsembleKind.VCSGC]))


def tries(system: System, plan: Plan, starts: np.ndarray) -> np.ndarray:
    """Up from every count, (n_max,), summed over the ladder."""
    replicas = build_replicas(plan, starts, system, 5, (), MPI.COMM_SELF)
    tally = empty_tally(system)
    sums = np.zeros((3, 2, *tally.sums.shape), np.int64)
    for _ in range(10):
        replicas.advance(tally, sums, 5)
        replicas.exchange_configurations()
    return sums.sum(axis=(0, 1))[: system.n_range[1], 0]


def test_a_wrong_bias_is_mended(ideal: Callable[..., System]) -> None:
    system = ideal((2, 4, 2))
    plan = make_plan(system)
    start = random_neutral_state(system.supercell, "Na+", 32, np.random.default_rng(1))
    starts = np.tile(start, (len(plan.slots), 2, 1))
    settled, states = equilibrate(system, plan, starts, 60, 5, 7, MPI.COMM_SELF)
    exact = ideal_steps(system, plan.reference.shape[1])
    inside = slice(0, system.n_range[1])
    assert np.abs(settled.reference - exact)[:, inside].max() < 0.5 < WRONG
    before, after = tries(system, plan, starts), tries(system, settled, states)
    assert before[KINK].min() < 0.1 * after[KINK].min()
    assert after.min() > 0.1 * after.max()


def test_the_same_seed_gives_the_same_ladder(ideal: Callable[..., System]) -> None:
    system = ideal((2, 2, 2))
    plan = make_plan(ideal((2, 4, 2)))
    size = len(empty_tally(system).sums)
    targets, sigma = window_targets(system, "auto")
    plan = replace(plan, target_n=targets, sigma_n=sigma, reference=np.zeros((3, size)))
    plan = replace(plan, slots=place_slots(system, plan, [EnsembleKind.VCSGC]))
    start = random_neutral_state(system.supercell, "Na+", 16, np.random.default_rng(1))
    starts = np.tile(start, (len(plan.slots), 2, 1))
    (a, x), (b, y) = (equilibrate(system, plan, starts, 10, 5, 7, MPI.COMM_SELF) for _ in range(2))
    assert (a.reference == b.reference).all() and (x == y).all()
    other, _ = equilibrate(system, plan, starts, 10, 5, 8, MPI.COMM_SELF)
    assert (other.reference != a.reference).any()


def settings(equilibrate: int | str) -> Any:
    return SimpleNamespace(sampler=SimpleNamespace(chemical_potential_eV={}, sweeps=SimpleNamespace(equilibrate=equilibrate)))


def test_equilibration_grows_with_the_cell() -> None:
    automatic = [round_sweeps(settings("auto"), n) for n in (8, 512, 4096, 32768)]
    assert automatic == [72, 72, 144, 288] and round_sweeps(settings(50), 4096) == 50


def test_the_axis_of_chemical_potentials_leaves_out_temperatures_where_chains_are_stuck(ideal: Callable[..., System]) -> None:
    """Steps of ln Z at 400 K by which F falls on cooling do not stretch the axis; steps by which it rises do."""
    system = ideal((2, 4, 2))
    plan = make_plan(system)
    steps = np.tile(ideal_steps(system, plan.reference.shape[1]), (3, 1))
    sound = replace(plan, reference=steps)
    wanted = mu_axis(system, settings("auto"), sound, "Na+")
    stuck, ordered = sound.reference.copy(), sound.reference.copy()
    stuck[0] *= 20.0
    ordered[0] *= -20.0
    assert np.allclose(mu_axis(system, settings("auto"), replace(plan, reference=stuck), "Na+"), wanted, rtol=0.01)
    assert np.ptp(mu_axis(system, settings("auto"), replace(plan, reference=ordered), "Na+")) > 5 * np.ptp(wanted)
