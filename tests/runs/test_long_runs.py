"""Runs that take long: their memory stays flat, their log short, and results are there while they go on."""

import logging
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from redoxmc.engine.cli import main
from redoxmc.engine.runtime import progress
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.runtime.storage import read_h5
from redoxmc.engine.sampling import run as stage
from redoxmc.engine.sampling.samples import read_samples

from ..helpers.command import SMALL, TINY, hashes, kill, start, wait_for_samples, write_input


def final_states(folder: Path) -> dict[str, bytes]:
    """Occupations, random streams and counters of all replicas at the newest commit."""
    store = SampleStore(folder / "out/samples")
    found = {}
    for path in [*store.folder.glob("replica_*"), store.folder / "exchange"]:
        data, _ = read_h5(path / store.segment(None, store.committed() - 1).name)
        found |= {
            f"{path.name}/{k}": v.tobytes() for k, v in data.items() if k.startswith("state/") or k in ("stream", "exchanged")
        }
    return found


@pytest.mark.runs
def test_results_of_a_run_that_goes_on(tmp_path: Path) -> None:
    """--only analyse and --only report beside it, of what is committed; and its samples are those of a run that nobody looked
    at.
    """
    folder = tmp_path / "watched"
    path = write_input(folder, 2_000_000, text=SMALL)
    process, store = start(path, 1, REDOXMC_COMMIT_S="0.5"), SampleStore(folder / "out/samples")
    try:
        wait_for_samples(folder, process)
        for stage_name in ("analyse", "report"):
            assert main([str(path), "--only", stage_name]) == 0
        assert 0 < (read_results(folder / "out/results.h5").attributes.sweeps_measured or 0) < 2_000_000
        assert (folder / "out/report.html").exists()
        wait_for_samples(folder, process, store.committed() + 1)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 75
    finally:
        kill(process)
    _, state = read_h5(store.segment(None, store.committed() - 1), ("bins",))
    alone = write_input(tmp_path / "alone", int(state["block"] * state["block_sweeps"]), text=SMALL)
    assert main([str(alone), "--until", "sample"]) == 0
    assert final_states(folder) == final_states(alone.parent)


@pytest.mark.runs
def test_what_is_not_sampled_yet_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_input(tmp_path, 40, text=SMALL.replace("supercell: [1, 1, 1]", "supercell: [1, 2, 1]"))
    assert main([str(path), "--only", "analyse"]) == 2
    assert f"no committed samples in {tmp_path}/out/samples" in capsys.readouterr().err
    path.write_text(path.read_text().replace("walkers: 2", "walkers: 2\n  second_supercell: [1, 1, 1]"))
    assert main([str(path), "--until", "analyse"]) == 0
    whole = read_results(tmp_path / "out/results.h5")
    assert whole.phase_diagram is not None and whole.phase_diagram_second is not None
    next((tmp_path / "out/samples").glob("second_*/exchange/segment_0000.h5")).unlink()
    assert main([str(path), "--only", "analyse"]) == 0
    part = read_results(tmp_path / "out/results.h5")
    assert part.phase_diagram_second is None and "the second cell has not been sampled yet" in (part.attributes.notes or [])
    assert main([str(path), "--until", "analyse"]) == 0
    again = read_results(tmp_path / "out/results.h5")
    assert again.phase_diagram is not None and again.phase_diagram_second is not None
    assert np.array_equal(again.phase_diagram.boundary.x, whole.phase_diagram.boundary.x)


@pytest.mark.runs
def test_what_comes_after_a_look_is_analysed(tmp_path: Path) -> None:
    """All sweeps were there when somebody looked, the conditional entropies were not; and what was looked at does not grow."""
    path, store = write_input(tmp_path, 40, text=SMALL), SampleStore(tmp_path / "out/samples")
    assert main([str(path), "--until", "analyse"]) == 0
    seen, whole = read_samples(store), hashes(tmp_path / "out/results.h5")
    store.split(0).unlink()
    assert main([str(path), "--only", "analyse"]) == 0
    assert hashes(tmp_path / "out/results.h5") != whole
    assert main([str(path), "--until", "analyse"]) == 0
    assert hashes(tmp_path / "out/results.h5") == whole
    assert main([str(write_input(tmp_path, 80, text=SMALL)), "--until", "sample"]) == 0
    assert (store.committed(), {place.committed() for place, _ in seen.origin}) == (2, {1})


def test_the_log_of_a_month_is_short(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A step every ten seconds; each line says how much time is left."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(logging.getLogger("redoxmc"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("redoxmc"), "handlers", [])
    steps = 30 * 24 * 360
    with caplog.at_level(logging.INFO, "redoxmc"), progress.Progress("sampling", 0) as shown:
        for k in range(steps):
            now[0] += 10
            shown.update(k + 1, steps)
    lines = [r.getMessage() for r in caplog.records]
    assert 100 < len(lines) < 600
    assert lines[0] == f"sampling: 4 of {steps}, {10 * (steps - 4)} s left"
    assert lines[-1] == f"sampling: done in {10 * steps} s"


def test_time_left_does_not_count_what_came_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first step compiles."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(logging.getLogger("redoxmc"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("redoxmc"), "handlers", [])
    with caplog.at_level(logging.INFO, "redoxmc"), progress.Progress("annealing", 0) as shown:
        for k, now[0] in enumerate((100.0, 150.0, 200.0)):
            shown.update(k + 1, 20)
    assert [r.getMessage() for r in caplog.records][:3] == [
        "annealing: 1 of 20",
        "annealing: 2 of 20, 900 s left",
        "annealing: 3 of 20, 850 s left",
    ]


def test_much_that_is_held_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "COMMIT_EVERY_S", 1e9)
    due = stage.CommitTimer(MPI.COMM_SELF).is_due
    assert not due(0) and not due(stage.MOST_HELD_BYTES) and due(stage.MOST_HELD_BYTES + 1)


@pytest.mark.validate
def test_memory_is_flat_over_a_hundred_million_moves(tmp_path: Path) -> None:
    """Resident memory while sampling: late, after most of the moves, as early, once a few segments are committed."""
    path = tmp_path / "input.yaml"
    text = TINY.replace("[1, 2, 1]", "[3, 4, 4]").replace("walkers: 2", "walkers: 2\n  refine: {temperatures: 0}")
    path.write_text(text.replace("MEASURE", "2500"))
    process, store, seen = start(path, 1, "--until", "sample", REDOXMC_COMMIT_S="1"), SampleStore(tmp_path / "out/samples"), []
    log = tmp_path / "out/run.log"
    try:
        while process.poll() is None and not (log.exists() and "sampling: done" in log.read_text()):
            if store.committed() >= 3:
                seen.append(resident_MB(process.pid))
            time.sleep(0.1)
        assert process.wait(600) == 0
    finally:
        kill(process)
    moves = sum(int(read_h5(p, ("tried",))[0]["tried"].sum()) for p in store.folder.glob("replica_*/segment_*.h5"))
    early, late = (float(np.nanmedian(part)) for part in (seen[: len(seen) // 5], seen[-len(seen) // 5 :]))
    print(
        f"{moves:.3g} attempted moves, {store.committed()} segments: "
        f"{early:.0f} MB early, {late:.0f} late, {np.nanmax(seen):.0f} at most"
    )
    assert moves > 1e8 and store.committed() >= 5 and late < early + 20


def resident_MB(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return np.nan
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), np.nan)
