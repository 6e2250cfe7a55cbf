"""The input file as frozen models: names, defaults, units. Checks that need the structure or the data are in `prepare`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

Auto = Literal["auto"]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SpeciesInput(Model):
    """Charge of a species, and the element that stands for it in data sets and potentials."""

    charge: int
    proxy: Annotated[str, Field(description="chemical symbol, e.g. Ga for Fe3+")] | None = None


def _bare_charge(value: Any) -> Any:
    return {"charge": value} if isinstance(value, int) and not isinstance(value, bool) else value


class SublatticeInput(Model):
    """All sites of one element of the structure file, and the species that may sit there."""

    element: str
    species: dict[str, Annotated[SpeciesInput, BeforeValidator(_bare_charge, json_schema_input_type=int | SpeciesInput)]] = Field(
        min_length=1, description="name: charge, or name: {charge, proxy}; Va is the vacancy"
    )


Row = Annotated[list[int], Field(min_length=3, max_length=3)]


class LatticeInput(Model):
    structure: Path = Field(description="fully occupied cell, any format that ASE or pymatgen reads")
    sublattices: tuple[SublatticeInput, ...] = Field(min_length=1)
    spectators: dict[str, int] = Field(default={}, description="charges of the elements that never change")
    supercell: Annotated[list[int] | list[Row], Field(min_length=3, max_length=3)] = Field(
        description="three repeats, or a 3x3 integer matrix whose rows are the vectors of the supercell"
    )

    @property
    def matrix(self) -> list[list[int]]:
        given: Any = self.supercell
        return [[v if i == j else 0 for j in range(3)] if isinstance(v, int) else list(v) for i, v in enumerate(given)]


class FitInput(Model):
    method: Literal["ardr", "ridge", "lasso", "rfe", "least-squares"] = "ardr"
    validation: str = Field(default="10-fold", pattern=r"^([2-9]|[1-9]\d+)-fold$")

    @property
    def n_folds(self) -> int:
        return int(self.validation.split("-")[0])


class ClusterExpansionInput(Model):
    """Either a labelled data set to fit, or a fitted icet expansion (eV per formula unit)."""

    dataset: Path | None = None
    model: Path | None = None
    cutoffs_A: tuple[PositiveFloat, ...] | None = Field(default=None, min_length=1, description="pairs, triplets, ...")
    fit: FitInput = FitInput()

    @model_validator(mode="after")
    def _one_source(self) -> "ClusterExpansionInput":
        if (self.dataset is None) == (self.model is None):
            raise ValueError("give either dataset or model; making the data with a potential is not in this version")
        if self.dataset is not None and self.cutoffs_A is None:
            raise ValueError("cutoffs_A is needed to fit a data set")
        return self


class PointInput(Model):
    species: str
    energy_eV: float


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


class EnergyInput(Model):
    """A sum of terms."""

    cluster_expansion: ClusterExpansionInput | None = None
    points: tuple[PointInput, ...] = ()
    pairs: tuple[PairInput, ...] = ()

    @model_validator(mode="after")
    def _any_term(self) -> "EnergyInput":
        if self.cluster_expansion is None and not self.points and not self.pairs:
            raise ValueError("give at least one of cluster_expansion, points, pairs")
        return self


class PotentialInput(Model):
    """Read and kept with the results; stages that use it (train, label) are not in this version."""

    model: str
    file: Path | None = None


class ChemicalPotentialInput(Model):
    """A grid in eV, on the zero of the energies; without limits the engine chooses them."""

    min: float | None = None
    max: float | None = None
    points: PositiveInt | None = None

    @model_validator(mode="after")
    def _complete(self) -> "ChemicalPotentialInput":
        if (self.min is None) != (self.max is None):
            raise ValueError("give both min and max, or neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not exceed max")
        return self

    @property
    def automatic(self) -> bool:
        return self.min is None


def _auto_is_empty(value: Any) -> Any:
    return {} if value == "auto" else value


class VcsgcInput(Model):
    kappa: PositiveFloat | Auto = Field(default="auto", description="weight exp[-kappa N (x - target)^2]")
    points: PositiveInt | Auto = "auto"


class SweepsInput(Model):
    equilibrate: PositiveInt | Auto = "auto"
    measure: PositiveInt = 2000


class MixInput(Model):
    swap: float = Field(gt=0)
    neutral_exchange: float = Field(gt=0)
    near_exchange: float = Field(default=0.0, ge=0, description="an ion and its electron, next to one another")
    pair_hop: float = Field(default=0.0, ge=0, description="an ion takes its electron along")


class SamplingInput(Model):
    ensemble: Literal["auto", "canonical", "semigrand", "vcsgc"] = "auto"
    temperature_K: tuple[PositiveFloat, ...] = Field(min_length=1)
    rungs: PositiveInt | Auto = Field(default="auto", description="most temperatures in all, asked-for ones included")
    chemical_potential_eV: dict[
        str,
        Annotated[ChemicalPotentialInput, BeforeValidator(_auto_is_empty, json_schema_input_type=Auto | ChemicalPotentialInput)],
    ] = Field(default={}, description="keyed by the species that it counts")
    vcsgc: VcsgcInput = VcsgcInput()
    walkers: int = Field(default=4, ge=2)
    sweeps: SweepsInput = SweepsInput()
    exchange_every: int = Field(default=10, ge=0, description="sweeps; 0 switches replica exchange off")
    moves: Auto | MixInput = "auto"
    walltime_s: PositiveFloat | None = Field(default=None, description="commit and stop (exit code 75) after this time")

    @field_validator("temperature_K")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a temperature is given twice")
        return tuple(sorted(value))


class AnalysisInput(Model):
    reference_energy_eV: dict[str, float] = Field(default={}, description="per atom of the ion's element, for the voltage")
    compositions: int = Field(default=97, ge=2)


class Config(Model):
    title: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    output: Path
    lattice: LatticeInput
    energy: EnergyInput
    potential: PotentialInput | None = None
    sampling: SamplingInput
    analysis: AnalysisInput = AnalysisInput()


def json_schema() -> str:
    """The schema shipped as inputs/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    schema["title"] = "RedoxMC input file"
    text = json.dumps(schema, indent=1, ensure_ascii=False)
    return re.sub(r"[ \t]+$", "", text, flags=re.M) + "\n"
