"""Mapping of relaxed cells to the ideal sites of the lattice."""

import warnings

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..errors import RedoxError

LARGEST_SHIFT_A = 1.0  # an atom that is further from its site has left it
LARGEST_STRAIN = 0.25  # of the cell, apart from its volume, as in icet
OVERLAP_A = 1e-4  # atoms closer than this are the same atom, as in icet


class SiteMapping:
    """Maps cells to the sites of one lattice. It keeps the ideal supercells, since a data set has many cells of few shapes."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice
        self.spectators = sorted(lattice.spectators)
        self.certain_A = min(_nearest_A(lattice.atoms) / 2, LARGEST_SHIFT_A)
        self._supercells: dict[bytes, Atoms] = {}

    def __call__(self, frame: Atoms) -> Atoms:
        """The cell on ideal positions, vacancies as X. Raises RedoxError if the atoms do not fit the sites."""
        nearest = self._nearest_sites(frame)
        return self._searched(frame) if nearest is None else nearest

    def _nearest_sites(self, frame: Atoms) -> Atoms | None:
        """Every atom on its nearest site, or None for a cell that is rotated, shifted or far from the sites.

        A site is certain if it is closer to its atom than half the distance between sites, is shared with no other atom and may
        hold the atom. The result is that of icet, in a fiftieth of the time.
        """
        scaled = np.asarray(frame.cell) * self._volume_ratio(frame) ** (1 / 3)
        matrix = np.rint(scaled @ np.linalg.inv(np.asarray(self.lattice.atoms.cell)))
        if np.linalg.det(matrix) < 0.5:
            return None
        cell = self._supercell(matrix)
        strain = np.linalg.svd(np.linalg.solve(np.asarray(cell.cell), scaled), compute_uv=False) - 1
        apart = frame.get_scaled_positions(wrap=False)[:, None] - cell.get_scaled_positions(wrap=False)[None]
        distance_A = np.linalg.norm((apart - np.rint(apart)) @ np.asarray(cell.cell), axis=2)
        sites = distance_A.argmin(axis=1)
        is_far = np.abs(strain).max() > LARGEST_STRAIN or distance_A.min(axis=1).max() >= self.certain_A
        if is_far or len(np.unique(sites)) < len(sites):
            return None
        numbers = np.zeros(len(cell), int)  # 0 is X
        numbers[sites] = frame.numbers
        cell.numbers = numbers
        return None if self._misplaced(cell) else cell

    def _searched(self, frame: Atoms) -> Atoms:
        """icet's mapping, which also finds rotations and shifts. Raises RedoxError if the atoms do not fit the sites."""
        from icet.tools import map_structure_to_reference  # slow to import

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cell, info = map_structure_to_reference(
                    frame, self.lattice.atoms, inert_species=self.spectators or None, suppress_warnings=True
                )
        except Exception as error:  # icet raises bare exceptions
            raise RedoxError(f"it does not fit the lattice: {error}") from None
        if not info.drmax < LARGEST_SHIFT_A:
            raise RedoxError(f"an atom is {info.drmax:.2f} A from its site; allowed: less than {LARGEST_SHIFT_A} A")
        if problem := self._misplaced(cell):
            raise RedoxError(f"{problem}; is it another structure of the same atoms?")
        return cell

    def _volume_ratio(self, frame: Atoms) -> float:
        """Volume of the ideal cells over that of the frame, for the same number of spectators or, if there are none, of atoms."""
        ideal, kept = self.lattice.atoms, self.spectators
        counts = [sum(s in kept for s in a.get_chemical_symbols()) if kept else len(a) for a in (ideal, frame)]
        return float(ideal.get_volume() / counts[0] * counts[1] / frame.get_volume())

    def _supercell(self, matrix: NDArray[np.float64]) -> Atoms:
        """A copy of the fully occupied supercell."""
        key = matrix.tobytes()
        if key not in self._supercells:
            self._supercells[key] = make_supercell(self.lattice.atoms, matrix, tol=OVERLAP_A)
        copy: Atoms = self._supercells[key].copy()
        return copy

    def _misplaced(self, cell: Atoms) -> str | None:
        """A message if an atom of `cell`, on ideal positions, is on a site that cannot hold it."""
        allowed, own = self.lattice.allowed_symbols(), self.lattice.atoms.get_scaled_positions()
        apart = (cell.positions @ np.linalg.inv(np.asarray(self.lattice.atoms.cell)))[:, None] - own[None]
        sites = np.linalg.norm((apart - np.rint(apart)) @ np.asarray(self.lattice.atoms.cell), axis=2).argmin(axis=1)
        wrong = sorted({(s, allowed[k][0]) for s, k in zip(cell.get_chemical_symbols(), sites) if s not in allowed[k]})
        return f"{wrong[0][0]} is on a site of {wrong[0][1]}" if wrong else None


def _nearest_A(atoms: Atoms) -> float:
    """Shortest distance between two atoms, periodic images included."""
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    vectors, _ = minkowski_reduce(atoms.cell, atoms.pbc)
    return float(min(distances.min(), np.linalg.norm(vectors, axis=1).min()))
