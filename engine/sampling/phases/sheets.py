"""Chains of one phase at one chemical potential: over temperature, from beta = 0, or coupled to the pattern of the phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ....kernels.simd import LANES
from ...crystal.long_range_order import recognise
from ...crystal.neutral_states import random_neutral_state
from ...crystal.structure_factor import Waves, deviations
from ...runtime.streams import Stream, generator
from ...units import BOLTZMANN_EV_PER_K, NEV_PER_EV, inverse_temperature
from ..chains.system import System
from .coupling import coupled, off_pattern
from .lanes import CHUNKS, TEMPERATURES, WALKERS, Lanes, Means, chunk_means, lanes_in
from .pattern import Pattern, ordered_fields

Float = NDArray[np.float64]
SHARE = {"cold": 0.4, "hot": 0.15, "coupled": 0.2, "fine": 0.3}  # of the sweeps of the sampling, in the measurement
# In a state without defects these come slowly: over some 200 sweeps at 300 K in NaxFePO4. Anchors are off by 5 kT after 48.
EQUILIBRATION = {"cold": 0.5, "hot": 0.3, "coupled": 1.5, "fine": 0.3}  # sweeps before the measurement, over its own
COOLING_STEPS = 10
SNAPSHOTS = 10  # at most, of each chunk, in which the sites off the pattern are counted
STRENGTHS = 16  # Gauss–Legendre nodes of the coupling
STRONGEST_KT = 14.0  # at the highest temperature: hardly a site is off the pattern then


class Kind(StrEnum):
    """Which chains: at the temperatures of the sheet, from beta = 0 to the highest of them, coupled to the pattern, or at
    temperatures around the end of the order."""

    COLD = "cold"
    HOT = "hot"
    COUPLED = "coupled"
    FINE = "fine"


@dataclass(frozen=True)
class Task:
    """phase: number in the catalogue, -1: disordered. cell: 0 the larger, 1 the smaller.

    node: of the coupling; of fine chains the ordered phase; else 0. span_K: of fine chains.
    """

    phase: int
    kind: Kind
    mu_eV: float
    cell: int
    node: int = 0
    span_K: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Sheet:
    """What chains of a task give.

    likeness (chunks, 3, temperatures, walkers): as the pattern gives it; nan without one. to_others (chunks, temperatures,
    walkers): to the other pattern that is most alike. ordered (temperatures,): whether long-range order of any kind is seen.
    off (chunks, temperatures, walkers): sites off the pattern, 0 without one.
    """

    task: Task
    means: Means
    likeness: Float
    to_others: Float
    ordered: NDArray[np.bool_]
    off: Float


def sheet_temperatures_K(asked_K: tuple[float, ...]) -> Float:
    """Ascending, from the lowest to the highest temperature asked for."""
    return np.geomspace(min(asked_K), max(asked_K), TEMPERATURES)


def betas_of(task: Task, asked_K: tuple[float, ...]) -> Float:
    """1/neV: of hot chains evenly spaced from 0 towards the highest temperature; else of ascending temperatures."""
    if task.kind is Kind.HOT:
        return np.asarray(inverse_temperature(max(asked_K)) * np.arange(TEMPERATURES) / TEMPERATURES)
    temperature_K = np.linspace(*task.span_K, TEMPERATURES) if task.kind is Kind.FINE else sheet_temperatures_K(asked_K)
    return np.array([inverse_temperature(t) for t in temperature_K.tolist()])


def strengths_eV(asked_K: tuple[float, ...]) -> tuple[Float, Float]:
    """Nodes and weights of the integral over the coupling, from 0 on: even in its cubic root.

    A weak coupling already orders what is degenerate.
    """
    nodes, weights = np.polynomial.legendre.leggauss(STRENGTHS)
    root, strongest_eV = (nodes + 1) / 2, STRONGEST_KT * BOLTZMANN_EV_PER_K * max(asked_K)
    return strongest_eV * root**3, strongest_eV * 3 * root**2 * weights / 2


def sweeps_of(kind: Kind, asked: int) -> int:
    """Of the measurement, a multiple of all parts. asked: sweeps of the sampling."""
    sweeps = max(int(SHARE[kind] * asked), CHUNKS)
    parts = CHUNKS * snapshots_of(kind, sweeps)
    return -(-sweeps // parts) * parts


def snapshots_of(kind: Kind, sweeps: int) -> int:
    """Of each chunk."""
    return min(SNAPSHOTS, sweeps // CHUNKS) if kind is Kind.COUPLED else 1


def make_sheet(
    system: System,
    pattern: Pattern | None,
    others: Sequence[Pattern],
    task: Task,
    asked_K: tuple[float, ...],
    sweeps: int,
    seed: int,
    key: tuple[int, ...],
) -> Sheet:
    """pattern, others: of this phase and of the other ones, within the cell of the system. sweeps: of the measurement."""
    chained = system
    if task.kind is Kind.COUPLED:
        assert pattern is not None
        chained = coupled(system, pattern.species, round(strengths_eV(asked_K)[0][task.node] * NEV_PER_EV))
    starts = _random_states(system, seed, key) if pattern is None else np.tile(pattern.species, (LANES, 1))
    lanes = lanes_in(chained, betas_of(task, asked_K), task.mu_eV, starts, seed, key)
    equilibration = int(EQUILIBRATION[task.kind] * sweeps)
    if pattern is None:
        for step in range(1, COOLING_STEPS):
            lanes.advance(max(1, equilibration // COOLING_STEPS), step / COOLING_STEPS)
    lanes.advance(equilibration)
    return _measured(lanes, pattern, others, task, sweeps)


def _random_states(system: System, seed: int, key: tuple[int, ...]) -> NDArray[np.int8]:
    """With the number of ions that most states have."""
    counts, log_states = system.neutral_counts
    random, n = generator(seed, Stream.PHASES, *key, Stream.START), int(counts[log_states.argmax()])
    return np.array([random_neutral_state(system.supercell, system.ion, n, random) for _ in range(LANES)])


def _measured(lanes: Lanes, pattern: Pattern | None, others: Sequence[Pattern], task: Task, sweeps: int) -> Sheet:
    system, shape = lanes.system, (TEMPERATURES, WALKERS)
    snapshots = snapshots_of(task.kind, sweeps)
    fields, waves = ordered_fields(system.supercell, str(system.ion)), Waves(system.supercell)
    means, likeness, to_others, off, stars = [], [], [], [], []
    for _ in range(CHUNKS):
        record, away = [], np.zeros(LANES)
        for _ in range(snapshots):
            record.append(lanes.advance(sweeps // CHUNKS // snapshots))
            away += off_pattern(lanes.chains.species, pattern.species) / snapshots if pattern is not None else 0.0
        energy, ions = (np.concatenate(series) for series in zip(*record))
        means.append(chunk_means(energy, ions, system.n_formula_units))
        states = lanes.chains.species
        if pattern is None or pattern.field is None:
            likeness.append(np.full((3, *shape), np.nan))
        else:
            likeness.append(pattern.likeness(states).reshape(3, *shape))
        to_others.append(np.max([np.zeros(LANES), *(p.likeness(states)[0] for p in others)], axis=0).reshape(shape))
        off.append(away.reshape(shape))
        stars.append([np.nan_to_num(waves.star_weights(deviations(f, system.supercell, states))) for f in fields])
    mean = np.mean(stars, axis=0).reshape(len(fields), *shape, -1).mean(axis=2)  # (fields, temperatures, stars)
    chains = np.full(TEMPERATURES, WALKERS)
    ordered = np.any([recognise(m, chains, waves, f).ordered for m, f in zip(mean, fields)], axis=0)
    arrays = np.array(likeness), np.array(to_others), ordered, np.array(off, float)
    return Sheet(task, Means(*(np.array(m) for m in zip(*means))), *arrays)
