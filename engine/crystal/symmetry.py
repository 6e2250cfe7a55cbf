"""Space group of a crystal, and which arrangements of species it makes equivalent."""

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from ..errors import RedoxError
from .lattice import Supercell
from .occupations import active_atoms, full_occupation

SYMMETRY_TOLERANCE_A = 1e-2


def space_group(atoms: Atoms) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rotations (operations, 3, 3) and translations (operations, 3) in fractional coordinates.

    Raises RedoxError if spglib finds no space group.
    """
    structure = (np.asarray(atoms.cell).tolist(), atoms.get_scaled_positions().tolist(), atoms.numbers.tolist())
    found: dict[str, NDArray] | None = spglib.get_symmetry(structure, symprec=SYMMETRY_TOLERANCE_A)
    if found is None:
        raise RedoxError("spglib finds no space group for the structure")
    return found["rotations"].astype(np.int64), found["translations"]


def primitive_size(atoms: Atoms) -> int:
    """Atoms in the primitive cell."""
    rotations, _ = space_group(atoms)
    translations = (rotations == np.eye(3, dtype=np.int64)).all(axis=(1, 2)).sum()
    return len(atoms) // int(translations)


def site_permutations(supercell: Supercell) -> NDArray[np.int64]:
    """Space group of the fully occupied supercell as permutations (operations, n_sites) of its active sites.

    Raises RedoxError if an operation does not map the active sites onto each other.
    """
    atoms, sites = full_occupation(supercell), active_atoms(supercell)
    rotations, shifts = space_group(atoms)
    places = atoms.get_scaled_positions(wrap=False)[sites]
    permutations = np.empty((len(rotations), len(sites)), np.int64)
    for row, rotation, shift in zip(permutations, rotations, shifts):
        apart = (places @ rotation.T + shift)[:, None] - places
        apart -= np.rint(apart)
        row[:] = np.linalg.norm(apart @ np.asarray(atoms.cell), axis=-1).argmin(axis=1)
    # sublattices differ in element, so the operations of the structure map each on itself
    one_to_one = (np.sort(permutations, axis=1) == np.arange(len(sites))).all()
    if not one_to_one or (supercell.site_sublattice[permutations] != supercell.site_sublattice).any():
        raise RedoxError(f"the space group does not permute the sites to within {SYMMETRY_TOLERANCE_A} A")
    return np.unique(permutations, axis=0)


def cell_operations(supercell: Supercell) -> NDArray[np.int64]:
    """Operations of the cell of the structure file that map the supercell on itself: image (operations, n_sites) of each site."""
    lattice, found = supercell.lattice, []
    places = lattice.atoms.get_scaled_positions(wrap=False)[lattice.site_atom]
    for rotation, shift in zip(*space_group(lattice.atoms)):
        turned = supercell.matrix @ rotation.T @ np.linalg.inv(supercell.matrix)
        if not np.allclose(turned, np.rint(turned)):
            continue
        apart = (places @ rotation.T + shift)[:, None] - places
        image = np.linalg.norm((apart - np.rint(apart)) @ np.asarray(lattice.atoms.cell), axis=-1).argmin(axis=1)
        moved = np.rint(apart[np.arange(len(places)), image]).astype(np.int64)
        cells = (supercell.cells @ rotation.T)[:, None] + moved
        found.append((supercell.cell_index(cells) * len(places) + image).reshape(-1))
    return np.unique(found, axis=0)


def site_translations(supercell: Supercell) -> NDArray[np.int64]:
    """Translations of the lattice, without the identity, as permutations (n_cells - 1, n_sites) of the active sites."""
    moved = supercell.cell_index(supercell.cells[1:, None] + supercell.cells)
    own = np.arange(supercell.lattice.n_sites)
    return (moved[..., None] * supercell.lattice.n_sites + own).reshape(supercell.n_cells - 1, supercell.n_sites)


def canonical(species: NDArray[np.int8], permutations: NDArray[np.int64]) -> bytes:
    """Canonical form of an arrangement (n_sites,): its lexicographically smallest image under the permutations."""
    return min(image.tobytes() for image in species.astype(np.int8)[permutations])


def is_primitive(species: NDArray[np.int8], translations: NDArray[np.int64]) -> bool:
    """Whether no translation leaves the arrangement unchanged, so that it does not fit into a smaller cell."""
    return not (species[translations] == species).all(axis=1).any()


def orbits(states: NDArray[np.int8], permutations: NDArray[np.int64]) -> dict[bytes, bytes]:
    """Symmetry-distinct arrangements among the states (m, n_sites): canonical form → first state of the orbit."""
    seen: set[bytes] = set()
    found: dict[bytes, bytes] = {}
    for state in states:
        if (first := state.tobytes()) not in seen:
            images = {image.tobytes() for image in state[permutations]}
            seen |= images
            found[min(images)] = first
    return found
