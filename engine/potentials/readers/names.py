"""Names of configurations: short, and different for different files."""

from collections import Counter, defaultdict
from pathlib import Path

RUN_FILES = ("OUTCAR", "vasprun")  # named like those of every other run: the folder is the name


def file_names(paths: list[Path]) -> list[str]:
    """A name for each of several files, of the parts of their paths that tell them apart, beginning with the last.

    dft/a/OUTCAR and dft/b/OUTCAR are a and b; runs/a/relax/final.extxyz and runs/b/relax/final.extxyz as well.
    """
    rows = [_parts(path) for path in paths]
    distinct = len({tuple(row) for row in rows})
    length = next(n for n in range(1, max(map(len, rows)) + 1) if len({tuple(row[:n]) for row in rows}) == distinct)
    columns = [{row[n] if n < len(row) else "" for row in rows} for n in range(length)]
    wanted = [n for n in range(length) if len(columns[n]) > 1] or [0]
    return ["/".join(row[n] for n in reversed(wanted) if n < len(row)) for row in rows]


def _parts(path: Path) -> list[str]:
    """The name without its extensions, and the folders from the innermost outwards."""
    *folders, name = path.absolute().parts
    own = name.split(".")[0]
    return ([] if own in RUN_FILES else [own]) + folders[::-1]


def unique(names: list[str], owners: list[str], numbers: list[int]) -> list[str]:
    """Names of which none occurs twice: a name in several files gets that of the file in front, one in a file its number."""
    files_of: dict[str, set[str]] = defaultdict(set)
    for name, owner in zip(names, owners):
        files_of[name].add(owner)
    found = [f"{o}/{n}" if len(files_of[n]) > 1 and n != o else n for n, o in zip(names, owners)]
    count = Counter(found)
    found = [f"{n}-{k}" if count[n] > 1 else n for n, k in zip(found, numbers)]
    taken: set[str] = set()
    for i in range(len(found)):
        while found[i] in taken:  # a name like that of a number
            found[i] += "'"
        taken.add(found[i])
    return found
