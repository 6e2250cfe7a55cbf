"""The `train` stage: labelled frames, split by configuration, to potentials that see charges or elements only."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ...errors import RedoxError
from ...input.schema import SplitInput, TrainedPotentialInput, TrainingInput
from ...runtime.hashes import file_hash, fingerprint
from ...runtime.mpi import StopWatch
from ...runtime.storage import write_text
from ...runtime.task_farm import run_tasks
from ..labels import Labels
from ..network import CPaiNNNetwork, Network
from ..weights import Weights, read_weights, write_weights
from .networks import reference_energies, train_network

log = logging.getLogger("redoxmc")
CPAINN = {"width": 64, "n_layers": 3, "cutoff_A": 5.0, "n_radial": 16}


@dataclass(frozen=True)
class Frames:
    """Labelled frames by part; a configuration is in one part only. mark: hash of what they are."""

    training: list[Atoms]
    validation: list[Atoms]
    test: list[Atoms]
    mark: str

    def seen(self, part: str, labels: Labels, charge_aware: bool) -> list[Atoms]:
        """A part as a potential sees it, results attached."""
        frames: list[Atoms] = getattr(self, part)
        return frames if charge_aware else [_blind(f, labels) for f in frames]


def _blind(frame: Atoms, labels: Labels) -> Atoms:
    plain = labels.unlabelled(frame)
    plain.arrays |= {k: v for k, v in frame.arrays.items() if k == "bader"}
    plain.info = dict(frame.info)
    plain.calc = SinglePointCalculator(plain, **frame.calc.results)
    return plain


def split(frames: list[Atoms], shares: SplitInput, seed: int, labels: Labels) -> Frames:
    """Whole configurations to training, validation and test, by a hash of seed and name: more data moves none of them.

    Those in which every redox element has a single charge are the ends that formation energies refer to; an end has one
    configuration, and is always trained on. Validation has at least the configuration of the lowest hash. Raises RedoxError if nothing is left to train on.
    """
    names = {str(f.info["config"]) for f in frames}
    ends = {str(f.info["config"]) for f in frames if labels.single_valence(f)}
    place = {name: _place(name, seed) if name not in ends else 1.0 for name in names}
    bounds = (max(shares.validation, min(place.values())), shares.validation + shares.test)
    part = {n: "validation" if u <= bounds[0] else "test" if u < bounds[1] else "training" for n, u in place.items()}
    if "training" not in part.values() or names == ends:
        raise RedoxError(f"training: {len(place)} configurations are too few to split into training, validation and test")
    lists: dict[str, list[Atoms]] = {"training": [], "validation": [], "test": []}
    for f in frames:
        lists[part[str(f.info["config"])]].append(f)
    return Frames(**lists, mark=fingerprint([_frame_mark(f) for f in frames], shares.model_dump(), seed))


def _place(name: str, seed: int) -> float:
    """A number in [0, 1) that depends on seed and name alone."""
    return int(hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:12], 16) / 16**12


def _frame_mark(frame: Atoms) -> list[Any]:
    """All of a frame that training sees."""
    results = {k: np.asarray(v).round(8).tolist() for k, v in sorted(frame.calc.results.items())}
    bader = frame.arrays["bader"].tolist() if "bader" in frame.arrays else None
    return [str(frame.symbols), frame.positions.tolist(), np.asarray(frame.cell).tolist(), results, bader]


def train_all(
    given: TrainingInput, frames: Frames, labels: Labels, seed: int, folder: Path, resolve: Any, comm: Any, watch: StopWatch
) -> None:
    """Train what is not trained yet; one potential to a rank at a time. Collective."""
    todo = [p for p in given.potentials if p.file is None]
    for entry in todo:
        _check(entry, folder)
    torch.set_num_threads(1 if comm.size > 1 else torch.get_num_threads())

    def work(k: int) -> None:
        train(todo[k], frames, labels, seed, folder / todo[k].name, resolve, watch)

    run_tasks(len(todo), work, comm, watch, "training")


def weights_file(entry: TrainedPotentialInput, folder: Path, resolve: Any) -> Path:
    """Where the weights of an entry are, or will be."""
    return resolve(entry.file) if entry.file else folder / entry.name / f"{entry.name}.model"


def _check(entry: TrainedPotentialInput, folder: Path) -> None:
    """What can be wrong before anything is trained."""
    if entry.model == "mace":
        from .mace import arguments

        arguments(entry, 0, folder, entry.epochs)
    elif entry.model == "cpainn":
        if unknown := sorted(set(entry.settings) - set(CPAINN)):
            raise RedoxError(f"training: {entry.name}: settings: found {', '.join(unknown)}; allowed: {', '.join(CPAINN)}")
        for key, value in entry.settings.items():
            if isinstance(value, bool) or not isinstance(value, (type(CPAINN[key]), int)) or not 0 < value < 10_000:
                raise RedoxError(
                    f"training: {entry.name}: settings: {key}: found {value!r}; allowed: a positive {type(CPAINN[key]).__name__}"
                )
    elif entry.settings:
        raise RedoxError(f"training: {entry.name}: settings: chgnet keeps the network of its published weights; allowed: none")


def train(
    entry: TrainedPotentialInput, frames: Frames, labels: Labels, seed: int, folder: Path, resolve: Any, watch: StopWatch
) -> None:
    """Train one potential, or go on with it; its weights appear when it is finished."""
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
        raise RedoxError(f"{folder} holds a training of another input; remove that folder, or give the potential another name")
    if old:
        log.info("train: %s is trained already", entry.name)
        return
    training, validation = (frames.seen(part, labels, entry.charge_aware) for part in ("training", "validation"))
    symbols = sorted({s for f in training for s in f.get_chemical_symbols()})
    if strange := sorted({s for f in validation for s in f.get_chemical_symbols()} - set(symbols)):
        raise RedoxError(
            f"training: {entry.name}: only frames of the validation hold {', '.join(strange)}; change the seed or split"
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
    net = _network(entry, symbols, labels, begin)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)  # type: ignore[attr-defined]
    _match_reference(net, training)
    finished = train_network(net, training, validation, entry, seed, folder, watch.should_stop)
    return net.weights(symbols, entry.charge_aware, card) if finished else None


def _network(entry: TrainedPotentialInput, symbols: list[str], labels: Labels, begin: Path | None) -> Network:
    weights = read_weights(begin, entry.model) if begin else None
    if begin and weights is None:
        raise RedoxError(f"training: {entry.name}: start_from: {begin} is not a file of ours")
    if entry.model == "chgnet":
        from ..chgnet import CHGNetNetwork, adopt_proxies, build, published

        network = build(weights) if weights else published()
        if not weights and entry.charge_aware:
            adopt_proxies(network, labels)
        return CHGNetNetwork(network)
    from ..cpainn import CPaiNN

    if weights and (strange := sorted(set(symbols) - set(weights.symbols))):
        raise RedoxError(f"training: {entry.name}: start_from: {begin} does not know {', '.join(strange)}")
    network = CPaiNN(weights.symbols, **weights.settings) if weights else CPaiNN(symbols, **(CPAINN | entry.settings))
    if weights:
        network.load_state_dict(weights.state)
    return CPaiNNNetwork(network)


def _match_reference(network: Network, frames: list[Atoms]) -> None:
    """Take out what the composition explains, so that the network starts near the data."""
    network.train(False)
    found = np.array([float(network(network.collate([network.graph(f)]))["energy"][0]) for f in frames])
    wanted = np.array([f.get_potential_energy() for f in frames])
    network.shift_reference(reference_energies(frames, wanted - found))
