"""Error bars against enumeration: deviations from exact values are of the size that the errors say, wherever results are trusted.

All of it takes half an hour of processor time. In parts: -k "small and 2000", "small and not 2000", "ising and 2000",
"ising and not 2000".
"""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.system import System, build_system

from ..helpers.coverage import Coverage, Levels, coverage, enumerated, ising_levels, ising_states, run_of
from ..helpers.enumeration import Enumeration

SEEDS, WALKERS = 30, 4
COUPLING_EV = 0.02  # T_c of the infinite lattice 527 K
TEMPERATURES_K = {"small": (250.0, 500.0, 1000.0), "ising": (400.0, 600.0, 1200.0)}
LEAST_RMS, MOST_RMS = 0.8, 1.25
MOST_BEYOND = 1e-3  # share of the trusted points more than 5 standard errors off
LEAST_TRUSTED = 0.8  # at 2000 sweeps
LEAST_POINTS = 60  # of which a root mean square is tested
MANY_POINTS = 2000  # of which the share beyond is tested quantity by quantity: of fewer, one in a thousand says little


def magnet() -> System:
    """6 x 6 Ising spins, as two neutral elements."""
    elements = ("Li", "Na")
    lattice = build_lattice(
        Atoms("H", cell=[1.0, 1.0, 10.0], pbc=True), (Sublattice("H", tuple(Species(e, 0) for e in elements)),), {}
    )
    pairs = [(a, b, COUPLING_EV if a != b else -COUPLING_EV) for a, b in (("Li", "Li"), ("Na", "Na"), ("Li", "Na"))]
    clusters = [c for a, b, energy in pairs for c in pair_clusters(lattice, (a, b), (0.9, 1.1), energy)]
    return build_system(Hamiltonian(lattice, tuple(clusters)), np.diag([6, 6, 1]), ("Li",))


def table(found: dict[str, Coverage]) -> str:
    rows = [f"{'':30} points trusted    rms within beyond"]
    for name, c in found.items():
        rows.append(f"{name:30} {len(c.deviation):6d} {c.trusted:7.1%} {c.rms:6.3f} {c.within:6.1%} {c.beyond:6.4f}")
    return "\n".join(rows)


@pytest.mark.validate
@pytest.mark.parametrize("sweeps", [200, 2000])
@pytest.mark.parametrize("cell", ["small", "ising"])
def test_deviations_are_of_the_size_of_the_errors(cell: str, sweeps: int, small_states: Enumeration, tmp_path: Path) -> None:
    """30 seeds: root mean square of the deviations over the errors, outliers, and the share of points that are trusted."""
    system, exact = (
        (small_states.system, enumerated(small_states)) if cell == "small" else (magnet(), ising_levels(6, COUPLING_EV))
    )
    runs = [run_of(system, TEMPERATURES_K[cell], sweeps, WALKERS, seed, tmp_path / str(seed)) for seed in range(SEEDS)]
    found = coverage(runs, exact)
    print(f"\n{cell}, {sweeps} sweeps, {SEEDS} seeds\n{table(found)}")
    every = np.concatenate([c.deviation for c in found.values()])
    assert (np.abs(every) > 5).mean() <= MOST_BEYOND
    for name, c in found.items():
        assert len(c.deviation) < LEAST_POINTS or LEAST_RMS <= c.rms <= MOST_RMS, name
        assert len(c.deviation) < MANY_POINTS or c.beyond <= MOST_BEYOND, name
        assert sweeps < 2000 or not len(c.deviation) or c.trusted >= LEAST_TRUSTED, name


@pytest.mark.runs
def test_deviations_of_a_short_run(small_states: Enumeration, tmp_path: Path) -> None:
    found = coverage([run_of(small_states.system, (600.0,), 600, 2, 3, tmp_path)], enumerated(small_states))
    every = np.concatenate([c.deviation for c in found.values()])
    assert len(every) > 30 and np.abs(every).max() < 5 and 0.4 < np.sqrt((every**2).mean()) < 1.6
    assert {"free_energy_eV", "x(mu)", "x_from_free_energy", "entropy_ion_kB"} <= found.keys()


@pytest.mark.runs
def test_the_zero_of_the_energies_changes_nothing(small: System, tmp_path: Path) -> None:
    """-1306 eV per ion: the same mixing free energies as without, and the same of all that is trusted."""
    lattice, mixing, trusted = small.lattice, [], []
    pairs = tuple(pair_clusters(lattice, ("Na+", "Fe2+"), (0.0, 3.9), -0.03))
    for k, energy_eV in enumerate((0.0, -1306.0)):
        given = Hamiltonian(lattice, (*point_clusters(lattice, "Na+", energy_eV), *pairs))
        found = run_of(build_system(given, np.eye(3, dtype=int), ("Na+",)), (500.0,), 200, 2, 1, tmp_path / str(k)).canonical
        assert found is not None
        mixing.append(found.mixing_free_energy_eV)
        trusted.append(found.trusted)
    assert np.abs(mixing[0] - mixing[1]).max() < 1e-9 and np.array_equal(*trusted)


def test_the_states_of_the_magnet_are_counted() -> None:
    """4 x 4: all 2^16 states; two of lowest energy, binomial numbers of spins up."""
    states = ising_states(4)
    assert states.sum() == 2**16 and states[0].tolist() == [1] + [0] * 15 + [1]
    assert states.sum(axis=0).tolist() == [
        1,
        16,
        120,
        560,
        1820,
        4368,
        8008,
        11440,
        12870,
        *[11440, 8008, 4368, 1820, 560, 120, 16, 1],
    ]
    levels: Levels = ising_levels(4, 1.0)
    assert levels.energy_eV[1].tolist() == [-24.0]
