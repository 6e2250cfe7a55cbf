"""Alignment of the crystal of a file with the lattice: which species correspond, and where the cell of the file lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ...crystal.lattice import Lattice, Species
from ...errors import RedoxError
from ..cell_mapping import CellMapping

LENGTHS, SITES, ANGLES = 1e-3, 0.01, 0.1  # tolerances: relative; in mean distances between sites; degrees


@dataclass(frozen=True)
class FileSpecies:
    """A species in a file: an element with its charge, or, without a charge, its symbol in data sets."""

    symbol: str
    charge: float | None = None

    def __str__(self) -> str:
        return self.symbol if self.charge is None else f"{self.symbol} ({self.charge:+g})"

    def matches(self, species: Species) -> bool:
        """Whether it is this species of the lattice."""
        if self.charge is None:
            return self.symbol == species.symbol
        return (self.symbol, self.charge) == (species.element, species.charge)


@dataclass(frozen=True)
class FileCrystal:
    """A crystal in a file: cell (3, 3), A; fractional coordinates (sites, 3); the species that each site may hold."""

    cell: NDArray[np.float64]
    fractional: NDArray[np.float64]
    species: tuple[tuple[FileSpecies, ...], ...]


def columns(ours: Sequence[Species], theirs: Sequence[FileSpecies]) -> list[int]:
    """Index in `theirs` of each species of the lattice. Raises RedoxError if the two sets of species differ."""
    places = [k for sp in ours for k, t in enumerate(theirs) if t.matches(sp)]
    if len(places) != len(ours) or sorted(places) != list(range(len(theirs))):
        known = ", ".join(f"{sp.name} ({sp.charge:+d}; as an element {sp.symbol})" for sp in ours)
        raise RedoxError(f"found sites that hold {', '.join(map(str, theirs))}; allowed: {known}")
    return places


def align(crystal: FileCrystal, lattice: Lattice) -> tuple[CellMapping, Structure]:
    """Mapping of the file's cell to the lattice, and that cell with the lattice's elements.

    If several mappings are equivalent, any of them gives the same energies, since the expansion has the symmetry of its sites.
    Raises RedoxError if species, sites or cells differ.
    """
    ours = _kinds(lattice)
    element = dict(zip(reversed(ours), reversed(lattice.atoms.get_chemical_symbols())))
    found = [_kind(theirs, list(element)) for theirs in crystal.species]
    theirs = Structure(crystal.cell, [element[kind] for kind in found], crystal.fractional)
    kept = [k for k, kind in enumerate(ours) if kind in found]  # a file may omit spectators
    fractional = lattice.atoms.get_scaled_positions(wrap=False)[kept]
    whole = Structure(np.asarray(lattice.atoms.cell), [element[ours[k]] for k in kept], fractional)
    matcher = StructureMatcher(LENGTHS, SITES, ANGLES, primitive_cell=False, scale=False, attempt_supercell=True)
    try:
        match = matcher.get_transformation(whole, theirs)
    except ValueError:  # the cell of the lattice is the smaller one
        match = None
    if match is None:
        raise RedoxError(
            f"its {len(theirs)} sites in a cell of {_lengths(theirs)} A "
            f"do not match the structure's {len(whole)} in {_lengths(whole)} A; "
            f"allowed: lattice.structure is the cell that the expansion was made with, or a whole number of them"
        )
    supercell, shift, _ = match
    return CellMapping(lattice, np.linalg.inv(supercell), np.asarray(shift, np.float64)), theirs


def symmetry_order(structure: Structure) -> int:
    """Number of symmetry operations of a cell, translations within the cell included."""
    primitive = structure.get_primitive_structure()
    return len(SpacegroupAnalyzer(primitive).get_symmetry_operations()) * len(structure) // len(primitive)


def _kinds(lattice: Lattice) -> list[tuple[Species, ...]]:
    """Species that each atom of the structure may be, sorted, so that sublattices with the same species are one kind."""
    kinds: list[tuple[Species, ...]] = [(Species(s, lattice.spectators.get(s, 0)),) for s in lattice.atoms.get_chemical_symbols()]
    for atom, g in zip(lattice.site_atom, lattice.site_sublattice):
        species = sorted(lattice.sublattices[g].species, key=lambda sp: sp.name)
        kinds[atom] = tuple(Species(sp.name, sp.charge, sp.proxy) for sp in species)
    return kinds


def _kind(theirs: Sequence[FileSpecies], kinds: list[tuple[Species, ...]]) -> tuple[Species, ...]:
    refusals = []
    for kind in kinds:
        try:
            columns(kind, theirs)
        except RedoxError as refusal:
            refusals.append(str(refusal))
        else:
            return kind
    raise RedoxError("; or ".join([refusals[0], *(r.split("allowed: ")[1] for r in refusals[1:])]))


def _lengths(structure: Structure) -> str:
    return " x ".join(f"{length:.3f}" for length in structure.lattice.abc)
