"""A hundred kills over all stages leave no trace in the results."""

import os
import random
import sys
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from redoxmc.engine.cli import main

from ..helpers.command import (
    LABELLED_LATTICE,
    hashes,
)
from ..helpers.paths import STRUCTURE

EVERY_STAGE = f"""\
{LABELLED_LATTICE}  supercell: [1, 2, 1]
training:
  dataset: {Path(STRUCTURE).parents[2]}/tests/data/frames.extxyz
  potentials:
    - {{name: tiny, model: cpainn, epochs: 4, settings: {{width: 8, n_layers: 1, cutoff_A: 3.5, n_radial: 4}}}}
potential: {{model: tests.helpers.toy_calculator.Springs, options: {{structure: {STRUCTURE}, strength_eV_A: 0.0}}}}
relaxation: {{largest_force_eV_per_A: 0.5}}
label: {{configurations: 14, supercells: [[1, 1, 1], [1, 2, 1]]}}
energy:
  cluster_expansion: {{cutoffs_A: [3.5]}}
  pairs: [{{species: [Na+, Na+], r_A: [0, 6.5], energy_eV: -0.12}}]
sampling:
  temperature_K: [600, 2400]
  rungs: 3
  walkers: 2
  sweeps: {{measure: 300}}
  refine: {{temperatures: 1}}
analysis: {{compositions: 9, entropy_compositions: 3}}
"""


IN_STAGE_S = 0.3  # processor time that a stage has had when it is killed, in the mean


STAGES = ("train", "label", "fit", "sample", "refine", "split", "analyse", "report")


def stage_at_work(out: Path) -> str:
    """By the files that are there: the first stage that is not done."""
    samples = out / "samples"
    done = {
        "train": (out / "potentials/tiny/tiny.model").exists(),
        "label": (out / "label.mark").exists(),
        "fit": (out / "fit.json").exists(),
        "sample": samples.exists() and "sampling: done" in (out / "run.log").read_text(),
        "refine": len(list((samples / "split").glob("rung_*.h5"))) > 0,
        "split": len(list((samples / "split").glob("rung_*.h5"))) > 1,
        "analyse": (out / "results.h5").exists(),
        "report": (out / "report.html").exists(),
    }
    return next((stage for stage in STAGES if not done[stage]), "done")


def begun(path: Path) -> ForkProcess:
    """The run in a copy of this process, which has loaded all that it needs: to load takes longer than many a stage."""

    def work() -> None:
        sys.stderr = open(path.parent / "said.txt", "a")
        os._exit(main([str(path)]))

    process = get_context("fork").Process(target=work)
    process.start()
    return process


def processor_s(process: ForkProcess) -> float:
    """Processor time that it has had: how far it is, whatever else the machine does."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.validate
def test_a_hundred_kills_over_all_stages(tmp_path: Path) -> None:
    """Whenever a run comes to its end, its data, fit and results are compared, and it is begun anew, until it was killed a
    hundred times.
    """

    def written(folder: Path) -> Path:
        folder.mkdir()
        (folder / "input.yaml").write_text(EVERY_STAGE)
        return folder / "input.yaml"

    def outcome(folder: Path) -> dict[str, str]:
        kept = ("out/labelled.extxyz", "out/refused_frames.txt")
        return hashes(folder / "out/results.h5") | {name: (folder / name).read_text() for name in kept}

    assert main([str(written(tmp_path / "first"))]) == 0  # compiles and loads
    whole = begun(written(tmp_path / "whole"))
    whole.join()
    assert whole.exitcode == 0
    expected = outcome(tmp_path / "whole")
    assert len(list((tmp_path / "whole/out/samples").glob("refined_*"))) == 1

    moments, killed, kills, runs = random.Random(11), dict.fromkeys(STAGES, 0), 0, 0
    path = written(tmp_path / "run_0")
    while kills < 100:
        at = stage_at_work(path.parent / "out")
        process = begun(path)
        if at == "done":
            process.join()
        target = STAGES.index(at) + moments.choice((0, 1)) if at != "done" else 0  # the stage that it is at, or the next
        while process.is_alive() and stage_at_work(path.parent / "out") in STAGES[:target]:
            process.join(0.01)
        moment = processor_s(process) + moments.expovariate(1 / IN_STAGE_S)
        while process.is_alive() and processor_s(process) < moment:
            process.join(0.01)
        if process.is_alive():
            process.kill()
            process.join()
            stage = stage_at_work(path.parent / "out")
            killed[stage] = killed.get(stage, 0) + 1
            kills += 1
        else:
            assert process.exitcode == 0, (path.parent / "said.txt").read_text()
            assert outcome(path.parent) == expected
            runs += 1
            path = written(tmp_path / f"run_{runs}")
    process = begun(path)
    process.join()
    assert process.exitcode == 0 and outcome(path.parent) == expected
    print(f"{kills} kills, {runs + 1} runs: {killed}")
    assert all(killed[stage] for stage in STAGES if stage != "split"), killed  # too short to be met
