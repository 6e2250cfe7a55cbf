"""/order of results.h5: long-range and short-range order of the ions and of the electrons, from snapshots of the chains."""

from collections import Counter
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from ...crystal.lattice import VACANCY
from ...crystal.occupations import species_of_atoms
from ...runtime.results.transition import LooseGroup
from ...sampling.diagnostics import Health
from ...sampling.samples import Samples
from ...sampling.segment_files import read_snapshots
from ...sampling.system import System
from .short_range import Shell, correlations, neighbour_shells
from .structure_factor import Field, Waves, deviations, electron_field, ion_field

Float = NDArray[np.float64]
Int = NDArray[np.int64]
LEAST_ORDER = 0.1  # share of a field in one star above which it has long-range order
FALSE_ALARM = 1e-3  # probability that random arrangements pass the other test, at any star
LONG_WAVE_SPACINGS = 4.0  # mean distances between sites: a longer wave may be phases side by side
MOST_SNAPSHOTS = 16  # that are looked at of each chain
CRITERION = (
    f"ordered: the strongest star of equivalent waves q holds a share of at least {LEAST_ORDER:g} beyond what disorder would give, and more than"
    f" random arrangements would give at any star with probability {FALSE_ALARM:g}. Short-range order gives shares that shrink like one over the"
    " cell's size. separated: the same, but in a long wave that passes only once through the cell: two phases, or two domains of an order, side"
    " by side, or an order too long for the cell"
)


@dataclass(frozen=True)
class Recognised:
    """The strongest star over the points (...). weight: its share of the field; parameter: sqrt of the share beyond disorder."""

    star: Int
    weight: Float
    parameter: Float
    ordered: NDArray[np.bool_]
    separated: NDArray[np.bool_]


def recognise(weights: Float, chains: Int, waves: Waves, field: Field) -> Recognised:
    """From weights (..., stars) that are means over so many independent chains (...). Not ordered where they are nan.

    Disorder gives a star of m waves the share m/n_cells on average: a sum of squares of m * sites real amplitudes (sites: of
    the field in a cell), each of variance 1/(n_cells * sites), so chi2 with m * sites * chains degrees of freedom in the mean.
    """
    n_cells, sites = waves.supercell.n_cells, len(field.sites)
    level = waves.star_size / n_cells
    excess = np.divide(weights - level, 1 - level, out=np.full_like(weights, np.nan), where=level < 1)
    star = np.nan_to_num(excess, nan=-1.0).argmax(axis=-1)
    amplitudes = waves.star_size[star] * sites * np.maximum(chains, 1)
    random = chi2.isf(FALSE_ALARM / len(level), amplitudes) * level[star] / amplitudes
    weight, most = (np.take_along_axis(v, star[..., None], axis=-1)[..., 0] for v in (weights, excess))
    found = (np.nan_to_num(most) >= LEAST_ORDER) & (np.nan_to_num(weight) > random)
    spacing_A = (waves.supercell.lattice.atoms.get_volume() / max(sites, 1)) ** (1 / 3)
    length_A = waves.star_wavelength_A
    once = np.isfinite(length_A) & (length_A > LONG_WAVE_SPACINGS * spacing_A) & (waves.star_passes <= 1)
    return Recognised(star, weight, np.sqrt(np.maximum(most, 0)), found & ~once[star], found & once[star])


class ChainMeans:
    """Means over independent chains of quantities seen at (temperature, x), with the standard error of their scatter."""

    def __init__(self, shape: tuple[int, int], quantities: int) -> None:
        self.chains = np.zeros(shape, np.int64)
        self.total, self.squares = np.zeros((*shape, quantities)), np.zeros((*shape, quantities))

    def add(self, point: tuple[int, int], values: Float) -> None:
        """Mean over what one chain saw there, (snapshots, quantities)."""
        mean = values.mean(axis=0)
        self.chains[point] += 1
        self.total[point] += mean
        self.squares[point] += mean**2

    def mean_and_error(self) -> tuple[Float, Float]:
        """nan where nothing was seen; the error also where only one chain was."""
        n = self.chains[..., None].astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total / n
            error = np.sqrt(np.maximum(self.squares / n - mean**2, 0) / np.where(n > 1, n - 1, np.nan))
        return mean, error


@dataclass(frozen=True)
class Probe:
    """What is measured on every state: the shares of all stars for each field, then the correlations in all shells."""

    system: System
    waves: Waves
    fields: dict[str, Field]
    shells: list[Shell]

    @property
    def quantities(self) -> int:
        return len(self.fields) * len(self.waves.star_size) + len(self.shells)

    def composition(self, states: NDArray[np.int8]) -> Float:
        """Ions per formula unit (k,) of states (k, n_sites)."""
        return np.array([self.system.count_ions(s)[0] for s in states]) / self.system.n_formula_units

    def measure(self, states: NDArray[np.int8]) -> Float:
        """(k, quantities) of states (k, n_sites); nan where something does not vary."""
        found = [deviations(f, self.system.supercell, states) for f in self.fields.values()]
        return np.concatenate([*(self.waves.star_weights(d) for d in found), correlations(self.shells, found)], axis=1)

    def stars(self, values: Float, field: int) -> Float:
        n = len(self.waves.star_size)
        return values[..., field * n : (field + 1) * n]

    def correlations(self, values: Float) -> Float:
        return values[..., len(self.fields) * len(self.waves.star_size) :]


