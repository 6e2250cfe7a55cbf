"""Section sampling: temperatures, chemical potentials, ensembles, moves and sweeps."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PositiveFloat, field_validator, model_validator

from .base import Auto, Count, Energy, Model, Shape, Temperature, supercell_matrix

LEAST_SHARE = 0.01  # of the weight of the moves that connect all states


LEAST_REPEATS = 4  # along an axis that is halved: a sheet of few cells stays as thick as it is


def half_matrix(matrix: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Of repeats (3, 3) with half as many along each axis that has LEAST_REPEATS or more; None if one of these is odd."""
    repeats = np.diag(matrix)
    halved = repeats >= LEAST_REPEATS
    if np.any(matrix != np.diag(repeats)) or not halved.any() or np.any(repeats[halved] % 2):
        return None
    return np.diag(np.where(halved, repeats // 2, repeats))


class ChemicalPotentialInput(Model):
    """A grid of chemical potentials in eV, on the zero of the energies; without limits it is chosen automatically."""

    min: Energy | None = Field(default=None, description="lowest value")
    max: Energy | None = Field(default=None, description="highest value")
    points: Annotated[int, Field(gt=0, le=10_000)] | None = Field(default=None, description="number of values; absent: automatic")

    @model_validator(mode="after")
    def _complete(self) -> "ChemicalPotentialInput":
        if (self.min is None) != (self.max is None):
            raise ValueError("found only one of min and max; allowed: both or neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"found min {self.min:g} above max {self.max:g}; min must not exceed max")
        return self

    @property
    def automatic(self) -> bool:
        """Whether the grid is chosen automatically."""
        return self.min is None


def _auto_is_empty(value: Any) -> Any:
    return {} if value == "auto" else value


class VcsgcInput(Model):
    """Windows of the variance-constrained semigrand canonical ensemble: weight exp[-kappa N (x - target)^2]."""

    kappa: Annotated[float, Field(gt=0, le=1e9)] | Auto = Field(default="auto", description="stiffness of the windows")
    points: Annotated[int, Field(gt=0, le=100_000)] | Auto = Field(default="auto", description="number of windows")


class SweepsInput(Model):
    """Lengths of the simulation in sweeps; a sweep is one attempted move per active site."""

    equilibrate: Count | Auto = Field(
        default="auto", description="sweeps per rung in annealing, per window in scans, and per round of equilibration"
    )
    measure: Count = Field(default=2000, description="sweeps that are measured; a larger number continues the existing samples")


class MixInput(Model):
    """Relative weights of the kinds of moves."""

    swap: float = Field(gt=0, description="two species of one sublattice trade places")
    neutral_exchange: float = Field(
        gt=0, description="species change so that the cell stays neutral, e.g. Va to Na+ with Fe3+ to Fe2+"
    )
    near_exchange: float = Field(
        default=0.0, ge=0, description="a neutral exchange of an ion and an electron on neighbouring sites"
    )
    pair_hop: float = Field(default=0.0, ge=0, description="an ion moves to a neighbouring site and takes its electron along")
    near_swap: float = Field(default=0.0, ge=0, description="an ion or an electron moves to a neighbouring site")

    @model_validator(mode="after")
    def _balanced(self) -> "MixInput":
        total = self.swap + self.neutral_exchange + self.near_exchange + self.pair_hop + self.near_swap
        for name in ("swap", "neutral_exchange"):
            if not getattr(self, name) >= LEAST_SHARE * total:
                raise ValueError(
                    f"found {name} {getattr(self, name):g} of a total of {total:g}; "
                    f"allowed: at least {LEAST_SHARE:.0%}, or moves: auto"
                )
        return self


class RefineInput(Model):
    """Refinement of uncertain phase boundaries: temperatures are added, then all temperatures are sampled longer."""

    temperatures: int = Field(default=4, ge=0, le=1000, description="largest number of temperatures to add")
    sweeps: Count | None = Field(
        default=None, description="largest number of measured sweeps in total; absent: no more than sweeps.measure"
    )
    tolerance_K: PositiveFloat = Field(default=2.0, description="wanted error of the boundaries in temperature")
    tolerance_x: PositiveFloat = Field(default=0.005, description="wanted error of the boundaries in composition")


class SamplingInput(Model):
    """Monte Carlo sampling of the Hamiltonian."""

    ensemble: Literal["auto", "canonical", "semigrand", "vcsgc"] = Field(
        default="auto", description="auto: semigrand canonical, and vcsgc across miscibility gaps"
    )
    temperature_K: tuple[Temperature, ...] = Field(
        min_length=1, max_length=1000, description="requested temperatures; others are inserted so that neighbours exchange"
    )
    rungs: Annotated[int, Field(gt=0, le=1000)] | Auto = Field(
        default="auto", description="largest number of temperatures, requested ones included"
    )
    chemical_potential_eV: dict[
        str,
        Annotated[ChemicalPotentialInput, BeforeValidator(_auto_is_empty, json_schema_input_type=Auto | ChemicalPotentialInput)],
    ] = Field(default={}, description="chemical potentials, keyed by the species whose number they control")
    vcsgc: VcsgcInput = Field(default=VcsgcInput(), description="windows of the vcsgc ensemble")
    walkers: int = Field(default=4, ge=2, le=1000, description="independent chains per replica")
    sweeps: SweepsInput = Field(default=SweepsInput(), description="lengths of the simulation")
    exchange_every: int = Field(
        default=10, ge=0, le=10**9, description="sweeps between replica exchanges; 0 switches replica exchange off"
    )
    moves: Auto | MixInput = Field(default="auto", description="weights of the moves; auto: tuned after annealing")
    refine: RefineInput = Field(default=RefineInput(), description="refinement of uncertain phase boundaries")
    sizes: Literal["two", "off"] = Field(
        default="two",
        description="two: also a cell of half as many repeats along each axis that has four or more, if all of these are even; "
        "it tells phases from effects of the finite cell. off: the supercell alone",
    )
    second_supercell: Shape | None = Field(
        default=None, description="the smaller supercell, as under lattice, in place of the half one"
    )
    walltime_s: PositiveFloat | None = Field(
        default=None, description="after this time in seconds the run commits its samples and stops with exit code 75"
    )

    def second_matrix(self, matrix: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The matrix (3, 3) of the second supercell, if there is one. matrix (3, 3): of the supercell."""
        if self.second_supercell is not None:
            return supercell_matrix(self.second_supercell)
        return half_matrix(matrix) if self.sizes == "two" else None

    @field_validator("temperature_K")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a temperature is given twice; allowed: different temperatures")
        return tuple(sorted(value))
