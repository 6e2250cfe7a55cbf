"""The examples of inputs/: every one is sound, runs in its time and gives what docs/tutorial.md says; the script for clusters."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

import redoxmc
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import json_schema
from redoxmc.engine.stages.check.check import plan_rows
from redoxmc.engine.stages.prepare import prepare

from ..helpers.command import environment
from ..helpers.paths import ROOT

INPUTS = sorted((ROOT / "inputs").rglob("*.yaml"))
TUTORIAL = sorted((ROOT / "inputs/tutorial").glob("*.yaml"))
MOST_S = 120  # of processor time


def children_s() -> float:
    """Processor time of what was started and has ended."""
    return os.times().children_user + os.times().children_system


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", INPUTS, ids=name_of)
def test_every_input_names_its_schema_and_fits_it(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    text = path.read_text(encoding="utf-8")
    schema = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert schema and (path.parent / schema[1]).resolve() == ROOT / "inputs/schema.json"
    jsonschema.validate(YAML(typ="safe").load(text), json.loads(json_schema()))


@pytest.mark.parametrize("path", TUTORIAL, ids=name_of)
def test_every_example_of_the_tutorial_is_sound(path: Path) -> None:
    """What --check does; their outputs are apart, and their moves are those that the page names."""
    rows = dict(plan_rows(*prepare(read_input(path)), 1))
    assert Path(rows["output"]).parent == ROOT / "outputs/tutorial"
    if "manganese" in path.name:
        assert "Mn2+→Mn3+ with Mn4+→Mn3+" in rows["neutral exchanges"]


@pytest.mark.validate
@pytest.mark.parametrize("path", [p for p in TUTORIAL if "ising" not in p.name], ids=name_of)
def test_every_example_of_the_tutorial_runs_in_its_time(path: Path, tmp_path: Path) -> None:
    """The first one is run by the tests of the API, which go on from it."""
    for name in ("structures", "tutorial", "nafepo4"):
        shutil.copytree(ROOT / "inputs" / name, tmp_path / "inputs" / name)
    before = children_s()
    command = [sys.executable, str(ROOT / "run.py"), str(tmp_path / "inputs/tutorial" / path.name)]
    subprocess.run(command, check=True, timeout=10 * MOST_S, env=environment())
    assert children_s() - before < MOST_S
    config = read_input(path).config
    results = redoxmc.open_results((tmp_path / "inputs/tutorial" / config.output).resolve())
    canonical = results["canonical"].to_dataset()
    assert np.isfinite(canonical["free_energy_eV"]).all()
    assert canonical["trusted"].sel(temperature_K=list(config.sampler.temperature_K[1:])).mean() > 0.8
    if "lifepo4" in path.name:
        split = canonical["entropy_electron_given_ion_kB"].sel(temperature_K=700, x=0.5)
        assert abs(split - 0.50) < 0.03  # docs/tutorial.md
    if "manganese" in path.name:
        at_one = canonical["entropy_electron_kB"].sel(x=1)
        assert abs(at_one.sel(temperature_K=300) - 0.70) < 0.03 and abs(at_one.sel(temperature_K=800) - 1.01) < 0.02


@pytest.mark.parametrize("code, ends, queued", [(75, 0, True), (0, 0, False), (2, 2, False)])
def test_the_slurm_script_queues_what_was_stopped(code: int, ends: int, queued: bool, tmp_path: Path) -> None:
    """With stand-ins for srun and scontrol."""
    script = ROOT / "inputs/cluster/slurm.sh"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/activate").touch()
    for name, body in (("srun", f'echo "$@" > {tmp_path}/said; exit {code}'), ("scontrol", f'echo "$@" > {tmp_path}/queued')):
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    env = environment(PATH=f"{tmp_path}/bin:{os.environ['PATH']}", REDOXMC_ENVIRONMENT=str(tmp_path), SLURM_JOB_ID="17")
    done = subprocess.run(["bash", str(script), "own.yaml"], env=env, check=False)
    assert done.returncode == ends and (tmp_path / "said").read_text().endswith("redoxmc own.yaml\n")
    assert (tmp_path / "queued").exists() == queued
    assert not queued or (tmp_path / "queued").read_text() == "requeue 17\n"
