"""Rounds of label, fit and sample, with springs for a potential; what they visit and what they choose, against exact answers."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from icet import ClusterSpace
from scipy.stats import chi2

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.crystal.symmetry import canonical, site_permutations
from redoxmc.engine.hamiltonian.clusters import cluster_space
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.input.schema import LearningInput
from redoxmc.engine.potentials.labelling.configurations import Configuration
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.stages.learn.choose import _narrowing, choose, ensemble_errors
from redoxmc.engine.stages.learn.loop import _finished
from redoxmc.engine.stages.learn.visited import Visited, visit
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.command import LABELLED_LATTICE, command, environment, ranks_of, run
from ..helpers.enumeration import enumerate_states
from ..helpers.paths import STRUCTURE

INPUT = f"""\
{LABELLED_LATTICE}  supercell: [2, 2, 1]
potential: {{model: tests.helpers.toy_calculator.Springs, options: {{structure: {STRUCTURE}}}}}
label:
  configurations: 14
  supercells: [[1, 1, 1], [1, 2, 1], [1, 1, 2], [2, 1, 1]]
  learning: {{rounds: 2, labels: 8, supercell: [2, 1, 1], sweeps: 60, tolerance_eV: 1.0e-9, settled: 1.0e-9}}
energy:
  cluster_expansion: {{cutoffs_A: [5.0], fit: {{method: ardr, validation: 5-fold}}}}
sampling:
  temperature_K: [400, 800]
  rungs: 3
  walkers: 2
  sweeps: {{equilibrate: 20, measure: 60}}
  refine: {{temperatures: 0}}
