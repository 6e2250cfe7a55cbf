"""Structures as CIF text in which every atom has its oxidation state, so that Fe2+ and Fe3+ differ without proxy elements."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from .lattice import VACANCY, Species, Supercell
from .occupations import full_occupation, species_of_atoms

CELL_KEYS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
SITE_KEYS = ("type_symbol", "label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z", "occupancy")


def charged_cif(supercell: Supercell, species: NDArray[np.int8]) -> str:
    """CIF text, in P 1, of the occupation (n_sites,) on ideal positions; vacancies are left out.

    pymatgen's CifWriter gives the same structure but takes seconds for a large cell.
    """
    atoms = full_occupation(supercell)
    fractional = atoms.get_scaled_positions()
    kept = [(k, sp) for k, sp in enumerate(species_of_atoms(supercell, species)) if sp.name != VACANCY]
    charges = sorted({(_symbol(sp), sp.charge) for _, sp in kept})
    formula = sorted(Counter(sp.element for _, sp in kept).items())
    rows = [f"{_symbol(sp)} {sp.element}{k} 1 {a:.8f} {b:.8f} {c:.8f} 1" for k, sp in kept for a, b, c in [fractional[k]]]
    lines = [
        "data_state",
        "_symmetry_space_group_name_H-M 'P 1'",
        "_symmetry_Int_Tables_number 1",
        f"_chemical_formula_sum '{' '.join(f'{element}{n}' for element, n in formula)}'",
        *(f"_cell_{key} {value:.6f}" for key, value in zip(CELL_KEYS, atoms.cell.cellpar())),
        *("loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'"),
        *("loop_", "_atom_type_symbol", "_atom_type_oxidation_number", *(f"{symbol} {q:g}" for symbol, q in charges)),
        *("loop_", *(f"_atom_site_{key}" for key in SITE_KEYS), *rows),
    ]
    return "\n".join([*lines, ""])


def _symbol(species: Species) -> str:
    """Element and charge as CIF and pymatgen write them: Na+, Fe3+, O2-."""
    size = abs(species.charge)
    return f"{species.element}{size if size != 1 else ''}{'-' if species.charge < 0 else '+'}"
