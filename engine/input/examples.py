"""Examples that come with RedoxMC, written with their data into a folder of the user's: `redoxmc init`."""

import argparse
import re
import sys
from pathlib import Path

from ..errors import RedoxError
from ..runtime.shipped import SHIPPED

EXAMPLES = {  # name: input file, what it shows
    "ising": ("1_ising.yaml", "the Ising model on a square lattice, with an exact answer"),
    "lifepo4": ("2_lifepo4.yaml", "LixFePO4: ions and electrons, a published Hamiltonian"),
    "nafepo4": ("3_nafepo4.yaml", "NaxFePO4: a cluster expansion fitted to a data set"),
    "own": ("own.yaml", "the template for your own material"),
}
RELATIVE_PATH = re.compile(r"(?:\.\./)+[\w./-]+( +(?=#))?")  # and the gap to a comment, which stays where it is


def init(arguments: list[str]) -> int:
    """The command `redoxmc init [NAME [FOLDER]]`; returns its exit code."""
    args = parser().parse_args(arguments)
    if args.name is None:
        for name, (_, shows) in EXAMPLES.items():
            print(f"  redoxmc init {name:9} {shows}")
        return 0
    try:
        written = write_example(args.name, args.folder)
    except RedoxError as error:
        print(f"redoxmc init: {error}", file=sys.stderr)
        return 2
    print(f"Written: {', '.join(map(str, written))}\nNext:    redoxmc {written[0]} --check")
    return 0


def parser() -> argparse.ArgumentParser:
    """Arguments of `redoxmc init`."""
    p = argparse.ArgumentParser(
        prog="redoxmc init", description="Write an example and its data into a folder. Existing files are not overwritten."
    )
    p.add_argument("name", nargs="?", choices=EXAMPLES, metavar="NAME", help=f"{', '.join(EXAMPLES)}; without it they are listed")
    p.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="the current folder by default")
    return p


def write_example(name: str, folder: Path) -> list[Path]:
    """Write the example `name` into `folder`; returns the paths of its files, the input file first.

    Raises RedoxError, having written nothing, where a file of that name with another content exists or the folder cannot be made.
    """
    files = {folder / file: content for file, content in example_files(name).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        different = [path for path, content in files.items() if path.exists() and path.read_bytes() != content]
        if different:
            raise RedoxError(
                f"not overwritten: {', '.join(map(str, different))}; choose another folder: redoxmc init {name} FOLDER"
            )
        for path, content in files.items():
            path.write_bytes(content)
    except OSError as error:
        raise RedoxError(f"{error.filename}: {error.strerror}") from None
    return list(files)


def example_files(name: str) -> dict[str, bytes]:
    """Contents by file name. The paths in the input file are those of files beside it, and of an output folder beside it."""
    source = SHIPPED / "inputs/tutorial" / EXAMPLES[name][0]
    data: dict[str, bytes] = {}

    def beside(found: re.Match[str]) -> str:
        path = source.parent / found[0].rstrip()
        if path.is_file():
            data[path.name] = path.read_bytes()
        return path.name.ljust(len(found[0]) if found[1] else 0)

    text = RELATIVE_PATH.sub(beside, source.read_text(encoding="utf-8"))
    return {f"{name}.yaml": text.encode(), **data}
