"""Faults of processes: kill -9, signals, ranks that end, two runs at once. What was committed is kept, and the results are
the same.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from redoxmc.engine.cli import main
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.runtime.storage import TEMPORARY

from ..helpers.command import (
    SMALL,
    command,
    environment,
    hashes,
    kill,
    mpirun,
    ranks_of,
    run,
    start,
    wait_for_samples,
    write_input,
)
from ..helpers.shared import analysed, made_once

PROMPTLY_S = 10


@pytest.fixture(scope="module")
def reference(common: Path) -> dict[str, str]:
    """Hashes of an undisturbed run of 1200 sweeps."""
    return hashes(made_once(common, "analysed", analysed) / "out/results.h5")


# Signals.


@pytest.mark.runs
@pytest.mark.parametrize(
    ("number", "target"),
    [(signal.SIGTERM, "ranks"), (signal.SIGUSR1, "mpirun"), (signal.SIGINT, "mpirun"), (signal.SIGINT, "ranks")],
)
def test_signals_commit_and_ask_for_requeue(number: signal.Signals, target: str, tmp_path: Path) -> None:
    path = write_input(tmp_path, 2_000_000)
    process = start(path)
    wait_for_samples(tmp_path, process)
    ranks = ranks_of(process)
    assert len(ranks) == 2
    before = SampleStore(tmp_path / "out/samples").committed()
    for receiver in ranks if target == "ranks" else [process.pid]:
        os.kill(receiver, number)
    begin = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < PROMPTLY_S
    assert process.returncode == 75, errors
    assert errors.count("stopped:") == 1 and "Traceback" not in errors
    assert SampleStore(tmp_path / "out/samples").committed() > before > 0


@pytest.mark.runs
def test_a_signal_before_anything_is_committed_ends_the_run_at_once(tmp_path: Path) -> None:
    """While the ladder is annealed; one rank hears it, and the other is ended with it."""
    path = write_input(tmp_path, 200)
    path.write_text(path.read_text().replace("equilibrate: 50", "equilibrate: 200000"))
    process = start(path)
    while not (tmp_path / "out/samples/identity.json").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(2)
    os.kill(ranks_of(process)[0], signal.SIGTERM)
    begin = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < PROMPTLY_S
    assert process.returncode == 75, errors
    assert errors.count("stopped:") == 1 and "Traceback" not in errors
    assert not (tmp_path / "out/samples/ladder.h5").exists()


@pytest.mark.runs
def test_walltime_commits_and_asks_for_requeue(tmp_path: Path, reference: dict[str, str]) -> None:
    path = write_input(tmp_path, 1200)
    text = path.read_text()
    path.write_text(text.replace("  walkers: 2", "  walkers: 2\n  walltime_s: 0.01"))
    assert run(path, 2, "--until", "analyse").returncode == 75
    path.write_text(text)
    assert run(path, 1, "--until", "analyse").returncode == 0
    assert hashes(tmp_path / "out/results.h5") == reference


# kill -9.


@pytest.mark.runs
def test_ten_kills(tmp_path: Path, reference: dict[str, str]) -> None:
    """kill -9 of one rank, and of mpirun, in turn, at random moments; then the run is finished and compared."""
    path, moments = write_input(tmp_path, 1200), random.Random(5)
    for k in range(10):
        process = start(path)
        if k % 3:
            wait_for_samples(tmp_path, process)
            time.sleep(moments.uniform(0.0, 0.6))
        else:
            time.sleep(moments.uniform(0.5, 4.0))
        if k % 2:
            kill(process)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill((ranks_of(process)[:1] or [process.pid])[0], signal.SIGKILL)
            begin = time.monotonic()
            process.communicate(timeout=60)
            assert time.monotonic() - begin < PROMPTLY_S
    for segment in (tmp_path / "out").rglob("segment_*.h5"):
        if TEMPORARY not in segment.name:
            with h5py.File(segment) as file:
                assert len(file) > 0
    done = run(path, 2, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "out/results.h5") == reference
    assert not list((tmp_path / "out").rglob("*.partial*"))


# Ranks that end.


FAULTY = """
import sys
from mpi4py import MPI
from redoxmc.engine.sampling.replicas import replicas
intact, calls = replicas.advance_together, []
def faulty(*arguments):
    calls.append(1)
    if MPI.COMM_WORLD.rank == 1 and len(calls) > 30:
        raise ArithmeticError("injected")
    return intact(*arguments)
replicas.advance_together = faulty
from redoxmc.engine.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.runs
def test_an_exception_on_one_rank_ends_the_run(tmp_path: Path) -> None:
    path = write_input(tmp_path, 100_000)
    run(path, 1, "--until", "fit")
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    begin = time.monotonic()
    done = subprocess.run(
        [*mpirun(), "-n", "3", sys.executable, str(script), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("error on rank 1: ArithmeticError: injected") == 1
    assert "Traceback" not in done.stderr
    started = (tmp_path / "out/samples/ladder.h5").stat().st_mtime
    assert time.time() - started < 10 or time.monotonic() - begin < 10


# Two runs.


@pytest.mark.runs
def test_two_runs_on_one_output_folder(tmp_path: Path) -> None:
    """The second is refused, and told which process has it; the first notices nothing, and kill -9 leaves no lock."""
    path = write_input(tmp_path, 2_000_000, text=SMALL)
    first = start(path, 1)
    wait_for_samples(tmp_path, first)
    holder = first.pid
    for options in ((), ("--fresh",)):
        begin = time.monotonic()
        second = subprocess.run(command(path, 1, *options), capture_output=True, text=True, env=environment(), check=False)
        assert second.returncode == 2 and time.monotonic() - begin < 3 * PROMPTLY_S  # the start of a program on a busy machine
        assert f"{tmp_path}/out is in use by another run (process {holder} on " in second.stderr, second.stderr
        assert second.stderr.count("error:") == 1
    before = SampleStore(tmp_path / "out/samples").committed()
    while SampleStore(tmp_path / "out/samples").committed() == before:
        assert first.poll() is None
        time.sleep(0.05)
    kill(first)
    assert main([str(write_input(tmp_path, 40, text=SMALL)), "--fresh", "--until", "sample"]) == 0


@pytest.mark.runs
def test_an_orphaned_rank_still_holds_the_folder(tmp_path: Path) -> None:
    """Rank 0 holds the lock together with the others: what they might still write is not written over."""
    script = (
        "import sys, time; from pathlib import Path; from redoxmc.engine.runtime.lock import Lock;"
        "lock = Lock(Path(sys.argv[1]));"
        "lock.take() if sys.argv[2] == 'takes' else None; lock.share(); print('held', flush=True); time.sleep(60)"
    )

    def rank(how: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "lock"), how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def holds(process: subprocess.Popen[str]) -> bool:
        assert process.stdout is not None
        return process.stdout.readline() == "held\n"

    zero = rank("takes")
    assert holds(zero)
    one = rank("shares")
    assert holds(one)
    zero.kill()
    zero.communicate()
    late = rank("takes")
    assert not holds(late) and "is in use by another run" in late.communicate()[1]
    one.kill()
    one.communicate()
    after = rank("takes")
    assert holds(after)
    after.kill()
    after.communicate()
