"""The lattice: which species each site of the structure may hold, and the supercells of that structure."""

import re
from dataclasses import dataclass
from functools import cached_property
from math import gcd, prod

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

VACANCY = "Va"
_CHARGE_SUFFIX = re.compile(r"\d*[+-]$")


@dataclass(frozen=True)
class Species:
    """A name with an integer charge.

    proxy: chemical element that stands for the species in potentials and data sets; None if it is the species' own element.
    moment_muB: magnetic moment of the species in a reference calculation; None if not given.
    """

    name: str
    charge: int
    proxy: str | None = None
    moment_muB: float | None = None

    @property
    def element(self) -> str:
        """The name without its charge: Fe for Fe3+."""
        return _CHARGE_SUFFIX.sub("", self.name)

    @property
    def symbol(self) -> str:
        """Chemical symbol in data sets: the proxy if there is one; X for a vacancy, as in icet."""
        return "X" if self.name == VACANCY else self.proxy or self.element


@dataclass(frozen=True)
class Sublattice:
    """All positions that share the same allowed species."""

    element: str
    species: tuple[Species, ...]


@dataclass(frozen=True)
class Lattice:
    """The fully occupied cell. Its sites are the positions of active atoms, by sublattice and then in the order of the file.

    atoms: the structure. spectators: charge by element of the atoms that never change. site_atom (sites,): index of each site
    in `atoms`. site_sublattice (sites,): index of its sublattice. symmetry_note: how the structure differs from the file, if
    rounded numbers hid its space group.
    """

    atoms: Atoms
    sublattices: tuple[Sublattice, ...]
    spectators: dict[str, int]
    site_atom: NDArray[np.int64]
    site_sublattice: NDArray[np.int64]
    symmetry_note: str = ""

    @property
    def n_sites(self) -> int:
        """Number of sites per cell."""
        return len(self.site_atom)

    @cached_property
    def n_formula_units(self) -> int:
        """Formula units per cell: how often the reduced formula of the fully occupied structure occurs."""
        symbols, counts = np.unique(self.atoms.get_chemical_symbols(), return_counts=True)
        return gcd(*(int(c) for c in counts))

    @property
    def formula_unit(self) -> dict[str, int]:
        """Atoms per formula unit by element, in the order of the file."""
        symbols = self.atoms.get_chemical_symbols()
        return {s: symbols.count(s) // self.n_formula_units for s in dict.fromkeys(symbols)}

    @cached_property
    def spectator_charge(self) -> int:
        """Total charge of the spectators per cell."""
        return sum(self.spectators[s] for s in self.atoms.get_chemical_symbols() if s in self.spectators)

    @property
    def sites_per_sublattice(self) -> NDArray[np.int64]:
        """Number of sites (sublattices,) per cell."""
        return np.bincount(self.site_sublattice, minlength=len(self.sublattices))

    @property
    def species(self) -> tuple[Species, ...]:
        """All species, sublattice by sublattice; one that several sublattices allow occurs several times."""
        return tuple(sp for s in self.sublattices for sp in s.species)

    @property
    def n_species(self) -> int:
        """Largest number of species on a sublattice."""
        return max(len(s.species) for s in self.sublattices)

    def rows(self, name: str) -> list[tuple[int, int]]:
        """(sublattice, species index) of every sublattice that allows the named species."""
        return [(g, k) for g, s in enumerate(self.sublattices) for k, sp in enumerate(s.species) if sp.name == name]

    def species_named(self, name: str) -> Species:
        """The species with this name. Raises KeyError if no sublattice allows it."""
        return {sp.name: sp for sp in reversed(self.species)}[name]

    def element(self, sublattice: int, species: int) -> str:
        """Element of a species given by sublattice and species index; Va for a vacancy."""
        return self.sublattices[sublattice].species[species].element

    def allowed_symbols(self) -> list[list[str]]:
        """Chemical symbols that each atom of the structure may have in data sets, as icet takes them."""
        symbols = [[s] for s in self.atoms.get_chemical_symbols()]
        for atom, g in zip(self.site_atom, self.site_sublattice):
            symbols[atom] = [sp.symbol for sp in self.sublattices[g].species]
        return symbols


def bare_copy(atoms: Atoms) -> Atoms:
    """A copy of symbols, positions and cell without anything else, periodic in three directions."""
    return Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell, pbc=True)


def build_lattice(atoms: Atoms, sublattices: tuple[Sublattice, ...], spectators: dict[str, int]) -> Lattice:
    """The lattice of a structure; sites are numbered by sublattice, then in the order of the file."""
    symbols = np.array(atoms.get_chemical_symbols())
    groups = [np.flatnonzero(symbols == s.element) for s in sublattices]
    return Lattice(
        atoms=atoms,
        sublattices=sublattices,
        spectators=spectators,
        site_atom=np.concatenate(groups),
        site_sublattice=np.repeat(np.arange(len(groups)), [len(g) for g in groups]),
    )


