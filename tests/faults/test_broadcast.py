"""A value made on rank 0 reaches every rank; a fault in making it ends every rank."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..helpers.command import environment, mpirun

pytestmark = pytest.mark.runs

SCRIPT = """
import sys
from mpi4py import MPI
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.mpi import bcast_from_root, run_on_all_ranks

def make():
    print(f"made on rank {MPI.COMM_WORLD.rank}", flush=True)
    if sys.argv[1] == "fault":
        raise RedoxError("no such thing")
    return [1, 2, 3]

def main():
    found = bcast_from_root(MPI.COMM_WORLD, make)
    print(f"rank {MPI.COMM_WORLD.rank} has {found}", flush=True)

sys.exit(run_on_all_ranks(main))
"""


def started(folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT)
    command = [*mpirun(), "-n", "3", sys.executable, str(folder / "script.py"), what]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)


def test_what_rank_0_makes_is_on_all_ranks(tmp_path: Path) -> None:
    done = started(tmp_path, "value")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("made on rank") == done.stdout.count("made on rank 0") == 1
    assert all(done.stdout.count(f"rank {r} has [1, 2, 3]") == 1 for r in range(3))  # ends of lines may be mixed up


def test_a_fault_on_rank_0_ends_all_ranks(tmp_path: Path) -> None:
    done = started(tmp_path, "fault")
    assert done.returncode == 2 and "error: no such thing" in done.stderr
    assert "has" not in done.stdout
