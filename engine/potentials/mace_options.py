"""Options of mace_run_train, the training command of mace-torch."""

import contextlib
import io
from pathlib import Path
from typing import Any

from ..errors import RedoxError
from ..input.schema import TrainedPotentialInput
from .device import device

OWNED = frozenset({
    "name", "train_file", "valid_file", "test_file", "work_dir", "seed", "device", "energy_key", "forces_key", "stress_key",
    "batch_size", "valid_batch_size", "max_num_epochs", "lr", "energy_weight", "forces_weight", "stress_weight",
    "foundation_model", "restart_latest", "loss", "compute_stress", "log_dir", "model_dir", "checkpoints_dir", "results_dir",
    "downloads_dir", "wandb_dir", "config",
})  # fmt: skip
NETWORK = {
    "r_max": 4.5, "hidden_irreps": "32x0e + 32x1o", "max_ell": 2, "correlation": 2, "E0s": "average", "default_dtype": "float32",
    "ema": True, "ema_decay": 0.99, "eval_interval": 1,
}  # fmt: skip


def arguments(settings: TrainedPotentialInput, seed: int, folder: Path, epochs: int) -> list[str]:
    """Arguments of mace_run_train. Raises RedoxError for an unknown option, or one that other keys of the input set."""
    if owned := sorted(OWNED & set(settings.settings)):
        raise RedoxError(
            f"training: {settings.name}: settings: found {', '.join(owned)}; allowed: options that no other key of the input sets"
        )
    if settings.last_weights:
        raise RedoxError(
            f"training: {settings.name}: found last_weights; allowed for mace: stage_two and its weights, in settings"
        )
    w = settings.weights
    options: dict[str, Any] = {
        **NETWORK,
        **settings.settings,
        "name": "mace",
        "train_file": folder / "training.xyz",
        "valid_file": folder / "validation.xyz",
        "work_dir": folder,
        "seed": seed,
        "device": device(),
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "stress_key": "REF_stress",
        "loss": "stress",
        "compute_stress": True,
        "batch_size": settings.batch_size,
        "valid_batch_size": settings.batch_size,
        "max_num_epochs": epochs,
        "lr": settings.learning_rate,
        "energy_weight": w.energy,
        "forces_weight": w.forces,
        "stress_weight": w.stress,
        "restart_latest": True,
    }
    if settings.start_from:
        options |= {"foundation_model": settings.start_from, "multiheads_finetuning": False}
    flags = {"restart_latest", "ema", "stage_two", "amsgrad", "save_cpu", "keep_checkpoints"}
    words: list[str] = []
    for key, value in options.items():
        words += ([f"--{key}"] if value else []) if key in flags else [f"--{key}", str(value)]
    _check(words, settings.name)
    return words


def _check(words: list[str], name: str) -> None:
    from mace.tools import build_default_arg_parser

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            build_default_arg_parser().parse_args(words)
    except SystemExit:
        raise RedoxError(f"training: {name}: settings: {said.getvalue().strip().splitlines()[-1]}") from None
