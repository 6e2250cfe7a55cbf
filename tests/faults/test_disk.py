"""Faults of the disk: full, read-only, too large a file. Nothing that was committed is lost."""

import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..helpers.command import SMALL, go, hashes


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts (or remounts) a small disk in memory with such options; root only."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        kind = ["-t", "tmpfs", "tmpfs"] if "remount" not in options else []
        done = subprocess.run(["mount", *kind, "-o", options, str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=False)


def on(disk: Path, folder: Path) -> Path:
    (folder / "input.yaml").write_text(SMALL.replace("MEASURE", "120").replace("output: out", f"output: {disk}/out"))
    return folder


@pytest.mark.runs
@pytest.mark.parametrize("size_kB", [4, 40, 120, 300])
def test_full_disk(size_kB: int, sampled: Path, mounted: Callable[[str], Path], tmp_path: Path, said: Callable[[], str]) -> None:
    """Full at the log, the ladder, the segments, the results; with room again, the same command finishes."""
    disk = mounted(f"size={size_kB}k")
    folder = on(disk, tmp_path)
    begin = time.monotonic()
    assert go(folder, "--until", "analyse") == 2
    assert time.monotonic() - begin < 30
    message = said()
    assert str(disk) in message and "No space left on device" in message, message
    mounted("remount,size=10m")
    assert go(folder, "--until", "analyse") == 0, said()
    assert hashes(disk / "out/results.h5") == hashes(sampled / "out/results.h5")
    assert not list((disk / "out").rglob("*.partial*"))


@pytest.mark.runs
def test_read_only_disk(sampled: Path, mounted: Callable[[str], Path], tmp_path: Path, said: Callable[[], str]) -> None:
    """Whole samples on it can still not be analysed there, and say so; nothing of them changes."""
    disk = mounted("size=10m")
    folder = on(disk, tmp_path)
    shutil.copytree(sampled / "out", disk / "out")
    mounted("remount,ro")
    for options in ((), ("--only", "analyse"), ("--only", "report"), ("--fresh",)):
        assert go(folder, *options) == 2
        message = said()
        assert f"cannot write to the output folder {disk}/out: Read-only file system" in message, message
    mounted("remount,rw")
    assert go(folder, "--until", "analyse") == 0 and "nothing has changed" in said()


def test_output_below_a_file(tmp_path: Path, said: Callable[[], str]) -> None:
    (tmp_path / "taken").write_text("")
    assert go(on(tmp_path / "taken", tmp_path)) == 2
    assert "cannot write to the output folder" in said()


@pytest.mark.runs
def test_file_size_limit(sampled: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    """Of 12 kB a file, as a quota has it: the ladder cannot be written. No root needed."""
    (tmp_path / "input.yaml").write_text(SMALL.replace("MEASURE", "120"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, hard))
    try:
        code = go(tmp_path, "--until", "analyse")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = said()
    assert code == 2 and "ladder.h5: File too large; what was committed is kept" in message, message
    assert go(tmp_path, "--until", "analyse") == 0
    assert hashes(tmp_path / "out/results.h5") == hashes(sampled / "out/results.h5")
