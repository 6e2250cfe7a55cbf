"""Compiled Monte Carlo loop: numpy arrays in, numpy arrays out; numba only, no knowledge of files or chemistry.

One thread is used unless NUMBA_NUM_THREADS says otherwise: the ranks share the cores. Compiled code is cached in a folder
that is named after all sources, because numba itself looks only at the file of the outermost function.
"""

import hashlib
import os
from pathlib import Path

import numba

if not os.environ.get("NUMBA_CACHE_DIR"):
    _folder = Path(__file__).parent
    _digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(_folder.glob("*.py")))).hexdigest()[:12]
    numba.config.CACHE_DIR = str(_folder / "__pycache__" / _digest)  # type: ignore[attr-defined]
if not os.environ.get("NUMBA_NUM_THREADS"):
    numba.config.NUMBA_NUM_THREADS = 1  # type: ignore[attr-defined]
