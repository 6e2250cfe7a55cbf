"""Cluster expansions of icet as clusters of the lattice."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from .cell_mapping import CellMapping
from .terms import Cluster, Hamiltonian

if TYPE_CHECKING:
    from icet import ClusterExpansion, ClusterSpace  # slow to import


def cluster_space(lattice: Lattice, cutoffs_A: tuple[float, ...]) -> "ClusterSpace":
    """icet's cluster space of the lattice: orbits of pairs, triplets, ... up to the cutoffs (A)."""
    from icet import ClusterSpace

    return ClusterSpace(lattice.atoms, list(cutoffs_A), lattice.allowed_symbols())


def from_icet(expansion: "ClusterExpansion", lattice: Lattice) -> Hamiltonian:
    """A cluster expansion of icet, whose property is the energy in eV per formula unit, as energies of clusters.

    An element of icet's cluster vector belongs to an orbit and a multi-component vector: it is the mean, over all clusters and
    site permutations, of the product of the point functions. The effective cluster interactions multiply these means.
    Raises RedoxError if the species or the sites of the expansion are not those of the lattice.
    """
    space = expansion.get_cluster_space_copy()
    mapping = _mapping(space, lattice)
    positions = space.primitive_structure.get_scaled_positions(wrap=False)
    functions = _PointFunctions(space, mapping, positions)
    parameters = iter(expansion.parameters)
    constant = next(parameters) * lattice.n_formula_units
    per_primitive = lattice.n_formula_units / mapping.n_cells
    clusters = []
    for orbit in space.orbit_list.orbits:
        tables = [
            (
                next(parameters) / element["multiplicity"] * per_primitive,
                element["multicomponent_vector"],
                element["site_permutations"],
            )
            for element in orbit.cluster_vector_elements
        ]
        if not any(p for p, _, _ in tables):
            continue
        for cluster in orbit.clusters:
            members = [s.index for s in cluster.lattice_sites]
            fractional = np.array([positions[s.index] + s.unitcell_offset for s in cluster.lattice_sites])
            energies = sum(
                parameter * functions.product(members, [vector[k] for k in permutation])
                for parameter, vector, permutations_ in tables
                for permutation in permutations_
                if parameter
            )
            clusters += [Cluster(sites, energies) for sites in mapping.copies(fractional)]
    return Hamiltonian(lattice, tuple(clusters), constant)


def _mapping(space: "ClusterSpace", lattice: Lattice) -> CellMapping:
    """Mapping of icet's primitive cell, which needs no shift."""
    cell = np.asarray(space.primitive_structure.cell)
    return CellMapping(lattice, cell @ np.linalg.inv(np.asarray(lattice.atoms.cell)), np.zeros(3))


class _PointFunctions:
    """Values of icet's point functions for the species of each site, in the order of the lattice's species."""

    def __init__(self, space: "ClusterSpace", mapping: CellMapping, positions: NDArray[np.float64]) -> None:
        from ase.data import atomic_numbers, chemical_symbols

        self.values: dict[int, np.ndarray] = {}
        lattice = mapping.lattice
        for index, species_map in enumerate(space.species_maps):
            if len(species_map) < 2:
                continue
            site, _ = mapping.site(positions[index])
            species = lattice.sublattices[lattice.site_sublattice[site]].species
            numbers = [atomic_numbers.get(sp.symbol, -1) for sp in species]
            if sorted(numbers) != sorted(species_map):
                theirs = ", ".join(chemical_symbols[z] for z in sorted(species_map))
                raise RedoxError(
                    f"found sites that hold {theirs}; allowed: {', '.join(f'{sp.name} as {sp.symbol}' for sp in species)}"
                )
            columns = [species_map[z] for z in numbers]
            self.values[index] = np.array(
                [[space.evaluate_cluster_function(len(species), f, c) for c in columns] for f in range(len(species) - 1)]
            )
        n_free = sum(len(lattice.sublattices[g].species) > 1 for g in lattice.site_sublattice)
        if len(self.values) * mapping.n_cells != n_free:
            found = len(self.values) * mapping.n_cells
            raise RedoxError(
                f"found {found} sites of several species in the structure's cell; allowed: all {n_free} of its sublattices"
            )

    def product(self, members: list[int], functions: list[int]) -> np.ndarray:
        table = np.ones(())
        for index, f in zip(members, functions):
            table = np.multiply.outer(table, self.values[index][f])
        return table
