"""Broken copies of the compiled chain: the source is changed in one place and compiled anew."""

import contextlib
import hashlib
import importlib
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import redoxmc.kernels

KERNELS = Path(str(redoxmc.kernels.__file__)).parent

MUTANTS: dict[str, tuple[str, str, str]] = {  # name: module, what stands there, what stands there instead
    "dropped Hastings factor": ("chain", "ratio = hastings(kind, moves, rows.number, shifts)", "ratio = 1.0"),
    "wrong normalisation of an anchored flip": (
        "proposal",
        "        if moves.flip_anchor[f] < 0:\n            ways",
        "        if True:\n            ways",
    ),
    "energy of the second flip as if the first had not been": (
        "chain",
        "field[g - start] += sign * mutual_of(halo, at, template, partner, model)",
        "pass",
    ),
    "one random number used twice": (
        "chain",
        "uniform(stream) < ratio",
        "(u - moves.cumulative[kind - 1] if kind else u) < ratio",
    ),
    "neutrality off by one": (
        "chain",
        "for f in range(start, moves.flip_start[kind + 1]):\n        at, species",
        "for f in range(start, moves.flip_start[kind + 1] - (not moves.conserves[kind])):\n        at, species",
    ),
}


def broken_chain(name: str, home: Path) -> ModuleType:
    """The module kernels.chain with one mistake; raises if the source no longer holds the place.

    The changed module, and the chain that uses it, are written to a folder in `home`; all else is that of the intact chain. As
    the files stay there, numba compiles them once.
    """
    changed, old, new = MUTANTS[name]
    sources = {part: (KERNELS / f"{part}.py").read_text() for part in sorted({"chain", changed})}
    if sources[changed].count(old) != 1:
        raise AssertionError(f"mutant {name!r}: its place occurs {sources[changed].count(old)} times in the source")
    sources[changed] = sources[changed].replace(old, new)
    every = b"".join(path.read_bytes() for path in sorted(KERNELS.glob("*.py")))
    package = f"mutant_{hashlib.sha256(every + repr(MUTANTS[name]).encode()).hexdigest()[:12]}"
    folder = home / package
    if not folder.exists():
        write(folder, {part: absolute(text, set(sources)) for part, text in sources.items()})
    if str(home) not in sys.path:
        sys.path.append(str(home))
    return importlib.import_module(f"{package}.chain")


def absolute(source: str, changed: set[str]) -> str:
    """Imports of the modules that are not changed, from the intact package."""

    def imported(found: re.Match[str]) -> str:
        return found[0] if found[1] in changed else f"from redoxmc.kernels.{found[1]} import"

    return re.sub(r"^from \.(\w+) import", imported, source, flags=re.MULTILINE)


def write(folder: Path, sources: dict[str, str]) -> None:
    """All at once: another process never finds a part of them."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        half = Path(place) / folder.name
        half.mkdir()
        for part, text in {**sources, "__init__": ""}.items():
            (half / f"{part}.py").write_text(text)
        with contextlib.suppress(OSError):  # another process was faster
            half.rename(folder)
