"""Samples read back from the segments: series of every replica, tallies of every temperature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError
from ..sampling.plan import Plan
from ..sampling.split import Split, read_split
from ..sampling.stage import read_ladder
from ..storage import SampleStore, read_h5

Int = NDArray[np.int64]
SERIES = ("energy_neV", "ions", "tried", "accepted")


@dataclass(frozen=True)
class Samples:
    """energy_neV (slots, walkers, sweeps), ions (slots, walkers, sweeps, ions), tried and accepted (slots, kinds).

    tallies (bins, rungs, walkers, n_max+1, 6), whole bins of bin_sweeps sweeps. exchanged: (slot, slot) -> tried, accepted.
    splits: rung -> conditional entropies, where they were sampled. store: where the states are.
    """

    store: SampleStore
    plan: Plan
    energy_neV: Int
    ions: Int
    tried: Int
    accepted: Int
    tallies: Int
    bin_sweeps: int
    exchanged: dict[tuple[int, int], tuple[int, int]]
    splits: dict[int, Split]

    @property
    def n_sweeps(self) -> int:
        return self.energy_neV.shape[2]


def read_samples(store: SampleStore) -> Samples:
    """All committed segments. Raises RedoxError if there are none or one is damaged."""
    plan, _ = read_ladder(store)
    number = store.committed()
    if not number:
        raise RedoxError(f"no committed samples in {store.folder}")
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
        store=store,
        plan=plan,
        energy_neV=np.array(energy),
        ions=np.array(ions),
        tried=np.array([np.pad(t, (0, kinds - len(t))) for t in tried]),
        accepted=np.array([np.pad(a, (0, kinds - len(a))) for a in accepted]),
        tallies=np.array([bins[b] for b in sorted(bins)]),
        bin_sweeps=int(attributes["block_sweeps"]) * int(attributes["blocks_per_bin"]),
        splits={r: found for r in range(len(plan.betas)) if (found := read_split(store, r))},
        exchanged={(int(a), int(b)): (int(t), int(y)) for (a, b), (t, y) in zip(data["pairs"], data["exchanged"])},
    )
