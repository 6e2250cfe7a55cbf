"""Files of trained weights: tensors and plain values, which are read without running code."""

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import RedoxError
from ..runtime.storage import write_whole

FORMAT = "redoxmc-potential-1"


@dataclass(frozen=True)
class Weights:
    """A trained potential.

    symbols: chemical symbols that it knows, proxies included. settings: arguments that rebuild the network. state: its tensors.
    card: how it was trained.
    """

    model: str
    charge_aware: bool
    symbols: list[str]
    settings: dict[str, Any]
    state: dict[str, torch.Tensor]
    card: dict[str, Any]


def write_weights(path: Path, weights: Weights) -> None:
    """Write the weights to one file, completely or not at all."""
    write_whole(path, lambda p: torch.save({"format": FORMAT, **asdict(weights)}, p))


def read_weights(path: Path, model: str) -> Weights | None:
    """Weights of RedoxMC; None if the file is a checkpoint of another code.

    Raises RedoxError if the file is missing, damaged or of another model.
    """
    if not path.is_file():
        raise RedoxError(f"no such file: {path}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return None
    except Exception as error:  # torch raises whatever the zip or the pickle reader raises
        raise RedoxError(f"{path}: cannot be read: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    weights = Weights(**{k: v for k, v in found.items() if k != "format"})
    if weights.model != model:
        raise RedoxError(f"{path}: found weights of {weights.model}, but the input says {model}")
    return weights
