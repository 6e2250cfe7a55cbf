"""Broken copies of the compiled chain: the source is changed in one place and compiled anew."""

import sys
import types
from pathlib import Path

from redoxmc.kernels import chain as intact

MUTANTS: dict[str, tuple[str, str]] = {
    "dropped Hastings factor": (
        "ratio = hastings(start, stop, flip_from, flip_to, flip_anchor, count, before, after)",
        "ratio = 1.0",
    ),
    "wrong normalisation of an anchored flip": (
        "        if flip_anchor[f] < 0:\n            ways",
        "        if True:\n            ways",
    ),
    "energy of the second flip as if the first had not been": (
        "field[g - start] += sign * shared",
        "pass",
    ),
    "one random number used twice": (
        "uniform(stream) < ratio",
        "(u - cumulative[kind - 1] if kind else u) < ratio",
    ),
    "neutrality off by one": (
        "energy += change\n                for f in range(start, stop):",
        "energy += change\n                for f in range(start, stop - (not conserves[kind])):",
    ),
}


def broken_chain(name: str) -> types.ModuleType:
    """The module kernels.chain with one mistake; raises if the source no longer holds the place."""
    source = Path(str(intact.__file__)).read_text()
    old, new = MUTANTS[name]
    if source.count(old) != 1:
        raise AssertionError(f"mutant {name!r}: its place occurs {source.count(old)} times in the source")
    module = types.ModuleType(f"redoxmc.kernels.mutant_{len(sys.modules)}")
    module.__package__ = "redoxmc.kernels"
    exec(compile(source.replace(old, new).replace("cache=True", ""), f"<{name}>", "exec"), module.__dict__)
    return module
