"""Training of MACE by the command of mace-torch, in a separate process that resumes from its checkpoints."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import write

from ...crystal.lattice import bare_copy
from ...errors import RedoxError
from ...input.schema import TrainedPotentialInput
from ...runtime.storage import write_whole
from ..mace_options import arguments
from .curve import write_curve

POLL_S = 0.5


def train_mace(
    training: list[Atoms],
    validation: list[Atoms],
    settings: TrainedPotentialInput,
    seed: int,
    folder: Path,
    stopped: Callable[[], bool],
) -> torch.nn.Module | None:
    """The trained network, or None if `stopped` returned True before the end. Raises RedoxError if the command fails."""
    if len(training) < settings.batch_size:  # mace-torch drops incomplete batches
        raise RedoxError(
            f"training: {settings.name}: found {len(training)} frames to train; "
            f"allowed: at least batch_size, {settings.batch_size}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in (("training", training), ("validation", validation)):
        if not (folder / f"{name}.xyz").exists():
            _write_frames(folder / f"{name}.xyz", frames)
    results = folder / "results" / f"mace_run-{seed}_train.txt"
    if not run_command(arguments(settings, seed, folder, settings.epochs), folder, settings, results, stopped):
        return None
    write_curve(folder / "curve.csv", curve(results))
    final = folder / ("mace_stagetwo.model" if "start_stage_two" in settings.settings else "mace.model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(final, map_location="cpu", weights_only=False)  # written by the process that has just ended


def run_command(
    words: list[str], folder: Path, settings: TrainedPotentialInput, results: Path, stopped: Callable[[], bool]
) -> bool:
    """Run mace_run_train; False if stopped before the end.

    When the minutes are spent, it is started again from its checkpoint with the finished epochs, which ends the training.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "HYDRA", "MPI", "OMPI", "SLURM"))}
    environment |= {"PYTHONWARNINGS": "ignore", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    begin = time.monotonic()
    with open(folder / "mace.log", "a") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mace.cli.run_train", *words], stdout=said, stderr=said, env=environment
        )
        try:
            while process.poll() is None:
                time.sleep(POLL_S)
                late = settings.minutes is not None and time.monotonic() - begin > 60 * settings.minutes
                if stopped() or late:
                    process.send_signal(signal.SIGTERM)
                    process.wait()
                    if not late:
                        return False
                    done = int(max([1.0, *(row[0] for row in (curve(results) if results.exists() else []))]))
                    shorter = [str(done) if before == "--max_num_epochs" else word for before, word in zip(["", *words], words)]
                    return run_command(shorter, folder, settings.model_copy(update={"minutes": None}), results, stopped)
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode:
        last = (folder / "mace.log").read_text().strip().splitlines()[-1]
        raise RedoxError(f"training: {settings.name}: mace_run_train failed: {last} (full log: {folder / 'mace.log'})")
    return True


def curve(results: Path) -> list[list[float]]:
    """Rows of the learning curve from the record of mace-torch; of epochs that were run twice the last run counts."""
    losses: dict[int, list[float]] = {}
    rows: dict[int, list[float]] = {}
    for line in results.read_text().splitlines():
        record = json.loads(line)
        epoch = record.get("epoch")
        if epoch is None:
            continue
        if record["mode"] == "opt":
            losses.setdefault(epoch, []).append(record["loss"])
        else:
            loss = float(np.mean(losses.pop(epoch, [np.nan])))
            maes = [record["mae_e_per_atom"], record["mae_f"], record.get("mae_stress", np.nan)]  # no stress in the data, no MAE
            rows[epoch + 1] = [epoch + 1, loss, record["loss"], *maes]
    return [rows[e] for e in sorted(rows)]


def _write_frames(path: Path, frames: list[Atoms]) -> None:
    """Write frames with the keys that mace-torch reads."""
    plain = []
    for frame in frames:
        copy = bare_copy(frame)
        copy.info = {"REF_energy": frame.get_potential_energy()}
        if "stress" in frame.calc.results:
            copy.info["REF_stress"] = frame.get_stress(voigt=False)
        copy.arrays["REF_forces"] = frame.get_forces()
        plain.append(copy)
    write_whole(path, lambda p: write(p, plain, format="extxyz"))
