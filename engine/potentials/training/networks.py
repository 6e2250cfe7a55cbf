"""Training of cPaiNN and CHGNet: energies, forces, stresses, moments and Bader charges together, resumable, best epoch kept."""

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch.optim.swa_utils import AveragedModel

from ...errors import RedoxError
from ...input.schema import LossWeightsInput, TrainedPotentialInput
from ...runtime.storage import write_text, write_whole
from ...runtime.streams import Stream, generator
from ..network import Network

GRADIENT_LIMIT = 3.0
LAST_LEARNING_RATE = 0.01  # of the first
LATE = 4  # power of the spent share of the budget with which the last weights come in: forces are learnt first
MEMORY = 0.99  # of the running average of the weights, per step; energies jump with every step, the average does not


@dataclass(frozen=True)
class Target:
    """What the reference says of a frame; moments and bader (atoms,), NaN where unknown."""

    energy_eV: float
    forces: NDArray[np.float32]
    stress: NDArray[np.float32]
    moments: NDArray[np.float32]
    bader: NDArray[np.float32]


def target(frame: Atoms) -> Target:
    results = frame.calc.results if frame.calc is not None else {}
    unknown = np.full(len(frame), np.nan, np.float32)
    moments = results.get("magmoms")
    stress = frame.get_stress(voigt=False) if "stress" in results else np.full((3, 3), np.nan)
    return Target(
        frame.get_potential_energy(),
        frame.get_forces().astype(np.float32),
        stress.astype(np.float32),
        np.abs(moments).astype(np.float32) if moments is not None else unknown,
        np.asarray(frame.arrays.get("bader", unknown), np.float32),
    )


def reference_energies(frames: list[Atoms], residual_eV: NDArray[np.float64]) -> dict[str, float]:
    """Energy per symbol that explains most of `residual_eV` (frames,); least squares of least norm."""
    symbols = sorted({s for f in frames for s in f.get_chemical_symbols()})
    counts = np.array([[f.get_chemical_symbols().count(s) for s in symbols] for f in frames], float)
    energies: list[float] = np.linalg.lstsq(counts, residual_eV, rcond=1e-8)[0].tolist()
    return dict(zip(symbols, energies))


def loss_and_errors(
    found: dict[str, torch.Tensor], targets: list[Target], weights: LossWeightsInput
) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """The loss, and sums over the batch: |dE| per atom, frames, |dF|, components, |dS|, components."""
    dtype, device = found["energy"].dtype, found["energy"].device

    def tensor(values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values), dtype=dtype, device=device)

    sizes = tensor([len(t.forces) for t in targets])
    energy = (found["energy"] - tensor([t.energy_eV for t in targets])) / sizes
    forces = found["forces"] - tensor(np.concatenate([t.forces for t in targets]))
    stress = _known(found["stress"], tensor(np.stack([t.stress for t in targets])))
    loss = (
        weights.energy * energy.square().mean()
        + weights.forces * forces.square().mean()
        + weights.stress * stress.square().mean()
    )
    for key, values in (("moments", [t.moments for t in targets]), ("bader", [t.bader for t in targets])):
        if key in found:
            loss = (
                loss
                + weights.moments
                * _known(found[key].abs() if key == "moments" else found[key], tensor(np.concatenate(values))).square().mean()
            )
    sums = [part for v in (energy, forces, stress) for part in (float(v.detach().abs().sum()), v.numel())]
    return loss, np.array(sums, float)


def _known(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Differences where the reference is known; a zero if it is nowhere."""
    known = ~torch.isnan(wanted)
    return (found[known] - wanted[known]) if bool(known.any()) else torch.zeros(1, dtype=found.dtype, device=found.device)


def train_network(
    network: Network,
    training: list[Atoms],
    validation: list[Atoms],
    settings: TrainedPotentialInput,
    seed: int,
    folder: Path,
    stopped: Callable[[], bool],
) -> bool:
    """Train in place; the running average of the weights is kept at its best epoch by validation loss. Returns False if
    `stopped` said so before the end.

    State is kept in `folder`/checkpoint.pt after every epoch; an interrupted training goes on from there and, without a
    budget of minutes, ends with the same weights. `folder`/curve.csv is the learning curve.
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
        raise RedoxError(f"training: {settings.name}: the loss was never finite; lower learning_rate, or look at the data set")
    network.load_state_dict(state["best"])
    return True


def epoch_order(n_frames: int, settings: TrainedPotentialInput, seed: int, epoch: int) -> list[int]:
    """Frames of an epoch: the next stretch of an endless series of shuffled passes over all of them."""
    size = min(settings.epoch_frames or n_frames, n_frames)
    places = range(epoch * size, (epoch + 1) * size)
    passes = {p: generator(seed, Stream.TRAINING, p).permutation(n_frames) for p in {k // n_frames for k in places}}
    return [int(passes[k // n_frames][k % n_frames]) for k in places]


def _average(average: torch.Tensor, now: torch.Tensor, n: torch.Tensor | int) -> torch.Tensor:
    """Running average, over a tenth of the steps so far until that is as long as its memory."""
    memory = min(MEMORY, (1 + float(n)) / (10 + float(n)))
    return memory * average + (1 - memory) * now if now.is_floating_point() else now


def weights_at(progress: float, settings: TrainedPotentialInput) -> LossWeightsInput:
    """Weights of the loss when this share of the budget is spent."""
    first, last = settings.weights, settings.last_weights or settings.weights
    share = progress**LATE
    return LossWeightsInput(**{k: v + share * (getattr(last, k) - v) for k, v in first.model_dump().items()})


def _progress(state: dict[str, Any], settings: TrainedPotentialInput) -> float:
    """Share of the budget that is spent, epochs or time, whichever is further."""
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
    """One pass, with steps if there is an optimiser: mean loss; MAE of energy (eV/atom), forces (eV/A), stress (eV/A^3)."""
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
    return total / len(items), [float(sums[i] / max(sums[i + 1], 1)) for i in (0, 2, 4)]


CURVE_COLUMNS = (
    "epoch",
    "loss_training",
    "loss_validation",
    "energy_mae_eV_per_atom",
    "forces_mae_eV_per_A",
    "stress_mae_eV_per_A3",
)


def write_curve(path: Path, rows: list[list[float]]) -> None:
    lines = [",".join(CURVE_COLUMNS), *(",".join(f"{v:.6g}" for v in row) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def read_curve(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of a learning curve."""
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([float(r[name] or "nan") for r in rows]) for name in CURVE_COLUMNS}
