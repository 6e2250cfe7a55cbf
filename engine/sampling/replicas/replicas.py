"""Replicas over MPI ranks: chains in groups that advance together, and exchange of their configurations.

The plan fixes the groups, and every rank has whole groups. Every chain has a random stream of its own, and every group has one
for the proposals that its chains share. So results do not depend on the number of ranks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ....kernels.layout import Record, Tally
from ...runtime.mpi import share
from ...runtime.streams import Stream, Use, chain_stream, generator
from ..chains.chains import Chains, advance_together, groups_of, start_chains
from ..chains.system import System
from ..ladder.plan import Plan
from ..ladder.slots import EnsembleKind
from .exchange import Exchange


def group_slots(plan: Plan) -> list[range]:
    """Consecutive slots whose chains advance together."""
    fixed = [s.kind is EnsembleKind.FIXED_COMPOSITION for s in plan.slots]
    ends = [k for k in range(len(fixed)) if k == 0 or fixed[k] != fixed[k - 1]]
    runs = zip(ends, [*ends[1:], len(plan.slots)])
    return [range(a + g.start, a + g.stop) for a, b in runs for g in groups_of(b - a, plan.walkers)]


@dataclass
class Group:
    """Slots and their chains: walker w of the k-th slot is chain k * walkers + w."""

    slots: range
    chains: Chains


@dataclass
class Replicas:
    """The groups of this rank, and the exchange, which is alike on all ranks. block: blocks of sweeps that are done."""

    plan: Plan
    system: System
    comm: Any
    groups: list[Group]
    exchange: Exchange
    block: int = 0

    def __post_init__(self) -> None:
        walkers = self.plan.walkers
        self.place = {
            k: (group.chains, i * walkers) for group in self.groups for i, k in enumerate(group.slots)
        }  # of this rank's slots: chains and the first of them
        self.ensembles = [
            self.plan.ensembles([self.plan.slots[k] for k in group.slots for _ in range(walkers)], self.system)
            for group in self.groups
        ]
        every = group_slots(self.plan)
        shares = [share(len(every), rank, self.comm.size) for rank in range(self.comm.size)]
        self.owner = np.concatenate([np.full(len(every[g]), rank) for rank, mine in enumerate(shares) for g in mine])

    def advance(self, tally: Tally, sums: NDArray[np.int64], n_sweeps: int) -> list[Record]:
        """Advance all chains of this rank; one record per group. The tallies are added to sums (rungs, walkers, n_max+1, 6)."""
        walkers, found = self.plan.walkers, []
        flat = tally._replace(sums=sums.reshape(-1, *sums.shape[2:]))
        for group, ensembles in zip(self.groups, self.ensembles):
            fixed = self.plan.slots[group.slots[0]].kind is EnsembleKind.FIXED_COMPOSITION
            moves = self.system.canonical_moves if fixed else self.system.moves
            rows = np.array([self.plan.slots[k].rung * walkers + w for k in group.slots for w in range(walkers)], np.int64)
            found.append(advance_together(group.chains, self.system, moves, ensembles, flat, rows, n_sweeps))
        return found

    def exchange_configurations(self) -> None:
        """One turn of all rounds of exchange. Collective."""
        walkers, width = self.plan.walkers, 1 + len(self.system.ions or " ")
        mine = [np.column_stack([group.chains.energy, group.chains.ions]) for group in self.groups]
        parts = self.comm.allgather(np.concatenate(mine) if mine else np.zeros((0, width), np.int64))
        self._move(self.exchange.sources(np.concatenate(parts).reshape(-1, walkers, width)))

    def _move(self, source: NDArray[np.int64]) -> None:
        """Move configurations between slots, over ranks. source (slots, walkers): the slot whose configuration comes to each."""
        rank, pending, arriving = self.comm.rank, [], []
        for tag, (slot, walker) in enumerate(np.argwhere(source != np.arange(len(source))[:, None]).tolist()):
            origin = int(source[slot, walker])
            if self.owner[origin] == rank:
                chains, row = self._at(origin, walker)
                counts = np.array([chains.energy[row], *chains.ions[row]], np.int64)
                message = np.concatenate([chains.species[row].view(np.uint8), counts.view(np.uint8)])
                if self.owner[slot] != rank:
                    pending.append((self.comm.Isend([message, MPI.BYTE], int(self.owner[slot]), tag % 32000), message))
            elif self.owner[slot] == rank:
                size = self.system.supercell.n_sites + 8 * (1 + len(self.system.ions or " "))
                message = np.empty(size, np.uint8)
                pending.append((self.comm.Irecv([message, MPI.BYTE], int(self.owner[origin]), tag % 32000), message))
            if self.owner[slot] == rank:
                arriving.append((slot, walker, message))
        MPI.Request.Waitall([request for request, _ in pending])
        for slot, walker, message in arriving:
            chains, row = self._at(slot, walker)
            n = chains.species.shape[1]
            counts = np.frombuffer(message[n:].tobytes(), np.int64)
            chains.species[row] = message[:n].view(np.int8)
            chains.energy[row], chains.ions[row] = counts[0], counts[1:]

    def _at(self, slot: int, walker: int) -> tuple[Chains, int]:
        chains, first = self.place[slot]
        return chains, first + walker


def build_replicas(plan: Plan, starts: NDArray[np.int8], system: System, seed: int, use: Use, comm: Any) -> Replicas:
    """The groups of this rank, at starts (slots, walkers, n_sites). use: of the random streams."""
    groups = []
    every = group_slots(plan)
    for g in share(len(every), comm.rank, comm.size):
        slots = every[g]
        streams = [chain_stream(seed, *use, Stream.CHAIN, k, w) for k in slots for w in range(plan.walkers)]
        species = starts[slots.start : slots.stop].reshape(len(streams), -1)
        groups.append(Group(slots, start_chains(system, species, streams, chain_stream(seed, *use, Stream.PROPOSALS, g))))
    return Replicas(plan, system, comm, groups, Exchange(plan, system, generator(seed, *use, Stream.EXCHANGE)))
