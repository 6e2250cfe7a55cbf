"""The rounds of learning: where each is kept, how it is sampled, and its Hamiltonian."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from icet import ClusterExpansion, ClusterSpace
from numpy.typing import NDArray

from ...errors import RedoxError
from ...hamiltonian.clusters import cluster_space, from_icet
from ...input.schema import ClusterExpansionInput, Config, LearningInput, supercell_matrix
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_json
from ...sampling.chains.system import System, build_system
from ...sampling.ground_states.electron_ground_state import HamiltonianOf
from ..shared.cells import hamiltonian_of
from ..shared.run import Run


@dataclass(frozen=True)
class Rounds:
    """The rounds of one run. The same on every rank."""

    run: Run

    @property
    def given(self) -> LearningInput:
        assert self.run.config.label.learning is not None
        return self.run.config.label.learning

    @property
    def expansion_input(self) -> ClusterExpansionInput:
        energy = self.run.config.energy
        assert energy is not None and energy.cluster_expansion is not None
        return energy.cluster_expansion

    @property
    def sampled(self) -> Config:
        """The input with the number of sweeps that a round has."""
        sampler = self.run.config.sampler
        measure = self.given.sweeps or sampler.sweeps.measure
        sweeps = sampler.sweeps.model_copy(update={"measure": measure})
        return self.run.config.model_copy(update={"sampling": sampler.model_copy(update={"sweeps": sweeps})})

    @property
    def matrix(self) -> NDArray[np.int64]:
        """Matrix of the supercell that a round samples, (3, 3)."""
        shape = self.given.supercell
        return supercell_matrix(shape) if shape else self.run.matrix

    @property
    def folder(self) -> Path:
        return self.run.output.folder / "rounds"

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return self.folder / f"round_{number:02d}"

    def record(self, number: int) -> Path:
        """File of what a round found and chose. It is written last, so a round that has it is finished."""
        return self.round(number) / "round.json"

    def samples(self, number: int) -> SampleStore:
        return SampleStore(self.round(number) / "samples")

    def parameters(self, number: int) -> Path:
        return self.round(number) / "parameters.json"

    @cached_property
    def space(self) -> ClusterSpace:
        assert self.expansion_input.cutoffs_A is not None
        return cluster_space(self.run.lattice, self.expansion_input.cutoffs_A)

    def expansion(self, number: int) -> ClusterExpansion:
        """The expansion of a round, from its parameters: the .ce file is a pickle, written for others and not read back.

        Raises RedoxError if the round was made by a version that wrote no parameters.
        """
        path = self.parameters(number)
        if not path.exists():
            raise RedoxError(
                f"there is no {path}; delete {self.folder}: the rounds are then made again, with the labels that are there"
            )
        return ClusterExpansion(self.space, read_json(path)["parameters"])

    def hamiltonian_of(self, expansion: ClusterExpansion) -> HamiltonianOf:
        """Hamiltonian of ions and electrons with this expansion, by supercell matrix."""
        return hamiltonian_of(self.run, self.run.user_terms + from_icet(expansion, self.run.lattice))

    def system(self, expansion: ClusterExpansion) -> System:
        return build_system(self.hamiltonian_of(expansion)(self.matrix), self.matrix, self.run.ions)
