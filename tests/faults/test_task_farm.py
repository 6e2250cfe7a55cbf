"""Tasks of unequal length over ranks: each done once, none waiting for a slow one; faults and signals end all ranks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..helpers.command import environment, mpirun, ranks_of

pytestmark = pytest.mark.runs

# Tasks are files: a task that is there already is not listed; `begun_k_RANK` shows who took it, and when.
SCRIPT = """
import os, sys, time
from pathlib import Path
from mpi4py import MPI
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.mpi import StopWatch, bcast_from_root, run_on_all_ranks
from redoxmc.engine.runtime.storage import write_text
from redoxmc.engine.runtime.task_farm import run_tasks

folder, n, comm = Path(sys.argv[1]), int(sys.argv[2]), MPI.COMM_WORLD
slow = {int(k): float(s) for k, s in (a.split(":") for a in sys.argv[3].split(",") if a)}
each = float(sys.argv[4])
faulty = int(sys.argv[5])

def main():
    watch = StopWatch(comm)
    todo = bcast_from_root(comm, lambda: [k for k in range(n) if not (folder / f"{k}.txt").exists()])
    def work(t):
        k = todo[t]
        if k == faulty:
            raise ArithmeticError(f"task {k}")
        with open(folder / f"begun_{k}_{comm.rank}", "a") as log:
            log.write("once ")
        time.sleep(slow.get(k, each))
        write_text(folder / f"{k}.txt", str(k * k))
    with watch.listening():
        run_tasks(len(todo), work, comm, watch, "squares")

sys.exit(run_on_all_ranks(main))
"""


def command(folder: Path, ranks: int, n: int, slow: str = "", each: float = 0.0, faulty: int = -1) -> list[str]:
    folder.mkdir(exist_ok=True)
    script = folder.parent / "run.py"  # ranks_of knows them by this name
    script.write_text(SCRIPT)
    start = [*mpirun(), "-n", str(ranks)] if ranks > 1 else []
    return [*start, sys.executable, str(script), str(folder), str(n), slow, str(each), str(faulty)]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, **options),  # type: ignore[arg-type]
        capture_output=True, text=True, timeout=60, env=environment(), check=False,
    )  # fmt: skip


@contextmanager
def started(*arguments: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*arguments, **options),  # type: ignore[arg-type]
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def results(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.glob("*.txt") if p.stem.isdigit()}


def expected(n: int) -> dict[str, str]:
    return {f"{k}.txt": str(k * k) for k in range(n)}


def workers(folder: Path) -> dict[int, list[int]]:
    """Tasks of every rank."""
    found: dict[int, list[int]] = {}
    for path in folder.glob("begun_*"):
        _, task, rank = path.name.split("_")
        assert path.read_text() == "once "
        found.setdefault(int(rank), []).append(int(task))
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_task_is_done_once(ranks: int, tmp_path: Path) -> None:
    done = run(tmp_path / "out", ranks, 20, each=0.02)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "out") == expected(20)
    taken = workers(tmp_path / "out")
    assert sorted(k for tasks in taken.values() for k in tasks) == list(range(20))
    assert len(taken) == ranks


def test_nothing_to_do(tmp_path: Path) -> None:
    assert run(tmp_path / "out", 2, 0).returncode == 0


def test_a_slow_task_does_not_hold_the_others(tmp_path: Path) -> None:
    """Equal shares would leave the rank with the slow task nine more to do after it."""
    done = run(tmp_path / "out", 2, 20, slow="0:2.5", each=0.05)
    assert done.returncode == 0, done.stderr
    ended = {int(p.stem): p.stat().st_mtime for p in (tmp_path / "out").glob("*.txt")}
    assert sum(t < ended[0] for t in ended.values()) >= 17


@pytest.mark.parametrize("ranks", [1, 3])
def test_an_exception_ends_all_ranks_with_one_message(ranks: int, tmp_path: Path) -> None:
    """The other ranks are in a task of a minute."""
    slow = "0:60,1:60" if ranks == 3 else ""
    begin = time.monotonic()
    done = run(tmp_path / "out", ranks, 10, slow=slow, faulty=2)
    assert time.monotonic() - begin < 30
    assert done.returncode not in (0, 75)
    assert done.stderr.count("ArithmeticError: task 2") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("ranks", [1, 2])
def test_sigterm_keeps_what_is_done_and_asks_for_requeue(ranks: int, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with started(folder, ranks, 60, each=0.2) as process:
        while len(results(folder)) < 3 and process.poll() is None:
            time.sleep(0.02)
        receivers = ranks_of(process)[-1:] if ranks > 1 else [process.pid]  # one rank hears it
        os.kill(receivers[0], signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 75, errors
    assert "finished tasks are kept" in errors
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("*.txt")}
    assert 3 <= len(kept) < 60
    assert {int(p.stem) for p in kept} == {k for tasks in workers(folder).values() for k in tasks}  # none left half done
    done = run(folder, ranks, 60)
    assert done.returncode == 0, done.stderr
    assert results(folder) == expected(60)
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    workers(folder)


def test_kill_in_the_middle(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with started(folder, 2, 40, each=0.1) as process:
        while len(results(folder)) < 3 and process.poll() is None:
            time.sleep(0.02)
        for victim in (*ranks_of(process), process.pid):
            os.kill(victim, signal.SIGKILL)
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("*.txt") if p.stem.isdigit()}
    assert 3 <= len(kept) < 40
    done = run(folder, 2, 40)
    assert done.returncode == 0, done.stderr
    assert results(folder) == expected(40)
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
