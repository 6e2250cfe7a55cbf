"""The ordered phases: corners of the T = 0 hull of what annealing and the search for ground states find."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.simd import LANES
from ...crystal.lattice import Supercell
from ...crystal.neutral_states import random_neutral_state
from ...runtime.streams import Stream, generator
from ...units import NEV_PER_EV, inverse_temperature
from ..chains.system import System
from ..ground_states.ground_state_search import Lowest
from .lanes import TEMPERATURES, lanes_in
from .pattern import Pattern

Float = NDArray[np.float64]
Int = NDArray[np.int64]
MOST_PHASES = 12  # ordered ones: those that are stable over the widest intervals of mu
LEAST_DEPTH_KT = 1.0  # of a corner below the line between its neighbours, for the whole cell, at the lowest temperature
COOLING_STEPS = 20
COOLING_SWEEPS = 20  # of each step
COLDEST = 0.02  # of the lowest temperature: what is left is the nearest minimum


@dataclass(frozen=True, eq=False)
class Phase:
    """An ordered phase. n, energy_neV: of its ground state in the larger cell. mu_eV: between which it is the ground state.

    small: its pattern in the smaller cell; None: it does not fit.
    """

    pattern: Pattern
    small: Pattern | None
    n: int
    energy_neV: int
    mu_eV: tuple[float, float]


def find_phases(
    systems: tuple[System, System],
    mu_eV: Float,
    temperature_K: Sequence[float],
    ground_states: Sequence[tuple[Supercell, Lowest]],
    seed: int,
) -> list[Phase]:
    """Ordered phases that fit into the larger cell, by ascending x.

    systems: the larger cell and the smaller one, in which states are annealed. temperature_K: of the sampling. ground_states: of
    small supercells; those that fit are repeated.
    """
    larger, smaller = systems
    known = [_annealed(smaller, float(mu), min(temperature_K), max(temperature_K), seed, k) for k, mu in enumerate(mu_eV)]
    ends = [larger.any_state(n) for n in larger.n_range]
    states = np.concatenate([ends, _repeated(smaller.supercell, np.concatenate(known), larger), _tiled(ground_states, larger)])
    ions = np.array([larger.count_ions(s)[0] for s in states])
    energy = np.array([larger.energy_neV(s) for s in states])
    kT_neV = 1 / inverse_temperature(min(temperature_K))
    corners = _corners(ions, energy, LEAST_DEPTH_KT * kT_neV)
    found = [_phase(systems, states[(ions == n) & (energy == e)], n, e, limits) for n, e, limits in corners]
    ordered = [p for p in found if p.pattern.field is not None]
    widest = sorted(ordered, key=lambda p: p.mu_eV[0] - p.mu_eV[1])[:MOST_PHASES]
    return sorted(widest, key=lambda p: p.n)


def _annealed(system: System, mu_eV: float, low_K: float, high_K: float, seed: int, number: int) -> NDArray[np.int8]:
    """States (LANES, n_sites) cooled from random ones to far below the lowest temperature."""
    counts, _ = system.neutral_counts
    random = generator(seed, Stream.PHASES, number, Stream.START)
    starts = [random_neutral_state(system.supercell, system.ion, int(random.choice(counts)), random) for _ in range(LANES)]
    steps = np.geomspace(4 * high_K, COLDEST * low_K, COOLING_STEPS)
    betas = np.full(TEMPERATURES, inverse_temperature(float(steps[-1])))
    lanes = lanes_in(system, betas, mu_eV, np.array(starts), seed, (number,))
    for step_K in steps.tolist():
        lanes.advance(COOLING_SWEEPS, inverse_temperature(step_K) / float(betas[0]))
    return lanes.chains.species


def _tiled(ground_states: Sequence[tuple[Supercell, Lowest]], system: System) -> NDArray[np.int8]:
    """States of smaller supercells whose periods fit, repeated, (k, n_sites)."""
    found = [np.zeros((0, system.supercell.n_sites), np.int8)]
    for small, lowest in ground_states:
        times = system.supercell.matrix @ np.linalg.inv(small.matrix)
        if np.allclose(times, np.rint(times)):
            found.append(_repeated(small, lowest.states, system))
    return np.concatenate(found)


def _repeated(small: Supercell, states: NDArray[np.int8], system: System) -> NDArray[np.int8]:
    states = np.unique(states, axis=0)
    return np.array([Pattern(small, str(system.ion), s).within(system.supercell).species for s in states])


def _corners(ions: Int, energy: Int, least_depth: float) -> list[tuple[int, int, tuple[float, float]]]:
    """Lower hull of the points: count, energy (neV) and interval of mu (eV) of each corner that is deep enough."""
    counts = np.unique(ions)
    lowest = np.array([energy[ions == n].min() for n in counts])
    kept = list(range(len(counts)))
    while len(kept) > 2:
        depth = np.array([_below(counts[kept[k - 1 : k + 2]], lowest[kept[k - 1 : k + 2]]) for k in range(1, len(kept) - 1)])
        if depth.min() >= least_depth:
            break
        del kept[1 + int(depth.argmin())]
    slopes = np.diff(lowest[kept]) / np.diff(counts[kept]) / NEV_PER_EV
    limits = np.concatenate([[-np.inf], slopes, [np.inf]])
    return [(int(counts[k]), int(lowest[k]), (float(a), float(b))) for k, a, b in zip(kept, limits, limits[1:])]


def _below(n: Int, energy: Int) -> float:
    """How far the middle of three points lies below the line between the others."""
    return float(energy[0] + (energy[2] - energy[0]) * (n[1] - n[0]) / (n[2] - n[0]) - energy[1])


def _phase(systems: tuple[System, System], tied: NDArray[np.int8], n: int, lowest: int, mu_eV: tuple[float, float]) -> Phase:
    """Of tied states (k, n_sites) the one whose order is made of fewest waves, the rest being its variants with domain walls."""
    larger, smaller = (s.supercell for s in systems)
    patterns = [Pattern(larger, str(systems[0].ion), s) for s in np.unique(tied, axis=0)]
    best = max(patterns, key=lambda p: round(float((p.shares**2).sum()), 9) if p.field is not None else 0.0)
    return Phase(best, best.folded(smaller), n, lowest, mu_eV)
