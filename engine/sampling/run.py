"""Sampling of one cell: the ladder is prepared once, then sampled in segments that are committed until it has its sweeps."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpi4py import MPI

from ..errors import Interrupted
from ..input.schema import Config
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.progress import Progress
from ..runtime.sample_store import SampleStore
from ..runtime.streams import Stream, Use
from .chains.system import System
from .ladder.ladder_file import read_ladder
from .preparation.prepare_ladder import prepare_ladder
from .replicas.replicas import build_replicas
from .replicas.segment_files import commit, restore
from .replicas.segments import Then, sample

COMMIT_EVERY_S = float(os.environ.get("REDOXMC_COMMIT_S", "60"))
COMMIT_AT_LEAST_EVERY_S = 900.0
PER_COMMIT = 30.0  # least time between commits over that of a commit beyond a second
MOST_HELD_BYTES = 200_000_000  # by a rank, of samples that are not committed yet


def run_sampling(system: System, config: Config, store: SampleStore, comm: Any, watch: StopWatch) -> None:
    """Collective. Raises Interrupted after a commit if asked to stop."""
    if comm.rank == 0:
        store.remove_uncommitted()
    comm.Barrier()
    if not bcast_from_root(comm, store.ladder.exists):
        prepare_ladder(system, config, store, comm)
    sample_ladder("sampling", system, config, store, (Stream.SAMPLING,), config.sampler.sweeps.measure, comm, watch)


def sample_ladder(
    what: str, system: System, config: Config, store: SampleStore, use: Use, n_sweeps: int, comm: Any, watch: StopWatch
) -> None:
    """Sample the ladder of a store, or go on sampling it, until it has n_sweeps sweeps.

    what: for the log. use: of its random streams. Collective; raises Interrupted after a commit.
    """
    plan, starts = read_ladder(store)
    replicas = build_replicas(plan, starts, system.with_mix(plan.mix), config.seed, use, comm)
    restore(replicas, store)
    done_before, timer, then = replicas.block, CommitTimer(comm), Then.GO_ON
    with Progress(what, comm.rank) as progress, watch.committing():

        def after_block(block: int, n_blocks: int, held_bytes: int) -> Then:
            nonlocal then
            progress.update(block - done_before, n_blocks - done_before)
            stop = watch.any_should_stop() and block < n_blocks
            then = Then.STOP if stop else Then.END_SEGMENT if timer.is_due(held_bytes) else Then.GO_ON
            return then

        for segment in sample(replicas, n_sweeps, config.sampler.exchange_every, after_block):
            with timer.committing():
                commit(replicas, store, segment)
        if then is Then.STOP:
            raise Interrupted("committed; start the same command again to continue")


class CommitTimer:
    """Tells all ranks alike when to commit: every minute at first, and less often in a long run or where commits take long.

    Many segments take long to read. A rank that holds many samples asks for a commit. No result depends on where segments end.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.began = self.last = time.monotonic()
        self.took_s = 0.0

    @contextmanager
    def committing(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.took_s = time.monotonic() - began

    def is_due(self, held_bytes: int) -> bool:
        """held_bytes: samples of this rank that are not committed. Collective."""
        now = time.monotonic()
        wait_s = max(COMMIT_EVERY_S, min(max((now - self.began) / 10, PER_COMMIT * (self.took_s - 1.0)), COMMIT_AT_LEAST_EVERY_S))
        wants = (self.comm.rank == 0 and now - self.last > wait_s) or held_bytes > MOST_HELD_BYTES
        due = bool(self.comm.allreduce(wants, op=MPI.LOR))
        self.last = now if due else self.last
        return due
