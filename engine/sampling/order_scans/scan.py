"""One chemical potential over temperature, in a larger and a smaller cell: which waves order, and where they cease to.

- All temperatures of the input, in the larger cell: the star of waves in which ions and electrons are ordered, and up to where.
- Around that temperature, in both cells: where the cumulants of the order parameter cross.
- Around the crossing, for longer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...crystal.long_range_order import recognise
from ...crystal.structure_factor import Field, Waves, deviations, electron_field, ion_field
from ..chains.system import System
from .crossing import BURN_IN, crossing, of_order
from .lanes import TEMPERATURES, WALKERS, Lanes, cooled_lanes, lanes_from

Float = NDArray[np.float64]
Int = NDArray[np.int64]
SAMPLES = 400  # of the order parameter in each chain
MOVES = {"search": 2e8, "approach": 1e8, "measure": 4e8}  # attempted in the larger cell, cooling apart
COOLING_SHARE = 0.25  # of the sweeps, before them
BELOW, ABOVE = 0.9, 1.1  # range of the approach, times the last ordered temperature and the next
FALLEN = 0.5  # share of the star, over that at the lowest temperature, at which its order is about to end
NEAR = 0.04  # half the range of the measurement over its temperature


@dataclass(frozen=True)
class OrderScan:
    """One order that ends. species: what is ordered; q (3,): its wave; components: waves of its star.

    temperature_K (temperatures,); share (2, samples, temperatures, walkers): of the star, in the larger and in the smaller cell;
    ions (2, samples, temperatures, walkers): counts likewise.
    """

    species: str
    q: Float
    components: int
    temperature_K: Float
    share: Float
    ions: Int


@dataclass(frozen=True)
class Star:
    """A star of waves by its number in the larger cell and in the smaller one."""

    field: Field
    numbers: tuple[int, int]
    q: Float
    components: int


@dataclass(frozen=True)
class Measured:
    """One system with what is measured in it: share (samples, fields, stars, temperatures, walkers), ions likewise."""

    share: Float
    ions: Int


def scan_order(
    systems: tuple[System, System], mu_eV: float, asked_K: tuple[float, ...], seed: int, number: int
) -> list[OrderScan]:
    """All orders of ions and electrons that end at this chemical potential. systems: the larger and the smaller cell."""
    waves = (Waves(systems[0].supercell), Waves(systems[1].supercell))
    lattice = systems[0].lattice
    fields = [f for f in (ion_field(lattice, str(systems[0].ion)), electron_field(lattice)) if f is not None]
    search_K, found = np.geomspace(min(asked_K), max(asked_K), TEMPERATURES), []
    followed: list[int] = []  # electrons that lose their order together with the ions have no transition of their own
    lanes = _cooled(systems[0], search_K, mu_eV, MOVES["search"], seed, (number, 0))
    searched = _measure(lanes, fields, waves[0], MOVES["search"])
    for k, field in enumerate(fields):
        ends = _end_of_order(searched.share[:, k], waves, field)
        if ends is None or any(abs(ends[1] - other) <= 1 for other in followed):
            continue
        star, last = ends
        followed.append(last)
        span = search_K[last] * BELOW, search_K[last + 1] * ABOVE
        smaller = _cooled(systems[1], np.linspace(*span, TEMPERATURES), mu_eV, MOVES["approach"], seed, (number, 1 + k))
        if (scan := _followed((lanes, smaller), waves, star, span, seed, (number, 1 + k))) is not None:
            found.append(scan)
    return found


def _followed(
    before: tuple[Lanes, Lanes],
    waves: tuple[Waves, Waves],
    star: Star,
    span: tuple[float, float],
    seed: int,
    key: tuple[int, int],
) -> OrderScan | None:
    """The order around its end, in both cells, from the states of other lanes; None if its cumulants do not cross."""
    for level, name in enumerate(("approach", "measure")):
        temperature_K = np.linspace(*span, TEMPERATURES)
        before = (
            lanes_from(before[0], temperature_K, seed, (*key, level, 0)),
            lanes_from(before[1], temperature_K, seed, (*key, level, 1)),
        )
        both = [_measure(before[c], [star.field], waves[c], MOVES[name], star.numbers[c]) for c in (0, 1)]
        at = crossing(temperature_K, *(of_order(m.share[:, 0, 0], star.components) for m in both))
        if at is None:
            return None
        span = at.temperature_K * (1 - NEAR), at.temperature_K * (1 + NEAR)
    share = np.array([m.share[:, 0, 0] for m in both])
    return OrderScan(star.field.name, star.q, star.components, temperature_K, share, np.array([m.ions for m in both]))


def attempted_moves(n_sites: int) -> tuple[float, float]:
    """At one chemical potential, by the sites of the larger cell: in the search, and at most in all that follows."""
    each = {name: _sweeps(n_sites, moves) * n_sites * TEMPERATURES * WALKERS for name, moves in MOVES.items()}
    search, rest = each.pop("search"), sum(each.values())
    cells, fields = 2, 2
    return (1 + COOLING_SHARE) * search, fields * (cells * rest + COOLING_SHARE * each["approach"])


def _sweeps(n_sites: int, moves: float) -> int:
    """In the smaller cell as many moves are more sweeps, so that its chains are the better known."""
    return max(int(moves / (n_sites * TEMPERATURES * WALKERS)), SAMPLES)


def _cooled(system: System, temperature_K: Float, mu_eV: float, moves: float, seed: int, key: tuple[int, ...]) -> Lanes:
    return cooled_lanes(system, temperature_K, mu_eV, int(COOLING_SHARE * _sweeps(system.supercell.n_sites, moves)), seed, key)


def _measure(lanes: Lanes, fields: list[Field], waves: Waves, moves: float, star: int | None = None) -> Measured:
    """SAMPLES samples of the shares of all stars, or of one."""
    share, ions, shape = [], [], (TEMPERATURES, WALKERS)
    sweeps = _sweeps(lanes.system.supercell.n_sites, moves)
    for _ in range(SAMPLES):
        lanes.advance(max(1, sweeps // SAMPLES))
        weights = [waves.star_weights(deviations(f, lanes.system.supercell, lanes.chains.species)) for f in fields]
        kept = [np.nan_to_num(w if star is None else w[:, [star]]).T.reshape(-1, *shape) for w in weights]
        share.append(kept)
        ions.append(lanes.ions.copy())
    return Measured(np.array(share), np.array(ions))


def _end_of_order(share: Float, waves: tuple[Waves, Waves], field: Field) -> tuple[Star, int] | None:
    """The star that is ordered at the lowest temperature, and the last temperature before its share falls to half.

    share (samples, stars, temperatures, walkers). None where nothing is ordered, or the order has no end in the range, or it does
    not fit the smaller cell.
    """
    mean = share[int(BURN_IN * len(share)) :].mean(axis=(0, 3)).T  # (temperatures, stars)
    found = recognise(mean[:1], np.array([WALKERS]), waves[0], field)
    number = int(found.star[0])
    fallen = np.flatnonzero(mean[:, number] < FALLEN * mean[0, number])
    q = waves[0].star_q[number]
    same = np.flatnonzero((np.abs(waves[1].star_q - q) < 1e-9).all(axis=1))
    if not found.ordered[0] or not len(fallen) or not len(same):
        return None
    return Star(field, (number, int(same[0])), q, int(waves[0].star_size[number])), int(fallen[0]) - 1
