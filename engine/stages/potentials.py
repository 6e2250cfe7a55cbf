"""The stages train, evaluate and label: from the input file to the work and back to files. All collective."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from ..hamiltonian.electrostatics import PointCharges
from ..hamiltonian.terms import Hamiltonian
from ..input.reader import InputFile
from ..input.schema import Config
from ..potentials.calculations import label_frames, read_calculations
from ..potentials.dataset import read_relaxed
from ..potentials.labelling.label import run_labelling
from ..potentials.labels import labels_of
from ..potentials.training.train import Frames, split, train_all, weights_file
from ..potentials.weights import read_weights
from ..runtime.hashes import file_hash, fingerprint
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.storage import write_text
from .evaluation.held_out import Candidate, run_evaluation
from .evaluation.reference import reference_cells
from .evaluation.report import write_evaluation
from .identity import fit_identity, learning_identity, potential_mark
from .prepare import Prepared

log = logging.getLogger("redoxmc")


@dataclass(frozen=True)
class Place:
    """What every rank needs to know: the input, where its files are, the folder of the output, the ions, what is typed in."""

    source: InputFile
    lattice: Lattice
    folder: Path
    ions: tuple[str, ...]
    typed: Hamiltonian
    charges: tuple[PointCharges, ...]

    @property
    def config(self) -> Config:
        return self.source.config


def place_of(prepared: Prepared, folder: Path) -> Place:
    return Place(prepared.source, prepared.lattice, folder, prepared.ions, prepared.typed, prepared.point_charges)


def labelled_frames(place: Place) -> Frames:
    """Frames of the training section, labelled and split; those refused are listed in refused_frames.txt."""
    given = place.config.training
    assert given is not None
    frames = [f for path in place.source.files(given.dataset) for f in read_calculations(path, every_step=True)]
    for f in frames:
        if f.calc is None or not {"energy", "forces"} <= set(f.calc.results):
            raise RedoxError(
                f"training: dataset: frame {f.info.get('config')} step {f.info.get('step')} has no energy or no forces"
            )
    labels = labels_of(place.lattice)
    labelled, refusals = label_frames(frames, labels)
    if refusals:
        write_text(place.folder / "refused_frames.txt", "\n".join(refusals) + "\n")
        log.info("train: %d of %d frames refused, listed with their moments in refused_frames.txt", len(refusals), len(frames))
    if not labelled:
        raise RedoxError(f"training: dataset: no frame has certain charges: {refusals[0]}")
    parts = split(labelled, given.split, place.config.seed, labels)
    log.info(
        "train: %d frames to train, %d to validate, %d held out", len(parts.training), len(parts.validation), len(parts.test)
    )
    return parts


def train_stage(place: Place, comm: Any, watch: StopWatch) -> None:
    """Train every potential of the training section that has no file."""
    given = place.config.training
    if given is None or all(p.file for p in given.potentials):
        return
    frames = bcast_from_root(comm, lambda: labelled_frames(place))
    folder = place.folder / "potentials"
    train_all(given, frames, labels_of(place.lattice), place.config.seed, folder, place.source.resolve, comm, watch)


def evaluate_stage(place: Place, comm: Any, watch: StopWatch) -> None:
    """Hold the potentials against held-out frames, prepared orders and the reference; print, plot and keep it."""
    config = place.config
    if config.evaluation is None:
        return
    frames, reference = None, []
    if comm.rank == 0:
        frames = labelled_frames(place) if config.training else None
        if config.evaluation.reference:
            cells, refusals = read_relaxed(place.source.files(config.evaluation.reference), place.lattice)
            reference = reference_cells(cells, place.lattice)
            log.info("evaluate: %d reference cells hold their charge order, %d do not", len(cells), len(refusals))
    frames, reference = comm.bcast((frames, reference))
    record = run_evaluation(config, place.lattice, _candidates(place), frames, reference, place.folder, comm, watch)
    if record is not None:
        write_evaluation(record, place.folder, config.title)


def _candidates(place: Place) -> list[Candidate]:
    config, folder = place.config, place.folder / "potentials"
    found = []
    for entry in config.training.potentials if config.training else ():
        path = weights_file(entry, folder, place.source.resolve)
        if not path.exists():
            raise RedoxError(f"{entry.name} is not trained yet; run without --only")
        if entry.file is None and read_weights(path, entry.model) is None:  # what no input names must not carry code
            raise RedoxError(f"{path}: not weights that this program wrote; delete it to train anew")
        found.append(Candidate(entry.name, entry.model, entry.charge_aware, path, potential_mark(place.source, entry, path), {}))
    if config.potential is not None:
        given = config.potential
        file = place.source.resolve(given.file) if given.file else None
        found.append(
            Candidate("potential", given.model, given.charge_aware, file, potential_mark(place.source, given), given.options)
        )
    return found


def label_stage(place: Place, comm: Any, watch: StopWatch) -> None:
    """Make the data set, unless the one that is there was made from this input."""
    config = place.config
    assert config.potential is not None
    if bcast_from_root(comm, lambda: labels_are_there(place)):
        return
    path = place.source.resolve(config.potential.file) if config.potential.file else None
    mark = potential_mark(place.source, config.potential)
    if config.label.learning is None:
        run_labelling(config, place.lattice, path, mark, place.folder, comm, watch)
    else:
        from .learning.loop import Learning, run_learning

        identity = bcast_from_root(comm, lambda: fingerprint(learning_identity(place.source)))
        terms = place.ions, place.typed, place.charges
        run_learning(Learning(config, place.lattice, *terms, path, mark, place.folder, identity), comm, watch)
    if comm.rank == 0:
        write_text(_seal(place), f"{fingerprint(fit_identity(place.source))} {file_hash(place.folder / 'labelled.extxyz')}")


def labels_are_there(place: Place) -> bool:
    """Whether labelled.extxyz was made from this input, and is as it was made."""
    made, seal = place.folder / "labelled.extxyz", _seal(place)
    if not (made.exists() and seal.exists()):
        return False
    mark, _, digest = seal.read_text(errors="replace").partition(" ")  # format 1 had no digest
    return mark == fingerprint(fit_identity(place.source)) and digest in ("", file_hash(made))


def _seal(place: Place) -> Path:
    return place.folder / "label.mark"
