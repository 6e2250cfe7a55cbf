"""The sampling itself: blocks of sweeps with exchange after each, handed on in segments. Nothing here knows of files.

Tallies are summed in bins of sweeps, and states are kept at the ends of bins, so that neither depends on where segments end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ....kernels.layout import Record
from ..chains.tally import empty_tally
from .replicas import Replicas

Int = NDArray[np.int64]
BLOCK_WITHOUT_EXCHANGE = 10
BIN_SWEEPS = 40


class Then(Enum):
    """What follows a block."""

    GO_ON = "the next block"
    END_SEGMENT = "the segment is handed on, then the next block"
    STOP = "the segment is handed on, and nothing more is sampled"


@dataclass(frozen=True)
class Blocks:
    """Sweeps in a block, after which chains exchange, and blocks in a bin."""

    sweeps: int
    per_bin: int

    @property
    def bin_sweeps(self) -> int:
        return self.sweeps * self.per_bin


def blocks_of(exchange_every: int) -> Blocks:
    """exchange_every: sweeps between exchanges; 0 for none."""
    sweeps = exchange_every or BLOCK_WITHOUT_EXCHANGE
    return Blocks(sweeps, -(-BIN_SWEEPS // sweeps))


@dataclass(frozen=True)
class Series:
    """What the chains of one slot did.

    energy_neV (walkers, sweeps), ions (walkers, sweeps, ions); tried, accepted (walkers, kinds of move).
    """

    energy_neV: Int
    ions: Int
    tried: Int
    accepted: Int


@dataclass(frozen=True)
class Totals:
    """What all slots have in common.

    bins (k,): numbers of the bins in which the segment lies; tallies (k, rungs, walkers, n_max+1, 6): its part of them.
    exchanged (pairs, 4): two slots, exchanges tried and accepted since the first block.
    """

    bins: Int
    tallies: Int
    exchanged: Int
    blocks: Blocks


@dataclass
class Segment:
    """What this rank has sampled since the segment before."""

    blocks: Blocks
    first_block: int
    records: list[list[Record]] = field(default_factory=list)  # per block, per group
    snapshots: list[list[NDArray[np.int8]]] = field(
        default_factory=list
    )  # per bin, per group: states (chains, n_sites) at its end
    snapshot_sweeps: list[int] = field(default_factory=list)
    tallies: dict[int, Int] = field(default_factory=dict)  # bin -> (rungs, walkers, n_max+1, 6)
    n_bytes: int = 0

    def add(self, records: list[Record]) -> None:
        self.records.append(records)
        self.n_bytes += sum(part.nbytes for record in records for part in record)

    def add_snapshot(self, sweep: int, species: list[NDArray[np.int8]]) -> None:
        self.snapshot_sweeps.append(sweep)
        self.snapshots.append(species)
        self.n_bytes += sum(part.nbytes for part in species)

    def series(self, replicas: Replicas) -> dict[int, Series]:
        """By slot, of this rank's slots."""
        found, walkers = {}, replicas.plan.walkers
        for g, group in enumerate(replicas.groups):
            energy, ions = (np.concatenate([r[g][k] for r in self.records], axis=1) for k in (0, 1))
            tried, accepted = (np.sum([r[g][k] for r in self.records], axis=0) for k in (2, 3))
            for i, k in enumerate(group.slots):
                here = slice(i * walkers, (i + 1) * walkers)
                found[k] = Series(energy[here], ions[here], tried[here], accepted[here])
        return found

    def snapshots_of(self, replicas: Replicas) -> dict[int, NDArray[np.int8]]:
        """By slot, of this rank's slots: states (bins, walkers, n_sites) at `snapshot_sweeps`."""
        found: dict[int, NDArray[np.int8]] = {}
        walkers = replicas.plan.walkers
        for g, group in enumerate(replicas.groups):
            states = np.array([s[g] for s in self.snapshots], np.int8).reshape(-1, *group.chains.species.shape)
            found |= {k: states[:, i * walkers : (i + 1) * walkers] for i, k in enumerate(group.slots)}
        return found

    def totals(self, replicas: Replicas) -> Totals | None:
        """On rank 0; None on the others. Collective."""
        comm, bins, summed = replicas.comm, sorted(self.tallies), []
        for b in bins:
            total = np.zeros_like(self.tallies[b]) if comm.rank == 0 else None
            comm.Reduce(self.tallies[b], total, op=MPI.SUM, root=0)
            summed.append(total)
        if comm.rank:
            return None
        return Totals(np.array(bins), np.array(summed), replicas.exchange.table(), self.blocks)


def sample(
    replicas: Replicas, n_sweeps: int, exchange_every: int, after_block: Callable[[int, int, int], Then]
) -> Iterator[Segment]:
    """Sample until every chain has n_sweeps sweeps (rounded up to whole blocks), in segments. Collective.

    after_block: what follows, alike on all ranks, given the blocks done, all blocks, and the bytes that this rank holds.
    """
    blocks, tally, plan = blocks_of(exchange_every), empty_tally(replicas.system), replicas.plan
    n_blocks = -(-n_sweeps // blocks.sweeps)
    segment = Segment(blocks, replicas.block)
    then = Then.GO_ON
    while replicas.block < n_blocks and then is not Then.STOP:
        sums = segment.tallies.setdefault(
            replicas.block // blocks.per_bin, np.zeros((len(plan.ladder), plan.walkers, *tally.sums.shape), np.int64)
        )
        segment.add(replicas.advance(tally, sums, blocks.sweeps))
        if exchange_every:
            replicas.exchange_configurations()
        replicas.block += 1
        if replicas.block % blocks.per_bin == 0:
            segment.add_snapshot(replicas.block * blocks.sweeps, [group.chains.species.copy() for group in replicas.groups])
        then = after_block(replicas.block, n_blocks, segment.n_bytes)
        if replicas.block == n_blocks or then is not Then.GO_ON:
            yield segment
            segment = Segment(blocks, replicas.block)
