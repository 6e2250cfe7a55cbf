"""Arrangements of species on a supercell: all neutral ones, which are equivalent, and how to make one low in energy."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from ..errors import RedoxError
from .lattice import Species, Supercell, hermite_form

SYMMETRY_TOLERANCE_A = 1e-2
DIELECTRIC = 10.0  # screens the formal charges: a low-energy arrangement need only be plausible
ANNEAL_START_EV = 1.0  # kT
ANNEAL_END_EV = (0.01, 0.3)  # kT, drawn log-uniformly: low in energy, yet not all the same
SWAPS_PER_SITE = 24


def space_group(atoms: Atoms) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rotations (operations, 3, 3) and shifts (operations, 3), in fractions of the cell."""
    structure = (np.asarray(atoms.cell).tolist(), atoms.get_scaled_positions().tolist(), atoms.numbers.tolist())
    found: dict[str, NDArray] | None = spglib.get_symmetry(structure, symprec=SYMMETRY_TOLERANCE_A)
    if found is None:
        raise RedoxError("spglib finds no space group for the structure")
    return found["rotations"].astype(np.int64), found["translations"]


def site_permutations(supercell: Supercell) -> NDArray[np.int64]:
    """Space group of the fully occupied supercell as permutations (operations, n_sites) of its active sites."""
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


def site_translations(supercell: Supercell) -> NDArray[np.int64]:
    """Permutations (n_cells - 1, n_sites) by the translations of the lattice, without the identity."""
    moved = supercell.cell_index(supercell.cells[1:, None] + supercell.cells)
    own = np.arange(supercell.lattice.n_sites)
    return (moved[..., None] * supercell.lattice.n_sites + own).reshape(supercell.n_cells - 1, supercell.n_sites)


def distinct_supercells(supercells: list[Supercell]) -> list[Supercell]:
    """Ascending in size; of those that the space group maps on each other only the first."""
    distinct: dict[tuple[int, ...], Supercell] = {}
    for s in supercells:
        images = [hermite_form(s.hermite @ rotation.T) for rotation in space_group(s.lattice.atoms)[0]]
        distinct.setdefault(min(tuple(h.ravel().tolist()) for h in images), s)
    return [distinct[h] for h in sorted(distinct, key=lambda h: (distinct[h].n_cells, h))]


def canonical(species: NDArray[np.int8], permutations: NDArray[np.int64]) -> bytes:
    """The lexicographically smallest image of an arrangement (n_sites,)."""
    return min(image.tobytes() for image in species.astype(np.int8)[permutations])


def is_primitive(species: NDArray[np.int8], translations: NDArray[np.int64]) -> bool:
    """No translation leaves the arrangement unchanged; else it fits into a smaller cell."""
    return not (species[translations] == species).all(axis=1).any()


def orbits(states: NDArray[np.int8], permutations: NDArray[np.int64]) -> dict[bytes, bytes]:
    """Canonical form → first of the states (m, n_sites), for each orbit."""
    seen: set[bytes] = set()
    found: dict[bytes, bytes] = {}
    for state in states:
        if (first := state.tobytes()) not in seen:
            images = {image.tobytes() for image in state[permutations]}
            seen |= images
            found[min(images)] = first
    return found


def neutral_states(supercell: Supercell, ion: str | None, n: int) -> NDArray[np.int8]:
    """All neutral states (m, n_sites) with n of the ion (None: 0), site by site, dropping what can no longer balance."""
    kinds = [np.array([(sp.charge, sp.name == ion) for sp in s.species], np.int64) for s in supercell.lattice.sublattices]
    # sites of the ion first: its count is then settled, and the charge alone decides about the others
    order = np.argsort([not kinds[g][:, 1].any() for g in supercell.site_sublattice], kind="stable")
    on_site = [kinds[g] for g in supercell.site_sublattice[order]]
    missing = np.array([[-supercell.n_cells * supercell.lattice.spectator_charge, n]])
    low = np.sum([kind.min(axis=0) for kind in on_site], axis=0)
    high = np.sum([kind.max(axis=0) for kind in on_site], axis=0)
    states = np.zeros((1, 0), np.int8)
    for kind in on_site:
        low, high = low - kind.min(axis=0), high - kind.max(axis=0)
        missing = (missing[:, None] - kind).reshape(-1, 2)
        added = np.tile(np.arange(len(kind), dtype=np.int8), len(states))
        states = np.column_stack([np.repeat(states, len(kind), axis=0), added])
        possible = ((missing >= low) & (missing <= high)).all(axis=1)
        states, missing = states[possible], missing[possible]
    return np.ascontiguousarray(states[:, np.argsort(order)])