analysis: {{compositions: 17, entropy_compositions: 0}}
"""


class Alone:
    rank, size = 0, 1

    def allgather(self, value: object) -> list[object]:
        return [value]


def written(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "input.yaml").write_text(INPUT)
    return folder / "input.yaml"


@pytest.fixture(scope="module")
def learned(importable: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = written(tmp_path_factory.mktemp("learning"))
    done = run(path, 1, PYTHONPATH=importable)
    assert done.returncode == 0, done.stderr
    return path.parent / "out"


@pytest.mark.runs
def test_each_round_labels_what_the_last_one_chose(learned: Path) -> None:
    rounds = json.loads((learned / "learning.json").read_text())["rounds"]
    assert [r["labels"] for r in rounds] == [14, 22]
    names: set[str] = set()
    for k, found in enumerate(rounds):
        frames = read(learned / f"rounds/round_{k:02d}/labelled.extxyz", ":")
        now = {f.info["config"] for f in frames}
        assert len(now) == len(frames) == found["kept"] and names < now  # never a duplicate, nothing lost
        names = now
        if k + 1 < len(rounds):
            chosen = json.loads((learned / f"rounds/round_{k:02d}/round.json").read_text())["next"]
            assert len({c["name"] for c in chosen} - names) == len(chosen) == 8
        assert set(found["why"]) <= {"ground state", "frequent", "widest band"}
        assert (learned / f"rounds/round_{k:02d}/results.h5").exists()
    assert {f.info["config"] for f in read(learned / "labelled.extxyz", ":")} == names
    assert rounds[-1]["validation_rmse_eV"] < rounds[0]["validation_rmse_eV"]
    assert rounds[0]["moved_x"] is None and rounds[1]["moved_x"] >= 0 and rounds[1]["moved_eV"] > 0


@pytest.mark.runs
def test_the_report_tells_the_rounds(learned: Path) -> None:
    page = (learned / "report.html").read_text()
    assert "Active learning" in page and "widest band" in page
    assert (learned / "figures/learning_curve.svg").exists() and (learned / "figures/fit_uncertainty.svg").exists()


@pytest.mark.runs
def test_stopped_and_on_two_ranks_it_learns_the_same(learned: Path, importable: str, tmp_path: Path) -> None:
    """kill -9 once the first round is done; then the same command."""
    path = written(tmp_path)
    process = subprocess.Popen(
        command(path, 2, "--until", "label"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        text=True, env=environment(PYTHONPATH=importable),
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / "out/rounds/round_00/round.json").exists():
        time.sleep(0.01)
    for victim in (*ranks_of(process), process.pid):
        os.kill(victim, signal.SIGKILL)
    process.wait(30)
    first = (tmp_path / "out/rounds/round_00/round.json").stat().st_mtime_ns
    assert not (tmp_path / "out/learning.json").exists()
    done = run(path, 2, "--until", "label", PYTHONPATH=importable)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/rounds/round_00/round.json").stat().st_mtime_ns == first
    assert (tmp_path / "out/labelled.extxyz").read_bytes() == (learned / "labelled.extxyz").read_bytes()
    ours, theirs = (json.loads((p / "learning.json").read_text())["rounds"] for p in (tmp_path / "out", learned))
    assert [{k: v for k, v in r.items() if k != "hours"} for r in ours] == [
        {k: v for k, v in r.items() if k != "hours"} for r in theirs
    ]


@pytest.mark.runs
def test_supercells_that_cannot_tell_the_clusters_apart_are_refused(importable: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("[[1, 1, 1], [1, 2, 1], [1, 1, 2], [2, 1, 1]]", "[[1, 1, 1]]"))
    done = run(path, 1, PYTHONPATH=importable)
    assert done.returncode == 2 and "label.supercells" in done.stderr and "tell apart" in done.stderr
    assert not (tmp_path / "out/relaxations").exists()


@pytest.fixture(scope="module")
def space(olivine: Lattice) -> ClusterSpace:
    return cluster_space(olivine, (5.0,))


@pytest.mark.parametrize("rounds", [10, pytest.param(40, marks=pytest.mark.validate)])
def test_what_is_visited_is_the_ensemble(
    rounds: int, olivine: Lattice, olivine_hamiltonian: Hamiltonian, space: ClusterSpace
) -> None:
    """Counts of symmetry classes in the cell of 70 states, over many rounds of their own random numbers, against enumeration."""
    temperatures = (400.0, 900.0)
    system = build_system(olivine_hamiltonian, np.eye(3, dtype=int), ("Na+",))
    exact, permutations = enumerate_states(system), site_permutations(system.supercell)
    images = [canonical(s, permutations) for s in exact.states]
    counts: dict[bytes, np.ndarray] = {}
    for number in range(rounds):
        found = visit(
            olivine, ("Na+",), lambda m: olivine_hamiltonian, space, [np.eye(3, dtype=int)], temperatures, 5, number, Alone()
        )
        for c, seen in zip(found.configurations, found.seen):
            counts[c.species] = counts.get(c.species, 0) + seen
    for row, t in enumerate(temperatures):
        weight = np.exp(-(exact.energy_eV - exact.energy_eV.min()) / (BOLTZMANN_EV_PER_K * t))
        for n in (1, 2, 3):
            classes = sorted({i for i, m in zip(images, exact.n) if m == n})
            p = np.array([weight[[i == c and m == n for i, m in zip(images, exact.n)]].sum() for c in classes])
            seen = np.array([counts.get(c, np.zeros(2))[row] for c in classes])
            expected = p / p.sum() * seen.sum()
            kept = expected > 5
            statistic = ((seen - expected)[kept] ** 2 / expected[kept]).sum()
            assert seen.sum() == 16 * rounds and statistic < chi2.isf(1e-4, max(kept.sum() - 1, 1)), (t, n, seen, expected)


def made_up(vectors: np.ndarray, x: np.ndarray, energy: np.ndarray, seen: np.ndarray) -> Visited:
    names = [Configuration(((1, 0, 0), (0, 1, 0), (0, 0, 1)), bytes([k]), f"c{k}") for k in range(len(x))]
    return Visited(np.array([300.0, 600.0]), names, x, vectors, energy, seen, np.ones(len(x), bool))


def test_labels_go_where_the_band_is_and_not_twice_to_the_same_place() -> None:
    """Three couplings; the band hangs on the second, and somewhat on the third. Mutant: without conditioning both picks are
    alike.
    """
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 3)) * 0.01
    vectors = np.array([[9.0, 0, 0], [0, 1.0, 0], [0, 0.98, 0], [0, 0, 1.0], [0, 0, 0]])
    number = len(vectors)
    ensemble = made_up(vectors, np.full(number, 0.5), np.zeros(number), np.ones((number, 2), int))
    picked = choose(ensemble, {"c4"}, vectors @ draws.T, draws @ [0, 1.0, 0.6], 1e-3, 2)
    assert set(picked) <= {0, 1, 2, 3} and len(picked) == 2
    # of two a third each goes elsewhere first; all by the band:
    assert _narrowing(vectors @ draws.T, draws @ [0, 1.0, 0.6], 1e-3, [], [0, 1, 2, 3], 2) == [1, 3]
    assert _narrowing(vectors @ draws.T, draws @ [0, 1.0, 0.6], 1e-3, [1], [0, 2, 3], 1) == [3]


def test_ground_states_and_what_is_frequent_are_labelled_first() -> None:
    x = np.array([0.0, 0.5, 0.5, 0.5, 1.0, 0.25, 0.25])
    energy = np.array([0.0, -0.05, -0.02, 0.01, 0.0, 0.001, 0.002])
    seen = np.array([[5, 5], [1, 1], [2, 8], [7, 1], [5, 5], [5, 5], [5, 5]])
    vectors = np.random.default_rng(2).normal(size=(7, 3))
    ensemble = made_up(vectors, x, energy, seen)
    mixing = vectors @ np.random.default_rng(3).normal(size=(3, 50))
    picked = choose(ensemble, {"c0", "c4"}, mixing, mixing[5], 1e-3, 3)
    assert picked[1] == "ground state" and picked[2] == "frequent" and list(picked.values()).count("widest band") == 1


def test_errors_are_means_over_what_is_visited() -> None:
    ensemble = made_up(np.zeros((3, 1)), np.array([0.5, 0.5, 1.0]), np.zeros(3), np.array([[3, 1], [1, 1], [0, 4]]))
    x, errors = ensemble_errors(ensemble, np.array([4.0, 0.0, 9.0]), 0.5)
    assert np.allclose(x, [0, 0.5, 1]) and np.isnan(errors[:, 0]).all() and np.isnan(errors[0, 2])
    assert np.allclose(errors[:, 1], [np.sqrt(3.0), np.sqrt(2.0)]) and errors[1, 2] == 3.0


def test_when_it_ends() -> None:
    given = LearningInput(rounds=4, tolerance_eV=0.005, settled=0.02)

    def record(error: float, moved_x: float | None, moved_eV: float | None = 0.001) -> dict[str, object]:
        return {"worst_error_eV": error, "moved_x": moved_x, "moved_eV": moved_eV, "next": [1]}

    assert _finished([record(0.01, None)], given) is None
    assert _finished([record(0.004, None)], given) == "accurate enough everywhere"
    assert _finished([record(0.01, None), record(0.01, 0.01)], given) is None
    assert _finished([record(0.01, None), record(0.01, 0.01), record(0.01, 0.03)], given) is None
    assert _finished([record(0.01, None), record(0.01, 0.01), record(0.01, 0.01, 0.006)], given) is None
    assert _finished([record(0.01, None), record(0.01, 0.01), record(0.01, 0.01)], given) == "the diagram no longer changes"
    assert _finished([record(0.01, 0.1)] * 4, given) == "all rounds are done"


@pytest.mark.runs
def test_more_rounds_go_on_from_those_that_are_there(learned: Path, importable: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    shutil.copytree(learned, tmp_path / "out")
    path.write_text(INPUT.replace("rounds: 2", "rounds: 3"))
    refused = run(path, 1, "--until", "label", PYTHONPATH=importable)
    assert refused.returncode == 2 and "rounds: 2 -> 3" in refused.stderr and "rounds of learning are kept" in refused.stderr
    shutil.rmtree(tmp_path / "out/samples")
    first = tmp_path / "out/rounds/round_00/round.json"
    before = first.stat().st_mtime_ns
    done = run(path, 1, "--until", "label", PYTHONPATH=importable)
    assert done.returncode == 0, done.stderr
    rounds, then = (json.loads((p / "learning.json").read_text())["rounds"] for p in (tmp_path / "out", learned))
    assert len(rounds) == 3 and rounds[:2] == then and first.stat().st_mtime_ns == before


@pytest.mark.validate
def test_two_seeds_agree_within_their_bands(importable: str, tmp_path: Path) -> None:
    """Other first labels, other chance, other choices: mixing free energies differ by what both runs say they may, and bands
    bite.
    """
    found = []
    for seed in (1, 2):
        path = written(tmp_path / str(seed))
        path.write_text(
            path.read_text()
            .replace("rounds: 2", "rounds: 4")
            .replace("seed: 3", f"seed: {seed}")
            .replace("measure: 60", "measure: 3000")
        )
        assert run(path, 1, "--until", "analyse", PYTHONPATH=importable).returncode == 0
        canonical = read_results(tmp_path / str(seed) / "out/results.h5").canonical
        assert canonical is not None
        at = [int(np.argmin(np.abs(canonical.temperature_K - t))) for t in (400.0, 800.0)]
        fit_uncertainty = canonical.mixing_free_energy_eV_fit_uncertainty
        assert fit_uncertainty is not None
        values = (canonical.mixing_free_energy_eV, canonical.mixing_free_energy_eV_error, fit_uncertainty)
        found.append([v[at, 1:-1] for v in values])
    (f1, e1, c1), (f2, e2, c2) = found
    band = np.sqrt(e1**2 + e2**2 + c1**2 + c2**2)
    assert band.max() < 1e-3 and np.ptp(f1) > 0.05
    z = (f1 - f2) / band
    assert 0.1 < np.sqrt((z**2).mean()) < 2, z
