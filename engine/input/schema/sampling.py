"""sampling: temperatures, chemical potentials, sweeps."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PositiveFloat, field_validator, model_validator

from .base import Auto, Count, Energy, Model, Shape, Temperature, supercell_matrix


class ChemicalPotentialInput(Model):
    """A grid in eV, on the zero of the energies; without limits the engine chooses them."""

    min: Energy | None = None
    max: Energy | None = None
    points: Annotated[int, Field(gt=0, le=10_000)] | None = None

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
    kappa: Annotated[float, Field(gt=0, le=1e9)] | Auto = Field(default="auto", description="weight exp[-kappa N (x - target)^2]")
    points: Annotated[int, Field(gt=0, le=100_000)] | Auto = "auto"


class SweepsInput(Model):
    equilibrate: Count | Auto = "auto"
    measure: Count = 2000


LEAST_SHARE = 0.01  # of the moves that connect all states


class MixInput(Model):
    swap: float = Field(gt=0)
    neutral_exchange: float = Field(gt=0)
    near_exchange: float = Field(default=0.0, ge=0, description="an ion and its electron, next to one another")
    pair_hop: float = Field(default=0.0, ge=0, description="an ion takes its electron along")
    near_swap: float = Field(default=0.0, ge=0, description="an ion or an electron hops to a near site")

    @model_validator(mode="after")
    def _balanced(self) -> "MixInput":
        total = self.swap + self.neutral_exchange + self.near_exchange + self.pair_hop + self.near_swap
        for name in ("swap", "neutral_exchange"):
            if not getattr(self, name) >= LEAST_SHARE * total:
                raise ValueError(
                    f"found {name} {getattr(self, name):g} of {total:g} in all; allowed: at least {LEAST_SHARE:.0%}, or moves: auto"
                )
        return self


class RefineInput(Model):
    """New temperatures, placed where phase boundaries are less certain than this; then more sweeps at all of them."""

    temperatures: int = Field(default=4, ge=0, le=1000, description="most temperatures to add")
    sweeps: Count | None = Field(
        default=None, description="most sweeps in all, beyond those of sweeps.measure; absent: no more than these"
    )
    tolerance_K: PositiveFloat = 2.0
    tolerance_x: PositiveFloat = 0.005


class SamplingInput(Model):
    ensemble: Literal["auto", "canonical", "semigrand", "vcsgc"] = "auto"
    temperature_K: tuple[Temperature, ...] = Field(min_length=1, max_length=1000)
    rungs: Annotated[int, Field(gt=0, le=1000)] | Auto = Field(
        default="auto", description="most temperatures in all, asked-for ones included"
    )
    chemical_potential_eV: dict[
        str,
        Annotated[ChemicalPotentialInput, BeforeValidator(_auto_is_empty, json_schema_input_type=Auto | ChemicalPotentialInput)],
    ] = Field(default={}, description="keyed by the species that it counts")
    vcsgc: VcsgcInput = VcsgcInput()
    walkers: int = Field(default=4, ge=2, le=1000)
    sweeps: SweepsInput = SweepsInput()
    exchange_every: int = Field(default=10, ge=0, le=10**9, description="sweeps; 0 switches replica exchange off")
    moves: Auto | MixInput = Field(default="auto", description="weights; auto: tuned once the ladder is annealed")
    refine: RefineInput = RefineInput()
    second_supercell: Shape | None = Field(
        default=None, description="smaller cell, as under lattice, whose phase diagram shows the finite-size shift"
    )
    walltime_s: PositiveFloat | None = Field(default=None, description="commit and stop (exit code 75) after this time")

    @property
    def second_matrix(self) -> NDArray[np.int64] | None:
        return None if self.second_supercell is None else supercell_matrix(self.second_supercell)

    @field_validator("temperature_K")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a temperature is given twice")
        return tuple(sorted(value))