@dataclass(frozen=True)
class Annealer:
    """Swaps species within sublattices under the Ewald energy of screened formal charges."""

    supercell: Supercell

    @cached_property
    def ewald_eV(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Between sites per charge squared (n_sites, n_sites), own images included; with the spectators per charge (n_sites,)."""
        from pymatgen.analysis.ewald import EwaldSummation  # slow to import
        from pymatgen.core import Species as Ion
        from pymatgen.core import Structure

        atoms, sites = full_occupation(self.supercell), active_atoms(self.supercell)
        unit = Structure(np.asarray(atoms.cell), [Ion("H", 1)] * len(atoms), atoms.positions, coords_are_cartesian=True)
        # bilinear in the charges: valid for any neutral ones although unit charges are not neutral
        pair_eV = 2 * EwaldSummation(unit).total_energy_matrix / DIELECTRIC
        charges = np.array([self.supercell.lattice.spectators.get(s, 0) for s in atoms.get_chemical_symbols()])
        charges[sites] = 0
        return pair_eV[np.ix_(sites, sites)], pair_eV[sites] @ charges

    def energy_eV(self, species: NDArray[np.int8]) -> float:
        """Of an arrangement (n_sites,), without the energy of the spectators among themselves."""
        pair_eV, spectators_eV = self.ewald_eV
        charge = np.array([sp.charge for sp in species_on_sites(self.supercell, species)])
        return float(charge @ (0.5 * pair_eV @ charge + spectators_eV))

    def __call__(self, species: NDArray[np.int8], electrons_only: bool, rng: np.random.Generator) -> NDArray[np.int8]:
        """Metropolis from a hot start to a random final temperature. electrons_only: swaps only within an element."""
        found = species_on_sites(self.supercell, species)
        charge = np.array([sp.charge for sp in found], float)
        element = np.array([sp.element for sp in found])
        alike = self.supercell.site_sublattice[:, None] == self.supercell.site_sublattice
        if electrons_only:
            alike &= element[:, None] == element
        pairs = np.argwhere(np.triu(alike, 1))
        if not len(pairs):
            return species
        pair_eV, spectators_eV = self.ewald_eV
        potential_eV = pair_eV @ charge + spectators_eV
        species, n_swaps = species.copy(), SWAPS_PER_SITE * len(species)
        kT_eV = np.geomspace(ANNEAL_START_EV, np.exp(rng.uniform(*np.log(ANNEAL_END_EV))), n_swaps)
        bars_eV = -kT_eV * np.log(1 - rng.random(n_swaps))
        for (i, j), bar_eV in zip(pairs[rng.integers(len(pairs), size=n_swaps)].tolist(), bars_eV.tolist()):
            if species[i] == species[j]:
                continue
            d = charge[j] - charge[i]
            curvature_eV = pair_eV[i, i] + pair_eV[j, j] - 2 * pair_eV[i, j]
            if d * (potential_eV[i] - potential_eV[j]) + 0.5 * d * d * curvature_eV <= bar_eV:
                species[i], species[j] = species[j], species[i]
                charge[i], charge[j] = charge[j], charge[i]
                potential_eV += d * (pair_eV[i] - pair_eV[j])
        return species


def species_on_sites(supercell: Supercell, species: NDArray[np.int8]) -> list[Species]:
    """What the indices (n_sites,) stand for."""
    return [supercell.lattice.sublattices[g].species[k] for g, k in zip(supercell.site_sublattice, species)]


def species_of_atoms(supercell: Supercell, species: NDArray[np.int8]) -> list[Species]:
    """What every atom of the full occupation is in the occupation (n_sites,): spectators with their charges, vacancies too."""
    spectators = supercell.lattice.spectators
    found = [Species(s, spectators.get(s, 0)) for s in full_occupation(supercell).get_chemical_symbols()]
    for atom, sp in zip(active_atoms(supercell).tolist(), species_on_sites(supercell, species)):
        found[atom] = sp
    return found


def full_occupation(supercell: Supercell) -> Atoms:
    """The supercell of the structure as read."""
    atoms = supercell.to_atoms(np.zeros(supercell.n_sites, np.int8))
    atoms.symbols = supercell.lattice.atoms.get_chemical_symbols() * supercell.n_cells
    return atoms


def active_atoms(supercell: Supercell) -> NDArray[np.int64]:
    """Index in the full occupation of each site (n_sites,)."""
    cells = np.arange(supercell.n_cells)[:, None] * len(supercell.lattice.atoms)
    return (cells + supercell.lattice.site_atom).ravel()
