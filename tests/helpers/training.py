"""Small trainings: frames with known energies, a tiny cPaiNN, and an entry of the input for it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from mpi4py import MPI

from redoxmc.engine.input.schema import TrainedPotentialInput
from redoxmc.engine.potentials.cpainn import CPaiNNNetwork
from redoxmc.engine.potentials.cpainn_network import CPaiNN
from redoxmc.engine.potentials.training.frames import Frames
from redoxmc.engine.potentials.training.train import train
from redoxmc.engine.runtime.mpi import StopWatch

from ..helpers.paths import ROOT
from ..helpers.rock_salt import AWARE, LABELS, rock_salt

FRAMES = ROOT / "tests/data/frames.extxyz"
MOMENTS = {"Fe": 3.75, "Ga": 4.25}
TINY: dict[str, Any] = {"width": 8, "n_layers": 2, "cutoff_A": 3.5, "n_radial": 6}


def frame(seed: int, config: str = "") -> Atoms:
    """A cell with the forces of Lennard-Jones, moments by label, and 2 eV less for every Ga."""
    symbols = np.array("Na Fe Fe Ga".split())[np.random.default_rng(seed).permutation(4)]
    atoms = rock_salt(" ".join([*symbols, *"OOOO"]), seed)
    atoms.calc = LennardJones(sigma=1.9, epsilon=0.5, rc=4.0, smooth=True)
    results = {"energy": atoms.get_potential_energy() - 2, "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    results["magmoms"] = np.array([MOMENTS.get(s, 0.0) for s in atoms.symbols])
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info = {"config": config or f"c{seed}", "step": 0}
    return atoms


def entry(**given: Any) -> TrainedPotentialInput:
    return TrainedPotentialInput.model_validate({"name": "some", "model": "cpainn", "epochs": 6, "settings": TINY} | given)


def network() -> CPaiNNNetwork:
    torch.manual_seed(2)
    return CPaiNNNetwork(CPaiNN(AWARE, **TINY))


TRAINING, VALIDATION = [frame(k) for k in range(10)], [frame(k) for k in range(20, 24)]


def watch() -> StopWatch:
    return StopWatch(MPI.COMM_SELF, None)


def fit(folder: Path, training: list[Atoms] = TRAINING, validation: list[Atoms] = VALIDATION, **given: Any) -> Path:
    """Train one potential as the stage does; its weights."""
    train(entry(**given), Frames(training, validation, [], "mark"), LABELS, 4, folder, Path, watch())
    return folder / "some.model"
