"""Mapping of relaxed cells to the ideal sites of the lattice, whatever their orientation, origin and order of atoms.

1. Supercells of the lattice whose vectors have the lengths and angles of the frame (`supercell_search`), least strained first.
2. The origin: the spectators on their sites; without any, the atoms of sites that are never empty, or all atoms.
3. Every atom on the nearest site; if two share one, the assignment with the least squared shifts.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..crystal.lattice import VACANCY, Lattice, Supercell
from ..crystal.primitive import primitive_lattice
from ..crystal.supercell_search import SupercellSearch, strain_of
from ..errors import RedoxError

Float = NDArray[np.float64]
Integer = NDArray[np.int64]

LARGEST_SHIFT_A = 0.7  # an atom that is further from its site has left it; 0.55 is the most in the shipped data
LARGEST_STRAIN = 0.1  # of the cell, apart from its volume; measured: up to 0.055 in relaxed cells, 0.13 and more in wrong ones
LARGEST_EXPANSION = 0.3  # of the volume
CERTAIN = 0.5  # share of the limits within which a mapping needs no rival
FIRST_STRAIN, SEARCHED_STRAIN = 0.05, 0.25  # of the cells that are tried first, and of all: those too strained are reported
MOST_SUPERCELLS = 60
ORIGIN_STEPS = 4
ROUNDING = 1e-6  # of costs: of two equivalent placements the first is kept
FORBIDDEN = 1e4  # A^2, added to the squared distance to a site that cannot hold the atom


@dataclass(frozen=True)
class Mapped:
    """A relaxed cell on the sites of the lattice.

    cell: ideal positions with the symbols of the species, vacancies as X. supercell, species (n_sites,): the same as an
    occupation of the primitive lattice. strain: largest principal strain apart from the volume. expansion: volume relative to
    that of the ideal cell, minus 1. shift_A: largest distance of an atom from its site. problem: why it cannot be used, or None.
    """

    cell: Atoms
    supercell: Supercell
    species: NDArray[np.int8]
    strain: float
    expansion: float
    shift_A: float
    problem: str | None


class _Ideal(NamedTuple):
    """A supercell: vectors (3, 3) in A, fractional sites (n, 3), and the sites (n,) on which each symbol is allowed."""

    matrix: Integer
    vectors: Float
    places: Float
    allowed: dict[str, NDArray[np.bool_]]


class _Placement(NamedTuple):
    """The site of every atom of a frame. misplaced: message if an atom is closer to a site that cannot hold it."""

    matrix: Integer
    sites: Integer
    strain: float
    shift_A: float
    misplaced: str | None

    @property
    def cost(self) -> float:
        """Share of the limits that is used up."""
        used = max(self.strain / LARGEST_STRAIN, self.shift_A / LARGEST_SHIFT_A)
        return used if self.misplaced is None else used + FORBIDDEN


class SiteMapping:
    """Maps cells to the sites of one lattice. It keeps the ideal supercells, since a data set has many cells of few shapes."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = primitive_lattice(lattice)
        self._full = _full_sites(self.lattice)
        self._search = SupercellSearch(self.lattice)
        self._ideal: dict[bytes, _Ideal] = {}

    def __call__(self, frame: Atoms) -> Mapped:
        """The cell on ideal positions, and why it cannot be used. Raises RedoxError if it cannot be compared with the lattice."""
        n_cells = self.n_cells(frame)
        lattice_A3, frame_A3 = self.lattice.atoms.get_volume() * n_cells, frame.get_volume()
        cell, combination = minkowski_reduce(np.asarray(frame.cell) * (lattice_A3 / frame_A3) ** (1 / 3))
        to_frame = np.rint(np.linalg.inv(combination)).astype(np.int64)  # vectors of the frame are to_frame @ cell
        best = self._best_placement(frame, cell, frame.get_scaled_positions(wrap=False) @ to_frame, n_cells)
        return self._mapped(frame, best, to_frame, float(frame_A3 / lattice_A3) - 1)

    def n_cells(self, frame: Atoms) -> int:
        """Number of primitive cells, from the sites that are never empty or, without them, from the volume.

        Raises RedoxError if it is not whole.
        """
        own, host = Counter(frame.get_chemical_symbols()), self.lattice.atoms.get_chemical_symbols()
        numbers = {sum(own[s] for s in symbols) / host.count(element) for element, symbols in self._full.items()}
        if not numbers:
            n = round(frame.get_volume() / self.lattice.atoms.get_volume())
            return max(n, -(-len(frame) // len(self.lattice.atoms)))
        if len(numbers) > 1 or (n_full := numbers.pop()) != round(n_full) or n_full < 1:
            raise RedoxError(f"{frame.get_chemical_formula()} is not a whole number of cells of the lattice")
        return round(n_full)

    def _best_placement(self, frame: Atoms, cell: Float, places: Float, n_cells: int) -> _Placement:
        """places (atoms, 3): fractional coordinates in the reduced cell (3, 3)."""
        best: _Placement | None = None
        least_strain = np.inf
        for matrix in self._supercells(cell, n_cells):
            strain = strain_of(cell, matrix, np.asarray(self.lattice.atoms.cell))
            if best is not None and best.cost < max(CERTAIN, strain / LARGEST_STRAIN):
                break
            least_strain = min(least_strain, strain)
            for found in self._placements(frame, places, matrix, strain):
                best = found if best is None or found.cost < best.cost - ROUNDING else best
        if best is None and np.isfinite(least_strain):
            raise RedoxError(f"its {self._kept_names} are off their sites; the cell is strained by {least_strain:.0%} or more")
        if best is None:
            raise RedoxError(f"its cell is no supercell of the lattice within a strain of {SEARCHED_STRAIN:.0%}")
        return best

    def _supercells(self, cell: Float, n_cells: int) -> Iterator[Integer]:
        """The closest one without a rotation, then others: the search for larger strains is the slower one."""
        yield from self._search.unrotated(cell, n_cells)
        near = self._search.rotated(cell, n_cells, FIRST_STRAIN)
        yield from near[:MOST_SUPERCELLS]
        yield from self._search.rotated(cell, n_cells, SEARCHED_STRAIN)[len(near) :][:MOST_SUPERCELLS]

    def _placements(self, frame: Atoms, places: Float, matrix: Integer, strain: float) -> Iterator[_Placement]:
        """The atoms on the sites of a supercell, for every origin."""
        ideal, symbols = self._ideal_supercell(matrix), np.array(frame.get_chemical_symbols())
        atoms, allowed = np.arange(len(symbols)), np.array([ideal.allowed[s] for s in symbols])
        for origin in self._origins(symbols, places, ideal, allowed):
            squared_A2 = _squared_distances(ideal, places + origin)
            nearest = sites = squared_A2.argmin(axis=1)
            if len(set(sites.tolist())) < len(sites) or not allowed[atoms, sites].all():
                sites = linear_sum_assignment(squared_A2 + FORBIDDEN * ~allowed)[1]
            shift_A = float(np.sqrt(squared_A2[atoms, sites].max()))
            yield _Placement(matrix, sites, strain, shift_A, self._misplaced(symbols, allowed[atoms, nearest], nearest))

    def _origins(self, symbols: NDArray[np.str_], places: Float, ideal: _Ideal, allowed: NDArray[np.bool_]) -> Iterator[Float]:
        """Shifts (3,) of the frame that put spectators on their sites, or atoms of sites that are never empty, or all atoms."""
        is_kept = np.isin(symbols, list(self.lattice.spectators) or [s for found in self._full.values() for s in found])
        kept = np.flatnonzero(is_kept) if is_kept.any() else np.arange(len(symbols))
        rarest = min(symbols[kept], key=lambda s: (np.sum(symbols == s), s))
        first = kept[symbols[kept] == rarest][0]
        own_sites = np.flatnonzero(ideal.allowed[rarest][: len(self.lattice.atoms)])
        for origin in ideal.places[own_sites] - places[first]:
            for _ in range(ORIGIN_STEPS):
                apart = ideal.places[None] - (places[kept] + origin)[:, None]
                apart -= np.rint(apart)
                squared_A2 = ((apart @ ideal.vectors) ** 2).sum(axis=2) + FORBIDDEN * ~allowed[kept]
                sites = squared_A2.argmin(axis=1)
                origin = origin + apart[np.arange(len(kept)), sites].mean(axis=0)
            if np.sqrt(squared_A2.min(axis=1).mean()) < LARGEST_SHIFT_A:
                yield origin

    @property
    def _kept_names(self) -> str:
        return ", ".join(sorted(s for found in self._full.values() for s in found)) or "atoms"

    def _ideal_supercell(self, matrix: Integer) -> _Ideal:
        key = matrix.tobytes()
        if key not in self._ideal:
            own, cells = self.lattice.atoms.get_scaled_positions(wrap=False), Supercell(self.lattice, matrix).cells
            places = ((cells[:, None] + own).reshape(-1, 3)) @ np.linalg.inv(matrix)
            symbols = self.lattice.allowed_symbols()
            allowed = {s: np.tile([s in of_site for of_site in symbols], len(cells)) for s in {t for u in symbols for t in u}}
            self._ideal[key] = _Ideal(matrix, matrix @ np.asarray(self.lattice.atoms.cell), places, allowed)
        return self._ideal[key]

    def _misplaced(self, symbols: NDArray[np.str_], is_allowed: NDArray[np.bool_], sites: Integer) -> str | None:
        if is_allowed.all():
            return None
        wrong = int(np.flatnonzero(~is_allowed)[0])
        own = self.lattice.atoms.get_chemical_symbols()[sites[wrong] % len(self.lattice.atoms)]
        return f"{symbols[wrong]} is on a site of {own}; is it another structure of the same atoms?"

    def _mapped(self, frame: Atoms, found: _Placement, to_frame: Integer, expansion: float) -> Mapped:
        supercell = Supercell(self.lattice, to_frame @ found.matrix)
        # the sites of both supercells are those of the same box of cells
        symbols = np.full(supercell.n_cells * len(self.lattice.atoms), "X", dtype=object)
        symbols[found.sites] = frame.get_chemical_symbols()
        by_cell = symbols.reshape(supercell.n_cells, -1)[:, self.lattice.site_atom]
        tables = [{sp.symbol: k for k, sp in enumerate(s.species)} for s in self.lattice.sublattices]
        species = [tables[g].get(s, -1) for s, g in zip(by_cell.ravel(), supercell.site_sublattice)]
        occupation, problem = np.array(species, np.int8), _problem(found, expansion)
        if problem is None and (occupation < 0).any():
            problem = "a site that must be occupied is empty"
        cell = supercell.to_atoms(np.maximum(occupation, 0))
        return Mapped(cell, supercell, occupation, found.strain, expansion, found.shift_A, problem)


def _full_sites(lattice: Lattice) -> dict[str, set[str]]:
    """Elements of the structure whose sites are never empty, with the symbols that occur on these sites and on no others."""
    found = {element: {element} for element in lattice.spectators}
    for sublattice in lattice.sublattices:
        symbols = {sp.symbol for sp in sublattice.species}
        elsewhere = {sp.symbol for other in lattice.sublattices if other is not sublattice for sp in other.species}
        if all(sp.name != VACANCY for sp in sublattice.species) and not symbols & (elsewhere | set(lattice.spectators)):
            found[sublattice.element] = symbols
    return found


def _squared_distances(ideal: _Ideal, places: Float) -> Float:
    """Between atoms and sites (atoms, sites), A^2, periodic images included; right for all that are closer than half a cell."""
    apart = ideal.places[None] - places[:, None]
    return np.asarray((((apart - np.rint(apart)) @ ideal.vectors) ** 2).sum(axis=2))


def _problem(found: _Placement, expansion: float) -> str | None:
    if abs(expansion) > LARGEST_EXPANSION:
        return f"its volume is {expansion:+.0%} off that of the lattice; allowed: up to {LARGEST_EXPANSION:.0%}"
    if found.strain > LARGEST_STRAIN:
        return f"its cell is strained by {found.strain:.0%} apart from its volume; allowed: up to {LARGEST_STRAIN:.0%}"
    if found.misplaced:
        return found.misplaced
    if found.shift_A > LARGEST_SHIFT_A:
        return f"an atom is {found.shift_A:.2f} A from its site; allowed: up to {LARGEST_SHIFT_A} A"
    return None
