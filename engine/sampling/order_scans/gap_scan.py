"""Where the gap between two phases of one order ends: semigrand chains along the line of equal weight, in two sizes of the cell.

Their order parameter is the composition: the cumulants of its central moments cross at the critical point. The chains exchange
along temperature, so that those below it change between both phases by way of those above it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...units import BOLTZMANN_EV_PER_K
from ..chains.system import System
from .crossing import Crossing, crossing, of_count, slopes_to
from .lanes import TEMPERATURES, WALKERS, Lanes, cooled_lanes, lanes_from

Float = NDArray[np.float64]
Int = NDArray[np.int64]
MOVES = {"approach": (8e7, 3e7), "measure": (1.8e9, 4e8)}  # attempted in the larger and in the smaller cell
CONSERVING = 0.2  # weight of moves that change no count, over that in the windows: here the count is what is slow
LEAST_SAMPLES, MOST_SAMPLES, SWEEPS = 400, 4000, 10  # samples of each chain, every so many sweeps if not fewer or more
COOLING_SWEEPS = 400
MOST_GAPS = 2  # whose ends are scanned, those of the highest barriers first
NEAR = 0.04  # half the range of the measurement over its temperature
OFF = 0.1  # at an Ising critical point cumulants are away from those of the infinite crystal by OFF L^-w; L in formula units
W = {2: 1.75, 3: 0.83}  # of L by dimensions (Ferrenberg, Xu, Landau, Phys. Rev. E 97, 043301, 2018; in 2D from the background)
LINE = 2  # degree of the polynomial in T of the corrections of the chemical potential
KEY = 1_000_000  # first number of the keys of random streams; those of order scans begin with the number of a chemical potential


@dataclass(frozen=True)
class GapEnd:
    """Where to look for the end of a gap. x, x_error: its middle, ions per formula unit; span_K: range of temperatures.

    line_K, line_eV (points,): chemical potential of equal weight over temperature, as far as it is known.
    """

    x: float
    x_error: float
    span_K: tuple[float, float]
    line_K: Float
    line_eV: Float

    def mu_eV(self, temperature_K: Float) -> Float:
        return np.interp(temperature_K, self.line_K, self.line_eV)


@dataclass(frozen=True)
class GapScan:
    """The end of one gap. temperature_K, mu_eV (temperatures,); of_larger, of_smaller (samples, temperatures, walkers): counts.

    x, x_error: middle of the gap; middle (2,): the count at it in either cell.
    """

    x: float
    x_error: float
    temperature_K: Float
    mu_eV: Float
    of_larger: Int
    of_smaller: Int
    middle: Float

    @cached_property
    def crossing(self) -> Crossing | None:
        """Its error contains that by the size of the cells."""
        both = [of_count(ions, float(m)) for ions, m in zip((self.of_larger, self.of_smaller), self.middle)]
        found = crossing(self.temperature_K, both[0], both[1])
        if found is None:
            return None
        return replace(found, error_K=float(np.hypot(found.error_K, self.size_K(found))))

    def size_K(self, found: Crossing) -> float:
        """Standard error of the crossing by the size of the cells."""
        return self._cumulant_error() / abs(found.slopes_per_K[0] - found.slopes_per_K[1])

    def _cumulant_error(self) -> float:
        """Difference of the cumulants of both cells at the critical point, about; d: directions that the larger cell doubles."""
        n_fu = self.middle / self.x
        d = 2 if n_fu[0] / n_fu[1] < 2**2.5 else 3
        off = OFF * n_fu ** (-W[d] / d)
        return float(off[1] - off[0])


def scan_gap(systems: tuple[System, System], end: GapEnd, seed: int, number: int) -> GapScan | None:
    """systems: the larger and the smaller cell. None if the cumulants do not cross."""
    systems = (_for_counts(systems[0]), _for_counts(systems[1]))
    middle, span = np.array([_count_at(s, end.x) for s in systems]), end.span_K
    temperature_K = np.linspace(*span, TEMPERATURES)
    mu_eV, key = end.mu_eV(temperature_K), (KEY + number,)
    lanes = [cooled_lanes(s, temperature_K, mu_eV, COOLING_SWEEPS, seed, (*key, c)) for c, s in enumerate(systems)]
    approach = _scan(lanes, "approach", end, middle)
    if (near := approach.crossing) is None:
        return None
    temperature_K = near.temperature_K * np.linspace(1 - NEAR, 1 + NEAR, TEMPERATURES)
    mu_eV = end.mu_eV(temperature_K) + _correction(approach, temperature_K)
    lanes = [lanes_from(before, temperature_K, seed, (*key, c, 1), mu_eV) for c, before in enumerate(lanes)]
    found = _scan(lanes, "measure", end, middle)
    return found if found.crossing is not None else None


def attempted_moves(n_sites: tuple[int, int]) -> float:
    """For one gap at most, by the sites of the larger and of the smaller cell."""
    cooling = COOLING_SWEEPS * sum(n_sites) * TEMPERATURES * WALKERS
    return cooling + sum(_sweeps(n, m) * n * TEMPERATURES * WALKERS for both in MOVES.values() for n, m in zip(n_sites, both))


def _for_counts(system: System) -> System:
    mix = system.mix
    slower = {name: CONSERVING * getattr(mix, name) for name in ("swap", "near_swap", "pair_hop")}
    return system.with_mix(replace(mix, **slower))


def _count_at(system: System, x: float) -> float:
    return x * system.n_formula_units


def _scan(lanes: list[Lanes], name: str, end: GapEnd, middle: Float) -> GapScan:
    larger, smaller = (_counts(each, moves) for each, moves in zip(lanes, MOVES[name]))
    mu_eV = np.broadcast_to(lanes[0].mu_eV, TEMPERATURES)
    return GapScan(end.x, end.x_error, lanes[0].temperature_K, mu_eV, larger, smaller, middle)


def _counts(lanes: Lanes, moves: float) -> Int:
    """(samples, temperatures, walkers)."""
    sweeps, found = _sweeps(lanes.system.supercell.n_sites, moves), []
    samples = _samples(sweeps)
    for _ in range(samples):
        lanes.advance(sweeps // samples)
        found.append(lanes.ions.copy())
    return np.array(found)


def _sweeps(n_sites: int, moves: float) -> int:
    """A whole number for each sample."""
    sweeps = max(int(moves / (n_sites * TEMPERATURES * WALKERS)), LEAST_SAMPLES)
    return sweeps // _samples(sweeps) * _samples(sweeps)


def _samples(sweeps: int) -> int:
    return int(np.clip(sweeps // SWEEPS, LEAST_SAMPLES, MOST_SAMPLES))


def _correction(found: GapScan, temperature_K: Float) -> Float:
    """Of the chemical potential (eV), by a polynomial through those at which the larger cell has the mean of the middle."""
    slopes = slopes_to(found.of_larger, float(found.middle[0]))
    known = np.isfinite(slopes)
    if known.sum() <= LINE:
        return np.zeros(len(temperature_K))
    change_eV = BOLTZMANN_EV_PER_K * found.temperature_K[known] * slopes[known]
    fit = np.polynomial.Polynomial.fit(found.temperature_K[known], change_eV, LINE)
    return np.asarray(fit(np.clip(temperature_K, *found.temperature_K[known][[0, -1]])))
