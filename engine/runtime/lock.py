"""Who may write: a lock on a file of the output folder, which the kernel gives back when its holder ends, however it ends.

flock: holds between processes of one machine, and between machines on NFS (since Linux 2.6.12, with its lock service) and on Lustre
mounted with -o flock. Where a file system has no locks, a line of the log says so and the run goes on.
"""

import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import RedoxError

log = logging.getLogger("redoxmc")
POLL_S = 0.2
LOCK_WAIT_S = 5.0  # a killed run's last ranks may need a moment to end
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class Lock:
    """Lies beside what it guards; its text names the last process that took it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[str] | None = None

    def take(self, wait_s: float | None = LOCK_WAIT_S) -> None:
        """For this process alone. wait_s: how long to wait for others, None: until it is free. Raises RedoxError that names the holder."""
        self.file = open(self.path, "a+", encoding="utf-8")
        begin, told = time.monotonic(), False
        while not self._got(fcntl.LOCK_EX):
            if wait_s is not None and time.monotonic() - begin > wait_s:
                raise RedoxError(
                    f"the output folder {self.path.parent} is in use by another run ({self._holder()}); wait for it, stop it, "
                    "or use another output folder. --only analyse and --only report work while it runs"
                )
            if wait_s is None and not told:
                log.info("waiting for another analysis of this output (%s)", self._holder())
                told = True
            time.sleep(POLL_S)
        self.file.truncate(0)
        self.file.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        self.file.flush()

    def share(self) -> None:
        """Among the ranks of the run whose rank 0 has taken it: it is free again when the last of them has ended."""
        self.file = self.file or open(self.path, "a+", encoding="utf-8")
        if not self._got(fcntl.LOCK_SH):
            raise RedoxError(f"the output folder {self.path.parent} is in use by another run ({self._holder()})")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Alone, however long that has to be waited for."""
        self.take(wait_s=None)
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        if self.file:
            self.file.close()
        self.file = None

    def _got(self, kind: int) -> bool:
        assert self.file is not None
        try:
            fcntl.flock(self.file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.info(
                "%s: this file system has no locks (%s): take care that no second run writes here", self.path, error.strerror
            )
        return True

    def _holder(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace").strip() or "just starting"
