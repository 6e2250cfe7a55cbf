"""The train stage: potentials/NAME/NAME.model for every potential of the training section that has no file.

What a potential was trained on is checked, and kept, beside its weights. Torch is imported where the stage begins.
"""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import RedoxError
from ..potentials.calculations import Calculation, label_calculation, other_energy_keys, read_all
from ..potentials.labels import labels_of
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.storage import write_text
from .shared.run import Run

if TYPE_CHECKING:
    from ..potentials.training.frames import Frames

log = logging.getLogger("redoxmc")


def run(run: Run, comm: Any, watch: StopWatch) -> None:
    """Train what is not trained yet. Collective; raises Interrupted: finished epochs are kept."""
    given = run.config.training
    if given is None or not run.options.includes("train") or all(p.file for p in given.potentials):
        return
    from ..potentials.training.train import train_all

    frames = bcast_from_root(comm, lambda: labelled_frames(run))
    train_all(given, frames, labels_of(run.lattice), run.config.seed, run.output.potentials, run.source.resolve, comm, watch)


def labelled_frames(run: Run) -> "Frames":
    """Frames of the training section, labelled and split. Refused ones are listed in refused_frames.txt.

    Raises RedoxError if no frame can be used.
    """
    from ..potentials.training.frames import split

    given = run.config.training
    assert given is not None
    calculations = read_all(run.source.files(given.dataset), every_step=True)
    labels = labels_of(run.lattice)
    found = [label_calculation(c, labels) for c in map(_with_forces, calculations)]
    for text in other_energy_keys([c for c in calculations if c.left_out is None]):
        log.info("train: %s", text)
    labelled = [f.atoms for f in found if f.atoms is not None]
    refusals = [f"{f.calculation.described}: {f.left_out}" for f in found if f.left_out]
    if refusals:
        write_text(run.output.refused_frames, "\n".join(refusals) + "\n")
        log.info("train: %d of %d frames left out, listed with the reason in refused_frames.txt", len(refusals), len(found))
    if not labelled:
        raise RedoxError(f"training: dataset: no frame can be used: {refusals[0] if refusals else 'the files are empty'}")
    parts = split(labelled, given.split, run.config.seed, labels)
    log.info(
        "train: %d frames to train, %d to validate, %d held out", len(parts.training), len(parts.validation), len(parts.test)
    )
    if not any("stress" in f.calc.results for f in parts.training):
        log.info("train: no frame to train has a stress or a virial: relaxed cells will follow stresses that nothing has tested")
    return parts


def _with_forces(calculation: Calculation) -> Calculation:
    """The calculation, left out if it has no forces."""
    known = calculation.left_out or calculation.atoms is None or "forces" in calculation.atoms.calc.results
    return calculation if known else replace(calculation, left_out="no forces")
