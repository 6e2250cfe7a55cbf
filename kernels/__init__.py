"""Compiled Monte Carlo loop: numpy arrays in, numpy arrays out; numba only, no knowledge of files or chemistry.

One thread is used unless NUMBA_NUM_THREADS says otherwise: the ranks share the cores. Compiled code is cached in a folder
that is named after all sources, because numba itself looks only at the file of the outermost function.
"""

import hashlib
import os
from pathlib import Path

import numba

from .cache_folders import first_writable, home_cache, temporary_cache

_SOURCES = Path(__file__).parent
_DIGEST = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(_SOURCES.glob("*.py")))).hexdigest()[:12]


def _cache() -> Path:
    """Where compiled code is kept: beside the sources, or else in a cache of the user. Raises OSError if none can be written."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        places, fault = [Path(given)], f"NUMBA_CACHE_DIR is {given}, which cannot be written"
    else:
        places, fault = [_SOURCES / "__pycache__" / _DIGEST], "no folder for compiled code can be written"
        places += [folder / "numba" / _DIGEST for folder in (home_cache(), temporary_cache()) if folder is not None]
    if (found := first_writable(*places)) is None:
        raise OSError(f"{fault}; set NUMBA_CACHE_DIR to a folder that can")
    return found


numba.config.CACHE_DIR = str(_cache())  # type: ignore[attr-defined]
if not os.environ.get("NUMBA_NUM_THREADS"):
    numba.config.NUMBA_NUM_THREADS = 1  # type: ignore[attr-defined]
