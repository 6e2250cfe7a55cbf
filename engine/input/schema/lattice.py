"""lattice: sites and what may sit on them."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from .base import Charge, File, Model, Shape, supercell_matrix


class SpeciesInput(Model):
    """Charge of a species, and the element that stands for it in data sets and potentials."""

    charge: Charge
    proxy: Annotated[str, Field(description="chemical symbol, e.g. Ga for Fe3+")] | None = None
    moment_muB: Annotated[float, Field(ge=0, description="magnetic moment in the reference calculation")] | None = None


def _bare_charge(value: Any) -> Any:
    return {"charge": value} if isinstance(value, int) and not isinstance(value, bool) else value


class SublatticeInput(Model):
    """All sites of one element of the structure file, and the species that may sit there."""

    element: str
    species: dict[str, Annotated[SpeciesInput, BeforeValidator(_bare_charge, json_schema_input_type=int | SpeciesInput)]] = Field(
        min_length=1, description="name: charge, or name: {charge, proxy}; Va is the vacancy"
    )


class LatticeInput(Model):
    structure: File = Field(description="fully occupied cell, any format that ASE or pymatgen reads")
    sublattices: tuple[SublatticeInput, ...] = Field(min_length=1)
    spectators: dict[str, Charge] = Field(default={}, description="charges of the elements that never change")
    supercell: Shape = Field(
        default=[1, 1, 1], description="three repeats, or a 3x3 integer matrix whose rows are the vectors of the supercell"
    )

    @property
    def matrix(self) -> NDArray[np.int64]:
        return supercell_matrix(self.supercell)
