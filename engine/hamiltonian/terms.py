"""Terms of the Hamiltonian: clusters of sites, each with an energy for every choice of species on its sites."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..crystal.shells import distances_A

Site = tuple[int, tuple[int, int, int]]  # (site of the cell, cell)


@dataclass(frozen=True)
class Cluster:
    """A cluster that occurs once per unit cell.

    energies_eV: one axis per site, with one entry per species of its sublattice.
    """

    sites: tuple[Site, ...]
    energies_eV: NDArray[np.float64]


@dataclass(frozen=True)
class Hamiltonian:
    """A sum of clusters and a constant (eV per unit cell); every cluster counts once per unit cell."""

    lattice: Lattice
    clusters: tuple[Cluster, ...] = ()
    constant_eV: float = 0.0
    description: str = field(default="", compare=False)

    def __add__(self, other: "Hamiltonian") -> "Hamiltonian":
        parts = "; ".join(d for d in (self.description, other.description) if d)
        return Hamiltonian(self.lattice, self.clusters + other.clusters, self.constant_eV + other.constant_eV, parts)


def merged(clusters: Iterable[Cluster]) -> tuple[Cluster, ...]:
    """The same sum in which clusters on the same sites, up to order and lattice translations, are added up."""
    found: dict[tuple[Site, ...], NDArray[np.float64]] = {}
    for cluster in clusters:
        _, (a, b, c) = min(cluster.sites)
        sites = [(site, (x - a, y - b, z - c)) for site, (x, y, z) in cluster.sites]
        order = sorted(range(len(sites)), key=lambda k: sites[k])
        key = tuple(sites[k] for k in order)
        found[key] = found.get(key, 0.0) + np.transpose(cluster.energies_eV, order)
    return tuple(Cluster(sites, energies) for sites, energies in found.items())


def point_clusters(lattice: Lattice, species: str, energy_eV: float) -> list[Cluster]:
    """Clusters that give every site with the species an energy."""
    clusters = []
    for g, k in lattice.rows(species):
        energies = np.zeros(len(lattice.sublattices[g].species))
        energies[k] = energy_eV
        clusters += [Cluster(((int(s), (0, 0, 0)),), energies) for s in np.flatnonzero(lattice.site_sublattice == g)]
    return clusters


def pairs_within(lattice: Lattice, species: tuple[str, str], shell_A: tuple[float, float]) -> list[tuple[Site, Site]]:
    """Unordered pairs of sites per unit cell that may hold the two species, at distances lo <= r < hi (A)."""
    allowed = [{g for g, _ in lattice.rows(name)} for name in species]
    active = lattice.atoms[lattice.site_atom]
    i, j, shift, distance = neighbor_list("ijSd", active, shell_A[1])
    pairs = []
    for a, b, s, r in zip(i.tolist(), j.tolist(), shift.tolist(), distance.tolist()):
        groups = (lattice.site_sublattice[a], lattice.site_sublattice[b])
        fits = any(groups[0] in x and groups[1] in y for x, y in (allowed, allowed[::-1]))
        if fits and shell_A[0] <= r < shell_A[1] and (a < b or (a == b and s > [0, 0, 0])):
            pairs.append(((a, (0, 0, 0)), (b, tuple(s))))
    return pairs


def sublattices_of(lattice: Lattice, species: tuple[str, str]) -> tuple[list[int], list[int]]:
    """Sublattices that allow the first species, and those that allow the second."""
    first, second = ([g for g, _ in lattice.rows(name)] for name in species)
    return first, second


def nearest_A(lattice: Lattice, species: tuple[str, str]) -> float:
    """Shortest distance between two sites that may hold the two species, or between a site and its own image."""
    reach = float(lattice.atoms.cell.lengths().sum())
    for within in (reach / 8, reach / 4, reach / 2, reach):  # pairs grow with the cube; the last radius holds a site's own image
        if len(found := distances_A(lattice, *sublattices_of(lattice, species), within)):
            return float(found[0])
    raise AssertionError("a site has images of itself within the sum of the cell's lengths")


def pair_clusters(lattice: Lattice, species: tuple[str, str], shell_A: tuple[float, float], energy_eV: float) -> list[Cluster]:
    """Clusters that give every unordered pair of sites in the shell with the two species an energy."""
    clusters = []
    for first, second in pairs_within(lattice, species, shell_A):
        kinds = [lattice.sublattices[lattice.site_sublattice[s]].species for s, _ in (first, second)]
        energies = np.zeros((len(kinds[0]), len(kinds[1])))
        for (p, a), (q, b) in product(enumerate(kinds[0]), enumerate(kinds[1])):
            if (a.name, b.name) in (species, species[::-1]):
                energies[p, q] = energy_eV
        clusters.append(Cluster((first, second), energies))
    return clusters
