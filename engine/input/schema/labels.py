"""Sections relaxation and label: the configurations that a potential relaxes to make a data set."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from .base import Count, Model, Shape, supercell_matrix

Length = Annotated[list[PositiveFloat], Field(min_length=3, max_length=3)]


class RelaxationInput(Model):
    """How labelled structures are relaxed: positions and cell, starting from ideal sites distorted according to charge."""

    largest_force_eV_per_A: PositiveFloat = Field(default=0.03, description="a relaxation ends when all forces are below this")
    steps: int = Field(default=300, ge=0, description="largest number of steps; 0: the energy of the start, without relaxation")
    optimiser: Literal["LBFGS", "BFGS", "FIRE"] = Field(default="LBFGS", description="optimiser of ASE")
    cell_lengths_A: dict[Annotated[float, Field(ge=0)], Length] = Field(
        default={},
        description="starting lengths of the cell of the structure file, by ions per formula unit; linear between (Vegard)",
    )


class LearningInput(Model):
    """Active learning: rounds of label, fit and sample, each of which chooses the labels of the next."""

    rounds: Count = Field(default=8, description="largest number of rounds; the first has the configurations of `label`")
    labels: Count = Field(default=20, description="new labels in each further round")
    supercell: Shape | None = Field(
        default=None, description="supercell, as under lattice, of the phase diagram of each round; absent: that of lattice"
    )
    sweeps: Count | None = Field(default=None, description="sweeps measured in each round; absent: those of sampling")
    tolerance_eV: PositiveFloat = Field(
        default=0.005,
        description="learning ends when the error of the visited states is below this, per formula unit, at all T and x",
    )
    settled: PositiveFloat = Field(
        default=0.02,
        description="learning ends when two rounds in a row move phase boundaries by less than this in x, and no free energy by "
        "more than tolerance_eV",
    )


class LabelInput(Model):
    """The configurations that the potential relaxes."""

    configurations: Count = Field(default=300, description="number of symmetry-distinct configurations")
    supercells: tuple[Shape, ...] = Field(
        default=([1, 1, 1],), min_length=1, description="supercells of the configurations, each as under lattice"
    )
    learning: LearningInput | None = Field(default=None, description="active learning; absent: one round")

    @property
    def matrices(self) -> list[NDArray[np.int64]]:
        """The matrices (3, 3) of the supercells."""
        return [supercell_matrix(s) for s in self.supercells]
