"""Folders for files that can be made again, where installation or home may be read-only."""

import os
import stat
import tempfile
from pathlib import Path


def first_writable(*folders: Path | None) -> Path | None:
    """The first folder that exists or can be made, and in which a file can be written; None if there is none."""
    for folder in folders:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    return folder
        except OSError:
            continue
    return None


def home_cache() -> Path | None:
    """The folder of RedoxMC among the caches of the user; None without a home."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(base) / "redoxmc"


def temporary_cache() -> Path | None:
    """A folder of this user below the system's temporary directory; None if another user has made it: compiled code is loaded."""
    folder = Path(tempfile.gettempdir()) / f"redoxmc-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if own else None


def user_cache() -> Path | None:
    """A writable folder of this user; None if there is none."""
    return first_writable(home_cache()) or first_writable(temporary_cache())
