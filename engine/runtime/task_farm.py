"""A task farm: independent tasks of unequal length over MPI ranks. A rank that is free takes the next task."""

import threading
import time
from collections.abc import Callable
from typing import Any

from mpi4py import MPI

from ..errors import Interrupted
from .mpi import StopWatch
from .progress import Progress

_ASK, _GIVE = 1, 2
_POLL_S = 0.005


class _Queue:
    """Numbers 0 to n - 1, each given out once; none after `close`."""

    def __init__(self, n: int) -> None:
        self.n, self.next, self.lock = n, 0, threading.Lock()

    def take(self) -> int | None:
        with self.lock:
            if self.next >= self.n:
                return None
            self.next += 1
            return self.next - 1

    def close(self) -> None:
        with self.lock:
            self.next = self.n


def run_tasks(n_tasks: int, work: Callable[[int], None], comm: Any, watch: StopWatch, what: str) -> None:
    """Call work(0), ..., work(n_tasks - 1), each on one rank. Collective. `work` must save its result as a whole.

    Rank 0 distributes the tasks from a thread and works as well. Raises Interrupted on all ranks if a signal or the walltime
    stopped it: tasks that had begun were finished, the others were not begun.
    """
    with watch.committing():
        if comm.rank == 0:
            _serve_and_work(n_tasks, work, comm, watch, what)
        else:
            while True:
                comm.send(watch.should_stop(), dest=0, tag=_ASK)
                task = comm.recv(source=0, tag=_GIVE)
                if task is None:
                    break
                work(task)
        if watch.any_should_stop():
            raise Interrupted(f"{what}: finished tasks are kept; start the same command again to continue")


def _serve_and_work(n_tasks: int, work: Callable[[int], None], comm: Any, watch: StopWatch, what: str) -> None:
    queue = _Queue(n_tasks)
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            waiting = comm.size - 1
            status = MPI.Status()
            while waiting:
                if not comm.iprobe(source=MPI.ANY_SOURCE, tag=_ASK, status=status):
                    time.sleep(_POLL_S)
                    continue
                if comm.recv(source=status.Get_source(), tag=_ASK):
                    queue.close()
                task = queue.take()
                comm.send(task, dest=status.Get_source(), tag=_GIVE)
                waiting -= task is None
        except BaseException as error:  # raised in the main thread, which ends the run
            failed.append(error)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    with Progress(what, 0) as progress:
        while not failed and (task := queue.take()) is not None:
            work(task)
            if watch.should_stop():
                queue.close()
            else:
                progress.update(queue.next, n_tasks)
        server.join()
    if failed:
        raise failed[0]
