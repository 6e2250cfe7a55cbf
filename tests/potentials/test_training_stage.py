"""Training from an input file, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ase.io import read, write
from mpi4py import MPI

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import TrainingInput
from redoxmc.engine.potentials.training.curve import read_curve
from redoxmc.engine.potentials.training.frames import Frames
from redoxmc.engine.potentials.training.train import train_all
from redoxmc.engine.potentials.weights import read_weights
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.train import labelled_frames

from ..helpers.command import run
from ..helpers.paths import ROOT
from ..helpers.rock_salt import LABELS
from ..helpers.training import FRAMES, TRAINING, VALIDATION, entry, watch

STAGE = f"""\
title: training only
seed: 1
output: out
lattice:
  structure: {ROOT}/inputs/structures/NaFePO4.cif
  sublattices:
    - {{element: Na, species: {{Na+: 1, Va: 0}}}}
    - {{element: Fe, species: {{Fe2+: 2, Fe3+: {{charge: 3, proxy: Ga}}}}}}
  spectators: {{P: 5, O: -2}}
training:
  dataset: DATASET
  potentials:
    - {{name: tiny, model: cpainn, epochs: 2, settings: {{width: 8, n_layers: 1, cutoff_A: 3.5, n_radial: 4}}}}
"""


def stage_input(folder: Path, dataset: Path = FRAMES, extra: str = "") -> Path:
    path = folder / "input.yaml"
    path.write_text(STAGE.replace("DATASET", str(dataset)) + extra)
    return path


@pytest.mark.runs
def test_stage_from_an_input_file(tmp_path: Path) -> None:
    path = stage_input(tmp_path)
    first = run(path)
    assert first.returncode == 0, first.stderr
    model = tmp_path / "out/potentials/tiny/tiny.model"
    assert read_weights(model, "cpainn") is not None
    assert len(read_curve(model.parent / "curve.csv")["epoch"]) == 2
    refused = (tmp_path / "out/refused_frames.txt").read_text().splitlines()
    assert len(refused) == 3 and all(line.startswith("config ") and "muB" in line for line in refused)
    assert "3 of 12 frames left out" in first.stderr
    written = model.stat().st_mtime_ns
    second = run(path)
    assert second.returncode == 0 and "tiny is already trained" in second.stderr
    assert model.stat().st_mtime_ns == written


MORE = """\
    - {name: blind, model: cpainn, charge_aware: false, epochs: 2, settings: {width: 8, n_layers: 1, cutoff_A: 3.5, n_radial: 4}}
    - {name: other, model: mace, epochs: 1, settings: {r_max: 3.5, hidden_irreps: 8x0e, max_ell: 1, correlation: 1,
       num_interactions: 1, num_radial_basis: 4}}
"""


@pytest.mark.runs
def test_ranks_share_the_potentials_and_change_nothing(tmp_path: Path) -> None:
    """Three trainings on one rank and on two: the same weights, bit for bit."""
    found = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        done = run(stage_input(folder, extra=MORE), ranks)
        assert done.returncode == 0, done.stderr
        files = {n: folder / f"out/potentials/{n}/{n}.model" for n in ("tiny", "blind", "other")}
        found.append({n: read_weights(f, "mace" if n == "other" else "cpainn") for n, f in files.items()})
    for name, alone in found[0].items():
        shared = found[1][name]
        assert alone is not None and alone.state and shared is not None
        assert all(torch.equal(value, shared.state[key]) for key, value in alone.state.items()), name


@pytest.mark.parametrize(
    "given, message",
    [
        ({"settings": {"widht": 8}}, "bad: settings: found widht; allowed: width, n_layers, cutoff_A, n_radial"),
        ({"model": "chgnet", "settings": {"width": 8}}, "bad: settings: found width; allowed: none, since chgnet"),
        ({"model": "mace", "settings": {"colour": 8}}, "bad: settings: .*colour"),
    ],
)
def test_unknown_settings_are_refused_before_training(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    entries = (entry(epochs=1), entry(**{"name": "bad"} | given))
    frames = Frames(TRAINING, VALIDATION, [], "mark")
    with pytest.raises(RedoxError, match=message):
        train_all(TrainingInput(dataset=("none",), potentials=entries), frames, LABELS, 0, tmp_path, Path, MPI.COMM_SELF, watch())
    assert not list(tmp_path.iterdir()), "nothing was begun"


def test_frames_without_forces_are_left_out(tmp_path: Path) -> None:
    frames: Any = read(FRAMES, ":")
    frames[4].calc.results.pop("forces")
    write(tmp_path / "frames.extxyz", frames)
    source = read_input(stage_input(tmp_path, tmp_path / "frames.extxyz"))
    run, _ = prepare(source)
    run.output.folder.mkdir(parents=True)
    parts = labelled_frames(run)
    kept = [f.info for part in (parts.training, parts.validation, parts.test) for f in part]
    lines = run.output.refused_frames.read_text().splitlines()
    (line,) = [line for line in lines if "no forces" in line]
    assert line.startswith(f"config {frames[4].info['config']} step {frames[4].info['step']} (") and line.endswith(
        "frame 5): no forces"
    )
    assert len(kept) == 12 - len(lines) and frames[4].info not in kept
    for frame in frames:
        frame.calc.results.pop("forces", None)
    write(tmp_path / "frames.extxyz", frames)
    with pytest.raises(RedoxError, match="no frame can be used: config .*: no forces"):
        labelled_frames(run)
