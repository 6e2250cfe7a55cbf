"""Files on disk: written whole under a temporary name, flushed, renamed; segments of samples, and reading them back."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import RedoxError

FORMAT_VERSION = 1
TEMPORARY = ".partial"


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make the file under a temporary name, then put it in place in one step that survives a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}{TEMPORARY}{path.suffix}")
    try:
        write(temporary)
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_partial(folder: Path) -> None:
    """Drop the temporary files that a killed run left."""
    for path in folder.glob(f"*{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, write)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_h5(path: Path, data: dict[str, Any], attributes: dict[str, Any]) -> None:
    """A flat file: arrays by name (slashes make groups) and attributes of the root."""

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            for name, value in data.items():
                array = np.asarray(value)
                compress = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.size > 64 else {}
                file.create_dataset(name, data=array, **compress)
            for name, value in attributes.items():
                file.attrs[name] = value

    write_whole(path, write)


def read_h5(
    path: Path, names: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What `write_h5` wrote, or only the named data sets, and the optional ones that are there; raises RedoxError if the file cannot be read."""
    data: dict[str, NDArray[Any]] = {}
    try:
        with h5py.File(path, "r") as file:
            if names:
                data = {name: file[name][()] for name in (*names, *(n for n in optional if n in file))}
            else:
                file.visititems(lambda name, item: data.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
            attributes = {k: v.item() if isinstance(v, np.generic) else v for k, v in file.attrs.items()}
    except (OSError, KeyError, RuntimeError) as error:
        raise RedoxError(f"{path} is damaged ({error}); remove it to continue from the segment before") from None
    return data, attributes


@dataclass(frozen=True)
class SampleStore:
    """The folder samples/: the ladder, one folder per replica, and one, exchange, whose segments mark what is committed."""

    folder: Path

    @property
    def ladder(self) -> Path:
        return self.folder / "ladder.h5"

    @property
    def identity(self) -> Path:
        return self.folder / "identity.json"

    def segment(self, replica: int | None, number: int) -> Path:
        name = "exchange" if replica is None else f"replica_{replica:03d}"
        return self.folder / name / f"segment_{number:04d}.h5"

    def split(self, rung: int) -> Path:
        """Conditional entropies at one temperature."""
        return self.folder / "split" / f"rung_{rung:03d}.h5"

    @property
    def refinement(self) -> Path:
        """Temperatures added where phase boundaries were uncertain, and what samples that was judged by."""
        return self.folder / "refinement.json"

    def refined(self, round_number: int) -> "SampleStore":
        """The samples at the temperatures that one round of refinement added."""
        return SampleStore(self.folder / f"refined_{round_number:02d}")

    def second(self, matrix: list[list[int]]) -> "SampleStore":
        """The samples of a second, smaller cell."""
        return SampleStore(self.folder / ("second_" + "_".join(str(v) for row in matrix for v in row)))

    def drop_refined(self, first: int) -> None:
        """Forget the rounds of refinement from this one on."""
        for path in self.folder.glob("refined_*"):
            if int(path.name.removeprefix("refined_")) >= first:
                shutil.rmtree(path)

    def lowest(self, supercell: str) -> Path:
        """States of lowest energy in one supercell."""
        return self.folder / "ground_states" / f"{supercell}.h5"

    def committed(self) -> int:
        """Number of committed segments: those before the first gap in the exchange folder."""
        number = 0
        while self.segment(None, number).exists():
            number += 1
        return number

    def remove_uncommitted(self) -> None:
        """Drop what a killed run left: temporary files, and segments beyond the last committed one."""
        done = self.committed()
        for path in self.folder.glob("*/*"):
            match = re.fullmatch(r"segment_(\d+)\.h5", path.name)
            if TEMPORARY in path.name or (match and int(match[1]) >= done):
                path.unlink(missing_ok=True)
        remove_partial(self.folder)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Where two nested dictionaries differ, as lines 'key: old -> new'."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line for k in sorted({*old, *new}) for line in differences(old.get(k), new.get(k), f"{key}.{k}" if key else str(k))
        ]
    return [] if old == new else [f"{key}: {json.dumps(old)} -> {json.dumps(new)}"]
