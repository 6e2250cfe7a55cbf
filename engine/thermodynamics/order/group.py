"""The group /order: long-range and short-range order of the ions and of the electrons, from snapshots of the chains."""

from collections import Counter
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import VACANCY
from ...crystal.occupations import species_of_atoms
from ...runtime.results.order import Order
from ...sampling.chains.system import System
from ...sampling.diagnostics import Convergence
from ...sampling.samples import Samples
from .long_range import CRITERION, long_range_order
from .probe import ChainMeans, Probe, build_probe

Float = NDArray[np.float64]
Int = NDArray[np.int64]
MOST_SNAPSHOTS = 16  # of each chain that are measured


def order_group(samples: Samples, system: System, convergence: Convergence, x: Float) -> Order:
    """Order at the finite temperatures of the ladder and the compositions x (points,); a snapshot counts at the nearest."""
    probe, plan = build_probe(system), samples.plan
    rungs = np.flatnonzero(np.isfinite(plan.ladder.temperature_K))
    means = ChainMeans((len(rungs), len(x)), probe.quantities)
    away, example = np.full((len(rungs), len(x)), np.inf), np.full((len(rungs), len(x), 3), -1)
    for number, slot in enumerate(plan.slots):
        if slot.rung not in rungs:
            continue
        seen, row = samples.snapshots(number), int(np.searchsorted(rungs, slot.rung))
        after = (seen.sweep > convergence.equilibrated_after[number]) | (seen.sweep == seen.sweep[-1])
        kept = _thinned(np.flatnonzero(after))
        for walker in range(plan.walkers):
            states = seen.species[kept, walker]
            values, own_x = probe.measure(states), probe.composition(states)
            varies, column = np.isfinite(values).all(axis=1), np.abs(own_x[:, None] - x).argmin(axis=1)
            for c in np.unique(column[varies]).tolist():
                mine = np.flatnonzero(varies & (column == c))
                means.add((row, c), values[mine])
                off = np.abs(own_x[mine] - x[c])
                if off.min() < away[row, c]:
                    away[row, c] = off.min()
                    example[row, c] = number, seen.sweep[kept][mine[off.argmin()]], walker
    return _group(probe, plan.ladder.temperature_K[rungs], x, means, example)


def _thinned(numbers: Int) -> Int:
    """At most MOST_SNAPSHOTS of them, evenly spaced."""
    return numbers[np.rint(np.linspace(0, len(numbers) - 1, min(len(numbers), MOST_SNAPSHOTS))).astype(int)]


def _group(probe: Probe, temperature_K: Float, x: Float, means: ChainMeans, example: Int) -> Order:
    mean, error = means.mean_and_error()
    ordered = [
        long_range_order(field, probe.waves, probe.stars(mean, k), probe.stars(error, k), means.chains)
        for k, field in enumerate(probe.fields)
    ]
    low, high = (_formula(probe.system, n) for n in probe.system.n_range)
    return Order(
        temperature_K=temperature_K,
        x=x,
        chains=means.chains,
        example=example,
        ion=ordered[0],
        electron=ordered[1] if len(ordered) > 1 else None,
        shell_pair=np.array([" ".join(probe.fields[f].name for f in s.fields) for s in probe.shells]),
        shell_distance_A=np.array([s.distance_A for s in probe.shells]),
        shell_neighbours=np.array([s.neighbours for s in probe.shells]),
        short_range_order=probe.correlations(mean),
        short_range_order_error=probe.correlations(error),
        criterion=CRITERION,
        low_x=low,
        high_x=high,
    )


def _formula(system: System, n: int) -> str:
    """Formula of the compound with n ions in the supercell, elements in the order of the structure file."""
    state = system.any_state(n)
    counts = Counter(sp.element for sp in species_of_atoms(system.supercell, state) if sp.name != VACANCY)
    whole = gcd(*counts.values())
    return "".join(f"{s}{c // whole if c > whole else ''}" for s, c in counts.items())
