"""label, relaxation: configurations that a potential relaxes."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from .base import Count, Model, Shape, supercell_matrix

Length = Annotated[list[PositiveFloat], Field(min_length=3, max_length=3)]


class RelaxationInput(Model):
    """How labelled structures are relaxed: positions and cell, from the ideal lattice with octahedra distorted by label."""

    largest_force_eV_per_A: PositiveFloat = 0.03
    steps: Annotated[int, Field(ge=0, description="0: energies on the starting lattice, nothing is relaxed")] = 300
    optimiser: Literal["LBFGS", "BFGS", "FIRE"] = "LBFGS"
    cell_lengths_A: dict[Annotated[float, Field(ge=0)], Length] = Field(
        default={}, description="starting lengths of the cell of the structure file, by ions per fu; linear between (Vegard)"
    )


class LearningInput(Model):
    """Rounds of label, fit and sample; each chooses what the next one labels."""

    rounds: Count = Field(default=8, description="at most; the first has the configurations of label")
    labels: Count = Field(default=20, description="new ones in each round")
    supercell: Shape | None = Field(
        default=None, description="as under lattice, for the phase diagram of each round; absent: that of lattice"
    )
    sweeps: Count | None = Field(default=None, description="measured in each round; absent: those of sampling")
    tolerance_eV: PositiveFloat = Field(
        default=0.005, description="done where the error of what is visited is below this per formula unit at all T and x"
    )
    settled: PositiveFloat = Field(
        default=0.02,
        description="done where two rounds in a row moved phase boundaries by less than this in x, and no free energy by tolerance_eV",
    )


class LabelInput(Model):
    """The configurations that the potential relaxes."""

    configurations: Count = 300
    supercells: tuple[Shape, ...] = Field(default=([1, 1, 1],), min_length=1)
    learning: LearningInput | None = None

    @property
    def matrices(self) -> list[NDArray[np.int64]]:
        return [supercell_matrix(s) for s in self.supercells]
