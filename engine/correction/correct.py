"""The small cell in which the potential itself is sampled: what its samples depend on, and the files that hold them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..crystal.neutral_states import neutral_states
from ..errors import RedoxError
from ..input.checks.sampling import MOST_ENUMERATED
from ..input.schema import CorrectionInput, RelaxationInput
from ..potentials.labelling.configurations import Configuration, enumerate_configurations
from ..potentials.labelling.relaxations import Relaxations
from ..potentials.labels import labels_of
from ..potentials.potential import LabelledCalculator
from ..potentials.specification import PotentialSpec
from ..runtime.hashes import fingerprint
from ..runtime.storage import read_h5, remove_partial
from ..sampling.chains.system import System
from ..units import inverse_temperature
from .energies import Energies
from .methods import SAMPLED, Method
from .walker import Walk, walk_of

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """One walker of a method at a temperature."""

    method: Method
    rung: int
    walker: int


@dataclass(frozen=True)
class Correction:
    """The small cell in which the potential is sampled. The same on every rank.

    given: the section `correction` of the input. relaxation: the section of that name. folder: the output folder.
    system: the cluster expansion in the small cell.
    """

    given: CorrectionInput
    potential: PotentialSpec
    relaxation: RelaxationInput
    temperatures_K: tuple[float, ...]
    seed: int
    folder: Path
    system: System

    @property
    def beta_per_neV(self) -> Float:
        """(rungs,), in the order of the temperatures."""
        return np.array([inverse_temperature(t) for t in self.temperatures_K])

    @property
    def relaxations(self) -> Relaxations:
        """The relaxations by the potential, kept on disk; without relaxation of the cell if static energies are asked for."""
        settings = self.relaxation if self.given.relaxed else self.relaxation.model_copy(update={"steps": 0})
        return Relaxations(self.folder / "relaxations", self.system.lattice, settings, self.potential.mark)

    @cached_property
    def identity(self) -> str:
        """A hash of all that the walks depend on."""
        table = [part.tobytes().hex() if isinstance(part, np.ndarray) else part for part in self.system.couplings]
        given = self.given.model_dump(mode="json", exclude={"methods"})
        store = self.relaxations
        return fingerprint(
            given,
            self.temperatures_K,
            self.seed,
            self.potential.mark,
            store.settings.model_dump(mode="json"),
            table,
            str(self.system.mix),
        )

    @property
    def walks_folder(self) -> Path:
        return self.folder / "correction" / self.identity

    def path(self, task: Task) -> Path:
        return self.walks_folder / f"{task.method}_{task.rung:02d}_{task.walker:02d}.h5"

    def tuned(self, method: Method, rung: int) -> Path:
        """The file of the weights and the length of proposals that all walkers of a temperature use."""
        return self.walks_folder / f"{method}_{rung:02d}_tuned.h5"

    @property
    def tasks(self) -> list[Task]:
        """All walkers that the input asks for."""
        return [
            Task(method, rung, walker)
            for method in SAMPLED
            if method in self.given.methods
            for rung in range(len(self.temperatures_K))
            for walker in range(self.given.walkers)
        ]

    def missing(self) -> list[Task]:
        """Walkers whose files are not there yet. Removes the temporary files that a killed run left."""
        for folder in (self.walks_folder, self.relaxations.folder):
            remove_partial(folder)
        return [task for task in self.tasks if not self.path(task).exists()]

    @property
    def all_states(self) -> list[Configuration]:
        """The symmetry-distinct states of the small cell."""
        found = enumerate_configurations(self.system.lattice, self.system.supercell.matrix, MOST_ENUMERATED)
        assert found is not None
        return found

    @property
    def is_sampled(self) -> bool:
        """Whether everything that the results are made of is on disk."""
        states = self.all_states if Method.ENUMERATED in self.given.methods else []
        return all(self.path(t).exists() for t in self.tasks) and all(self.relaxations.path(c).exists() for c in states)

    def walks(self, method: Method, rung: int) -> list[Walk]:
        """Raises RedoxError if a file is damaged or not there yet."""
        paths = [self.path(Task(method, rung, w)) for w in range(self.given.walkers)]
        if not all(path.exists() for path in paths):
            raise RedoxError("the potential has not been sampled for this input yet; run without --only")
        return [walk_of(read_h5(path)[0]) for path in paths]


class LazyPotential:
    """The potential, loaded when it is first called: if all energies are on disk it is not loaded."""

    def __init__(self, correction: Correction) -> None:
        self.correction = correction
        self.loaded: LabelledCalculator | None = None

    def __call__(self) -> LabelledCalculator:
        if self.loaded is None:
            import torch

            torch.set_num_threads(1)
            self.loaded = self.correction.potential.load(labels_of(self.correction.system.lattice))
        return self.loaded


def all_energies(correction: Correction, energies: Energies) -> list[Float]:
    """Energies (eV of the cell) of all neutral states, one array for each count of the ion."""
    system = correction.system
    counts, _ = system.neutral_counts
    return [np.array([energies(s) for s in neutral_states(system.supercell, system.ion, int(n))]) for n in counts]
