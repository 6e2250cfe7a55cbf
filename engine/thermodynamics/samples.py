"""Samples read back from the segments: series of every replica, tallies of every temperature."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError
from ..runtime.sample_store import SampleStore
from ..runtime.storage import read_h5, read_json
from ..sampling.ladder import Ladder
from ..sampling.plan import Plan
from ..sampling.run import read_ladder
from ..sampling.slots import Slot
from ..sampling.split import Split, read_split

Int = NDArray[np.int64]
Origin = tuple[SampleStore, int]
SERIES = ("energy_neV", "ions", "tried", "accepted")


@dataclass(frozen=True)
class Samples:
    """energy_neV (slots, walkers, sweeps), ions (slots, walkers, sweeps, ions), tried and accepted (slots, kinds).

    tallies (bins, rungs, walkers, n_max+1, 6), whole bins of bin_sweeps sweeps. exchanged: (slot, slot) -> tried, accepted.
    splits: rung -> conditional entropies, where they were sampled. origin: per slot the samples that it comes from (those of
    the ladder that was planned, or of a round of refinement) and its number there.
    """

    plan: Plan
    energy_neV: Int
    ions: Int
    tried: Int
    accepted: Int
    tallies: Int
    bin_sweeps: int
    exchanged: dict[tuple[int, int], tuple[int, int]]
    splits: dict[int, Split]
    origin: tuple[Origin, ...]

    @property
    def n_sweeps(self) -> int:
        return self.energy_neV.shape[2]


def read_samples(store: SampleStore) -> Samples:
    """All segments that are committed now, refined temperatures included once they are complete; the run may go on meanwhile.

    Raises RedoxError if there are none or one is damaged.
    """
    samples = _read(store.as_it_is())
    rounds = read_json(store.refinement)["rounds"] if store.refinement.exists() else []
    for k in range(len(rounds)):
        if store.refined(k).committed():
            more = _read(store.refined(k).as_it_is())
            samples = merged(samples, more) if more.n_sweeps == samples.n_sweeps else samples
    return samples


def last_states(store: SampleStore, slot: int) -> NDArray[np.int8]:
    """(walkers, n_sites) of a slot at the end of its samples."""
    return read_h5(store.segment(slot, store.committed() - 1), ("state/species",))[0]["state/species"]


def merged(a: Samples, b: Samples) -> Samples:
    """One ladder of two, rungs in order of temperature; walkers and sweeps are those of both. Notes and scans are those of a."""
    temperatures = np.concatenate([a.plan.ladder.temperature_K, b.plan.ladder.temperature_K])
    order = np.argsort(temperatures, kind="stable")
    rung_of = np.argsort(order)  # place of every old rung in the merged ladder
    shifted = [replace(s, rung=s.rung + len(a.plan.ladder)) for s in b.plan.slots]
    slots: list[Slot] = [replace(s, rung=int(rung_of[s.rung])) for s in (*a.plan.slots, *shifted)]
    rows = sorted(range(len(slots)), key=lambda k: slots[k].rung)
    place = {old: new for new, old in enumerate(rows)}
    n_a = len(a.plan.slots)

    def joined(name: str) -> Int:
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
        energy_neV=joined("energy_neV"),
        ions=joined("ions"),
        tried=joined("tried"),
        accepted=joined("accepted"),
        tallies=np.concatenate([a.tallies, b.tallies], axis=1)[:, order],
        bin_sweeps=a.bin_sweeps,
        exchanged=exchanged,
        splits={int(rung_of[r]): s for r, s in a.splits.items()},
        origin=tuple([*a.origin, *b.origin][k] for k in rows),
    )


def _read(store: SampleStore) -> Samples:
    number = store.committed()
    if not number:
        raise RedoxError(f"no committed samples in {store.folder}")
    plan, _ = read_ladder(store)
    energy, ions, tried, accepted = [], [], [], []
    for k in range(len(plan.slots)):
        parts = [read_h5(store.segment(k, s), SERIES)[0] for s in range(number)]
        energy.append(np.concatenate([p["energy_neV"] for p in parts], axis=1))
        ions.append(np.concatenate([p["ions"] for p in parts], axis=1))
        tried.append(np.sum([p["tried"].sum(axis=0) for p in parts], axis=0))
        accepted.append(np.sum([p["accepted"].sum(axis=0) for p in parts], axis=0))
    kinds = max(len(t) for t in tried)
    bins: dict[int, Int] = {}
    for s in range(number):
        data, attributes = read_h5(store.segment(None, s))
        for b, tally in zip(data["bins"].tolist(), data["tallies"]):
            bins[b] = bins[b] + tally if b in bins else tally
    return Samples(
        plan=plan,
        energy_neV=np.array(energy),
        ions=np.array(ions),
        tried=np.array([np.pad(t, (0, kinds - len(t))) for t in tried]),
        accepted=np.array([np.pad(a, (0, kinds - len(a))) for a in accepted]),
        tallies=np.array([bins[b] for b in sorted(bins)]),
        bin_sweeps=int(attributes["block_sweeps"]) * int(attributes["blocks_per_bin"]),
        origin=tuple((store, k) for k in range(len(plan.slots))),
        splits={r: found for r in range(len(plan.ladder)) if (found := read_split(store, r))},
        exchanged={(int(a), int(b)): (int(t), int(y)) for (a, b), (t, y) in zip(data["pairs"], data["exchanged"])},
    )
