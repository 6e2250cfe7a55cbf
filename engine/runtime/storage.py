"""Files on disk: written whole under a temporary name, flushed, renamed, with a digest that tells damage when they are read; samples.

An HDF5 file of ours ends with a line that HDF5 does not see: the SHA-256 of all before it. A record in JSON holds that of its other keys.
Format 1 had neither; such files are read as they are. Format 2 has the same files as format 3; only the random streams differ.
"""

import hashlib
import io
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError

log = logging.getLogger("redoxmc")
FORMAT_VERSION = 3
TEMPORARY = ".partial"
SEAL = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
SEAL_LENGTH = len("\nsha256 \n") + 64
CURE = "remove it and start the run again: what it held and what came after it is made anew, with the same result"


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make the file under a temporary name, then put it in place in one step that survives a crash.

    Raises OSError, with the name of the file, where that cannot be done; what was there before is then still there.
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
    """Drop the temporary files that a killed run left."""
    for path in folder.glob(f"*{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, write)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_sealed_h5(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """An HDF5 file with its format version and its seal; `fill` puts everything else into it."""
    with h5py.File(path.name, "w", driver="core", backing_store=False, track_order=True) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        fill(file)
        file.flush()
        content = file.id.get_file_image()
    write_bytes(path, content + f"\nsha256 {hashlib.sha256(content).hexdigest()}\n".encode())


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """A file of ours, for reading. Raises RedoxError if it is missing, damaged (also in what is read from it) or of a newer format."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RedoxError(f"{path} is missing; start the run again, without --only: it is made anew") from None
    seal = SEAL.fullmatch(content[-SEAL_LENGTH:])
    if seal and seal[1].decode() != hashlib.sha256(memoryview(content)[:-SEAL_LENGTH]).hexdigest():
        raise RedoxError(f"{path} is damaged (its digest is not that of its content); {CURE}")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            version = int(file.attrs.get("format_version", 1))
            if version > FORMAT_VERSION:
                raise RedoxError(
                    f"{path} has format {version}, of a newer RedoxMC; this one reads 1 to {FORMAT_VERSION}: use the newer one, or another output folder"
                )
            if version > 1 and not seal:
                raise OSError("its last line, the digest, is not there")
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, OverflowError, MemoryError) as error:
        raise RedoxError(f"{path} is damaged ({error}); {CURE}") from None


def write_h5(path: Path, data: dict[str, Any], attributes: dict[str, Any]) -> None:
    """A flat file: arrays by name (slashes make groups) and attributes of the root."""

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
    """What `write_h5` wrote, or only the named data sets, and the optional ones that are there. Raises RedoxError as `open_h5`."""
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
    """What `write_json` wrote. Raises RedoxError if it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        seal = record.pop("sha256", None)
    except FileNotFoundError:
        raise RedoxError(f"{path} is missing; start the run again, without --only: it is made anew") from None
    except (ValueError, AttributeError) as error:
        raise RedoxError(f"{path} is damaged ({error}); {CURE}") from None
    if seal not in (None, _json_digest(record)):
        raise RedoxError(f"{path} is damaged (its digest is not that of its content); {CURE}")
    return record


def _json_digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(json.loads(json.dumps(record)), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class SampleStore:
    """The folder samples/: the ladder, one folder per replica, and one, exchange, whose segments mark what is committed.

    segments: where given, that many are seen, whatever a run that goes on has committed since.
    """

    folder: Path
    segments: int | None = None

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

    def second(self, matrix: NDArray[np.int64]) -> "SampleStore":
        """The samples of a second, smaller cell."""
        return SampleStore(self.folder / ("second_" + "_".join(map(str, matrix.ravel().tolist()))))

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
        if self.segments is not None:
            return self.segments
        number = 0
        while self.segment(None, number).exists():
            number += 1
        return number

    def as_it_is(self) -> "SampleStore":
        """The same, with the segments that are committed now."""
        return SampleStore(self.folder, self.committed())

    def whole(self) -> int:
        """Number of committed segments before the first that lacks the file of a replica."""
        found, done = {path.name: set(os.listdir(path)) for path in self.folder.glob("replica_*")}, self.committed()
        names = [self.segment(k, 0).parent.name for k in range(self._n_replicas())]
        return next((n for n in range(done) if any(self.segment(0, n).name not in found.get(name, ()) for name in names)), done)

    def _n_replicas(self) -> int:
        if self.ladder.exists():
            return len(read_h5(self.ladder, ("slot_rung",))[0]["slot_rung"])
        return len(list(self.folder.glob("replica_*")))

    def remove_uncommitted(self) -> None:
        """Drop what a killed run left: temporary files, and segments beyond the last whole one. Files that a person took away are told."""
        committed, done = self.committed(), self.whole()
        if done < committed:
            log.info(
                "%s: a file of segment %d is missing: that and later ones are sampled again (%d of %d are kept)",
                self.folder, done, done, committed,
            )  # fmt: skip
        for path in self.folder.glob("*/*"):
            match = re.fullmatch(r"segment_(\d+)\.h5", path.name)
            if TEMPORARY in path.name or (match and int(match[1]) >= done):
                path.unlink(missing_ok=True)
        remove_partial(self.folder)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def known_before(new: Any, old: Any, given: Any) -> Any:
    """`new`, without what an older program, which wrote `old`, did not know and the input does not give: there it has the default."""
    if isinstance(new, dict) and isinstance(old, dict):
        given = given if isinstance(given, dict) else {}
        return {k: known_before(v, old.get(k), given.get(k)) for k, v in new.items() if k in old or k in given}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        given = given if isinstance(given, list) and len(given) == len(new) else [None] * len(new)
        return [known_before(*parts) for parts in zip(new, old, given)]
    return new


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Where two nested dictionaries differ, as lines 'key: old -> new'."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line for k in sorted({*old, *new}) for line in differences(old.get(k), new.get(k), f"{key}.{k}" if key else str(k))
        ]
    return [] if old == new else [f"{key}: {json.dumps(old)} -> {json.dumps(new)}"]
