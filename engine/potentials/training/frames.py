"""Labelled frames of a training, split by configuration."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ...errors import RedoxError
from ...input.schema import SplitInput
from ...runtime.hashes import fingerprint
from ..labels import Labels


@dataclass(frozen=True)
class Frames:
    """Labelled frames of the three parts of a split; each configuration belongs to one part. mark: hash of all frames."""

    training: list[Atoms]
    validation: list[Atoms]
    test: list[Atoms]
    mark: str

    def seen(self, part: str, labels: Labels, charge_aware: bool) -> list[Atoms]:
        """The frames of a part as a potential sees them, with results: with proxies, or with real elements only."""
        frames: list[Atoms] = getattr(self, part)
        return frames if charge_aware else [_blind(f, labels) for f in frames]


def _blind(frame: Atoms, labels: Labels) -> Atoms:
    plain = labels.unlabelled(frame)
    plain.arrays |= {k: v for k, v in frame.arrays.items() if k == "bader"}
    plain.info = dict(frame.info)
    plain.calc = SinglePointCalculator(plain, **frame.calc.results)
    return plain


def split(frames: list[Atoms], shares: SplitInput, seed: int, labels: Labels) -> Frames:
    """Split whole configurations into training, validation and test by a hash of seed and name, so that more data moves none.

    Configurations in which every redox element has a single charge are the ends to which formation energies refer; they are
    always in training. Validation contains at least the configuration with the lowest hash. Raises RedoxError if no
    configuration is left for training.
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
    """A number in [0, 1) that depends only on seed and name."""
    return int(hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:12], 16) / 16**12


def _frame_mark(frame: Atoms) -> list[Any]:
    """Everything in a frame that training uses."""
    results = {k: np.asarray(v).round(8).tolist() for k, v in sorted(frame.calc.results.items())}
    bader = frame.arrays["bader"].tolist() if "bader" in frame.arrays else None
    return [str(frame.symbols), frame.positions.tolist(), np.asarray(frame.cell).tolist(), results, bader]
