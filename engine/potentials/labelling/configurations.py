"""Choice of the configurations to relax: symmetry-distinct neutral arrangements of ions and electrons at all compositions."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from ...crystal.lattice import Lattice, Sublattice, Supercell
from ...crystal.neutral_states import count_neutral_states, neutral_states, random_neutral_state
from ...crystal.neutrality import exchangeable_ions, neutral_exchanges
from ...crystal.occupations import species_on_sites
from ...crystal.supercells import distinct_supercells
from ...crystal.symmetry import canonical, is_primitive, orbits, site_permutations, site_translations
from ...runtime.streams import Stream, generator
from .annealing import Annealer

ATTEMPTS = 50  # draws for each missing arrangement, after which a composition counts as exhausted
ENUMERABLE = 5000  # states of one composition


@dataclass(frozen=True)
class Configuration:
    """An arrangement in a supercell.

    matrix (3, 3): rows are the vectors of the supercell in cells. species: bytes of the occupation (n_sites,).
    """

    matrix: tuple[tuple[int, ...], ...]
    species: bytes
    name: str

    def supercell(self, lattice: Lattice) -> Supercell:
        """The supercell of the configuration."""
        return Supercell(lattice, np.array(self.matrix, np.int64))

    def occupation(self) -> NDArray[np.int8]:
        """Species index of every site (n_sites,)."""
        return np.frombuffer(self.species, np.int8).copy()

    def composition(self, lattice: Lattice) -> float:
        """Number of exchangeable ions per formula unit; 0 if no ion is exchangeable."""
        supercell, ion = self.supercell(lattice), exchangeable_ion(lattice)
        names = [sp.name for sp in species_on_sites(supercell, self.occupation())]
        return sum(name == ion for name in names) / supercell.n_formula_units


def exchangeable_ion(lattice: Lattice) -> str | None:
    """The (first) ion whose number neutral exchanges change; None if there is none."""
    ions = exchangeable_ions(lattice, neutral_exchanges(lattice))
    return ions[0] if ions else None


def key(configuration: Configuration, lattice: Lattice) -> str:
    """A hash that is equal for all symmetry-equivalent arrangements of a supercell, whatever the choice of its vectors."""
    supercell = configuration.supercell(lattice)
    return _key(supercell, canonical(configuration.occupation(), site_permutations(supercell)))


def configuration_of(supercell: Supercell, image: bytes) -> Configuration:
    """The configuration of a canonical arrangement; all equivalent arrangements have the same name."""
    return _Cell(supercell).configuration(image)


def enumerate_configurations(lattice: Lattice, matrix: ArrayLike, limit: int) -> list[Configuration] | None:
    """All symmetry-distinct neutral arrangements of a supercell; None if it has more than `limit` neutral states."""
    cell, ion = _Cell(_supercell(lattice, matrix)), exchangeable_ion(lattice)
    n_states = cell.n_states(ion)
    if sum(n_states.values()) > limit:
        return None
    found = [sorted(orbits(neutral_states(cell.supercell, ion, n), cell.permutations)) for n in n_states]
    return [cell.configuration(image) for of_composition in found for image in of_composition]


def choose_configurations(
    lattice: Lattice,
    matrices: Sequence[ArrayLike],
    n: int,
    seed: int,
    low_energy_share: float = 0.5,
    limit: int = ENUMERABLE,
    stream: Stream = Stream.LABELLING,
) -> list[Configuration]:
    """n symmetry-distinct arrangements, distributed evenly over the supercells and over the compositions of each.

    - An arrangement that repeats in a smaller cell is left out, except at both ends of composition of the smallest supercell.
    - If a supercell or a composition has too few arrangements, the others get more.
    - Compositions with up to `limit` neutral states are enumerated; of these, fewer than n are returned only if fewer exist.
    - The share `low_energy_share` is annealed, half of it with the electrons only, around random ions. All others are drawn
      uniformly from the neutral states.
    """
    ion = exchangeable_ion(lattice)
    compositions: list[list[_Composition]] = []
    for supercell in distinct_supercells([_supercell(lattice, m) for m in matrices]):
        cell = _Cell(supercell)
        n_states = cell.n_states(ion)
        ends = [] if compositions else [f(n_states, default=0) for f in (min, max)]
        compositions.append([_Composition(cell, ion, m, k <= limit, m in ends) for m, k in n_states.items()])
    chosen = []
    rooms = [sum(c.room for c in of_cell) for of_cell in compositions]
    for of_cell, share in zip(compositions, _shares(rooms, n)):
        for c, quota in zip(of_cell, _shares([c.room for c in of_cell], share)):
            rng = generator(seed, stream, *c.cell.supercell.hermite.ravel().tolist(), c.n)
            draw = partial(random_neutral_state, c.cell.supercell, ion, c.n)
            picked = _pick(c.cell, c.pool, quota, draw, low_energy_share, rng, c.any_period)
            chosen += [c.cell.configuration(image) for image in picked]
    return chosen


def charge_orders(
    lattice: Lattice, matrix: ArrayLike, ions_occupation: NDArray[np.int8], n: int, seed: int, limit: int = 4 * ENUMERABLE
) -> list[Configuration]:
    """Up to n symmetry-distinct electron arrangements on fixed ions; half of them have a low energy.

    ions_occupation (n_sites,): only its elements matter; they stay on their sites, so the returned species are not canonical.
    An operation that maps one arrangement to another on the same ions also maps the ions to themselves, so canonical forms
    identify equivalent arrangements.
    """
    cell, rng = _Cell(_supercell(lattice, matrix)), generator(seed, Stream.CHARGE_ORDERS)
    electrons, sites, back = _electrons(cell.supercell, np.asarray(ions_occupation))

    def with_ions(states: NDArray[np.int8]) -> NDArray[np.int8]:
        full = np.tile(np.asarray(ions_occupation, np.int8), (*states.shape[:-1], 1))
        full[..., sites] = back[np.arange(len(sites)), states]
        return full

    def draw(rng: np.random.Generator) -> NDArray[np.int8]:
        return with_ions(random_neutral_state(electrons, None, 0, rng))

    pool = None
    if sum(_Cell(electrons).n_states(None).values()) <= limit:
        pool = orbits(with_ions(neutral_states(electrons, None, 0)), cell.permutations)
    picked = _pick(cell, pool, n, draw, 0.5, rng, any_period=True, ions_move=False)
    return [cell.configuration(image, state) for image, state in picked.items()]


@dataclass(frozen=True)
class _Cell:
    """A supercell with cached symmetry operations."""

    supercell: Supercell

    @cached_property
    def permutations(self) -> NDArray[np.int64]:
        return site_permutations(self.supercell)

    @cached_property
    def translations(self) -> NDArray[np.int64]:
        return site_translations(self.supercell)

    @cached_property
    def anneal(self) -> Annealer:
        return Annealer(self.supercell)

    def n_states(self, ion: str | None) -> dict[int, float]:
        """Number of neutral states for each number of the ion; exact up to the precision of a float."""
        counts, log_states = count_neutral_states(self.supercell, ion)
        return dict(zip(counts.tolist(), np.rint(np.exp(log_states)).tolist()))

    def is_primitive(self, image: bytes) -> bool:
        return is_primitive(np.frombuffer(image, np.int8), self.translations)

    def configuration(self, image: bytes, state: bytes | None = None) -> Configuration:
        """The configuration with this canonical form; `state` is another arrangement of the orbit to use instead."""
        skew = [int(v) for v in self.supercell.hermite[np.triu_indices(3, 1)]]
        shape = "x".join(map(str, self.supercell.shape)) + "".join(f"_{v}" for v in skew if any(skew))
        matrix = tuple(tuple(int(v) for v in row) for row in self.supercell.matrix)
        return Configuration(matrix, state or image, f"{shape}-{_key(self.supercell, image)}")


@dataclass(frozen=True)
class _Composition:
    """The neutral states of a cell with n of the ion; any_period: including those that repeat in a smaller cell."""

    cell: _Cell
    ion: str | None
    n: int
    enumerable: bool
    any_period: bool

    @cached_property
    def pool(self) -> dict[bytes, bytes] | None:
        """Canonical form → arrangement for all distinct arrangements; None if there are too many to list."""
        if not self.enumerable:
            return None
        found = orbits(neutral_states(self.cell.supercell, self.ion, self.n), self.cell.permutations)
        return {image: state for image, state in found.items() if self.any_period or self.cell.is_primitive(image)}

    @property
    def room(self) -> float:
        """Number of distinct arrangements; infinite if they are not listed."""
        return np.inf if self.pool is None else len(self.pool)


def _pick(
    cell: _Cell,
    pool: dict[bytes, bytes] | None,
    quota: int,
    draw: Callable[[np.random.Generator], NDArray[np.int8]],
    low_energy_share: float,
    rng: np.random.Generator,
    any_period: bool,
    ions_move: bool = True,
) -> dict[bytes, bytes]:
    """Canonical form → arrangement of `quota` distinct arrangements, or fewer if no more are found.

    pool: all distinct arrangements, if they are listed. ions_move: False if only the electrons may be annealed.
    """
    if pool is not None and quota >= len(pool):
        return dict(sorted(pool.items()))
    chosen: dict[bytes, bytes] = {}
    n_low = min(
        quota, int(quota * low_energy_share + rng.random())
    )  # random rounding, so that a single one is annealed half the time
    for target, is_low in ((n_low, True), (quota, False)):
        for _ in range(ATTEMPTS * (target - len(chosen))):
            if len(chosen) == target:
                break
            state = draw(rng)
            if is_low:
                state = cell.anneal(state, not ions_move or bool(rng.integers(2)), rng)
            image = canonical(state, cell.permutations)
            if any_period or cell.is_primitive(image):
                chosen.setdefault(image, state.tobytes())
    everything = pool or {}
    rest = sorted(set(everything) - set(chosen))
    missing = rng.permutation(len(rest))[: quota - len(chosen)]
    return chosen | {rest[i]: everything[rest[i]] for i in missing}


def _shares(room: Sequence[float], n: int) -> list[int]:
    """n distributed over places as evenly as their rooms allow; the remainder goes to evenly spaced places."""
    shares, left = [0] * len(room), n
    while left > 0 and (free := [i for i, r in enumerate(room) if r > shares[i]]):
        if left < len(free):
            free = [free[(2 * k + 1) * len(free) // (2 * left)] for k in range(left)]
        each = left // len(free)
        for i in free:
            more = int(min(room[i] - shares[i], each))
            shares[i] += more
            left -= more
    return shares


def _electrons(supercell: Supercell, ions: NDArray[np.int8]) -> tuple[Supercell, NDArray[np.int64], NDArray[np.int8]]:
    """The sites whose element has several charges, as a lattice of one cell with everything else fixed.

    Also their indices (k,) and, for each, the species (k, choices) of the original sublattice.
    """
    sublattices, held = supercell.lattice.sublattices, species_on_sites(supercell, ions)
    where = [(int(g), sp.element) for g, sp in zip(supercell.site_sublattice, held)]
    choices = {(g, e): [k for k, sp in enumerate(sublattices[g].species) if sp.element == e] for g, e in sorted(set(where))}
    free = [c for c, ks in choices.items() if len(ks) > 1]
    sites = np.array([i for i, c in enumerate(where) if c in free], np.int64)
    fixed_charge = sum(sp.charge for sp, c in zip(held, where) if c not in free)
    lattice = Lattice(
        atoms=Atoms("X", cell=np.eye(3), pbc=True),  # one atom carries the charge of everything that is fixed
        sublattices=tuple(Sublattice(e, tuple(sublattices[g].species[k] for k in choices[g, e])) for g, e in free),
        spectators={"X": fixed_charge + supercell.n_cells * supercell.lattice.spectator_charge},
        site_atom=sites,
        site_sublattice=np.array([free.index(where[i]) for i in sites], np.int64),
    )
    widest = max(map(len, choices.values()))
    back = np.array([choices[where[i]] + [0] * (widest - len(choices[where[i]])) for i in sites], np.int8)
    return Supercell(lattice, np.eye(3, dtype=np.int64)), sites, back.reshape(-1, widest)


def _supercell(lattice: Lattice, matrix: ArrayLike) -> Supercell:
    return Supercell(lattice, np.array(matrix, np.int64))


def _key(supercell: Supercell, image: bytes) -> str:
    names = [[sp.name for sp in s.species] for s in supercell.lattice.sublattices]
    parts = [supercell.hermite.tolist(), names, image.hex()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
