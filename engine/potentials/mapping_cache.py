"""Mappings of relaxed cells that were found before, by the content of the cell and of the lattice."""

import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ..crystal.lattice import Lattice, Supercell
from ..errors import RedoxError
from ..runtime.storage import read_json, write_json
from .site_mapping import LARGEST_EXPANSION, LARGEST_SHIFT_A, LARGEST_STRAIN, Mapped, SiteMapping

log = logging.getLogger("redoxmc")
LEAST_S = 2.0  # time of new mappings that is worth a file


class MappingCache:
    """Maps cells, or looks them up. A file that was made for another lattice, or is damaged, is made again."""

    def __init__(self, path: Path | None, lattice: Lattice) -> None:
        limits = [LARGEST_SHIFT_A, LARGEST_STRAIN, LARGEST_EXPANSION]
        species = [[(sp.name, sp.symbol, sp.charge) for sp in s.species] for s in lattice.sublattices]
        self.path, self.mark = path, _digest(lattice.atoms, limits, species)
        self.known = _read(path, self.mark)
        self.used: dict[str, Any] = {}
        self.new_s = 0.0

    def __call__(self, frame: Atoms, mapping: SiteMapping) -> Mapped:
        """The cell on the lattice of `mapping`. Raises RedoxError as `SiteMapping` does."""
        key = _digest(frame)
        record = self.known.get(key)
        if record is None:
            start = time.monotonic()
            record = _record(frame, mapping)
            self.new_s += time.monotonic() - start
        self.used[key] = record
        if isinstance(record, str):
            raise RedoxError(record)
        return _mapped(record, mapping)

    def write(self) -> None:
        """Keep the mappings that were used, if new ones took long. A folder that cannot be written is no error."""
        if self.path is not None and self.new_s > LEAST_S:
            try:
                write_json(self.path, {"lattice": self.mark, "cells": self.used})
            except OSError as error:
                log.info("the mappings of the data set are not kept: %s", error)


def _digest(atoms: Atoms, *more: Any) -> str:
    found = hashlib.sha256(repr(more).encode())
    for part in (atoms.numbers.astype(np.int64), atoms.positions, np.asarray(atoms.cell)):
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()


def _read(path: Path | None, mark: str) -> dict[str, Any]:
    if path is None or not path.is_file():
        return {}
    try:
        record = read_json(path)
    except (RedoxError, OSError):
        return {}
    return dict(record["cells"]) if record.get("lattice") == mark else {}


def _record(frame: Atoms, mapping: SiteMapping) -> Any:
    """The mapping as plain values, or the message of the error."""
    try:
        found = mapping(frame)
    except RedoxError as error:
        return str(error)
    matrix, species = found.supercell.matrix.tolist(), found.species.tobytes().hex()
    return [matrix, species, found.strain, found.expansion, found.shift_A, found.problem]


def _mapped(record: Any, mapping: SiteMapping) -> Mapped:
    matrix, species, strain, expansion, shift_A, problem = record
    supercell = Supercell(mapping.lattice, np.array(matrix, np.int64))
    occupation = np.frombuffer(bytes.fromhex(species), np.int8)
    cell = supercell.to_atoms(np.maximum(occupation, 0))
    return Mapped(cell, supercell, occupation, strain, expansion, shift_A, problem)
