"""A cluster expansion from a file: of icet, smol or CLEASE, told apart by what the file holds."""

import json
import tarfile
from pathlib import Path
from typing import Any

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ..clusters import from_icet
from ..model import Model

ALLOWED = "a .ce file of icet, the JSON of a ClusterExpansion of smol, or {settings: , eci: } with the two JSON files of CLEASE"


def read_model(paths: tuple[Path, ...], lattice: Lattice) -> Model:
    """One file of icet or smol; of CLEASE the settings and the couplings. Raises RedoxError, naming the file, if it does not fit."""
    name = " and ".join(path.name for path in paths)
    try:
        return _read(paths, lattice)
    except RedoxError as error:
        raise RedoxError(f"{name}: {error}") from None
    except Exception as error:  # whatever a file of another origin makes a parser raise
        raise RedoxError(f"{name}: unreadable cluster expansion: {type(error).__name__}: {error}; allowed: {ALLOWED}") from None


def _read(paths: tuple[Path, ...], lattice: Lattice) -> Model:
    if missing := [path for path in paths if not path.is_file()]:
        raise RedoxError(f"no such file: {missing[0]}")
    if len(paths) == 2:
        from .clease import from_clease  # pymatgen, which only the importers need, takes a second to load

        return from_clease(paths[0].read_text(), _json(paths[1]), lattice)
    if tarfile.is_tarfile(paths[0]):
        from icet import ClusterExpansion  # slow to import

        expansion = ClusterExpansion.read(str(paths[0]))
        return Model(from_icet(expansion, lattice), len(expansion.parameters))
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
