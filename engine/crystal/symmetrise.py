"""Structures whose numbers are rounded: the nearest structure that has their space group to all digits."""

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from .symmetry import SYMMETRY_TOLERANCE_A

Float = NDArray[np.float64]
EXACT_A = 1e-5  # to which icet compares positions
GRID = 24  # translations of all standard settings are multiples of 1/24


def symmetrised(atoms: Atoms) -> tuple[Atoms, str]:
    """The structure with its space group made exact, and what was changed in words; unchanged, and "", if it is exact.

    The space group is the one found within SYMMETRY_TOLERANCE_A. Positions are averaged over its operations and the metric of
    the cell over its rotations; order of the atoms, orientation and origin stay.
    """
    wanted = _dataset(atoms, SYMMETRY_TOLERANCE_A)
    found = _dataset(atoms, EXACT_A)
    if wanted is None or (found is not None and len(found.rotations) >= len(wanted.rotations)):
        return atoms, ""
    rotations, translations = wanted.rotations, _exact_translations(wanted)
    places = atoms.get_scaled_positions(wrap=False)
    images = _images(atoms, places, rotations, translations)
    if images is None:
        return atoms, ""
    better = atoms.copy()
    better.set_cell(_averaged_cell(np.asarray(atoms.cell), rotations), scale_atoms=False)
    better.set_scaled_positions(places + (images - places).mean(axis=0) - (images - places).mean(axis=(0, 1)))
    again = _dataset(better, EXACT_A)
    if again is None or len(again.rotations) < len(wanted.rotations):
        return atoms, ""
    moved = np.linalg.norm((better.get_scaled_positions(wrap=False) - places) @ np.asarray(atoms.cell), axis=1).max()
    exact = "no space group" if found is None else found.international
    return better, (
        f"the structure has the space group {wanted.international} within {SYMMETRY_TOLERANCE_A:g} A, but its rounded numbers "
        f"give {exact}; positions were moved by up to {moved:.1g} A to make it exact"
    )


def _dataset(atoms: Atoms, tolerance_A: float) -> "spglib.SpglibDataset | None":
    structure = (np.asarray(atoms.cell).tolist(), atoms.get_scaled_positions().tolist(), atoms.numbers.tolist())
    return spglib.get_symmetry_dataset(structure, symprec=tolerance_A)


def _exact_translations(dataset: "spglib.SpglibDataset") -> Float:
    """Translations (operations, 3) without the noise of the positions: multiples of 1/GRID about the standard origin."""
    to_standard = dataset.transformation_matrix
    origin = np.linalg.solve(to_standard, dataset.origin_shift)
    about_origin = dataset.translations + origin - dataset.rotations @ origin
    standard = np.rint(about_origin @ to_standard.T * GRID) / GRID
    return np.asarray(standard @ np.linalg.inv(to_standard).T - origin + dataset.rotations @ origin)


def _images(atoms: Atoms, places: Float, rotations: NDArray[np.int32], translations: Float) -> Float | None:
    """Where each operation, undone, puts the atom that it takes each atom to, (operations, atoms, 3), near that atom itself.

    None if an operation does not map the atoms onto each other.
    """
    cell, found = np.asarray(atoms.cell), np.empty((len(rotations), len(atoms), 3))
    for row, rotation, shift in zip(found, rotations, translations):
        apart = (places @ rotation.T + shift)[:, None] - places
        apart -= np.rint(apart)
        distance = np.linalg.norm(apart @ cell, axis=-1) + 1e3 * (atoms.numbers[:, None] != atoms.numbers)
        partner = distance.argmin(axis=1)
        if len(set(partner.tolist())) < len(atoms) or distance.min(axis=1).max() > 10 * SYMMETRY_TOLERANCE_A:
            return None
        row[:] = places - apart[np.arange(len(atoms)), partner] @ np.linalg.inv(rotation).T
    return found


def _averaged_cell(cell: Float, rotations: NDArray[np.int32]) -> Float:
    """The cell (3, 3) with the metric averaged over the rotations, in the same orientation."""
    metric = np.mean([r.T @ cell @ cell.T @ r for r in rotations], axis=0)
    inverse = np.linalg.inv(cell)
    values, vectors = np.linalg.eigh(inverse @ metric @ inverse.T)
    return np.asarray(cell @ (vectors * np.sqrt(values)) @ vectors.T)
