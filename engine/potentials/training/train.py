"""Training of all potentials of an input, as a task farm."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from ...errors import RedoxError
from ...input.schema import TrainedPotentialInput, TrainingInput
from ...runtime.hashes import file_hash, fingerprint
from ...runtime.mpi import StopWatch
from ...runtime.storage import write_text
from ...runtime.task_farm import run_tasks
from ..architecture import architecture
from ..device import device
from ..labels import Labels
from ..network import Network
from ..weights import Weights, read_weights, write_weights
from .frames import Frames
from .loop import train_network
from .loss import reference_energies

log = logging.getLogger("redoxmc")


def train_all(
    given: TrainingInput, frames: Frames, labels: Labels, seed: int, folder: Path, resolve: Any, comm: Any, watch: StopWatch
) -> None:
    """Train all potentials that have no weights yet, one per rank at a time. Collective."""
    todo = [p for p in given.potentials if p.file is None]
    for entry in todo:
        architecture(entry.model).check_settings(entry, folder)
    torch.set_num_threads(1 if comm.size > 1 else torch.get_num_threads())

    def work(k: int) -> None:
        train(todo[k], frames, labels, seed, folder / todo[k].name, resolve, watch)

    run_tasks(len(todo), work, comm, watch, "training")


def weights_file(entry: TrainedPotentialInput, folder: Path, resolve: Any) -> Path:
    """File of the weights of an entry, existing or to be written."""
    return resolve(entry.file) if entry.file else folder / entry.name / f"{entry.name}.model"


def train(
    entry: TrainedPotentialInput, frames: Frames, labels: Labels, seed: int, folder: Path, resolve: Any, watch: StopWatch
) -> None:
    """Train one potential, or continue its training; the file of its weights is written at the end.

    Raises RedoxError if the folder holds a training of another input.
    """
    begin = file_hash(resolve(entry.start_from)) if entry.start_from else None
    mark = fingerprint(entry.model_dump(mode="json"), frames.mark, seed, begin)
    path, seal = folder / f"{entry.name}.model", folder / "train.mark"
    old = read_weights(path, entry.model) if path.exists() else None
    if old:
        begun = old.card.get("fingerprint")
    elif seal.exists():
        begun = seal.read_text()
    else:
        begun = None if folder.exists() and any(folder.iterdir()) else mark
    if begun != mark:
        raise RedoxError(f"{folder} contains a training of another input; remove that folder, or give the potential another name")
    if old:
        log.info("train: %s is already trained", entry.name)
        return
    training, validation = (frames.seen(part, labels, entry.charge_aware) for part in ("training", "validation"))
    symbols = sorted({s for f in training for s in f.get_chemical_symbols()})
    if unknown := sorted({s for f in validation for s in f.get_chemical_symbols()} - set(symbols)):
        raise RedoxError(
            f"training: {entry.name}: {', '.join(unknown)} occurs only in frames of validation; change the seed or the split"
        )
    write_text(seal, mark)
    card = {"fingerprint": mark, "training": entry.model_dump(mode="json"), "seed": seed, "frames": len(training),
            "configurations": len({f.info["config"] for f in training})}  # fmt: skip
    weights = _trained(entry, training, validation, labels, symbols, seed, folder, resolve, watch, card)
    if weights is not None:
        write_weights(path, weights)
        log.info("train: %s is trained", entry.name)


def _trained(
    entry: TrainedPotentialInput, training: list[Atoms], validation: list[Atoms], labels: Labels, symbols: list[str],
    seed: int, folder: Path, resolve: Any, watch: StopWatch, card: dict[str, Any],
) -> Weights | None:  # fmt: skip
    begin = resolve(entry.start_from) if entry.start_from else None
    if entry.model == "mace":
        from ..mace import checkpoint, weights_of
        from .mace import train_mace

        if begin:
            entry = entry.model_copy(update={"start_from": checkpoint(begin, folder / "start.model")})
        network = train_mace(training, validation, entry, seed, folder, watch.should_stop)
        return weights_of(network, entry.charge_aware, card) if network is not None else None
    torch.manual_seed(seed)
    start = read_weights(begin, entry.model) if begin else None
    if begin and start is None:
        raise RedoxError(f"training: {entry.name}: start_from: {begin} is not a file of weights of RedoxMC")
    net = architecture(entry.model).initial_network(entry, symbols, labels, start)
    net.to(device())  # type: ignore[attr-defined]
    _match_reference(net, training)
    finished = train_network(net, training, validation, entry, seed, folder, watch.should_stop)
    return net.weights(symbols, entry.charge_aware, card) if finished else None


def _match_reference(network: Network, frames: list[Atoms]) -> None:
    """Shift the reference energies of the network to the data, so that training starts close to them."""
    network.train(False)
    found = np.array([float(network(network.collate([network.graph(f)]))["energy"][0]) for f in frames])
    wanted = np.array([f.get_potential_energy() for f in frames])
    network.shift_reference(reference_energies(frames, wanted - found))