def hermite_form(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hermite normal form (3, 3) of `matrix` (rows, 3): the upper triangular basis of the integer lattice spanned by its rows.

    The diagonal is positive. Raises ValueError if the rows span less than three dimensions.
    """
    h = [[int(v) for v in row] for row in matrix]
    for c in range(3):
        while True:
            nonzero = [r for r in range(c, len(h)) if h[r][c]]
            if not nonzero:
                raise ValueError("the vectors of the supercell are linearly dependent")
            pivot = min(nonzero, key=lambda r: abs(h[r][c]))
            h[c], h[pivot] = h[pivot], h[c]
            if len(nonzero) == 1:
                break
            for r in range(c + 1, len(h)):
                factor = h[r][c] // h[c][c]
                h[r] = [a - factor * b for a, b in zip(h[r], h[c])]
        if h[c][c] < 0:
            h[c] = [-a for a in h[c]]
        for r in range(c):
            factor = h[r][c] // h[c][c]
            h[r] = [a - factor * b for a, b in zip(h[r], h[c])]
    return np.array(h[:3], np.int64)


def diagonal_form(matrix: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes d (3,) and a unimodular matrix V (3, 3) that diagonalise the lattice spanned by the rows of `matrix`.

    r and r' are equivalent modulo the lattice if and only if (r - r') V = 0 modulo d. Rows and columns are reduced in turn, as
    for the Smith normal form, but the sizes need not divide each other.
    """
    h, columns = hermite_form(matrix), np.eye(3, dtype=np.int64)
    while np.any(h != np.diag(np.diag(h))):
        reduced = hermite_form(h.T).T
        columns = columns @ np.rint(np.linalg.solve(h.astype(float), reduced)).astype(np.int64)
        h = hermite_form(reduced)
    return np.diag(h).copy(), columns


@dataclass(frozen=True, eq=False)
class Supercell:
    """A periodic supercell; the rows of `matrix` (3, 3) are its vectors in units of the cell vectors.

    Its cells are those with indices 0 <= i < shape[axis]: the box of the Hermite normal form.
    """

    lattice: Lattice
    matrix: NDArray[np.int64]

    @cached_property
    def hermite(self) -> NDArray[np.int64]:
        """Hermite normal form (3, 3) of `matrix`."""
        return hermite_form(self.matrix)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Sizes of the box of cells: the diagonal of the Hermite normal form."""
        a, b, c = (int(v) for v in np.diag(self.hermite))
        return a, b, c

    @cached_property
    def layers(self) -> tuple[int, int, int]:
        """Number of different cells along each axis of the cell."""
        volume = int(round(abs(float(np.linalg.det(self.matrix)))))
        cofactors = np.rint(np.linalg.inv(self.matrix) * volume).astype(np.int64)
        along = [volume // int(np.gcd.reduce([volume, *row])) for row in cofactors.tolist()]
        return along[0], along[1], along[2]

    @property
    def cells(self) -> NDArray[np.int64]:
        """Indices (n_cells, 3) of all cells in C order; the row is the number of the cell."""
        return np.array(np.unravel_index(np.arange(self.n_cells), self.shape)).T

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return prod(self.shape)

    @property
    def n_sites(self) -> int:
        """Number of active sites."""
        return self.n_cells * self.lattice.n_sites

    @property
    def n_formula_units(self) -> int:
        """Number of formula units."""
        return self.n_cells * self.lattice.n_formula_units

    @property
    def sites_per_sublattice(self) -> NDArray[np.int64]:
        """Number of sites (sublattices,)."""
        return self.n_cells * self.lattice.sites_per_sublattice

    @cached_property
    def site_sublattice(self) -> NDArray[np.int64]:
        """Sublattice (n_sites,) of each site. The number of a site is cell number * sites per cell + site within the cell."""
        return np.tile(self.lattice.site_sublattice, self.n_cells)

    def wrap(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Periodic images of the cells (..., 3) that lie in the box."""
        wrapped = np.array(cells, np.int64)
        for axis in range(3):
            times = wrapped[..., axis] // self.hermite[axis, axis]
            wrapped -= times[..., None] * self.hermite[axis]
        return wrapped

    def cell_index(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number (...,) of the periodic image of each cell (..., 3)."""
        w = self.wrap(cells)
        _, b, c = self.shape
        return (w[..., 0] * b + w[..., 1]) * c + w[..., 2]

    def shortest(self, cell: NDArray[np.int64]) -> tuple[int, int, int]:
        """The periodic image of a cell offset (3,) with the smallest largest component, so that the halo of images is narrow."""
        base = self.wrap(cell)
        corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, -1).T
        candidates = np.vstack([[cell], base - corners @ self.hermite])
        best = min(candidates.tolist(), key=lambda c: (max(map(abs, c)), sum(map(abs, c)), c))
        return tuple(best)

    def to_atoms(self, species: NDArray[np.int8]) -> Atoms:
        """The occupation (n_sites,) as a structure on ideal positions with the symbols of data sets; vacancies are X."""
        lat = self.lattice
        symbols = np.tile(np.array(lat.atoms.get_chemical_symbols(), dtype=object), (self.n_cells, 1))
        names = [[sp.symbol for sp in s.species] for s in lat.sublattices]
        occupation = species.reshape(self.n_cells, lat.n_sites)
        for site, (atom, g) in enumerate(zip(lat.site_atom, lat.site_sublattice)):
            symbols[:, atom] = [names[g][k] for k in occupation[:, site]]
        cell = np.asarray(lat.atoms.cell)
        positions = (lat.atoms.positions[None] + (self.cells @ cell)[:, None]).reshape(-1, 3)
        return Atoms(symbols.ravel().tolist(), positions=positions, cell=self.matrix @ cell, pbc=True)
