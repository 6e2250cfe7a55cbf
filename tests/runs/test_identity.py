"""The same results on one rank, on two, and after kill -9: the two identities that the default tests hold. More in
test_run.py and faults/.
"""

from pathlib import Path

import pytest

from redoxmc.engine.cli import main
from redoxmc.engine.runtime.sample_store import SampleStore

from ..helpers.command import SMALL, hashes, kill, run, start, wait_for_samples, write_input

SWEEPS = 3000


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = write_input(tmp_path_factory.mktemp("undisturbed"), SWEEPS, text=SMALL)
    assert main([str(path), "--until", "analyse"]) == 0
    return hashes(path.parent / "out/results.h5")


def test_two_ranks_give_the_results_of_one(undisturbed: dict[str, str], tmp_path: Path) -> None:
    path = write_input(tmp_path, SWEEPS, text=SMALL)
    done = run(path, 2, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "out/results.h5") == undisturbed


def test_a_killed_run_goes_on_to_the_same_results(undisturbed: dict[str, str], tmp_path: Path) -> None:
    """kill -9 of both ranks while they sample; the same command then goes on from what was committed."""
    path, store = write_input(tmp_path, SWEEPS, text=SMALL), SampleStore(tmp_path / "out/samples")
    process = start(path, 2, REDOXMC_COMMIT_S="0.01")
    wait_for_samples(tmp_path, process)
    assert process.poll() is None
    kill(process)
    committed = store.committed()
    assert committed > 0 and not (tmp_path / "out/results.h5").exists()
    assert main([str(path), "--until", "analyse"]) == 0
    assert store.committed() > committed and hashes(tmp_path / "out/results.h5") == undisturbed
