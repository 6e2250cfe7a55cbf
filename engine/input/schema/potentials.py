"""Sections potential, training and evaluation: potentials that know charges."""

import re
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, field_validator, model_validator

from .base import Count, File, Files, Model, Shape, supercell_matrix

Architecture = Literal["mace", "chgnet", "cpainn"]
ARCHITECTURES = get_args(Architecture)


class PotentialInput(Model):
    """Potential of charge-labelled structures: one of RedoxMC's architectures, or any ASE calculator by import path."""

    model: str = Field(
        description="mace, chgnet, cpainn, or the import path of an ASE calculator, e.g. sevenn.calculator.SevenNetCalculator"
    )
    file: File | None = Field(
        default=None, description="file of the weights; only name a file from a source that you trust, since it may contain code"
    )
    charge_aware: bool = Field(default=True, description="false: the potential sees elements, not charges")
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
            raise ValueError(f"found options for {self.model}; allowed: options of an ASE calculator given by its import path")
        return self


class LossWeightsInput(Model):
    """Weights of the squared errors in the loss."""

    energy: Annotated[float, Field(ge=0, description="energy, eV/atom")] = 100.0
    forces: Annotated[float, Field(ge=0, description="forces, eV/A")] = 1.0
    stress: Annotated[float, Field(ge=0, description="stress, eV/A^3")] = 100.0
    moments: Annotated[float, Field(ge=0, description="magnetic moments, Bohr magnetons")] = 0.02


class TrainedPotentialInput(Model):
    """A potential to train; with `file` it is already trained and only evaluated."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100, description="name of the potential and its folder")
    model: Architecture = Field(description="architecture")
    charge_aware: bool = Field(default=True, description="false: the potential sees elements, not charges")
    file: File | None = Field(default=None, description="file of existing weights; absent: the potential is trained")
    start_from: File | None = Field(
        default=None, description="weights to start from; absent: random weights, for chgnet the published ones"
    )
    epochs: Count = Field(default=100, description="largest number of epochs")
    minutes: PositiveFloat | None = Field(default=None, description="budget of time; the current epoch is finished")
    epoch_frames: Count | None = Field(default=None, description="frames per epoch; absent: all (mace: always all)")
    batch_size: Count = Field(default=4, description="frames per step of the optimiser")
    learning_rate: PositiveFloat = Field(default=0.005, description="initial learning rate of the optimiser")
    weights: LossWeightsInput = Field(default=LossWeightsInput(), description="weights of the loss")
    last_weights: LossWeightsInput | None = Field(
        default=None, description="weights of the loss at the end of the budget; they also select the best epoch"
    )
    settings: dict[str, Any] = Field(
        default={}, description="settings of the network: width, ... of cPaiNN; options of mace_run_train for MACE"
    )


class SplitInput(Model):
    """Shares of the configurations; all frames of a configuration go to one part."""

    validation: float = Field(default=0.1, gt=0, lt=0.5, description="share that selects the best epoch")
    test: float = Field(default=0.1, ge=0, lt=0.5, description="share that the held-out errors are measured on")


class TrainingInput(Model):
    """Training of potentials on labelled frames."""

    dataset: Files = Field(
        min_length=1, description="frames with energies, forces, stresses and moments: extxyz, OUTCAR or vasprun.xml"
    )
    split: SplitInput = Field(default=SplitInput(), description="shares of validation and test")
    potentials: tuple[TrainedPotentialInput, ...] = Field(min_length=1, description="potentials to train")

    @field_validator("potentials")
    @classmethod
    def _distinct(cls, value: tuple[TrainedPotentialInput, ...]) -> tuple[TrainedPotentialInput, ...]:
        if len({p.name for p in value}) < len(value):
            raise ValueError("found two potentials with the same name; allowed: different names")
        if any(p.name == "potential" for p in value):
            raise ValueError("found the name potential, which stands for the section of that name; allowed: any other name")
        return value


class EvaluationInput(Model):
    """Tests of the potentials: retention of charge orders, and agreement with a reference."""

    reference: Files | None = Field(
        default=None, description="relaxed cells of the reference; `series` groups the charge orders at one ion arrangement"
    )
    orders: Count = Field(default=100, description="prepared charge orders whose retention is measured")
    supercells: tuple[Shape, ...] = Field(
        default=([1, 1, 1],), min_length=1, description="supercells of the prepared orders, each as under lattice"
    )
    dilute: Count = Field(
        default=10, description="of these: orders with a single electron, and as many with a single hole, per supercell"
    )

    @property
    def matrices(self) -> list[NDArray[np.int64]]:
        """The matrices (3, 3) of the supercells."""
        return [supercell_matrix(s) for s in self.supercells]
