"""analysis, correction, ground_states: what is asked of the Hamiltonian."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .base import Count, Energy, File, Model, Shape, Temperature, supercell_matrix

Size = Annotated[int, Field(gt=0, le=32)]  # larger ones are too many to list


class AnalysisInput(Model):
    reference_energy_eV: dict[str, Energy] = Field(default={}, description="per atom of the ion's element, for the voltage")
    compositions: int = Field(default=97, ge=2, le=100_000)
    beside: File | None = Field(
        default=None, description="output folder of another run whose phase diagram is drawn beside this one"
    )
    vibrations: File | None = Field(
        default=None,
        description="CSV file of vibrational free energies: temperature_K, x, free_energy_eV per formula unit; or x, file: phonopy's "
        "thermal_properties.yaml of structures, fitted over x",
    )
    experiment: File | None = Field(
        default=None,
        description="CSV file of measured points, drawn on the phase diagram: x, temperature_K, label, kind (boundary, single-phase, "
        "two-phase) and, if wanted, x_error, temperature_error_K, source",
    )
    entropy_compositions: int = Field(
        default=13, ge=0, le=100_000, description="where the entropy is split into ions and electrons; 0: nowhere"
    )


class CorrectionInput(Model):
    """Sampling with the potential itself in a small cell, beside the expansion."""

    supercell: Shape = Field(default=[1, 1, 1], description="as under lattice; its states are relaxed one by one")
    temperature_K: tuple[Temperature, ...] | None = Field(default=None, min_length=1, description="absent: those of sampling")
    methods: tuple[Literal["corrected", "reweighted", "direct", "enumerated"], ...] = Field(
        default=("corrected", "reweighted"),
        min_length=1,
        description="corrected: the expansion proposes, the potential decides; reweighted: samples of the expansion; direct: the "
        "potential decides about every single move; enumerated: all states, where there are few",
    )
    relaxed: bool = Field(
        default=True, description="false: energies on the starting lattice, which costs one call of the potential"
    )
    walkers: int = Field(default=4, ge=2, le=1000)
    equilibrate: Count = Field(default=200, description="proposals per walker in which weights and stretch are tuned")
    proposals: Count = Field(default=1000, description="proposals per walker that are measured; samples, where reweighted")

    @property
    def matrix(self) -> NDArray[np.int64]:
        return supercell_matrix(self.supercell)


class GroundStatesInput(Model):
    """The hull at T = 0, over supercells up to a size; sizes in cells of the structure file."""

    enumerate_up_to: Size = Field(
        default=2, description="all neutral states of all supercells of up to so many cells are looked at"
    )
    anneal_up_to: Size = Field(default=6, description="larger supercells, up to so many cells, are annealed")
    supercells: Count = Field(default=12, description="annealed supercells of each size, the most compact first")
    searches: Count = Field(default=3, description="independent annealings of each composition of a supercell")
