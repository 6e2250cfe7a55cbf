"""Cluster expansions of icet as clusters of the lattice."""

from itertools import product

import numpy as np
from icet import ClusterExpansion, ClusterSpace

from ..lattice import Lattice
from .terms import Cluster, Hamiltonian, Site


def cluster_space(lattice: Lattice, cutoffs_A: tuple[float, ...]) -> ClusterSpace:
    """icet's cluster space over the lattice: pairs, triplets, ... up to the cutoffs."""
    return ClusterSpace(lattice.atoms, list(cutoffs_A), lattice.allowed_symbols())


def from_icet(expansion: ClusterExpansion, lattice: Lattice) -> Hamiltonian:
    """Every cluster of a cell with its energy. The expansion's property is the energy in eV per formula unit.

    icet's cluster vector holds, for each orbit and multi-component vector, the mean of the product of its point functions
    over all clusters and site permutations; its parameters multiply those means.
    """
    space = expansion.get_cluster_space_copy()
    locate = _Locator(space, lattice)
    functions = _PointFunctions(space, lattice, locate)
    parameters = iter(expansion.parameters)
    constant = next(parameters) * lattice.n_formula_units
    per_primitive = lattice.n_formula_units / locate.n_primitive
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
            members = [(s.index, np.array(s.unitcell_offset)) for s in cluster.lattice_sites]
            energies = sum(
                parameter * functions.product(members, [vector[k] for k in permutation])
                for parameter, vector, permutations_ in tables
                for permutation in permutations_
                if parameter
            )
            clusters += [Cluster(sites, energies) for sites in locate.copies(members)]
    return Hamiltonian(lattice, tuple(clusters), constant)


class _Locator:
    """Sites of icet's primitive cell as sites of our cell, which may hold several primitive cells."""

    def __init__(self, space: ClusterSpace, lattice: Lattice) -> None:
        self.primitive = space.primitive_structure
        self.lattice = lattice
        self.cell = np.asarray(lattice.atoms.cell)
        self.fractional = lattice.atoms.get_scaled_positions(wrap=False)[lattice.site_atom]
        ratio = lattice.atoms.get_volume() / self.primitive.get_volume()
        self.n_primitive = round(ratio)
        self.translations = self._primitive_cells_inside()

    def _primitive_cells_inside(self) -> list[np.ndarray]:
        """Offsets, in primitive cells, of the primitive cells that make up our cell."""
        to_ours = np.asarray(self.primitive.cell) @ np.linalg.inv(self.cell)
        span = range(-self.n_primitive - 1, self.n_primitive + 2)
        found: dict[tuple[int, ...], np.ndarray] = {}
        for offset in product(span, span, span):
            inside = np.array(offset) @ to_ours
            if np.all(inside > -1e-6) and np.all(inside < 1 - 1e-6):
                found[tuple(np.rint(inside * 1e4).astype(int))] = np.array(offset)
        if len(found) != self.n_primitive:
            raise ValueError("the structure is not a whole number of its primitive cells")
        return list(found.values())

    def site(self, index: int, offset: np.ndarray) -> Site:
        position = self.primitive.positions[index] + offset @ np.asarray(self.primitive.cell)
        delta = position @ np.linalg.inv(self.cell) - self.fractional
        distance = np.linalg.norm((delta - np.rint(delta)) @ self.cell, axis=1)
        nearest = int(np.argmin(distance))
        if distance[nearest] > 1e-3:
            raise ValueError("icet's primitive cell does not match the structure")
        a, b, c = np.rint(delta[nearest]).astype(int).tolist()
        return nearest, (a, b, c)

    def copies(self, members: list[tuple[int, np.ndarray]]) -> list[tuple[Site, ...]]:
        return [tuple(self.site(i, o + t) for i, o in members) for t in self.translations]


class _PointFunctions:
    """Values of icet's point functions over the species of a site, in our order of species."""

    def __init__(self, space: ClusterSpace, lattice: Lattice, locate: _Locator) -> None:
        from ase.data import atomic_numbers

        self.values: dict[int, np.ndarray] = {}
        for index, species_map in enumerate(space.species_maps):
            if len(species_map) < 2:
                continue
            site, _ = locate.site(index, np.zeros(3, int))
            species = lattice.sublattices[lattice.site_sublattice[site]].species
            columns = [species_map[atomic_numbers[sp.symbol]] for sp in species]
            self.values[index] = np.array(
                [[space.evaluate_cluster_function(len(species), f, c) for c in columns] for f in range(len(species) - 1)]
            )

    def product(self, members: list[tuple[int, np.ndarray]], functions: list[int]) -> np.ndarray:
        table = np.ones(())
        for (index, _), f in zip(members, functions):
            table = np.multiply.outer(table, self.values[index][f])
        return table
