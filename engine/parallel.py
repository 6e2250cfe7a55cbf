"""MPI: who does what, and ending all ranks together."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ase.parallel
from mpi4py import MPI

from .errors import Interrupted, RedoxError

EXIT_REQUEUE = 75
RELAY_S = 0.5  # mpirun passes on what a rank says in its own time, and may lose the last words of one that is gone

# ASE's readers and writers broadcast over COMM_WORLD by themselves; here one rank reads while others wait for something else
ase.parallel.world.comm = ase.parallel.DummyMPI()


def share(n_items: int, rank: int, size: int) -> range:
    """Contiguous share of a rank; the shares of all ranks cover range(n_items)."""
    return range(n_items * rank // size, n_items * (rank + 1) // size)


def wait_idly(comm: Any) -> None:
    """A barrier for long waits that leaves the processor to others; MPI_Barrier spins."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.05)


@dataclass
class StopWatch:
    """Turns SIGTERM, SIGUSR1 and the walltime into one question, answered alike on all ranks."""

    comm: Any
    walltime_s: float | None
    start: float = field(default_factory=time.monotonic)
    signalled: bool = False

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, *_: Any) -> None:
        self.signalled = True

    def rings(self) -> bool:
        """Whether this rank has been asked to stop."""
        late = self.walltime_s is not None and time.monotonic() - self.start > self.walltime_s
        return self.signalled or late

    def asks_to_stop(self) -> bool:
        """Whether any rank has; collective."""
        return bool(self.comm.allreduce(int(self.rings()), op=MPI.MAX))


def run_on_all_ranks(work: Callable[[], None]) -> int:
    """Run `work`; any exception on any rank ends all ranks at once with one readable message. Returns the exit code."""
    comm = MPI.COMM_WORLD
    try:
        work()
        return 0
    except Interrupted as stop:
        if comm.rank == 0:
            print(f"stopped: {stop}", file=sys.stderr, flush=True)
        return EXIT_REQUEUE
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            return 0
        if isinstance(error, (RedoxError, KeyboardInterrupt)):
            message, code = f"error: {error}" if str(error) else "interrupted", 2
        else:
            where = traceback.extract_tb(error.__traceback__)[-1]
            message, code = (
                f"error on rank {comm.rank}: {type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})",
                1,
            )
            if os.environ.get("REDOXMC_TRACEBACK"):
                traceback.print_exc()
        print(message, file=sys.stderr, flush=True)
        if comm.size > 1:
            time.sleep(RELAY_S)
            comm.Abort(code)
        return code
