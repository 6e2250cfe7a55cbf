"""The four ways in which the functions of this folder are compiled.

- An `entry` is called from Python; its code is cached on disk.
- A `part` is copied into the function that calls it before anything is compiled. That saves most of the compile time, but
  numba copies slowly: parts of parts of parts should be small.
- An `inner` function is compiled and optimized by itself, then inlined. The inner loops are up to a quarter slower as parts.
- A function `apart` is compiled by itself and called: what is long and called seldom.

All but entries take named tuples as views (see `view`); they take the tuples themselves when Python calls them.
"""

from typing import Any

import numba as nb

_COMMON: dict[str, Any] = {"no_cfunc_wrapper": True}

entry = nb.njit(cache=True, **_COMMON)
part = nb.njit(inline="always", **_COMMON)
inner = nb.njit(forceinline=True, **_COMMON)
apart = nb.njit(**_COMMON)
