"""Finished runs that tests of several files and workers read: each is made once, by the first that asks."""

import fcntl
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from .command import TINY, run, write_input


def made_once(common: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Folder with what `make` writes into it, shared by all workers. It is for reading: who changes it copies it first."""
    folder, record = common / "shared" / name, common / "shared" / f"{name}.json"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            folder.mkdir()
            make(folder)
            record.write_text(json.dumps(_state(folder)))
    return folder


def changed(common: Path) -> list[str]:
    """Shared folders in which something is no longer as it was made."""
    records = sorted((common / "shared").glob("*.json"))
    return [r.stem for r in records if json.loads(r.read_text()) != _state(r.with_suffix(""))]


def _state(folder: Path) -> dict[str, list[int]]:
    """Size and time of every file."""
    return {str(p.relative_to(folder)): [p.stat().st_size, p.stat().st_mtime_ns] for p in folder.rglob("*") if p.is_file()}


def analysed(folder: Path) -> None:
    """An undisturbed run of 1200 sweeps, without report."""
    done = run(write_input(folder, 1200), 1, "--until", "analyse")
    assert done.returncode == 0, done.stderr


def sampled(folder: Path) -> None:
    """6000 sweeps, not analysed."""
    done = run(write_input(folder, 6000, text=TINY.replace("equilibrate: 50, ", "")), 1, "--until", "sample")
    assert done.returncode == 0, done.stderr
