"""potential, training, evaluation: models that know charges."""

import re
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, field_validator, model_validator

from .base import Count, File, Files, Model, Shape, supercell_matrix

ARCHITECTURES = ("mace", "chgnet", "cpainn")


class PotentialInput(Model):
    """Energy of a charge-labelled structure: one of ours, or any ASE calculator by import path."""

    model: str = Field(
        description="mace, chgnet, cpainn, or the import path of an ASE calculator: sevenn.calculator.SevenNetCalculator"
    )
    file: File | None = Field(
        default=None, description="weights; a file that can carry code is opened only because it is named here"
    )
    charge_aware: bool = Field(default=True, description="false: it is shown elements, not charges")
    options: dict[str, Any] = Field(default={}, description="keyword arguments of an ASE calculator")

    @field_validator("model")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ARCHITECTURES and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value):
            raise ValueError(
                f"found {value}; allowed: {', '.join(ARCHITECTURES)}, or an import path such as ase.calculators.emt.EMT"
            )
        return value

    @model_validator(mode="after")
    def _fitting_options(self) -> "PotentialInput":
        if self.options and self.model in ARCHITECTURES:
            raise ValueError("options are for ASE calculators given by import path")
        return self


class LossWeightsInput(Model):
    """Weights of the squared errors of energy (eV/atom), forces (eV/A), stress (eV/A^3) and moments (Bohr magnetons)."""

    energy: Annotated[float, Field(ge=0)] = 100.0
    forces: Annotated[float, Field(ge=0)] = 1.0
    stress: Annotated[float, Field(ge=0)] = 100.0
    moments: Annotated[float, Field(ge=0)] = 0.02


class TrainedPotentialInput(Model):
    """A potential to train. With `file` it is trained already, and only evaluated."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
    model: Literal["mace", "chgnet", "cpainn"]
    charge_aware: bool = True
    file: File | None = Field(default=None, description="weights that are there already; absent: train")
    start_from: File | None = Field(default=None, description="weights to start from; CHGNet starts from its own without it")
    epochs: Count = 100
    minutes: PositiveFloat | None = Field(default=None, description="budget of time; the epoch under way is finished")
    epoch_frames: Count | None = Field(default=None, description="frames per epoch; absent: all (mace: always all)")
    batch_size: Count = 4
    learning_rate: PositiveFloat = 0.005
    weights: LossWeightsInput = LossWeightsInput()
    last_weights: LossWeightsInput | None = Field(
        default=None, description="weights at the end of the budget, coming in late; they also choose the best epoch"
    )
    settings: dict[str, Any] = Field(
        default={}, description="of the network: cPaiNN's width, ...; for MACE the options of mace_run_train"
    )


class SplitInput(Model):
    """Shares of the configurations; all frames of a configuration go to one part."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(ge=0, lt=0.5)] = 0.1


class TrainingInput(Model):
    dataset: Files = Field(min_length=1, description="frames with energies, forces, stresses and moments")
    split: SplitInput = SplitInput()
    potentials: tuple[TrainedPotentialInput, ...] = Field(min_length=1)

    @field_validator("potentials")
    @classmethod
    def _distinct(cls, value: tuple[TrainedPotentialInput, ...]) -> tuple[TrainedPotentialInput, ...]:
        if len({p.name for p in value}) < len(value):
            raise ValueError("two potentials have the same name")
        if any(p.name == "potential" for p in value):
            raise ValueError("the name potential stands for the section of that name; choose another")
        return value


class EvaluationInput(Model):
    """What the potentials are held against."""

    reference: Files | None = Field(
        default=None, description="relaxed cells of the reference; `series` groups the orders at one ion arrangement"
    )
    orders: Count = Field(default=100, description="prepared charge orders whose retention is measured")
    supercells: tuple[Shape, ...] = Field(default=([1, 1, 1],), min_length=1)
    dilute: Count = Field(
        default=10, description="of these orders: with a single electron, and as many with a single hole, per supercell"
    )

    @property
    def matrices(self) -> list[NDArray[np.int64]]:
        return [supercell_matrix(s) for s in self.supercells]
