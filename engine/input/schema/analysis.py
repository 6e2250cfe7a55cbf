"""Sections analysis, correction and ground_states: what is computed with the Hamiltonian and the potential."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .base import Count, Energy, File, Model, Shape, Temperature, supercell_matrix

Size = Annotated[int, Field(gt=0, le=32)]  # larger ones are too many to list


class AnalysisInput(Model):
    """What is computed from the samples."""

    reference_energy_eV: dict[str, Energy] = Field(
        default={}, description="energy per atom of the metal of the ion, by the same method; it gives the voltage"
    )
    compositions: int = Field(default=97, ge=2, le=100_000, description="number of points in x, rounded to whole numbers of ions")
    beside: File | None = Field(
        default=None, description="output folder of another run whose phase diagram is drawn beside this one"
    )
    vibrations: File | None = Field(
        default=None,
        description="CSV file of vibrational free energies. Columns: temperature_K, x, free_energy_eV per formula unit; or x, "
        "file, where file is phonopy's thermal_properties.yaml of a structure",
    )
    experiment: File | None = Field(
        default=None,
        description="CSV file of measured points for the phase diagram. Columns: x, temperature_K, label, kind (boundary, "
        "single-phase, two-phase); optional: x_error, temperature_error_K, source",
    )
    style: Literal["paper", "full"] = Field(
        default="paper",
        description="of the figure of the phase diagram; full: with invariant points, fit uncertainty and the second cell",
    )
    entropy_compositions: int = Field(
        default=13,
        ge=0,
        le=100_000,
        description="number of points in x at which the entropy is split into ions and electrons; 0: none",
    )


class CorrectionInput(Model):
    """Sampling with the potential itself in a small cell, beside the cluster expansion."""

    supercell: Shape = Field(
        default=[1, 1, 1], description="small supercell, as under lattice, whose states are relaxed one by one"
    )
    temperature_K: tuple[Temperature, ...] | None = Field(
        default=None, min_length=1, description="temperatures; absent: those of sampling"
    )
    methods: tuple[Literal["corrected", "reweighted", "direct", "enumerated"], ...] = Field(
        default=("corrected", "reweighted"),
        min_length=1,
        description="corrected: the cluster expansion proposes stretches of moves, the potential accepts; reweighted: samples of "
        "the cluster expansion are reweighted; direct: the potential accepts every single move; enumerated: all states "
        "are computed, if there are few",
    )
    relaxed: bool = Field(
        default=True, description="false: energies of the unrelaxed lattice, which needs one call of the potential per state"
    )
    walkers: int = Field(default=4, ge=2, le=1000, description="independent chains per temperature")
    equilibrate: Count = Field(default=200, description="proposals per walker in which bias and length of a stretch are tuned")
    proposals: Count = Field(default=1000, description="measured proposals per walker; number of samples for reweighted")

    @property
    def matrix(self) -> NDArray[np.int64]:
        """The matrix (3, 3) of the supercell."""
        return supercell_matrix(self.supercell)


class GroundStatesInput(Model):
    """Search for the hull at T = 0 over supercells of many sizes; a size is a number of cells of the structure file."""

    enumerate_up_to: Size = Field(default=2, description="all neutral states of all supercells up to this size are listed")
    anneal_up_to: Size = Field(default=6, description="larger supercells up to this size are annealed")
    supercells: Count = Field(default=12, description="number of annealed supercells of each size, the most compact first")
    searches: Count = Field(default=3, description="independent annealings of each composition of a supercell")
