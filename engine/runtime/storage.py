"""Files on disk, written atomically and with a SHA-256 digest, so that damage is found when they are read.

A file is written under a temporary name, flushed and renamed. An HDF5 file ends with a line, which HDF5 ignores, that holds
the digest of all bytes before it. A JSON record holds the digest of its other keys. Files of format 1 have no digest; they
are read as they are. Format 3 has other random streams than format 2.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError

FORMAT_VERSION = 3
TEMPORARY = ".partial"
SEAL = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
SEAL_LENGTH = len("\nsha256 \n") + 64
MISSING = "start the run again, without --only, to make it"
REMEDY = "remove it and start the run again, which makes it and all that depends on it, with the same result"


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file with `write` under a temporary name, then rename it, so that the file is complete or absent.

    Raises OSError with the name of the file if this fails; an existing file is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}{TEMPORARY}{path.suffix}")
    try:
        try:
            write(temporary)
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
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
    """Remove the temporary files of a killed run."""
    for path in folder.glob(f"*{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, write)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_sealed_h5(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """Write an HDF5 file with format version and digest; `fill` writes everything else into it."""
    with h5py.File(path.name, "w", driver="core", backing_store=False, track_order=True) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        fill(file)
        file.flush()
        content = file.id.get_file_image()
    write_bytes(path, content + f"\nsha256 {hashlib.sha256(content).hexdigest()}\n".encode())


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file of RedoxMC for reading.

    Raises RedoxError if the file is missing, damaged or of a newer format, also when reading from it fails later.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RedoxError(f"{path} is missing; {MISSING}") from None
    seal = SEAL.fullmatch(content[-SEAL_LENGTH:])
    if seal and seal[1].decode() != hashlib.sha256(memoryview(content)[:-SEAL_LENGTH]).hexdigest():
        raise RedoxError(f"{path} is damaged (its content does not match its digest); {REMEDY}")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            version = int(file.attrs.get("format_version", 1))
            if version > FORMAT_VERSION:
                raise RedoxError(
                    f"{path} has format {version}, of a newer RedoxMC; this version reads formats 1 to {FORMAT_VERSION}: "
                    "use the newer version, or another output folder"
                )
            if version > 1 and not seal:
                raise OSError("the digest at its end is missing")
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, OverflowError, MemoryError) as error:
        raise RedoxError(f"{path} is damaged ({error}); {REMEDY}") from None


def write_h5(path: Path, data: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Write arrays by name (slashes make groups) and attributes of the root."""

    def fill(file: h5py.File) -> None:
        for name, value in data.items():
            array = np.asarray(value)
            compress = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.size > 64 else {}
            file.create_dataset(name, data=array, **compress)
        for name, value in attributes.items():
            file.attrs[name] = value

    write_sealed_h5(path, fill)


def read_h5(
    path: Path, names: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Data sets by name and root attributes of a file written by `write_h5`.

    With `names`, only these data sets and those of `optional` that exist are read. Raises RedoxError as `open_h5`.
    """
    data: dict[str, NDArray[Any]] = {}
    with open_h5(path) as file:
        if names:
            data = {name: file[name][()] for name in (*names, *(n for n in optional if n in file))}
        else:
            file.visititems(lambda name, item: data.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
        attributes = {k: v.item() if isinstance(v, np.generic) else v for k, v in file.attrs.items()}
    return data, attributes


def write_json(path: Path, record: dict[str, Any]) -> None:
    write_text(path, json.dumps({**record, "sha256": _json_digest(record)}, indent=1))


def read_json(path: Path) -> dict[str, Any]:
    """The record written by `write_json`. Raises RedoxError if the file is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        seal = record.pop("sha256", None)
    except FileNotFoundError:
        raise RedoxError(f"{path} is missing; {MISSING}") from None
    except (ValueError, AttributeError) as error:
        raise RedoxError(f"{path} is damaged ({error}); {REMEDY}") from None
    if seal not in (None, _json_digest(record)):
        raise RedoxError(f"{path} is damaged (its content does not match its digest); {REMEDY}")
    return record


def _json_digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(json.loads(json.dumps(record)), sort_keys=True).encode()).hexdigest()
