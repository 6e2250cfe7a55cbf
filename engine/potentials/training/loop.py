"""Training loop of cPaiNN and CHGNet, which can be interrupted and resumed; the best epoch is kept."""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from torch.optim.swa_utils import AveragedModel

from ...errors import RedoxError
from ...input.schema import LossWeightsInput, TrainedPotentialInput
from ...runtime.storage import write_whole
from ...runtime.streams import Stream, generator
from ..network import Network
from .curve import write_curve
from .loss import loss_and_errors, target

GRADIENT_LIMIT = 3.0
LAST_LEARNING_RATE = 0.01  # relative to the first
LATE = 4  # power of the spent share of the budget: the last weights come in late, so that forces are learnt first
MEMORY = 0.99  # per step, of the running average of the weights, which is smoother than the weights


def train_network(
    network: Network,
    training: list[Atoms],
    validation: list[Atoms],
    settings: TrainedPotentialInput,
    seed: int,
    folder: Path,
    stopped: Callable[[], bool],
) -> bool:
    """Train a network in place; at the end it has the running average of the weights at the epoch of lowest validation loss.

    The state is written to `folder`/checkpoint.pt after every epoch. An interrupted training continues from there and, without
    a budget of minutes, ends with the same weights. `folder`/curve.csv is the learning curve. Returns False if `stopped`
    returned True before the end. Raises RedoxError if the loss was never finite.
    """
    sets = [[(network.graph(f), target(f)) for f in frames] for frames in (training, validation)]
    average = AveragedModel(network, avg_fn=_average, use_buffers=True)
    groups = [{"params": parameters, "pace": pace} for pace, parameters in network.paces()]
    optimiser = torch.optim.Adam(groups, lr=settings.learning_rate, amsgrad=True)
    state: dict[str, Any] = {"epoch": 0, "seconds": 0.0, "best_loss": math.inf, "best": None, "curve": []}
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
    while (progress := _progress(state, settings)) < 1.0:
        if stopped():
            return False
        begin = time.monotonic()
        for group in optimiser.param_groups:
            cosine = LAST_LEARNING_RATE + (1 - LAST_LEARNING_RATE) * (1 + math.cos(math.pi * progress)) / 2
            group["lr"] = settings.learning_rate * group["pace"] * cosine
        items = [sets[0][k] for k in epoch_order(len(sets[0]), settings, seed, state["epoch"])]
        loss = _epoch(network, items, settings.batch_size, weights_at(progress, settings), optimiser, average)[0]
        validation_loss, maes = _epoch(cast(Network, average.module), sets[1], settings.batch_size, weights_at(1.0, settings))
        state["epoch"] += 1
        state["seconds"] += time.monotonic() - begin
        state["curve"].append([state["epoch"], loss, validation_loss, *maes])
        if validation_loss < state["best_loss"]:
            state["best_loss"] = validation_loss
            state["best"] = {k: v.detach().cpu().clone() for k, v in average.module.state_dict().items()}
        state |= {"average": average.state_dict(), "network": network.state_dict(), "optimiser": optimiser.state_dict()}
        write_whole(checkpoint, partial(torch.save, state))
        write_curve(folder / "curve.csv", state["curve"])
    if state["best"] is None:
        raise RedoxError(f"training: {settings.name}: the loss was never finite; lower learning_rate, or check the data set")
    network.load_state_dict(state["best"])
    return True


def epoch_order(n_frames: int, settings: TrainedPotentialInput, seed: int, epoch: int) -> list[int]:
    """Frames of an epoch: the next part of an endless series of shuffled passes over all frames."""
    size = min(settings.epoch_frames or n_frames, n_frames)
    places = range(epoch * size, (epoch + 1) * size)
    passes = {p: generator(seed, Stream.TRAINING, p).permutation(n_frames) for p in {k // n_frames for k in places}}
    return [int(passes[k // n_frames][k % n_frames]) for k in places]


def _average(average: torch.Tensor, now: torch.Tensor, n: torch.Tensor | int) -> torch.Tensor:
    """Running average over a tenth of the steps so far, at most over 1 / (1 - MEMORY) steps."""
    memory = min(MEMORY, (1 + float(n)) / (10 + float(n)))
    return memory * average + (1 - memory) * now if now.is_floating_point() else now


def weights_at(progress: float, settings: TrainedPotentialInput) -> LossWeightsInput:
    """Weights of the loss at this share of the budget."""
    first, last = settings.weights, settings.last_weights or settings.weights
    share = progress**LATE
    return LossWeightsInput(**{k: v + share * (getattr(last, k) - v) for k, v in first.model_dump().items()})


def _progress(state: dict[str, Any], settings: TrainedPotentialInput) -> float:
    """Spent share of the budget: of epochs or of time, whichever is larger."""
    by_time = state["seconds"] / (60 * settings.minutes) if settings.minutes else 0.0
    return max(state["epoch"] / settings.epochs, by_time)


def _epoch(
    network: Network,
    items: list[Any],
    batch_size: int,
    weights: LossWeightsInput,
    optimiser: torch.optim.Optimizer | None = None,
    average: AveragedModel | None = None,
) -> tuple[float, list[float]]:
    """One pass over the frames, with optimisation steps if there is an optimiser.

    Returns the mean loss, and the MAE of energy (eV/atom), forces (eV/A) and stress (eV/A^3), nan where no frame has it.
    """
    network.train(optimiser is not None)
    total, sums = 0.0, np.zeros(6)
    for k in range(0, len(items), batch_size):
        graphs, targets = zip(*items[k : k + batch_size])
        loss, found = loss_and_errors(network(network.collate(list(graphs))), list(targets), weights)
        total += float(loss.detach()) * len(targets)
        sums += found
        if optimiser is not None:
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
            optimiser.step()
        if average is not None:
            average.update_parameters(network)
    return total / len(items), [float(sums[i] / sums[i + 1]) if sums[i + 1] else math.nan for i in (0, 2, 4)]
