"""Section lattice: the structure, and which species its sites may hold."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from .base import Charge, File, Model, Shape, supercell_matrix


class SpeciesInput(Model):
    """A species that a site may hold; its name is the key."""

    charge: Charge = Field(description="integer charge")
    proxy: str | None = Field(
        default=None, description="chemical symbol that represents this charge in data sets and potentials, e.g. Ga for Fe3+"
    )
    moment_muB: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="magnetic moment of the species in the reference calculations; absent: taken from a table"
    )


def _bare_charge(value: Any) -> Any:
    return {"charge": value} if isinstance(value, int) and not isinstance(value, bool) else value


class SublatticeInput(Model):
    """All sites of one element of the structure, and the species that they may hold."""

    element: str = Field(description="element in the structure file")
    species: dict[str, Annotated[SpeciesInput, BeforeValidator(_bare_charge, json_schema_input_type=int | SpeciesInput)]] = Field(
        min_length=1,
        description="allowed species, `name: charge` or `name: {charge, proxy, moment_muB}`; Va is the vacancy",
    )


class LatticeInput(Model):
    """The fully occupied structure, the species on its sites, and the supercell that is sampled."""

    structure: File = Field(description="file of the fully occupied cell, in any format that ASE or pymatgen reads")
    sublattices: tuple[SublatticeInput, ...] = Field(
        min_length=1, description="one entry for each element whose sites can hold different species"
    )
    spectators: dict[str, Charge] = Field(default={}, description="charges of the elements that never change")
    supercell: Shape = Field(
        default=[1, 1, 1],
        description="the sampled supercell: three repeats, or a 3x3 integer matrix whose rows are its vectors",
    )

    @property
    def matrix(self) -> NDArray[np.int64]:
        """The matrix (3, 3) of the supercell."""
        return supercell_matrix(self.supercell)
