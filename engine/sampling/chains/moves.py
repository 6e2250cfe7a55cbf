"""The moves of a run, as arrays that the kernel reads."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ....kernels.layout import MOST_FLIPS, Moves
from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutrality import Exchange, Flip, count_change, neutral_exchanges, swaps
from ...crystal.shells import distances_A, past_the_shell

FREE = -1
SHELL_WIDTH_A = 0.1  # within which a shell that the radius of near sites falls on must end
SHORT_A = 3.0  # distance within which neighbours are sought first
NEAR = 1.35  # sites up to this many times the shortest distance between two sublattices are near


@dataclass(frozen=True)
class Mix:
    """Probabilities of the families of moves, up to a common factor.

    swap: two unlike species of one sublattice change places, at any distance. near_swap: the same at neighbouring sites, so
    that an ion or an electron hops. neutral_exchange: species of several sublattices change together without changing the
    charge, on any sites. near_exchange: the same on neighbouring sites, as for an ion and its electron. pair_hop: a near
    exchange in one place and its reverse in another, so that an ion takes its electron along.
    """

    swap: float = 0.1
    neutral_exchange: float = 0.2
    near_exchange: float = 0.4
    pair_hop: float = 0.2
    near_swap: float = 0.1

    def __str__(self) -> str:
        """For the log: the families whose weight is not zero."""
        return ", ".join(f"{name.replace('_', ' ')} {weight:g}" for name, weight in asdict(self).items() if weight)


@dataclass(frozen=True)
class Move:
    """A kind of move: flips, and for each flip the one near which its site lies (FREE: anywhere)."""

    name: str
    flips: tuple[Flip, ...]
    anchors: tuple[int, ...]
    weight: float
    self_reverse: bool = False


@dataclass(frozen=True, eq=False)
class MoveSet:
    """Arrays of the kernel, and for each kind of move its name in the results, which a move and its reverse share."""

    arrays: Moves
    names: tuple[str, ...]
    kinds: tuple[Move, ...]

    @lru_cache  # noqa: B019
    def within(self, supercell: Supercell) -> Moves:
        """Arrays of the same moves in another cell of the lattice."""
        start, width, near = _near_tables(supercell, self.kinds)
        return self.arrays._replace(near_start=start, near_width=width, near=near)


class Scope(Enum):
    """Which moves a set holds."""

    ALL = "all moves"
    FIXED_COMPOSITION = "moves that leave the counts of the ions"
    COMPOSITION_CHANGES = "moves that change the count of an ion"
    ELECTRONS = "moves that leave the element of every site"
    IONS = "moves at fixed counts that leave the charge state of every element"


def _allowed(scope: Scope, lattice: Lattice) -> Callable[[Flip], bool]:
    """Whether a flip may be part of a move of this scope."""
    if scope is Scope.ELECTRONS:
        return lambda f: lattice.element(f.sublattice, f.old) == lattice.element(f.sublattice, f.new)
    if scope is Scope.IONS:
        return lambda f: lattice.element(f.sublattice, f.old) != lattice.element(f.sublattice, f.new)
    return lambda f: True


def list_moves(lattice: Lattice, ions: tuple[str, ...], mix: Mix, scope: Scope) -> list[Move]:
    """All kinds of move with a weight. A move that is not its own reverse is followed by its reverse, which is equally likely."""
    free = _allowed(scope, lattice)
    exchanges = [e for e in neutral_exchanges(lattice) if all(free(f) for f in e.flips)]
    conserving = [e for e in exchanges if not any(count_change(e, lattice, ion) for ion in ions)]
    changing = [e for e in exchanges if e not in conserving]
    allowed = {Scope.ALL: exchanges, Scope.COMPOSITION_CHANGES: changing}.get(scope, conserving)
    found: list[Move] = []
    all_swaps = [s for s in swaps(lattice) if free(s.flips[0]) and scope is not Scope.COMPOSITION_CHANGES]
    for swap in all_swaps:
        names = "/".join(
            lattice.sublattices[swap.flips[0].sublattice].species[k].name for k in (swap.flips[0].old, swap.flips[0].new)
        )
        for label, weight, anchor in (("", mix.swap, FREE), ("near ", mix.near_swap, 0)):
            found.append(Move(f"{label}swap {names}", swap.flips, (FREE, anchor), weight / len(all_swaps), self_reverse=True))
    for label, weight, chosen in (
        ("", mix.neutral_exchange, allowed),
        ("near ", mix.near_exchange, [e for e in allowed if len(e.flips) > 1]),
    ):
        for exchange in chosen:
            anchors = (FREE, *([0] * (len(exchange.flips) - 1) if label else [FREE] * (len(exchange.flips) - 1)))
            for direction in (exchange, exchange.reversed()):
                found.append(Move(label + exchange.describe(lattice), direction.flips, anchors, weight / len(chosen) / 2))
    pairs = [e for e in exchanges if len(e.flips) == 2 and scope is not Scope.COMPOSITION_CHANGES]
    for e in pairs:
        flips = e.flips + e.reversed().flips
        found.append(
            Move(f"pair hop {e.describe(lattice)}", flips, (FREE, 0, FREE, 2), mix.pair_hop / len(pairs), self_reverse=True)
        )
    if any(len(m.flips) > MOST_FLIPS for m in found):
        raise ValueError(f"a neutral exchange of more than {MOST_FLIPS // 2} sites is not supported")
    return [m for m in found if m.weight > 0]


def near_sites(supercell: Supercell, centre: int, partner: int) -> NDArray[np.int32]:
    """Neighbours of each site of sublattice `centre` on sublattice `partner`, (n_sites, width); -1 where there are fewer."""
    lattice = supercell.lattice
    active = lattice.atoms[lattice.site_atom]
    i, j, shift = neighbor_list("ijS", active, _near_radius_A(lattice, centre, partner))
    fits = (lattice.site_sublattice[i] == centre) & (lattice.site_sublattice[j] == partner)
    i, j, shift = i[fits], j[fits], shift[fits]
    width = int(np.bincount(i).max())
    table = np.full((supercell.n_cells, lattice.n_sites, width), -1, np.int32)
    cells = supercell.cells
    filled = np.zeros(lattice.n_sites, int)
    for a, b, s in zip(i, j, shift):
        table[:, a, filled[a]] = supercell.cell_index(cells + s) * lattice.n_sites + b
        filled[a] += 1
    return table.reshape(supercell.n_sites, width)


def _near_radius_A(lattice: Lattice, centre: int, partner: int) -> float:
    """Radius within which sites are near; it divides no shell, so that a site is near another whenever that is near to it."""
    reach_A = SHORT_A
    while not len(found := distances_A(lattice, (centre,), (partner,), reach_A)):
        reach_A *= 2
    radius_A = NEAR * float(found[0])
    return past_the_shell(distances_A(lattice, (centre,), (partner,), radius_A + SHELL_WIDTH_A), radius_A)


def build_moves(supercell: Supercell, ions: tuple[str, ...], mix: Mix, scope: Scope = Scope.ALL) -> MoveSet:
    """Arrays of the kernel. ions: species whose counts are tracked. Raises ValueError for an exchange of too many sites."""
    lattice = supercell.lattice
    kinds = list_moves(lattice, ions, mix, scope) or list_moves(lattice, ions, Mix(), scope)
    starts = np.concatenate([[0], np.cumsum([len(k.flips) for k in kinds])]).astype(np.int64)
    q = lattice.n_species
    cumulative = np.cumsum([k.weight for k in kinds])
    cumulative /= cumulative[-1]
    cumulative[-1] = 1.0
    near_start, near_width, near = _near_tables(supercell, kinds)
    flips = [f for k in kinds for f in k.flips]
    arrays = Moves(
        cumulative=cumulative,
        flip_start=starts,
        flip_from=np.array([f.sublattice * q + f.old for f in flips], np.int64),
        flip_to=np.array([f.sublattice * q + f.new for f in flips], np.int64),
        flip_species=np.array([f.new for f in flips], np.int64),
        flip_species_from=np.array([f.old for f in flips], np.int64),
        flip_anchor=np.array([a for k in kinds for a in k.anchors], np.int64),
        reverse=np.array(_reverses(kinds), np.int64),
        near_start=near_start,
        near_width=near_width,
        near=near,
        conserves=np.array([k.self_reverse for k in kinds]),
        ion_change=np.array([[count_change(Exchange(k.flips), lattice, ion) for ion in ions] or [0] for k in kinds], np.int64),
    )
    return MoveSet(arrays, tuple(k.name for k in kinds), tuple(kinds))


def _reverses(kinds: list[Move]) -> list[int]:
    """For each kind the one that undoes it: itself, or its neighbour in the list."""
    found: list[int] = []
    for k, kind in enumerate(kinds):
        follows = not kind.self_reverse and k > 0 and found[-1] == k
        found.append(k if kind.self_reverse else k - 1 if follows else k + 1)
    return found


def _near_tables(supercell: Supercell, kinds: Sequence[Move]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """For each flip the start and width of its table of neighbours, and all tables in one array."""
    tables: dict[tuple[int, int], tuple[int, int]] = {}
    data: list[NDArray[np.int32]] = []
    start, width = [], []
    for kind in kinds:
        for flip, anchor in zip(kind.flips, kind.anchors):
            if anchor == FREE:
                start.append(0)
                width.append(0)
                continue
            key = (kind.flips[anchor].sublattice, flip.sublattice)
            if key not in tables:
                table = near_sites(supercell, *key)
                tables[key] = (sum(d.size for d in data), table.shape[1])
                data.append(table.ravel())
            start.append(tables[key][0])
            width.append(tables[key][1])
    return np.array(start, np.int64), np.array(width, np.int64), np.concatenate(data) if data else np.zeros(1, np.int32)
