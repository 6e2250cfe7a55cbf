"""All that has been sampled: series of every slot, tallies of every temperature. Read from files, or kept in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_json
from .conditional_entropies.conditional_entropy_sampling import ConditionalEntropies, read_conditional_entropies
from .diagnostics import Convergence, assess
from .ladder.ladder import Ladder
from .ladder.ladder_file import read_ladder
from .ladder.plan import Plan
from .ladder.slots import Slot
from .replicas.replicas import Replicas
from .replicas.segment_files import Snapshots, read_series, read_snapshots, read_totals
from .replicas.segments import Series, Then, Totals, sample

Int = NDArray[np.int64]
Origin = tuple[SampleStore, int]


@dataclass(frozen=True)
class Samples:
    """energy_neV (slots, walkers, sweeps), ions (slots, walkers, sweeps, ions), tried and accepted (slots, kinds).

    tallies (bins, rungs, walkers, n_max+1, 6), in bins of bin_sweeps sweeps. exchanged: (slot, slot) -> tried, accepted.
    splits: rung -> conditional entropies, where they were sampled. origin: per slot the samples that it comes from (those of
    the ladder that was planned, or of a round of refinement) and its number there; empty for samples that are in no file.
    """

    plan: Plan
    energy_neV: Int
    ions: Int
    tried: Int
    accepted: Int
    tallies: Int
    bin_sweeps: int
    exchanged: dict[tuple[int, int], tuple[int, int]]
    splits: dict[int, ConditionalEntropies] = field(default_factory=dict)
    origin: tuple[Origin, ...] = ()

    @cached_property
    def _snapshots(self) -> dict[int, Snapshots]:
        return {}

    def snapshots(self, slot: int) -> Snapshots:
        """States of a slot in the files that it comes from, which are read once."""
        if slot not in self._snapshots:
            self._snapshots[slot] = read_snapshots(*self.origin[slot], self.n_sweeps)
        return self._snapshots[slot]

    @property
    def n_sweeps(self) -> int:
        return self.energy_neV.shape[2]


def convergence_of(samples: Samples) -> Convergence:
    """Of every slot."""
    return assess(samples.energy_neV.astype(float), samples.ions[..., 0].astype(float), samples.accepted.sum(axis=1))


def samples_of(plan: Plan, series: Sequence[Sequence[Series]], totals: Sequence[Totals]) -> Samples:
    """Put segments together. series: by slot and segment; totals: by segment."""
    tried, accepted = (
        [np.sum([getattr(s, name).sum(axis=0) for s in of_slot], axis=0) for of_slot in series] for name in ("tried", "accepted")
    )
    kinds = max(len(t) for t in tried)
    bins: dict[int, Int] = {}
    for part in totals:
        for b, tally in zip(part.bins.tolist(), part.tallies):
            bins[b] = bins[b] + tally if b in bins else tally
    return Samples(
        plan=plan,
        energy_neV=np.array([np.concatenate([s.energy_neV for s in of_slot], axis=1) for of_slot in series]),
        ions=np.array([np.concatenate([s.ions for s in of_slot], axis=1) for of_slot in series]),
        tried=np.array([np.pad(t, (0, kinds - len(t))) for t in tried]),
        accepted=np.array([np.pad(a, (0, kinds - len(a))) for a in accepted]),
        tallies=np.array([bins[b] for b in sorted(bins)]),
        bin_sweeps=totals[-1].blocks.bin_sweeps,
        exchanged={(a, b): (tried, accepted) for a, b, tried, accepted in totals[-1].exchanged.tolist()},
    )


def sample_in_memory(replicas: Replicas, n_sweeps: int, exchange_every: int) -> Samples:
    """Sample all slots in this process; nothing is written."""
    series, totals = [], []
    for segment in sample(replicas, n_sweeps, exchange_every, lambda block, n_blocks, held_bytes: Then.GO_ON):
        series.append(segment.series(replicas))
        part = segment.totals(replicas)
        assert part is not None
        totals.append(part)
    slots = range(len(replicas.plan.slots))
    return samples_of(replicas.plan, [[part[k] for part in series] for k in slots], totals)


def read_samples(store: SampleStore) -> Samples:
    """All segments that are committed now, with the rounds of refinement that are complete. The run may go on meanwhile.

    Raises RedoxError if there are none or one is damaged.
    """
    samples = _read(store.as_it_is())
    rounds = read_json(store.refinement)["rounds"] if store.refinement.exists() else []
    for k in range(len(rounds)):
        if store.refined(k).committed():
            more = _read(store.refined(k).as_it_is())
            samples = merged(samples, more) if more.n_sweeps == samples.n_sweeps else samples
    return samples


def _read(store: SampleStore) -> Samples:
    number = store.committed()
    if not number:
        raise RedoxError(f"no committed samples in {store.folder}")
    plan, _ = read_ladder(store)
    series = [[read_series(store, k, s) for s in range(number)] for k in range(len(plan.slots))]
    samples = samples_of(plan, series, [read_totals(store, s) for s in range(number)])
    splits = {r: found for r in range(len(plan.ladder)) if (found := read_conditional_entropies(store, r))}
    return replace(samples, splits=splits, origin=tuple((store, k) for k in range(len(plan.slots))))


def merged(a: Samples, b: Samples) -> Samples:
    """Two ladders as one, in order of temperature. Both have the same walkers and sweeps. Notes and scans are those of a."""
    temperatures = np.concatenate([a.plan.ladder.temperature_K, b.plan.ladder.temperature_K])
    order = np.argsort(temperatures, kind="stable")
    rung_of = np.argsort(order)  # place of every old rung in the merged ladder
    shifted = [replace(s, rung=s.rung + len(a.plan.ladder)) for s in b.plan.slots]
    slots: list[Slot] = [replace(s, rung=int(rung_of[s.rung])) for s in (*a.plan.slots, *shifted)]
    rows = sorted(range(len(slots)), key=lambda k: slots[k].rung)
    place = {old: new for new, old in enumerate(rows)}
    n_a = len(a.plan.slots)

    def of_both(name: str) -> Int:
        return np.concatenate([getattr(a, name), getattr(b, name)])[rows]

    exchanged = {(place[p], place[q]): v for (p, q), v in a.exchanged.items()}
    exchanged |= {(place[p + n_a], place[q + n_a]): v for (p, q), v in b.exchanged.items()}
    plan = replace(
        a.plan,
        ladder=Ladder(temperatures[order], np.concatenate([a.plan.ladder.asked, b.plan.ladder.asked])[order]),
        slots=tuple(slots[k] for k in rows),
        reference=np.concatenate([a.plan.reference, b.plan.reference])[order],
    )
    return Samples(
        plan=plan,
        energy_neV=of_both("energy_neV"),
        ions=of_both("ions"),
        tried=of_both("tried"),
        accepted=of_both("accepted"),
        tallies=np.concatenate([a.tallies, b.tallies], axis=1)[:, order],
        bin_sweeps=a.bin_sweeps,
        exchanged=exchanged,
        splits={int(rung_of[r]): s for r, s in a.splits.items()},
        origin=tuple([*a.origin, *b.origin][k] for k in rows),
    )
