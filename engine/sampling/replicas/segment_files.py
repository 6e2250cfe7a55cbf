"""Segments in files: one file per slot, with the state of its chains at the end, and one for what all slots have in common.

The latter is written last and makes the segment count. A run that goes on restores its replicas from the newest segment.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.mpi import bcast_from_root
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from .replicas import Replicas
from .segments import Blocks, Segment, Series, Totals

SERIES = tuple(Series.__dataclass_fields__)


def commit(replicas: Replicas, store: SampleStore, segment: Segment) -> None:
    """Write the files of this rank's slots; then rank 0 writes the file that makes the segment count. Collective."""
    comm = replicas.comm
    number = bcast_from_root(comm, store.committed)
    snapshots = segment.snapshots_of(replicas)
    for slot, series in segment.series(replicas).items():
        data = {
            **asdict(series),
            "snapshots": snapshots[slot],
            "snapshot_sweeps": np.array(segment.snapshot_sweeps, np.int64),
            **_state(replicas, slot),
        }
        write_h5(store.segment(slot, number), data, _attributes(replicas, slot, segment))
    totals = segment.totals(replicas)
    comm.Barrier()
    if totals is not None:
        data = {
            "bins": totals.bins,
            "tallies": totals.tallies,
            "pairs": totals.exchanged[:, :2],
            "exchanged": totals.exchanged[:, 2:],
            "stream": replicas.exchange.stream_words(),
        }
        attributes = {
            "block": replicas.block,
            "block_sweeps": segment.blocks.sweeps,
            "blocks_per_bin": segment.blocks.per_bin,
        }
        write_h5(store.segment(None, number), data, attributes)
    comm.Barrier()


def _state(replicas: Replicas, slot: int) -> dict[str, NDArray[Any]]:
    """Of the chains of a slot, at the end of the segment."""
    chains, first = replicas.place[slot]
    here = slice(first, first + replicas.plan.walkers)
    return {
        "state/species": chains.species[here],
        "state/energy_neV": chains.energy[here],
        "state/ions": chains.ions[here],
        "state/stream": chains.streams[here],
        "state/proposals": chains.proposals,
    }


def _attributes(replicas: Replicas, number: int, segment: Segment) -> dict[str, Any]:
    slot = replicas.plan.slots[number]
    return {
        "replica": number,
        "temperature_K": float(replicas.plan.ladder.temperature_K[slot.rung]),
        "kind": slot.kind.value,
        "index": slot.index,
        "first_sweep": segment.first_block * segment.blocks.sweeps,
    }


def restore(replicas: Replicas, store: SampleStore) -> None:
    """Put the state of the newest committed segment into the replicas, if there is one."""
    number = store.committed() - 1
    if number < 0:
        return
    for slot, (chains, first) in replicas.place.items():
        data, _ = read_h5(store.segment(slot, number))
        here = slice(first, first + replicas.plan.walkers)
        chains.species[here], chains.energy[here] = data["state/species"], data["state/energy_neV"]
        chains.ions[here], chains.streams[here] = data["state/ions"], data["state/stream"]
        chains.proposals[:] = data["state/proposals"]
    data, attributes = read_h5(store.segment(None, number))
    replicas.block = int(attributes["block"])
    replicas.exchange.restore(data["pairs"], data["exchanged"], data["stream"])


def read_series(store: SampleStore, slot: int, number: int) -> Series:
    """Raises RedoxError if the file is missing or damaged."""
    return Series(**read_h5(store.segment(slot, number), SERIES)[0])


def read_totals(store: SampleStore, number: int) -> Totals:
    """Raises RedoxError if the file is missing or damaged."""
    data, attributes = read_h5(store.segment(None, number))
    return Totals(data["bins"], data["tallies"], np.column_stack([data["pairs"], data["exchanged"]]), _blocks(attributes))


def blocks_done(store: SampleStore) -> tuple[int, Blocks]:
    """Blocks in the committed segments, of which there must be one."""
    _, attributes = read_h5(store.segment(None, store.committed() - 1), ("bins",))
    return int(attributes["block"]), _blocks(attributes)


def sweeps_done(store: SampleStore) -> int:
    """Sweeps of every chain in the committed segments, of which there must be one."""
    done, blocks = blocks_done(store)
    return done * blocks.sweeps


def _blocks(attributes: dict[str, Any]) -> Blocks:
    return Blocks(int(attributes["block_sweeps"]), int(attributes["blocks_per_bin"]))


def last_states(store: SampleStore, slot: int) -> NDArray[np.int8]:
    """(walkers, n_sites) of a slot at the end of its samples."""
    return read_h5(store.segment(slot, store.committed() - 1), ("state/species",))[0]["state/species"]


@dataclass(frozen=True)
class Snapshots:
    """States of one slot: sweep (m,) after which they were taken, species (m, walkers, n_sites)."""

    sweep: NDArray[np.int64]
    species: NDArray[np.int8]


def read_snapshots(store: SampleStore, slot: int, n_sweeps: int) -> Snapshots:
    """States at the ends of bins of sweeps; if the samples have none, the states after n_sweeps, the last."""
    names = ("snapshots", "snapshot_sweeps")  # the states at the ends of segments would depend on when those were written
    parts = [read_h5(store.segment(slot, s), ("state/species",), names)[0] for s in range(store.committed())]
    kept = [p for p in parts if names[0] in p and len(p[names[0]])]
    if not kept:
        return Snapshots(np.array([n_sweeps]), parts[-1]["state/species"][None])
    species, sweep = (np.concatenate([p[name] for p in kept]) for name in names)
    return Snapshots(sweep, species)
