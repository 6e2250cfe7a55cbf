"""The input file as frozen models: keys, defaults, limits and descriptions.

Checks that need the structure are in `input.checks`, those that need the data in `stages.prepare`.
"""

import json
import re

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from .analysis import AnalysisInput, CorrectionInput, GroundStatesInput
from .base import File, Model, Shape, supercell_matrix
from .energy import CleaseInput, ClusterExpansionInput, ElectrostaticsInput, EnergyInput, FitInput, PairInput, PointInput
from .labels import LabelInput, LearningInput, RelaxationInput
from .lattice import LatticeInput, SpeciesInput, SublatticeInput
from .potentials import EvaluationInput, LossWeightsInput, PotentialInput, SplitInput, TrainedPotentialInput, TrainingInput
from .sampling import ChemicalPotentialInput, MixInput, RefineInput, SamplingInput, SweepsInput, VcsgcInput

__all__ = [
    "AnalysisInput",
    "ChemicalPotentialInput",
    "CleaseInput",
    "ClusterExpansionInput",
    "Config",
    "CorrectionInput",
    "ElectrostaticsInput",
    "EnergyInput",
    "EvaluationInput",
    "FitInput",
    "GroundStatesInput",
    "LabelInput",
    "LatticeInput",
    "LearningInput",
    "LossWeightsInput",
    "MixInput",
    "Model",
    "PairInput",
    "PointInput",
    "PotentialInput",
    "RefineInput",
    "RelaxationInput",
    "SamplingInput",
    "Shape",
    "SpeciesInput",
    "SplitInput",
    "SublatticeInput",
    "SweepsInput",
    "TrainedPotentialInput",
    "TrainingInput",
    "VcsgcInput",
    "json_schema",
    "supercell_matrix",
]


class Config(Model):
    """A run of RedoxMC: a lattice, and either a Hamiltonian to sample or potentials to train and evaluate."""

    title: str = Field(default="", description="title of the report")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of all random numbers; the same seed gives the same results")
    output: File = Field(description="folder of the results")
    lattice: LatticeInput = Field(description="structure, species and supercell")
    training: TrainingInput | None = Field(default=None, description="potentials to train")
    evaluation: EvaluationInput | None = Field(default=None, description="tests of the potentials")
    potential: PotentialInput | None = Field(default=None, description="potential that makes labels and corrects the sampling")
    relaxation: RelaxationInput = Field(default=RelaxationInput(), description="how labelled structures are relaxed")
    label: LabelInput = Field(default=LabelInput(), description="configurations that the potential relaxes")
    energy: EnergyInput | None = Field(default=None, description="Hamiltonian: a sum of terms; needs sampling")
    sampling: SamplingInput | None = Field(default=None, description="Monte Carlo sampling of the Hamiltonian")
    ground_states: GroundStatesInput | None = Field(default=None, description="search for the hull at T = 0")
    correction: CorrectionInput | None = Field(default=None, description="sampling with the potential itself in a small cell")
    analysis: AnalysisInput = Field(default=AnalysisInput(), description="what is computed from the samples")

    @property
    def sampler(self) -> SamplingInput:
        """The section sampling of a run that has an energy."""
        assert self.sampling is not None
        return self.sampling

    @property
    def second_matrix(self) -> NDArray[np.int64] | None:
        """The matrix (3, 3) of the smaller supercell, if there is one."""
        return self.sampler.second_matrix(self.lattice.matrix)

    @property
    def makes_labels(self) -> bool:
        """Whether the run makes the data set of its cluster expansion."""
        return self.energy is not None and self.energy.needs_labels

    @property
    def uses_potential(self) -> bool:
        """Whether a stage needs the section `potential`."""
        return self.makes_labels or self.evaluation is not None or self.correction is not None

    @model_validator(mode="after")
    def _something_to_do(self) -> "Config":
        if self.energy is None and self.training is None and self.evaluation is None:
            raise ValueError("found nothing to run; allowed: at least one of energy, training, evaluation")
        if self.energy is not None and self.sampling is None:
            raise ValueError("sampling is missing; it is needed with energy")
        if self.ground_states is not None and self.energy is None:
            raise ValueError("energy is missing; it is needed for ground_states")
        if self.correction is not None and (self.energy is None or self.potential is None):
            raise ValueError(
                "correction needs both energy, whose cluster expansion proposes states, and potential, which accepts them"
            )
        return self


def json_schema() -> str:
    """JSON schema of the input file, as shipped in inputs/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    schema["title"] = "RedoxMC input file"
    text = json.dumps(schema, indent=1, ensure_ascii=False)
    return re.sub(r"[ \t]+$", "", text, flags=re.M) + "\n"
