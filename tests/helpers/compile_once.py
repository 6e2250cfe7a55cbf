"""Kernels are compiled by one worker; the others wait and read what it has put into numba's cache."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher


@contextmanager
def one_compiler_a_function(folder: Path) -> Iterator[None]:
    """Locks below `folder`, one a function. A function is locked before those that it calls, so no two workers wait for each
    other.
    """
    compile_now, held = Dispatcher.compile, set[str]()

    def compile_in_turn(self: Any, signature: Any) -> Any:
        name = f"{self.py_func.__module__}.{self.py_func.__qualname__}"
        if isinstance(self._cache, NullCache) or name in held:
            return compile_now(self, signature)
        with (folder / f"compiling {name}").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held.add(name)
            try:
                return compile_now(self, signature)
            finally:
                held.remove(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", compile_in_turn)
        yield
