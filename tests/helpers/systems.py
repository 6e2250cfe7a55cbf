"""Olivine NaxFePO4 and its model Hamiltonian: the system that most tests use."""

from pathlib import Path

import numpy as np
from icet import ClusterExpansion

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.clusters import cluster_space
from redoxmc.engine.input.checks.structure import read_structure

from .paths import STRUCTURE

SODIUM = Sublattice("Na", (Species("Na+", 1), Species("Va", 0)))
IRON = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3, "Ga")))
HOST = {"P": 5, "O": -2}


def olivine_lattice() -> Lattice:
    return build_lattice(read_structure(Path(STRUCTURE)), (SODIUM, IRON), HOST)


def random_expansion(lattice: Lattice) -> ClusterExpansion:
    """Pairs to 6.5 A and triplets to 4.5 A with random parameters of a realistic size."""
    space = cluster_space(lattice, (6.5, 4.5))
    return ClusterExpansion(space, np.random.default_rng(1).normal(scale=0.01, size=len(space)))