def build_probe(system: System) -> Probe:
    """Of the first ion, and of the electrons where there are any."""
    assert system.ion is not None
    electrons = electron_field(system.lattice)
    fields = {"ion": ion_field(system.lattice, system.ion), **({"electron": electrons} if electrons else {})}
    return Probe(system, Waves(system.supercell), fields, neighbour_shells(system.supercell, list(fields.values())))


def order_group(samples: Samples, system: System, health: Health, x: Float) -> LooseGroup:
    """On the finite temperatures of the ladder and the compositions x (points,), each snapshot counted at the nearest one."""
    probe, plan = build_probe(system), samples.plan
    rungs = np.flatnonzero(np.isfinite(plan.ladder.temperature_K))
    means = ChainMeans((len(rungs), len(x)), probe.quantities)
    away, example = np.full((len(rungs), len(x)), np.inf), np.full((len(rungs), len(x), 3), -1)
    for number, slot in enumerate(plan.slots):
        if slot.rung not in rungs:
            continue
        seen, row = read_snapshots(*samples.origin[number], samples.n_sweeps), int(np.searchsorted(rungs, slot.rung))
        settled = _thinned(np.flatnonzero((seen.sweep > health.equilibrated_after[number]) | (seen.sweep == seen.sweep[-1])))
        for walker in range(plan.walkers):
            states = seen.species[settled, walker]
            values, own_x = probe.measure(states), probe.composition(states)
            varies, column = np.isfinite(values).all(axis=1), np.abs(own_x[:, None] - x).argmin(axis=1)
            for c in np.unique(column[varies]).tolist():
                mine = np.flatnonzero(varies & (column == c))
                means.add((row, c), values[mine])
                off = np.abs(own_x[mine] - x[c])
                if off.min() < away[row, c]:
                    away[row, c] = off.min()
                    example[row, c] = number, seen.sweep[settled][mine[off.argmin()]], walker
    return _group(probe, plan.ladder.temperature_K[rungs], x, means, example)


def _thinned(numbers: Int) -> Int:
    """At most MOST_SNAPSHOTS of them, evenly."""
    return numbers[np.rint(np.linspace(0, len(numbers) - 1, min(len(numbers), MOST_SNAPSHOTS))).astype(int)]


def _group(probe: Probe, temperature_K: Float, x: Float, means: ChainMeans, example: Int) -> LooseGroup:
    group, dims = LooseGroup(), ("temperature_K", "x")
    group.add("temperature_K", ("temperature_K",), temperature_K, "K", "temperature")
    group.add("x", ("x",), x, "1", f"{probe.system.ion} per formula unit")
    group.add("chains", dims, means.chains, "1", "independent chains that were seen here")
    words = "replica, sweep and walker whose state stands for this point; -1: none"
    group.add("example", (*dims, "place"), example, "1", words)
    mean, error = means.mean_and_error()
    for k, (half, field) in enumerate(probe.fields.items()):
        group.attributes[f"{half}_species"] = field.name
        _add_waves(group, half, probe, field, (probe.stars(mean, k), probe.stars(error, k), means.chains))
    fields = list(probe.fields.values())
    pairs = [" ".join(fields[f].name for f in s.fields) for s in probe.shells]
    group.add("shell_pair", ("shell",), np.array(pairs), "1", "the two species")
    group.add("shell_distance_A", ("shell",), [s.distance_A for s in probe.shells], "A", "distance of the neighbours")
    group.add(
        "shell_neighbours", ("shell",), [s.neighbours for s in probe.shells], "1", "neighbours of a site of the first species"
    )
    words = "Warren-Cowley parameter; > 0: the two species seek each other, < 0: they avoid each other, 0: random"
    group.add("short_range_order", (*dims, "shell"), probe.correlations(mean), "1", words, probe.correlations(error))
    group.attributes["criterion"] = CRITERION
    for name, n in zip(("low_x", "high_x"), probe.system.n_range):
        group.attributes[name] = _formula(probe.system, n)
    return group


def _formula(system: System, n: int) -> str:
    """With n of the ion in the supercell, in the order of the structure file."""
    state = system.any_state(n)
    counts = Counter(sp.element for sp in species_of_atoms(system.supercell, state) if sp.name != VACANCY)
    whole = gcd(*counts.values())
    return "".join(f"{s}{c // whole if c > whole else ''}" for s, c in counts.items())


def _add_waves(group: LooseGroup, half: str, probe: Probe, field: Field, seen: tuple[Float, Float, Int]) -> None:
    """seen: mean weights, their errors, chains."""
    dims, waves, (weights, errors, chains) = ("temperature_K", "x"), probe.waves, seen
    found = recognise(weights, chains, waves, field)
    error = np.take_along_axis(errors, found.star[..., None], axis=-1)[..., 0]
    q = np.where(np.isfinite(found.weight)[..., None], waves.star_q[found.star], np.nan)
    what = f"of {field.name}"
    group.add(f"{half}_order_weight", dims, found.weight, "1", f"share {what} in its strongest star of waves", error)
    words = f"order parameter {what}: sqrt of that share beyond disorder"
    group.add(f"{half}_order_parameter", dims, found.parameter, "1", words)
    words = f"wave vector {what} in reciprocal vectors of the cell of the structure file"
    group.add(f"{half}_order_q", (*dims, "axis"), q, "1", words)
    group.add(f"{half}_ordered", dims, found.ordered, "1", f"long-range order {what}; see the criterion")
    words = f"one long wave {what} across the cell: phases or domains side by side"
    group.add(f"{half}_separated", dims, found.separated, "1", words)
