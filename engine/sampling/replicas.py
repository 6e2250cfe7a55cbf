"""Replicas over MPI ranks: blocks of sweeps, exchange between neighbours, committed segments.

Replicas advance in groups, which the plan fixes; a rank has whole groups. Every chain owns its random stream, every group that of
its proposals; exchange draws from one stream that all ranks hold alike. So results do not depend on the number of ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from ...kernels.layout import Record, Tally
from ..runtime.mpi import bcast_from_root, share
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_h5, write_h5
from ..runtime.streams import Stream, Use, chain_stream, generator
from .chains import Chains, advance_together, groups_of, stack, start_chains
from .plan import Plan
from .slots import EnsembleKind
from .system import System

BLOCK_WITHOUT_EXCHANGE = 10
BIN_SWEEPS = 40


def exchange_pairs(plan: Plan) -> list[tuple[str, NDArray[np.int64]]]:
    """Rounds of disjoint pairs of slots, (pairs, 2): along T and along composition, even and odd."""
    where = {(s.rung, s.kind, s.index): k for k, s in enumerate(plan.slots)}
    along_t: list[list[tuple[int, int]]] = [[], []]
    for k, s in enumerate(plan.slots):
        if (hotter := where.get((s.rung + 1, s.kind, s.index))) is not None:
            along_t[s.rung % 2].append((k, hotter))
    along_x: list[list[tuple[int, int]]] = [[], []]
    for rung in range(len(plan.ladder)):
        row = sorted(
            (s.n_expected, s.kind, s.index, k)
            for k, s in enumerate(plan.slots)
            if s.rung == rung and s.kind is not EnsembleKind.FIXED_COMPOSITION
        )
        for place, (a, b) in enumerate(zip(row, row[1:])):
            along_x[place % 2].append((a[-1], b[-1]))
    rounds = [("temperature", along_t[0]), ("composition", along_x[0]), ("temperature", along_t[1]), ("composition", along_x[1])]
    return [(axis, np.array(pairs, np.int64).reshape(-1, 2)) for axis, pairs in rounds if pairs]


def group_slots(plan: Plan) -> list[range]:
    """Consecutive slots whose chains advance together."""
    fixed = [s.kind is EnsembleKind.FIXED_COMPOSITION for s in plan.slots]
    ends = [k for k in range(len(fixed)) if k == 0 or fixed[k] != fixed[k - 1]]
    runs = zip(ends, [*ends[1:], len(plan.slots)])
    return [range(a + g.start, a + g.stop) for a, b in runs for g in groups_of(b - a, plan.walkers)]


@dataclass
class Group:
    """Slots, and their chains: walker w of the k-th slot is chain k * walkers + w."""

    slots: range
    chains: Chains


@dataclass
class Replicas:
    """The groups of this rank, and the exchange stream and counters that all ranks hold alike."""

    plan: Plan
    system: System
    comm: Any
    groups: list[Group]
    exchange_stream: np.random.Generator
    block: int = 0

    def __post_init__(self) -> None:
        self.rounds = exchange_pairs(self.plan)
        self.exchanged = [np.zeros((len(pairs), 2), np.int64) for _, pairs in self.rounds]  # tried, accepted
        weights = [self.plan.log_weight(s, self.system) for s in self.plan.slots]
        self.log_weight, self.beta_mu = np.array([w for w, _ in weights]), np.array([b for _, b in weights])
        self.beta = np.array([self.plan.ladder.beta_per_neV[s.rung] for s in self.plan.slots])
        walkers = self.plan.walkers
        self.place = {
            k: (group.chains, i * walkers) for group in self.groups for i, k in enumerate(group.slots)
        }  # of this rank's slots: chains and the first of them
        self.ensembles = [
            stack([self.plan.ensemble(self.plan.slots[k], self.system) for k in group.slots for _ in range(walkers)])
            for group in self.groups
        ]
        every = group_slots(self.plan)
        shares = [share(len(every), rank, self.comm.size) for rank in range(self.comm.size)]
        self.owner = np.concatenate([np.full(len(every[g]), rank) for rank, mine in enumerate(shares) for g in mine])

    def advance(self, tally: Tally, sums: NDArray[np.int64], n_sweeps: int) -> list[Record]:
        """One record per group. sums (rungs, walkers, n_max+1, 6): where the tallies go."""
        walkers, found = self.plan.walkers, []
        flat = tally._replace(sums=sums.reshape(-1, *sums.shape[2:]))
        for group, ensembles in zip(self.groups, self.ensembles):
            fixed = self.plan.slots[group.slots[0]].kind is EnsembleKind.FIXED_COMPOSITION
            moves = self.system.canonical_moves if fixed else self.system.moves
            rows = np.array([self.plan.slots[k].rung * walkers + w for k in group.slots for w in range(walkers)], np.int64)
            found.append(advance_together(group.chains, self.system, moves, ensembles, flat, rows, n_sweeps))
        return found

    def log_probability(
        self, slots: NDArray[np.int64], energy: NDArray[np.int64], ions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Log weight of states (pairs, walkers), (pairs, walkers, ions) in the ensembles of the slots (pairs, 1)."""
        mu = (self.beta_mu[slots] * ions).sum(axis=-1)
        return -self.beta[slots] * energy + mu + self.log_weight[slots, ions[..., 0]]

    def exchange(self) -> None:
        """All rounds, one after the other: every pair, in every walker, may trade configurations. Collective."""
        walkers, width = self.plan.walkers, 1 + len(self.system.ions or " ")
        mine = [np.column_stack([group.chains.energy, group.chains.ions]) for group in self.groups]
        parts = self.comm.allgather(np.concatenate(mine) if mine else np.zeros((0, width), np.int64))
        state = np.concatenate(parts).reshape(-1, walkers, width)
        source = np.tile(np.arange(len(state))[:, None], walkers)
        for (_, pairs), counters in zip(self.rounds, self.exchanged):
            accepted = self._accepted(pairs, state)
            counters += np.column_stack([np.full(len(pairs), walkers), accepted.sum(axis=1)])
            k, walker = np.nonzero(accepted)
            here, there = pairs[k, 0], pairs[k, 1]
            for table in (state, source):
                table[here, walker], table[there, walker] = table[there, walker], table[here, walker]
        self._trade(source)

    def _accepted(self, pairs: NDArray[np.int64], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(pairs, walkers): whether they trade; state (slots, walkers, 1 + ions), energies and counts."""
        a, b = pairs[:, :1], pairs[:, 1:]
        (ea, na), (eb, nb) = ((one[..., 0], one[..., 1:]) for one in (state[pairs[:, 0]], state[pairs[:, 1]]))
        log_ratio = self.log_probability(a, eb, nb) + self.log_probability(b, ea, na)
        log_ratio -= self.log_probability(a, ea, na) + self.log_probability(b, eb, nb)
        return np.log(self.exchange_stream.random(log_ratio.shape)) < log_ratio

    def _trade(self, source: NDArray[np.int64]) -> None:
        """source (slots, walkers): the slot whose configuration comes to each."""
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
    """The groups of this rank, at starts (slots, walkers, n_sites); use: of the random streams."""
    groups = []
    every = group_slots(plan)
    for g in share(len(every), comm.rank, comm.size):
        slots = every[g]
        streams = [chain_stream(seed, *use, Stream.CHAIN, k, w) for k in slots for w in range(plan.walkers)]
        species = starts[slots.start : slots.stop].reshape(len(streams), -1)
        groups.append(Group(slots, start_chains(system, species, streams, chain_stream(seed, *use, Stream.PROPOSALS, g))))
    return Replicas(plan, system, comm, groups, generator(seed, *use, Stream.EXCHANGE))


@dataclass
class Segment:
    """What this rank has sampled since the last commit."""

    records: list[list[Record]]  # per block, per group
    snapshots: list[list[NDArray[np.int8]]]  # per bin, per group: states (chains, n_sites) at its end
    snapshot_sweeps: list[int]
    tallies: dict[int, NDArray[np.int64]]  # bin -> (rungs, walkers, n_max+1, 6)
    first_block: int
    n_bytes: int = 0

    def add(self, records: list[Record]) -> None:
        self.records.append(records)
        self.n_bytes += sum(part.nbytes for record in records for part in record)

    def add_snapshot(self, sweep: int, species: list[NDArray[np.int8]]) -> None:
        self.snapshot_sweeps.append(sweep)
        self.snapshots.append(species)
        self.n_bytes += sum(part.nbytes for part in species)


def sample(
    replicas: Replicas, store: SampleStore, tally: Tally, n_sweeps: int, exchange_every: int,
    should_commit: Callable[[int], bool], should_stop: Callable[[], bool], report: Callable[[int, int], None],
) -> bool:  # fmt: skip
    """Sample until every chain has n_sweeps sweeps (rounded up to whole blocks). False if stopped before. Collective.

    should_commit: is told how many bytes this rank holds.
    """
    block_sweeps = exchange_every or BLOCK_WITHOUT_EXCHANGE
    n_blocks = -(-n_sweeps // block_sweeps)
    blocks_per_bin = -(-BIN_SWEEPS // block_sweeps)
    plan = replicas.plan
    segment = _new_segment(replicas)
    while replicas.block < n_blocks:
        sums = segment.tallies.setdefault(
            replicas.block // blocks_per_bin, np.zeros((len(plan.ladder), plan.walkers, *tally.sums.shape), np.int64)
        )
        segment.add(replicas.advance(tally, sums, block_sweeps))
        if exchange_every:
            replicas.exchange()
        replicas.block += 1
        if replicas.block % blocks_per_bin == 0:  # bins end at the same sweeps whenever segments do
            segment.add_snapshot(replicas.block * block_sweeps, [group.chains.species.copy() for group in replicas.groups])
        report(replicas.block, n_blocks)
        stop = should_stop()
        if replicas.block == n_blocks or stop or should_commit(segment.n_bytes):
            commit(replicas, store, segment, block_sweeps, blocks_per_bin)
            segment = _new_segment(replicas)
        if stop and replicas.block < n_blocks:
            return False
    return True


def _new_segment(replicas: Replicas) -> Segment:
    return Segment([], [], [], {}, replicas.block)


def commit(replicas: Replicas, store: SampleStore, segment: Segment, block_sweeps: int, blocks_per_bin: int) -> None:
    """Write this rank's segment files; then rank 0 writes the exchange segment, which makes them count. Collective."""
    comm, number = replicas.comm, bcast_from_root(replicas.comm, store.committed)
    for g, group in enumerate(replicas.groups):
        _commit_group(replicas, store, segment, g, group, number, block_sweeps)
    bins = sorted(segment.tallies)
    summed = []
    for b in bins:
        total = np.zeros_like(segment.tallies[b]) if comm.rank == 0 else None
        comm.Reduce(segment.tallies[b], total, op=MPI.SUM, root=0)
        summed.append(total)
    comm.Barrier()
    if comm.rank == 0:
        exchanged = _exchanged(replicas)
        data = {
            "bins": np.array(bins),
            "tallies": np.array(summed),
            "pairs": exchanged[:, :2],
            "exchanged": exchanged[:, 2:],
            "stream": _stream_words(replicas.exchange_stream),
        }
        attributes = {"block": replicas.block, "block_sweeps": block_sweeps, "blocks_per_bin": blocks_per_bin}
        write_h5(store.segment(None, number), data, attributes)
    comm.Barrier()


def _exchanged(replicas: Replicas) -> NDArray[np.int64]:
    """(pairs, 4): two slots, exchanges tried and accepted, in the order of the slots."""
    rows = [np.column_stack([pairs, counters]) for (_, pairs), counters in zip(replicas.rounds, replicas.exchanged)]
    table = np.concatenate([np.zeros((0, 4), np.int64), *rows])
    return table[np.lexsort(table.T[1::-1])]


def _commit_group(
    replicas: Replicas, store: SampleStore, segment: Segment, g: int, group: Group, number: int, block_sweeps: int
) -> None:
    chains, walkers = group.chains, replicas.plan.walkers
    energy, ions = (np.concatenate([r[g][k] for r in segment.records], axis=1) for k in (0, 1))
    tried, accepted = (np.sum([r[g][k] for r in segment.records], axis=0) for k in (2, 3))
    snapshots = np.array([s[g] for s in segment.snapshots], np.int8).reshape(-1, *chains.species.shape)
    for i, k in enumerate(group.slots):
        slot, here = replicas.plan.slots[k], slice(i * walkers, (i + 1) * walkers)
        data = {
            "energy_neV": energy[here],
            "ions": ions[here],
            "tried": tried[here],
            "accepted": accepted[here],
            "snapshots": snapshots[:, here],
            "snapshot_sweeps": np.array(segment.snapshot_sweeps, np.int64),
            "state/species": chains.species[here],
            "state/energy_neV": chains.energy[here],
            "state/ions": chains.ions[here],
            "state/stream": chains.streams[here],
            "state/proposals": chains.proposals,
        }
        attributes = {
            "replica": k,
            "temperature_K": float(replicas.plan.ladder.temperature_K[slot.rung]),
            "kind": slot.kind.value,
            "index": slot.index,
            "first_sweep": segment.first_block * block_sweeps,
        }
        write_h5(store.segment(k, number), data, attributes)


def restore(replicas: Replicas, store: SampleStore) -> None:
    """Put the state of the newest committed segment into the replicas, if there is one."""
    number = store.committed() - 1
    if number < 0:
        return
    for k, (chains, first) in replicas.place.items():
        data, _ = read_h5(store.segment(k, number))
        here = slice(first, first + replicas.plan.walkers)
        chains.species[here], chains.energy[here] = data["state/species"], data["state/energy_neV"]
        chains.ions[here], chains.streams[here] = data["state/ions"], data["state/stream"]
        chains.proposals[:] = data["state/proposals"]
    data, attributes = read_h5(store.segment(None, number))
    replicas.block = int(attributes["block"])
    known = {(int(a), int(b)): counters for (a, b), counters in zip(data["pairs"], data["exchanged"])}
    for (_, pairs), counters in zip(replicas.rounds, replicas.exchanged):
        counters[:] = [known[int(a), int(b)] for a, b in pairs]
    _set_stream_words(replicas.exchange_stream, data["stream"])


def _stream_words(generator: np.random.Generator) -> NDArray[np.uint64]:
    """A PCG64 state as four words: state and increment, high and low half of each."""
    state: Any = generator.bit_generator.state
    mask = (1 << 64) - 1
    numbers = (state["state"]["state"], state["state"]["inc"])
    return np.array([part for v in numbers for part in (v >> 64, v & mask)], np.uint64)


def _set_stream_words(generator: np.random.Generator, words: NDArray[np.uint64]) -> None:
    high, low, inc_high, inc_low = (int(w) for w in words)
    state: Any = generator.bit_generator.state
    state["state"] = {"state": (high << 64) | low, "inc": (inc_high << 64) | inc_low}
    generator.bit_generator.state = state
