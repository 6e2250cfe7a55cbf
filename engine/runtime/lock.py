"""A lock on the output folder: one run writes. The kernel releases it when its holder ends, for whatever reason.

flock works between processes of one machine, and between machines on NFS (since Linux 2.6.12, with its lock service) and on
Lustre mounted with -o flock. If a file system has no locks, the log says so and the run continues.
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
LOCK_WAIT_S = 5.0  # the last ranks of a killed run may need a moment to end
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class Lock:
    """A file beside what it guards. Its text names the last process that took the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[str] | None = None

    def take(self, wait_s: float | None = LOCK_WAIT_S) -> None:
        """Lock for this process only. wait_s: None to wait until it is free. Raises RedoxError with the name of the holder."""
        self.file = open(self.path, "a+", encoding="utf-8")
        begin, reported = time.monotonic(), False
        while not self._got(fcntl.LOCK_EX):
            if wait_s is not None and time.monotonic() - begin > wait_s:
                raise RedoxError(
                    f"the output folder {self.path.parent} is in use by another run ({self._holder()}); wait for it, stop it, "
                    "or use another output folder. --only analyse and --only report work while it runs"
                )
            if wait_s is None and not reported:
                log.info("waiting for another analysis of this output (%s)", self._holder())
                reported = True
            time.sleep(POLL_S)
        self.file.truncate(0)
        self.file.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        self.file.flush()

    def share(self) -> None:
        """Lock for all ranks of the run whose rank 0 has taken the lock. It is free again when the last of them has ended."""
        self.file = self.file or open(self.path, "a+", encoding="utf-8")
        if not self._got(fcntl.LOCK_SH):
            raise RedoxError(f"the output folder {self.path.parent} is in use by another run ({self._holder()})")

    def held_by(self) -> str | None:
        """The process that holds the lock; None if it is free, or was never taken."""
        if not self.path.exists():
            return None
        with open(self.path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._holder()
            except OSError:
                return None
        return None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock for this process only, after waiting as long as necessary."""
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
                "%s: this file system has no locks (%s): make sure that no second run writes here", self.path, error.strerror
            )
        return True

    def _holder(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace").strip() or "just starting"
