"""energy: the terms of the Hamiltonian."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from .base import Energy, File, Files, Model

MOST_PAIR_EV = 10.0  # no published pair comes near


class FitInput(Model):
    method: Literal["ardr", "ridge", "lasso", "rfe", "least-squares"] = "ardr"
    validation: str = Field(default="10-fold", pattern=r"^([2-9]|[1-9]\d{1,5})-fold$")

    @property
    def n_folds(self) -> int:
        return int(self.validation.split("-")[0])


class CleaseInput(Model):
    """A fitted expansion of CLEASE: its two JSON files."""

    settings: File = Field(description="written by settings.save")
    eci: File = Field(description="written by evaluate.save_eci")


class ClusterExpansionInput(Model):
    """A data set to fit, or a fitted expansion; with neither, `label` makes the data set."""

    dataset: Files | None = Field(
        default=None, description="extxyz, OUTCAR or vasprun.xml; several, or patterns such as dft/*/OUTCAR"
    )
    model: File | CleaseInput | None = Field(
        default=None,
        description="of icet (.ce, eV per formula unit), smol (JSON, eV per its cell), or CLEASE (two files, eV per atom)",
    )
    cutoffs_A: tuple[PositiveFloat, ...] | None = Field(
        default=None, min_length=1, max_length=6, description="pairs, triplets, ..."
    )
    fit: FitInput = FitInput()

    @model_validator(mode="after")
    def _one_source(self) -> "ClusterExpansionInput":
        if self.dataset is not None and self.model is not None:
            raise ValueError("give either dataset or model, or neither to make the data set with the potential")
        if self.model is None and self.cutoffs_A is None:
            raise ValueError("cutoffs_A is needed to fit a data set")
        return self

    @property
    def model_files(self) -> tuple[Path, ...]:
        if isinstance(self.model, CleaseInput):
            return (self.model.settings, self.model.eci)
        return (self.model,) if self.model else ()


class PointInput(Model):
    species: str
    energy_eV: Energy


class PairInput(Model):
    """Energy of every unordered pair of sites, periodic images included, at lo <= r < hi that holds the two species."""

    species: tuple[str, str]
    r_A: tuple[Annotated[float, Field(ge=0)], PositiveFloat]
    energy_eV: float

    @field_validator("r_A")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the shell [lo, hi) needs lo < hi")
        return value

    @field_validator("energy_eV")
    @classmethod
    def _in_eV(cls, value: float) -> float:
        if abs(value) > MOST_PAIR_EV:
            raise ValueError(f"found {value:g} eV for a pair; allowed: up to {MOST_PAIR_EV:g} either way (meV? divide by 1000)")
        return value


class ElectrostaticsInput(Model):
    """Point charges by species, summed over all periodic images (Ewald); species not named carry 0, spectators too."""

    charges: dict[str, Annotated[float, Field(ge=-20, le=20)]] = Field(min_length=1, description="in elementary charges")
    dielectric: float = Field(default=1.0, ge=0.01, le=1e6)


class EnergyInput(Model):
    """A sum of terms."""

    electrons: Literal["equilibrium", "ground_state"] = Field(
        default="equilibrium",
        description="ground_state: ions alone, each arrangement with its best electrons: no electronic entropy",
    )
    cluster_expansion: ClusterExpansionInput | None = None
    electrostatics: ElectrostaticsInput | None = None
    points: tuple[PointInput, ...] = ()
    pairs: tuple[PairInput, ...] = ()

    @model_validator(mode="after")
    def _any_term(self) -> "EnergyInput":
        if self.cluster_expansion is None and self.electrostatics is None and not self.points and not self.pairs:
            raise ValueError("give at least one of cluster_expansion, electrostatics, points, pairs")
        return self

    @property
    def needs_labels(self) -> bool:
        """Whether the data set of the expansion is still to be made."""
        given = self.cluster_expansion
        return given is not None and given.dataset is None and given.model is None
