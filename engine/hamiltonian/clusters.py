"""Cluster expansions of icet as clusters of the lattice."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from .frame import Frame
from .terms import Cluster, Hamiltonian

if TYPE_CHECKING:
    from icet import ClusterExpansion, ClusterSpace  # slow to import


def cluster_space(lattice: Lattice, cutoffs_A: tuple[float, ...]) -> "ClusterSpace":
    """icet's cluster space over the lattice: pairs, triplets, ... up to the cutoffs."""
    from icet import ClusterSpace

    return ClusterSpace(lattice.atoms, list(cutoffs_A), lattice.allowed_symbols())


def from_icet(expansion: "ClusterExpansion", lattice: Lattice) -> Hamiltonian:
    """Every cluster of a cell with its energy. The expansion's property is the energy in eV per formula unit.

    icet's cluster vector holds, for each orbit and multi-component vector, the mean of the product of its point functions
    over all clusters and site permutations; its parameters multiply those means.
    """
    space = expansion.get_cluster_space_copy()
    frame = _frame(space, lattice)
    positions = space.primitive_structure.get_scaled_positions(wrap=False)
    functions = _PointFunctions(space, frame, positions)
    parameters = iter(expansion.parameters)
    constant = next(parameters) * lattice.n_formula_units
    per_primitive = lattice.n_formula_units / frame.n_cells
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
            clusters += [Cluster(sites, energies) for sites in frame.copies(fractional)]
    return Hamiltonian(lattice, tuple(clusters), constant)


def _frame(space: "ClusterSpace", lattice: Lattice) -> Frame:
    """icet's primitive cell lies in our cell as it is."""
    cell = np.asarray(space.primitive_structure.cell)
    return Frame(lattice, cell @ np.linalg.inv(np.asarray(lattice.atoms.cell)), np.zeros(3))


class _PointFunctions:
    """Values of icet's point functions over the species of a site, in our order of species."""

    def __init__(self, space: "ClusterSpace", frame: Frame, positions: NDArray[np.float64]) -> None:
        from ase.data import atomic_numbers, chemical_symbols

        self.values: dict[int, np.ndarray] = {}
        lattice = frame.lattice
        for index, species_map in enumerate(space.species_maps):
            if len(species_map) < 2:
                continue
            site, _ = frame.site(positions[index])
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
        if len(self.values) * frame.n_cells != n_free:
            found = len(self.values) * frame.n_cells
            raise RedoxError(
                f"found {found} sites of several species in the structure's cell; allowed: all {n_free} of its sublattices"
            )

    def product(self, members: list[int], functions: list[int]) -> np.ndarray:
        table = np.ones(())
        for index, f in zip(members, functions):
            table = np.multiply.outer(table, self.values[index][f])
        return table
