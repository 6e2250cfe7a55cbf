"""The moves of a run as the kernel reads them."""
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...kernels.chain import MOST_FLIPS
from ...kernels.layout import Moves
from ..lattice import Lattice
from ..neutrality import Exchange, Flip, count_change, neutral_exchanges


@dataclass(frozen=True)
class Mix:
    """Probabilities of the two families of moves."""

    swap: float = 0.5
    neutral_exchange: float = 0.5


@dataclass(frozen=True)
class MoveSet:
    """Kernel arrays, and per kind a name for the tables of acceptance (a move and its reverse share one)."""

    arrays: Moves
    names: tuple[str, ...]


def swaps(lattice: Lattice) -> list[Exchange]:
    """Two unlike species of one sublattice trade places, every pair of species."""
    return [
        Exchange((Flip(g, a, b), Flip(g, b, a)))
        for g, s in enumerate(lattice.sublattices)
        for a, b in combinations(range(len(s.species)), 2)
    ]


def build_moves(lattice: Lattice, ions: tuple[str, ...], mix: Mix, canonical: bool = False) -> MoveSet:
    """All swaps and neutral exchanges, each exchange in both directions with equal probability.

    ions: species whose counts are tracked. canonical: leave out the exchanges that change them.
    """
    exchanges = neutral_exchanges(lattice)
    if canonical:
        exchanges = [e for e in exchanges if not any(count_change(e, lattice, ion) for ion in ions)]
    kinds: list[Exchange] = []
    names: list[str] = []
    weights: list[float] = []
    reverse: list[int] = []
    swap_kinds = swaps(lattice)
    for swap in swap_kinds:
        reverse.append(len(kinds))
        kinds.append(swap)
        names.append("swap " + "/".join(lattice.sublattices[swap.flips[0].sublattice].species[k].name for k in (swap.flips[0].old, swap.flips[0].new)))
        weights.append(mix.swap / len(swap_kinds))
    for exchange in exchanges:
        reverse += [len(kinds) + 1, len(kinds)]
        kinds += [exchange, exchange.reversed()]
        names += [exchange.describe(lattice)] * 2
        weights += [mix.neutral_exchange / len(exchanges) / 2] * 2
    if any(len(k.flips) > MOST_FLIPS for k in kinds):
        raise ValueError(f"a neutral exchange of more than {MOST_FLIPS} sites is not supported")
    cumulative = np.cumsum(weights) / np.sum(weights)
    cumulative[-1] = 1.0
    q = lattice.n_species
    arrays = Moves(
        cumulative=cumulative,
        flip_start=np.concatenate([[0], np.cumsum([len(k.flips) for k in kinds])]).astype(np.int64),
        flip_from=np.array([f.sublattice * q + f.old for k in kinds for f in k.flips], np.int64),
        flip_to=np.array([f.sublattice * q + f.new for k in kinds for f in k.flips], np.int64),
        flip_species=np.array([f.new for k in kinds for f in k.flips], np.int64),
        conserves=np.array([r == i for i, r in enumerate(reverse)]),
        ion_change=np.array([[count_change(k, lattice, ion) for ion in ions] or [0] for k in kinds], np.int64),
        reverse=np.array(reverse, np.int64),
    )
    return MoveSet(arrays, tuple(names))
