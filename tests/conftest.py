"""Small systems with known answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from icet import ClusterExpansion

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.clusters import cluster_space, from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.potentials.labels import Labels, labels_of
from redoxmc.engine.potentials.potential import LabelledCalculator
from redoxmc.engine.sampling.system import System, build_system

from .helpers.toy_calculator import Springs, with_toy_calculator

ROOT = Path(__file__).resolve().parents[1]
STRUCTURE = str(ROOT / "inputs/structures/NaFePO4.cif")
SODIUM = Sublattice("Na", (Species("Na+", 1), Species("Va", 0)))
IRON = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3, "Ga")))
HOST = {"P": 5, "O": -2}


@pytest.fixture(scope="session")
def olivine() -> Lattice:
    return build_lattice(read_structure(Path(STRUCTURE)), (SODIUM, IRON), HOST)


@pytest.fixture(scope="session")
def labels(olivine: Lattice) -> Labels:
    return labels_of(olivine)


@pytest.fixture(scope="session")
def springs(labels: Labels) -> LabelledCalculator:
    return LabelledCalculator(Springs(STRUCTURE), labels, knows_proxies=True)


@pytest.fixture(scope="session")
def olivine_expansion(olivine: Lattice) -> ClusterExpansion:
    """Pairs to 6.5 A and triplets to 4.5 A with random parameters of a realistic size."""
    space = cluster_space(olivine, (6.5, 4.5))
    return ClusterExpansion(space, np.random.default_rng(1).normal(scale=0.01, size=len(space)))


@pytest.fixture(scope="session")
def olivine_hamiltonian(olivine: Lattice, olivine_expansion: ClusterExpansion) -> Hamiltonian:
    return from_icet(olivine_expansion, olivine)


@pytest.fixture(scope="session")
def small(olivine_hamiltonian: Hamiltonian) -> System:
    """4 + 4 sites, 70 neutral states."""
    return build_system(olivine_hamiltonian, np.diag([1, 1, 1]), ("Na+",))


@pytest.fixture(scope="session")
def medium(olivine_hamiltonian: Hamiltonian) -> System:
    """8 + 8 sites, 12 870 neutral states."""
    return build_system(olivine_hamiltonian, np.diag([1, 2, 1]), ("Na+",))


@pytest.fixture(scope="session")
def ideal(olivine: Lattice) -> Callable[..., System]:
    hamiltonian = Hamiltonian(olivine, tuple(point_clusters(olivine, "Na+", 0.0)))
    return lambda repeats, mix=None: build_system(hamiltonian, np.diag(repeats), ("Na+",), mix)


@pytest.fixture(scope="session")
def ising() -> Callable[[int], System]:
    """Square lattice, J = 1 eV, neutral species Up and Down."""
    atoms = Atoms("H", cell=[1.0, 1.0, 10.0], pbc=True)
    lattice = build_lattice(atoms, (Sublattice("H", (Species("Up", 0), Species("Down", 0))),), {})
    clusters = [
        c
        for pair, energy in ((("Up", "Up"), -1.0), (("Down", "Down"), -1.0), (("Up", "Down"), 1.0))
        for c in pair_clusters(lattice, pair, (0.9, 1.1), energy)
    ]
    hamiltonian = Hamiltonian(lattice, tuple(clusters))
    return lambda size: build_system(hamiltonian, np.diag([size, size, 1]), ("Up",))


@pytest.fixture(scope="session")
def importable(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH for run.py, which does not look into the folder of the project, with the toy calculator on it."""
    return str(with_toy_calculator(tmp_path_factory.mktemp("path")))
