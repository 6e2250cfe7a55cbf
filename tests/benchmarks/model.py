"""The benchmark model: olivine, pairs to 6.5 A and triplets to 4.5 A (30 pairs and 10.5 triplets per site), random couplings.

Couplings depend on the shape of a cluster alone, and sites carry 1 or -1 (Na, vacancy), 2 or -2 (Fe2+, Fe3+): so every code can
hold the very same energy, CLEASE with one basis function per cluster too.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.hamiltonian.terms import Cluster, Hamiltonian, Site
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System, build_system

STRUCTURE = Path(__file__).resolve().parents[2] / "inputs/structures/NaFePO4.cif"
CUTOFFS_A = (6.5, 4.5)
SPINS = np.array([[1.0, -1.0], [2.0, -2.0]])
SCALE_EV = 0.004
Sites = tuple[Site, ...]
Shape = tuple[int, ...]  # distances, 1e-4 A, ascending
CELLS = {144: (2, 3, 3), 5760: (8, 9, 10), 50400: (14, 18, 25), 496800: (45, 46, 30)}  # by number of sites


def olivine(charged: bool = True) -> Lattice:
    """Na, vacancy and Fe2+, Fe3+; without charges, so that each site flips alone."""
    ion, low, high = (1, 2, 3) if charged else (0, 0, 0)
    sublattices = (
        Sublattice("Na", (Species("Na+", ion), Species("Va", 0))),
        Sublattice("Fe", (Species("Fe2+", low), Species("Fe3+", high, "Ga"))),
    )
    return build_lattice(read_structure(STRUCTURE), sublattices, {"P": 5, "O": -2} if charged else {})


def model(lattice: Lattice, seed: int = 1) -> Hamiltonian:
    """Every cluster of a cell with its energy."""
    rng = np.random.default_rng(seed)
    couplings: dict[tuple[int, ...], float] = {}
    clusters = []
    for sites, shape in (*_pairs(lattice), *_triplets(lattice)):
        if shape not in couplings:
            couplings[shape] = rng.normal(scale=SCALE_EV)
        energies = np.full((), couplings[shape])
        for site, _ in sites:
            energies = np.multiply.outer(energies, SPINS[lattice.site_sublattice[site]])
        clusters.append(Cluster(sites, energies))
    return Hamiltonian(lattice, tuple(clusters))


def benchmark_system(n_sites: int, mix: Mix, charged: bool = True) -> System:
    return build_system(model(olivine(charged)), np.diag(CELLS[n_sites]), ("Na+",), mix)


def energy_eV(supercell: Supercell, hamiltonian: Hamiltonian, species: NDArray[np.int8]) -> float:
    """Straight from the clusters, for comparison between codes: of no use but to check."""
    cells = supercell.cells
    occupation = species.reshape(supercell.n_cells, -1)
    return sum(
        float(
            c.energies_eV[tuple(occupation[supercell.cell_index(cells + np.array(cell)), site] for site, cell in c.sites)].sum()
        )
        for c in hamiltonian.clusters
    )


def _neighbours(lattice: Lattice, cutoff_A: float) -> list[tuple[Site, Site, int]]:
    """Directed pairs from the cell, with their distance in 1e-4 A."""
    i, j, shift, distance = neighbor_list("ijSd", lattice.atoms[lattice.site_atom], cutoff_A)
    rows = zip(i.tolist(), j.tolist(), shift.tolist(), np.rint(distance * 1e4).astype(int).tolist())
    return [((a, (0, 0, 0)), (b, (s[0], s[1], s[2])), d) for a, b, s, d in rows]


def _pairs(lattice: Lattice) -> list[tuple[Sites, Shape]]:
    """One of each pair of sites, with its distance."""
    return [((a, b), (d,)) for a, b, d in _neighbours(lattice, CUTOFFS_A[0]) if a < b]


def _triplets(lattice: Lattice) -> list[tuple[Sites, Shape]]:
    """One of each triplet, with its three distances in order of length."""
    pairs = _neighbours(lattice, CUTOFFS_A[1])
    near: dict[Site, dict[Site, int]] = {}
    for a, b, d in pairs:
        near.setdefault(a, {})[b] = d
    found: list[tuple[Sites, Shape]] = []
    for a in list(near):
        for (b, ab), (c, ac) in combinations(sorted(near[a].items()), 2):
            if not a < b:  # its lowest site is the one in the cell
                continue
            (p, (x, y, z)), (q, (u, v, w)) = b, c
            bc = near[p, (0, 0, 0)].get((q, (u - x, v - y, w - z)))
            if bc is not None:
                found.append(((a, b, c), tuple(sorted((ab, ac, bc)))))
    return found
