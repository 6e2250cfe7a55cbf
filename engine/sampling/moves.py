"""The moves of a run as the kernel reads them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ...kernels.chain import MOST_FLIPS
from ...kernels.layout import Moves
from ..crystal.lattice import Lattice, Supercell
from ..crystal.neutrality import Exchange, Flip, count_change, neutral_exchanges, swaps

FREE = -1
NEAR = 1.35  # sites up to this many times the shortest distance between two sublattices are near


@dataclass(frozen=True)
class Mix:
    """Probabilities, up to a factor, of the families of moves.

    swap: two unlike species of one sublattice trade places, wherever they are; near_swap: near one another, so that an ion or an
    electron hops. neutral_exchange: its sites are anywhere; near_exchange: they are near one another, as an ion and its electron
    are. pair_hop: a near exchange here and its reverse elsewhere, so that an ion takes its electron along.
    """

    swap: float = 0.1
    neutral_exchange: float = 0.2
    near_exchange: float = 0.4
    pair_hop: float = 0.2
    near_swap: float = 0.1

    def __str__(self) -> str:
        """For people: those that there are."""
        return ", ".join(f"{name.replace('_', ' ')} {weight:g}" for name, weight in asdict(self).items() if weight)


@dataclass(frozen=True)
class Move:
    """A kind of move: flips, and for each the flip near which its site lies (FREE: anywhere)."""

    name: str
    flips: tuple[Flip, ...]
    anchors: tuple[int, ...]
    weight: float
    self_reverse: bool = False


@dataclass(frozen=True, eq=False)
class MoveSet:
    """Kernel arrays, and per kind a name for the tables of acceptance (a move and its reverse share one)."""

    arrays: Moves
    names: tuple[str, ...]
    kinds: tuple[Move, ...]

    @lru_cache  # noqa: B019
    def within(self, supercell: Supercell) -> Moves:
        """The same in another cell of the lattice."""
        start, width, near = _near_tables(supercell, self.kinds)
        return self.arrays._replace(near_start=start, near_width=width, near=near)


Kept = Literal["nothing", "composition", "ions", "electrons", "arrangement"]


def _keeps(kept: Kept, lattice: Lattice) -> Callable[[Flip], bool]:
    """Whether a flip leaves the elements (kept: ions) or the charge states of the elements (kept: electrons) alone."""
    if kept == "ions":
        return lambda f: lattice.element(f.sublattice, f.old) == lattice.element(f.sublattice, f.new)
    if kept == "electrons":
        return lambda f: lattice.element(f.sublattice, f.old) != lattice.element(f.sublattice, f.new)
    return lambda f: True


def list_moves(lattice: Lattice, ions: tuple[str, ...], mix: Mix, kept: Kept) -> list[Move]:
    """All kinds; every move that is not its own reverse is followed by its reverse, equally likely.

    kept: composition: the counts of the ions stay; ions: the element of every site stays, the electrons alone move;
    electrons: the other way round, at fixed counts; arrangement: none but what changes a count.
    """
    free = _keeps(kept, lattice)
    exchanges = [e for e in neutral_exchanges(lattice) if all(free(f) for f in e.flips)]
    conserving = [e for e in exchanges if not any(count_change(e, lattice, ion) for ion in ions)]
    changing = [e for e in exchanges if e not in conserving]
    allowed = {"nothing": exchanges, "arrangement": changing}.get(kept, conserving)
    found: list[Move] = []
    all_swaps = [s for s in swaps(lattice) if free(s.flips[0]) and kept != "arrangement"]
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
    pairs = [e for e in exchanges if len(e.flips) == 2 and kept != "arrangement"]
    for e in pairs:
        flips = e.flips + e.reversed().flips
        found.append(
            Move(f"pair hop {e.describe(lattice)}", flips, (FREE, 0, FREE, 2), mix.pair_hop / len(pairs), self_reverse=True)
        )
    if any(len(m.flips) > MOST_FLIPS for m in found):
        raise ValueError(f"a neutral exchange of more than {MOST_FLIPS // 2} sites is not supported")
    return [m for m in found if m.weight > 0]


def near_sites(supercell: Supercell, centre: int, partner: int) -> NDArray[np.int32]:
    """(n_sites, width): for each site of sublattice `centre` the near sites of `partner`, -1 where there are fewer."""
    lattice = supercell.lattice
    active = lattice.atoms[lattice.site_atom]
    i, j, shift, distance = neighbor_list("ijSd", active, _shortest(lattice, centre, partner) * NEAR + 1e-6)
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


def _shortest(lattice: Lattice, centre: int, partner: int) -> float:
    active = lattice.atoms[lattice.site_atom]
    reach = float(max(active.cell.lengths()))
    i, j, distance = neighbor_list("ijd", active, reach + 1e-3)
    fits = (lattice.site_sublattice[i] == centre) & (lattice.site_sublattice[j] == partner)
    return float(distance[fits].min())


def build_moves(supercell: Supercell, ions: tuple[str, ...], mix: Mix, kept: Kept = "nothing") -> MoveSet:
    """Kernel arrays. ions: species whose counts are tracked. kept: what no move changes, see `list_moves`."""
    lattice = supercell.lattice
    kinds = list_moves(lattice, ions, mix, kept) or list_moves(lattice, ions, Mix(), kept)
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
    """Per kind the one that undoes it: itself, or its neighbour in the list."""
    found: list[int] = []
    for k, kind in enumerate(kinds):
        follows = not kind.self_reverse and k > 0 and found[-1] == k
        found.append(k if kind.self_reverse else k - 1 if follows else k + 1)
    return found


def _near_tables(supercell: Supercell, kinds: Sequence[Move]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Per flip the start and width of its table, and all tables in one array."""
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
