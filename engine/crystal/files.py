"""Safe reading of structure files: only regular files, complete frames, and no code that a file names."""

import json
import warnings
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.db import connect
from ase.io import read
from ase.io.formats import filetype, open_with_compression
from ase.io.trajectory import TrajectoryReader

from ..errors import RedoxError

GUESSES = r"(?s).*(Defaulting to P1|parsed as|occupanc)"  # warnings of pymatgen that it has guessed


def read_frames(path: Path) -> tuple[str, list[Atoms]]:
    """ASE's name of the format, and all frames of a file.

    A folder is refused, since ASE would open it as a trajectory; an @ in the name is part of the name, not a choice of frames.
    Raises RedoxError, or whatever ASE's parsers raise.
    """
    if not path.is_file():
        raise RedoxError(f"no such file: {path}")
    if path.stat().st_size == 0:
        raise RedoxError("the file is empty")
    kind = filetype(str(path))
    if kind in ("extxyz", "xyz"):
        _check_counts(path)
    if kind in ("db", "json"):
        return kind, _rows(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read(path, ":", format=kind, do_not_split_by_at_sign=True)
    return kind, [found] if isinstance(found, Atoms) else list(found)


def _rows(path: Path) -> list[Atoms]:
    """Rows of a database of ASE; their key-value pairs are the info, which ase.io leaves out."""
    with connect(path, serial=True) as database:
        rows = list(database.select())
    frames = [row.toatoms() for row in rows]
    for frame, row in zip(frames, rows):
        frame.info = dict(row.key_value_pairs)
    return frames


def trajectory_maker(path: Path) -> str:
    """What wrote a trajectory of ASE: "optimization", "molecular-dynamics", or "" if it does not say."""
    with TrajectoryReader(path) as trajectory:
        return str((trajectory.description or {}).get("type", ""))


def _check_counts(path: Path) -> None:
    """Check that every frame has as many lines as it announces; ASE does not. Raises RedoxError."""
    with open_with_compression(str(path)) as handle:
        lines = handle.read().splitlines()
    start = 0
    while start < len(lines) and lines[start].strip():
        n = int(lines[start])
        if n < 1 or start + 2 + n > len(lines):
            raise RedoxError(f"line {start + 1} announces {n} atoms, but the file has only {len(lines)} lines")
        start += 2 + n
        while start < len(lines) and lines[start].lstrip().startswith("VEC"):
            start += 1


def read_by_pymatgen(path: Path) -> Atoms:
    """A structure in a format that pymatgen reads; a warning that pymatgen has guessed is an error.

    JSON and YAML are read as plain data: classes that they name are not loaded. Raises whatever pymatgen raises.
    """
    from pymatgen.core import Structure
    from pymatgen.io.ase import AseAtomsAdaptor
    from ruamel.yaml import YAML

    if path.suffix.lower() in (".json", ".yaml", ".yml"):
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix.lower() == ".json" else YAML(typ="safe", pure=True).load(text)
        structure = Structure.from_dict(_plain(data))
        structure.remove_oxidation_states()  # one element of several charges on a site is one element
        partial = dict.fromkeys(site.species_string for site in structure if not site.is_ordered)
        if partial:
            raise RedoxError(
                f"found partially occupied sites ({'; '.join(partial)}); allowed: the fully occupied cell, one element with "
                "occupancy 1 on each site. Which species the sites may hold is said in lattice.sublattices"
            )
        return AseAtomsAdaptor.get_atoms(structure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=GUESSES)
        return AseAtomsAdaptor.get_atoms(Structure.from_file(path))


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items() if not str(key).startswith("@")}
    return [_plain(value) for value in data] if isinstance(data, list) else data
