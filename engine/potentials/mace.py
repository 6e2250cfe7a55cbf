"""MACE (Batatia et al., arXiv 2206.07697) through mace-torch; weights of RedoxMC hold its settings and tensors, no code."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols

from ..errors import RedoxError
from ..input.schema import TrainedPotentialInput
from ..runtime.storage import write_whole
from .device import device
from .mace_options import arguments
from .weights import Weights, read_weights


def calculator(weights: Weights | None, file: Path | None) -> Calculator:
    """The calculator with the given weights, or with a checkpoint of mace-torch.

    A checkpoint contains code; it is opened because the input names it. Raises RedoxError if it is not a MACE model.
    """
    if weights is None and file is None:
        raise RedoxError("potential: mace needs file, the file of its weights")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mace.calculators import MACECalculator

        try:
            network = build(weights) if weights else torch.load(str(file), map_location="cpu", weights_only=False)
        except Exception as error:  # unpickling raises anything
            raise RedoxError(f"{file}: not a MACE model: {type(error).__name__}: {error}") from None
        return MACECalculator(models=[network.double()], device=device(), default_dtype="float64")


def check_settings(entry: TrainedPotentialInput, folder: Path) -> None:
    """Raises RedoxError for an option that mace-torch does not know, or that other keys of the input set."""
    arguments(entry, 0, folder, entry.epochs)


def build(weights: Weights) -> torch.nn.Module:
    """MACE with the given weights."""
    import mace.modules as modules  # before e3nn: only then torch lets e3nn read its constants
    from e3nn import o3

    settings = dict(weights.settings)
    for key in ("hidden_irreps", "MLP_irreps"):
        settings[key] = o3.Irreps(settings[key])
    for key in ("interaction_cls", "interaction_cls_first"):
        settings[key] = modules.interaction_classes[settings[key]]
    settings["gate"] = modules.gate_dict[settings["gate"]]
    for key in ("atomic_energies", "atomic_inter_scale", "atomic_inter_shift"):
        settings[key] = np.array(settings[key])
    network = modules.ScaleShiftMACE(**settings)
    network.load_state_dict(weights.state)
    return network


def checkpoint(path: Path, copy: Path) -> Path:
    """A file that mace-torch can open: `path` itself, or `copy`, written here, if `path` holds weights of RedoxMC."""
    weights = read_weights(path, "mace")
    if weights is None:
        return path
    write_whole(copy, lambda p: torch.save(build(weights), p))
    return copy


def weights_of(network: torch.nn.Module, charge_aware: bool, card: dict[str, Any]) -> Weights:
    """The weights of a trained network. Raises RedoxError if its settings are not plain values."""
    from mace import modules
    from mace.tools.scripts_utils import extract_config_mace_model

    found = extract_config_mace_model(network)
    if "error" in found:
        raise RedoxError(f"MACE: {found['error']}")
    gates = {function: name for name, function in modules.gate_dict.items()}
    settings = {
        "r_max": float(found["r_max"]),
        "atomic_numbers": [int(z) for z in found["atomic_numbers"]],
        "gate": gates[found["gate"]],
        **{k: found[k].__name__ for k in ("interaction_cls", "interaction_cls_first")},
        **{k: str(found[k]) for k in ("hidden_irreps", "MLP_irreps")},
        **{k: np.asarray(found[k]).tolist() for k in ("atomic_energies", "atomic_inter_scale", "atomic_inter_shift")},
        **{
            k: _plain(found[k])
            for k in ("num_bessel", "num_polynomial_cutoff", "max_ell", "num_interactions", "num_elements", "avg_num_neighbors",
                      "correlation", "radial_type", "radial_MLP", "pair_repulsion", "distance_transform", "heads")
        },
    }  # fmt: skip
    symbols = [chemical_symbols[z] for z in settings["atomic_numbers"]]
    state = {k: v.detach().cpu() for k, v in network.state_dict().items()}
    return Weights("mace", charge_aware, symbols, settings, state, card)


def _plain(value: Any) -> Any:
    """The same numbers, texts and lists without types of numpy or torch."""
    if isinstance(value, (torch.Tensor, np.generic)):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
