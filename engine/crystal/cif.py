"""Structures whose atoms bear their charges, for people and other programs: Fe2+ and Fe3+ are told apart without proxies."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lattice import VACANCY, Supercell
from .symmetry import active_atoms, full_occupation, species_on_sites


def charged_cif(supercell: Supercell, species: NDArray[np.int8]) -> str:
    """CIF of the occupation (n_sites,) on ideal positions, every atom with its oxidation state; vacancies are left out."""
    from pymatgen.core import Species as Ion  # slow to import
    from pymatgen.core import Structure
    from pymatgen.io.cif import CifWriter

    atoms, spectators = full_occupation(supercell), supercell.lattice.spectators
    held: list[Any] = [Ion(symbol, spectators.get(symbol, 0)) for symbol in atoms.get_chemical_symbols()]
    for atom, sp in zip(active_atoms(supercell), species_on_sites(supercell, species)):
        held[atom] = None if sp.name == VACANCY else Ion(sp.element, sp.charge)
    kept = [k for k, ion in enumerate(held) if ion is not None]
    ions = [held[k] for k in kept]
    structure = Structure(np.asarray(atoms.cell), ions, atoms.positions[kept], coords_are_cartesian=True, to_unit_cell=True)
    return str(CifWriter(structure))
