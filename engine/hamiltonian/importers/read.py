"""Fitted cluster expansions of icet, smol and CLEASE, recognised by the content of their files."""

import json
import tarfile
from pathlib import Path
from typing import Any

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ..clusters import from_icet
from ..imported import ImportedExpansion

ALLOWED = "a .ce file of icet, the JSON of a ClusterExpansion of smol, or {settings: , eci: } with the two JSON files of CLEASE"


def read_model(paths: tuple[Path, ...], lattice: Lattice) -> ImportedExpansion:
    """The expansion in one file of icet or smol, or in the two files (settings, ECIs) of CLEASE.

    Raises RedoxError, with the name of the file, if it cannot be read or does not match the lattice.
    """
    name = " and ".join(path.name for path in paths)
    try:
        return _read(paths, lattice)
    except RedoxError as error:
        raise RedoxError(f"{name}: {error}") from None
    except Exception as error:  # a file of another kind makes a parser raise anything
        raise RedoxError(f"{name}: unreadable cluster expansion: {type(error).__name__}: {error}; allowed: {ALLOWED}") from None


def _read(paths: tuple[Path, ...], lattice: Lattice) -> ImportedExpansion:
    if missing := [path for path in paths if not path.is_file()]:
        raise RedoxError(f"no such file: {missing[0]}")
    if len(paths) == 2:
        from .clease import from_clease  # pymatgen, which only the importers need, takes a second to load

        return from_clease(paths[0].read_text(), _json(paths[1]), lattice)
    if tarfile.is_tarfile(paths[0]):
        from icet import ClusterExpansion  # slow to import

        expansion = ClusterExpansion.read(str(paths[0]))
        return ImportedExpansion(from_icet(expansion, lattice), len(expansion.parameters))
    from .smol import from_smol

    return from_smol(_json(paths[0]), lattice)


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RedoxError(f"found no JSON object; allowed: {ALLOWED}")
    return document
