"""The input file as frozen models: names, defaults, units. Checks that need the structure or the data are in `prepare`."""

import json
import re
from typing import Annotated

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
    title: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    output: File
    lattice: LatticeInput
    training: TrainingInput | None = None
    evaluation: EvaluationInput | None = None
    potential: PotentialInput | None = None
    relaxation: RelaxationInput = RelaxationInput()
    label: LabelInput = LabelInput()
    energy: EnergyInput | None = None
    sampling: SamplingInput | None = None
    ground_states: GroundStatesInput | None = None
    correction: CorrectionInput | None = None
    analysis: AnalysisInput = AnalysisInput()

    @property
    def sampler(self) -> SamplingInput:
        """The sampling of a run that has an energy."""
        assert self.sampling is not None
        return self.sampling

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
            raise ValueError("energy is needed, or training, or evaluation")
        if self.energy is not None and self.sampling is None:
            raise ValueError("sampling is needed beside energy")
        if self.ground_states is not None and self.energy is None:
            raise ValueError("ground_states needs energy")
        if self.correction is not None and (self.energy is None or self.potential is None):
            raise ValueError("correction needs energy, whose expansion proposes, and potential, which decides")
        return self


def json_schema() -> str:
    """The schema shipped as inputs/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    schema["title"] = "RedoxMC input file"
    text = json.dumps(schema, indent=1, ensure_ascii=False)
    return re.sub(r"[ \t]+$", "", text, flags=re.M) + "\n"
