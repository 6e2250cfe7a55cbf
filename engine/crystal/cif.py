"""Structures as CIF text in which every atom has its oxidation state, so that Fe2+ and Fe3+ differ without proxy elements."""

import numpy as np
from numpy.typing import NDArray

from .lattice import VACANCY, Species, Supercell
from .occupations import active_atoms, full_occupation

CELL_KEYS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
SITE_KEYS = ("type_symbol", "label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z", "occupancy")
Occupants = list[tuple[Species, float]]


def charged_cif(supercell: Supercell, species: NDArray[np.int8]) -> str:
    """CIF text, in P 1, of the occupation (n_sites,) on ideal positions; vacancies are left out."""
    return occupied_cif(supercell, np.eye(supercell.lattice.n_species)[species])


def occupied_cif(supercell: Supercell, fractions: NDArray[np.float64]) -> str:
    """The same of sites that hold several species, by fractions (n_sites, n_species).

    pymatgen's CifWriter gives the same structure but takes seconds for a large cell.
    """
    atoms = full_occupation(supercell)
    held = _occupants(supercell, fractions)
    charges = sorted({(_symbol(sp), sp.charge) for occupants in held for sp, _ in occupants})
    formula: dict[str, float] = {}
    for sp, share in (pair for occupants in held for pair in occupants):
        formula[sp.element] = formula.get(sp.element, 0.0) + share
    lines = [
        "data_state",
        "_symmetry_space_group_name_H-M 'P 1'",
        "_symmetry_Int_Tables_number 1",
        f"_chemical_formula_sum '{' '.join(f'{element}{round(n, 4):g}' for element, n in sorted(formula.items()))}'",
        *(f"_cell_{key} {value:.6f}" for key, value in zip(CELL_KEYS, atoms.cell.cellpar())),
        *("loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'"),
        *("loop_", "_atom_type_symbol", "_atom_type_oxidation_number", *(f"{symbol} {q:g}" for symbol, q in charges)),
        *("loop_", *(f"_atom_site_{key}" for key in SITE_KEYS), *_rows(atoms.get_scaled_positions(), held)),
    ]
    return "\n".join([*lines, ""])


def _rows(fractional: NDArray[np.float64], held: list[Occupants]) -> list[str]:
    return [
        f"{_symbol(sp)} {sp.element}{k}{'' if order == 0 else '_' + str(order)} 1 {a:.8f} {b:.8f} {c:.8f} {share:g}"
        for k, ((a, b, c), occupants) in enumerate(zip(fractional.tolist(), held))
        for order, (sp, share) in enumerate(occupants)
    ]


def _occupants(supercell: Supercell, fractions: NDArray[np.float64]) -> list[Occupants]:
    """Species with their shares, which add up to 1 with that of the vacancy, on every atom of the full occupation."""
    lattice = supercell.lattice
    symbols = full_occupation(supercell).get_chemical_symbols()
    held = [[(Species(s, lattice.spectators.get(s, 0)), 1.0)] for s in symbols]
    shares = fractions.round(6)
    shares[np.arange(len(shares)), shares.argmax(axis=1)] += 1 - shares.sum(axis=1)
    for atom, g, row in zip(active_atoms(supercell).tolist(), supercell.site_sublattice, shares.round(6).tolist()):
        held[atom] = [(sp, share) for sp, share in zip(lattice.sublattices[g].species, row) if share and sp.name != VACANCY]
    return held


def _symbol(species: Species) -> str:
    """Element and charge as CIF and pymatgen write them: Na+, Fe3+, O2-."""
    size = abs(species.charge)
    return f"{species.element}{size if size != 1 else ''}{'-' if species.charge < 0 else '+'}"
