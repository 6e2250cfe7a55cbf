"""Caches of libraries where the home of the user cannot be written."""

import os
from pathlib import Path

from ...kernels.cache_folders import first_writable, user_cache


def prepare_folders() -> None:
    """Give matplotlib a folder before it is imported, if it would find none and warn."""
    try:
        own = first_writable(Path.home() / ".config")
    except RuntimeError:
        own = None
    if own is None and (folder := user_cache()) is not None:
        os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
