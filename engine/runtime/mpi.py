"""MPI: sharing work, broadcasting from rank 0, and ending all ranks together."""

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ase.parallel
from mpi4py import MPI

from ..errors import Interrupted, RedoxError

T = TypeVar("T")
EXIT_FAULT, EXIT_USER_ERROR, EXIT_REQUEUE = 1, 2, 75
OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOTDIR,
    errno.EMFILE,
}  # fmt: skip
LONGEST_PAUSE_S = 0.05  # between two looks at whether the other ranks have come
RELAY_S = 0.5  # mpirun forwards output with a delay, and may lose the last lines of a rank that has ended

# ASE's readers and writers broadcast over COMM_WORLD by themselves; here one rank reads while the others do something else
ase.parallel.world.comm = ase.parallel.DummyMPI()


def bcast_from_root(comm: Any, make: Callable[[], T]) -> T:
    """Call `make` on rank 0 and return its result on every rank. Collective.

    An exception of `make` is raised on rank 0 only; `run_on_all_ranks` then ends the other ranks, which wait here.
    """
    made = make() if comm.rank == 0 else None
    wait_idly(comm)
    result: T = comm.bcast(made)
    return result


def share(n_items: int, rank: int, size: int) -> range:
    """Contiguous share of one rank; the shares of all ranks cover range(n_items)."""
    return range(n_items * rank // size, n_items * (rank + 1) // size)


def wait_idly(comm: Any) -> None:
    """A barrier for long waits that leaves the processor to others, while MPI_Barrier spins."""
    request, pause_s = comm.Ibarrier(), 1e-4
    while not request.Test():
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@dataclass
class StopWatch:
    """Stops a run on SIGTERM, SIGUSR1, SIGINT, or when the walltime is over.

    Inside `committing`, where work is committed step by step, the ranks ask and stop together. Elsewhere a signal ends the run at
    once; all files on disk are complete. A second Ctrl-C always ends the run at once.
    """

    comm: Any
    walltime_s: float | None = None
    start: float = field(default_factory=time.monotonic)
    signalled_at: float | None = None
    commits: bool = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """A block that asks `should_stop` or `any_should_stop` often."""
        self.commits = True
        try:
            yield
        finally:
            self.commits = False

    def _note(self, number: int, _: Any) -> None:
        now = time.monotonic()
        again = number == signal.SIGINT and self.signalled_at is not None and now - self.signalled_at > 1
        self.signalled_at = self.signalled_at or now
        if again or not self.commits:
            raise Interrupted("start the same command again to continue from the last commit", together=False)

    def should_stop(self) -> bool:
        """Whether this rank should stop."""
        late = self.walltime_s is not None and time.monotonic() - self.start > self.walltime_s
        return self.signalled_at is not None or late

    def any_should_stop(self) -> bool:
        """Whether any rank should stop. Collective."""
        return bool(self.comm.allreduce(int(self.should_stop()), op=MPI.MAX))


def run_on_all_ranks(work: Callable[[], None]) -> int:
    """Run `work` and return the exit code. An exception on any rank ends all ranks at once with one readable message."""
    comm = MPI.COMM_WORLD
    try:
        work()
        return 0
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            return 0
        message, code = _message(error, comm.rank)
        together = isinstance(error, Interrupted) and error.together
        if code == EXIT_REQUEUE and comm.rank:
            if together:
                return code
            time.sleep(RELAY_S)  # the same signal often reaches all ranks; then rank 0 reports it
        print(message, file=sys.stderr, flush=True)
        if comm.size > 1 and not together:
            time.sleep(RELAY_S)
            comm.Abort(code)
        return code


def _message(error: BaseException, rank: int) -> tuple[str, int]:
    """The message for the user, and the exit code."""
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return f"stopped: {error or 'by Ctrl-C'}", EXIT_REQUEUE
    if isinstance(error, RedoxError):
        return f"error: {error}", EXIT_USER_ERROR
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        where = f"{error.filename}: " if error.filename else ""
        return (
            f"error: {where}{error.strerror}; what was committed is kept: fix this and start the same command again",
            EXIT_USER_ERROR,
        )
    if os.environ.get("REDOXMC_TRACEBACK"):
        traceback.print_exc()
    at = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(at.filename)}:{at.lineno}"
    return f"error on rank {rank}: {type(error).__name__}: {error} ({place})", EXIT_FAULT
