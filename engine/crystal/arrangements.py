"""Arrangements of species on a lattice, recognised whatever supercell, orientation and origin shows them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import RedoxError
from .lattice import Lattice, Supercell, hermite_form
from .symmetry import SYMMETRY_TOLERANCE_A, space_group


class _Operation(NamedTuple):
    """Site s of cell c goes to site `site[s]` of cell `rotation @ c + cell[s]`."""

    rotation: NDArray[np.int64]
    site: NDArray[np.int64]
    cell: NDArray[np.int64]


class Arrangements:
    """Canonical forms of arrangements on one lattice: the same for two arrangements if and only if symmetry relates them."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice
        self._operations = _operations(lattice)
        self._known_forms: dict[bytes, list[NDArray[np.int64]]] = {}

    def canonical(self, supercell: Supercell, species: NDArray[np.int8]) -> bytes:
        """Canonical form of the occupation (n_sites,) of a supercell: that of its smallest cell under the space group."""
        smallest, occupation = _primitive(supercell, species.astype(np.int8).reshape(supercell.n_cells, -1))
        forms = self._forms(smallest.hermite)
        chosen = min(tuple(h.ravel().tolist()) for h in forms)
        image = Supercell(self.lattice, np.array(chosen, np.int64).reshape(3, 3))
        moved = image.cell_index(image.cells[:, None] + image.cells)  # (translations, cells)
        least = b""
        for op, form in zip(self._operations, forms):
            if tuple(form.ravel().tolist()) == chosen:
                turned = np.empty_like(occupation)
                cells = image.cell_index((smallest.cells @ op.rotation.T)[:, None] + op.cell)  # (cells, sites)
                turned[cells, op.site] = occupation
                found = min(row.tobytes() for row in turned[moved].reshape(len(moved), -1))
                least = min(least, found) if least else found
        return np.array(chosen, np.int32).tobytes() + least

    def _forms(self, hermite: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Hermite normal form of a supercell under each operation."""
        key = hermite.tobytes()
        if key not in self._known_forms:
            self._known_forms[key] = [hermite_form(hermite @ op.rotation.T) for op in self._operations]
        return self._known_forms[key]


def _operations(lattice: Lattice) -> list[_Operation]:
    """Space group of the fully occupied lattice, acting on its sites. Raises RedoxError if it does not permute them."""
    places = lattice.atoms.get_scaled_positions(wrap=False)[lattice.site_atom]
    cell, found = np.asarray(lattice.atoms.cell), []
    for rotation, shift in zip(*space_group(lattice.atoms)):
        apart = (places @ rotation.T + shift)[:, None] - places
        distances_A = np.linalg.norm((apart - np.rint(apart)) @ cell, axis=-1)
        site = distances_A.argmin(axis=1)
        if len(set(site.tolist())) < len(site) or (lattice.site_sublattice[site] != lattice.site_sublattice).any():
            raise RedoxError(f"the space group does not permute the sites to within {SYMMETRY_TOLERANCE_A} A")
        found.append(_Operation(rotation, site, np.rint(apart[np.arange(len(site)), site]).astype(np.int64)))
    return found


def _primitive(supercell: Supercell, occupation: NDArray[np.int8]) -> tuple[Supercell, NDArray[np.int8]]:
    """The smallest supercell that shows the same arrangement, and its occupation (cells, sites per cell)."""
    moved = occupation[supercell.cell_index(supercell.cells[:, None] + supercell.cells)]
    periods = supercell.cells[(moved == occupation).all(axis=(1, 2))]
    smallest = Supercell(supercell.lattice, hermite_form(np.vstack([periods, supercell.hermite])))
    return smallest, occupation[supercell.cell_index(smallest.cells)]
