"""Small systems with known answers, and finished runs that many tests read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from icet import ClusterExpansion

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.system import System, build_system

from .helpers.compile_once import one_compiler_a_function
from .helpers.enumeration import Enumeration, enumerate_states
from .helpers.paths import STRUCTURE
from .helpers.shared import changed
from .helpers.systems import olivine_lattice, random_expansion

if TYPE_CHECKING:  # imported by the fixtures that need them: they bring torch
    from redoxmc.engine.potentials.labels import Labels
    from redoxmc.engine.potentials.potential import LabelledCalculator


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this session share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if own.name.startswith("popen-") else own


@pytest.fixture(scope="session", autouse=True)
def _compile_once(common: Path) -> Iterator[None]:
    with one_compiler_a_function(common):
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_runs_are_left_alone(common: Path) -> Iterator[None]:
    yield
    assert changed(common) == []


@pytest.fixture(scope="session")
def olivine() -> Lattice:
    return olivine_lattice()


@pytest.fixture(scope="session")
def labels(olivine: Lattice) -> "Labels":
    from redoxmc.engine.potentials.labels import labels_of

    return labels_of(olivine)


@pytest.fixture(scope="session")
def springs(labels: "Labels") -> "LabelledCalculator":
    from redoxmc.engine.potentials.potential import LabelledCalculator

    from .helpers.toy_calculator import Springs

    return LabelledCalculator(Springs(STRUCTURE), labels, knows_proxies=True)


@pytest.fixture(scope="session")
def olivine_expansion(olivine: Lattice) -> ClusterExpansion:
    return random_expansion(olivine)


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
def small_states(small: System) -> Enumeration:
    return enumerate_states(small)


@pytest.fixture(scope="session")
def medium_states(medium: System) -> Enumeration:
    return enumerate_states(medium)


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
    from .helpers.toy_calculator import with_toy_calculator

    return str(with_toy_calculator(tmp_path_factory.mktemp("path")))
