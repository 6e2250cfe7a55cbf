"""Square lattices of two elements with a coupling between nearest neighbours, and hard hexagons on the triangular lattice."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

COUPLING_EV = 0.02
T_CRITICAL_K = 2 * COUPLING_EV / np.log(1 + np.sqrt(2)) / BOLTZMANN_EV_PER_K  # 526.7 K (Onsager, Phys. Rev. 65, 117, 1944)


def antiferromagnet(size: int) -> System:
    """Square lattice of two neutral elements that prefer each other."""
    return _square(size, COUPLING_EV)


def magnet(size: int) -> System:
    """Square lattice of two neutral elements that avoid each other."""
    return _square(size, -COUPLING_EV)


def hard_hexagons(size: int) -> System:
    """Triangular lattice on which Li has no neighbour of its own kind below 1000 K: 0.3 eV for each."""
    return _system(size, [[1.0, 0.0, 0.0], [-0.5, np.sqrt(0.75), 0.0], [0.0, 0.0, 10.0]], [("Li", "Li", 0.3)])


def _square(size: int, alike_eV: float) -> System:
    pairs = [(a, b, alike_eV if a == b else -alike_eV) for a, b in (("Li", "Li"), ("Na", "Na"), ("Li", "Na"))]
    return _system(size, [1.0, 1.0, 10.0], pairs)


def _system(size: int, vectors: Sequence[Sequence[float] | float], pairs: list[tuple[str, str, float]]) -> System:
    cell = Atoms("H", cell=vectors, pbc=True)
    lattice = build_lattice(cell, (Sublattice("H", tuple(Species(e, 0) for e in ("Li", "Na"))),), {})
    clusters = [c for a, b, energy in pairs for c in pair_clusters(lattice, (a, b), (0.9, 1.1), energy)]
    return build_system(Hamiltonian(lattice, tuple(clusters)), np.diag([size, size, 1]), ("Li",))
