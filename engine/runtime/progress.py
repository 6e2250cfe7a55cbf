"""Progress of a long task: a bar on rank 0 if it has a terminal, otherwise log lines with the time left."""

import logging
import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

log = logging.getLogger("redoxmc")
LOG_EVERY_S = 30.0  # at least; later a fiftieth of the time so far, so that a month takes 500 lines


class Progress:
    """`with Progress("sampling", rank) as p: p.update(done, total)`."""

    def __init__(self, what: str, rank: int) -> None:
        self.what, self.quiet = what, rank != 0
        self.start = self.last = time.monotonic()
        self.first: tuple[float, int] | None = None  # time and number of the first step reported: compilation came before it
        terminal = not self.quiet and sys.stderr.isatty()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns) if terminal else None
        self.task = self.bar.add_task(what) if self.bar else None

    def __enter__(self) -> "Progress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()
        elif not self.quiet and kind is None:
            log.info("%s: done in %.0f s", self.what, time.monotonic() - self.start)

    def update(self, done: int, total: int) -> None:
        self.first = self.first or (time.monotonic(), done)
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=done, total=total)
        elif not self.quiet and (now := time.monotonic()) - self.last > max(LOG_EVERY_S, (now - self.start) / 50):
            self.last = now
            begin, before = self.first
            left = f", {(now - begin) * (total - done) / (done - before):.0f} s left" if done > before else ""
            log.info("%s: %d of %d%s", self.what, done, total, left)
