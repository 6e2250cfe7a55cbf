"""Error bars against enumeration: deviations from exact values are of the size that the errors say, wherever results are trusted.

All of it takes three quarters of an hour of processor time. In parts: -k "small and 2000", "small and not 2000",
"ising and 2000", "ising and not 2000", "boundaries", "critical".
"""

from pathlib import Path

import numpy as np
import pytest

from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.order_scans import gap_scan
from redoxmc.engine.sampling.order_scans.gap_scan import GapEnd, scan_gap

from ..helpers.coverage import Coverage, Levels, coverage, enumerated, ising_levels, ising_states, run_of, sampled
from ..helpers.coverage_diagram import boundaries_compared, covered, crossing_of, exact_crossing_K
from ..helpers.enumeration import Enumeration
from ..helpers.ising import COUPLING_EV, magnet

SEEDS, WALKERS = 30, 4
GAP_K = (250.0, 300.0, 350.0)
TEMPERATURES_K = {"small": (250.0, 500.0, 1000.0), "ising": (400.0, 600.0, 1200.0)}
LEAST_RMS, MOST_RMS = 0.8, 1.25
MOST_BEYOND = 1e-3  # share of the trusted points more than 5 standard errors off
LEAST_TRUSTED = 0.8  # at 2000 sweeps
LEAST_POINTS = 60  # of which a root mean square is tested
MANY_POINTS = 2000  # of which the share beyond is tested quantity by quantity: of fewer, one in a thousand says little


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
        (small_states.system, enumerated(small_states)) if cell == "small" else (magnet(6), ising_levels(6, COUPLING_EV))
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


@pytest.mark.validate
@pytest.mark.parametrize("sweeps", [200, 2000])
def test_deviations_of_boundaries(sweeps: int, tmp_path: Path) -> None:
    """Of the gap of 6 x 6 Ising spins, against the means of the peaks of the exact P(n)."""
    system, exact = magnet(6), ising_levels(6, COUPLING_EV)
    every: list[tuple[float, bool]] = []
    for seed in range(SEEDS):
        store = sampled(system, GAP_K, sweeps, WALKERS, seed, tmp_path / str(seed))
        every += boundaries_compared(store, system, exact, seed)
    holds(f"boundaries, {sweeps} sweeps", covered(every), sweeps >= 2000)


@pytest.mark.validate
@pytest.mark.parametrize("moves", [3e7, 1e8], ids=["short", "long"])
def test_deviations_of_critical_temperatures(moves: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the crossing of the cumulants of 6 x 6 and 3 x 3 Ising spins, against that of the exact P(n); a run makes 1.8e9."""
    for name, share in (("approach", 1 / 3), ("measure", 1.0)):
        monkeypatch.setitem(gap_scan.MOVES, name, (share * moves, share * moves / 4))
    expected = exact_crossing_K(ising_levels(6, COUPLING_EV), ising_levels(3, COUPLING_EV))
    end = GapEnd(0.5, 0.01, (480.0, 580.0), np.array([400.0, 600.0]), np.zeros(2))
    every = [crossing_of(scan_gap((magnet(6), magnet(3)), end, seed, 0), expected) for seed in range(SEEDS)]
    holds(f"critical temperature, {moves:.0e} moves", covered(every), True)


def holds(name: str, found: Coverage, long: bool) -> None:
    print(f"\n{SEEDS} seeds\n{table({name: found})}")
    assert LEAST_RMS <= found.rms <= MOST_RMS and found.beyond <= MOST_BEYOND
    assert not long or found.trusted >= LEAST_TRUSTED


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
