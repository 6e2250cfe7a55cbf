"""Order over temperature: the chains in lanes against enumeration, crossings of cumulants, and the antiferromagnet."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from mpi4py import MPI

from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.order_scans import order_scans
from redoxmc.engine.sampling.order_scans.crossing import Crossing, crossing, cumulants
from redoxmc.engine.sampling.order_scans.lanes import TEMPERATURES, WALKERS, Lanes, cooled_lanes
from redoxmc.engine.sampling.order_scans.order_scans import ScansAt, read_order_scans, run_order_scans
from redoxmc.engine.sampling.order_scans.scan import MOVES, OrderScan, scan_order
from redoxmc.engine.thermodynamics.order.transitions import transitions_group
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.coverage import Levels, ising_levels

COUPLING_EV = 0.02
T_NEEL_K = 2 * COUPLING_EV / np.log(1 + np.sqrt(2)) / BOLTZMANN_EV_PER_K  # 526.7 K (Onsager, Phys. Rev. 65, 117, 1944)


def antiferromagnet(size: int) -> System:
    """Square lattice of two neutral elements that prefer each other."""
    elements = ("Li", "Na")
    cell = Atoms("H", cell=[1.0, 1.0, 10.0], pbc=True)
    lattice = build_lattice(cell, (Sublattice("H", tuple(Species(e, 0) for e in elements)),), {})
    pairs = [(a, b, COUPLING_EV if a == b else -COUPLING_EV) for a, b in (("Li", "Li"), ("Na", "Na"), ("Li", "Na"))]
    clusters = [c for a, b, energy in pairs for c in pair_clusters(lattice, (a, b), (0.9, 1.1), energy)]
    return build_system(Hamiltonian(lattice, tuple(clusters)), np.diag([size, size, 1]), ("Li",))


def exact_means(levels: Levels, temperature_K: float, mu_eV: float) -> tuple[float, float]:
    """Energy (eV) of the cell and count; levels of the magnet: those of the antiferromagnet have the opposite sign."""
    kT, n = BOLTZMANN_EV_PER_K * temperature_K, list(levels.energy_eV)
    energy = np.concatenate([-levels.energy_eV[k] for k in n])
    count = np.concatenate([np.full(len(levels.energy_eV[k]), k) for k in n])
    w = np.concatenate([levels.log_states[k] for k in n]) - (energy - mu_eV * count) / kT
    p = np.exp(w - w.max())
    return float(p @ energy / p.sum()), float(p @ count / p.sum())


def deviations_of(lanes: Lanes, mu_eV: float, rounds: int) -> np.ndarray:
    """Of mean energies and counts at each temperature from exact ones, in standard errors by the walkers, (2, temperatures)."""
    energy, ions = [], []
    for _ in range(rounds):
        lanes.advance(5)
        energy.append(lanes.energy_neV / 1e9)
        ions.append(lanes.ions.astype(float))
    exact = np.array([exact_means(ising_levels(4, COUPLING_EV), float(t), mu_eV) for t in lanes.temperature_K]).T
    found = []
    for series, wanted in zip((energy, ions), exact):
        blocks = np.array(np.split(np.array(series), 20)).mean(axis=1)  # (blocks, temperatures, walkers)
        mean, error = blocks.mean(axis=(0, 2)), blocks.std(axis=(0, 2), ddof=1) / np.sqrt(blocks[:, 0].size)
        assert (error < 0.02).all() or series is ions
        found.append((mean - wanted) / error)
    return np.array(found)


@pytest.mark.parametrize("mutant", [False, True], ids=["sound", "mutant: exchange without the chemical potential"])
def test_lanes_that_exchange_sample_the_ensemble(mutant: bool) -> None:
    """16 sites, exactly counted: energies and counts at every temperature within 4.5 standard errors, a few meV."""
    mu_eV, temperatures = -0.3, np.geomspace(200.0, 1500.0, TEMPERATURES)
    lanes = cooled_lanes(antiferromagnet(4), temperatures, mu_eV, 500, seed=1, key=(0,))
    if mutant:
        lanes = _ForgetsMu(lanes.system, lanes.temperature_K, lanes.mu_eV, lanes.chains, lanes.random)
    off = deviations_of(lanes, mu_eV, 400)
    assert lanes.chains.species.shape == (TEMPERATURES * WALKERS, 16)
    assert (np.abs(off).max() > 8) if mutant else (np.abs(off).max() < 4.5)


class _ForgetsMu(Lanes):
    def _exchange(self, beta: np.ndarray) -> None:
        mu_eV, self.mu_eV = self.mu_eV, 0.0
        super()._exchange(beta)
        self.mu_eV = mu_eV


def test_cumulants_of_known_distributions() -> None:
    """Order: 2/3 for one component; disorder, Gaussian amplitudes: 0 for any number of components."""
    rng = np.random.default_rng(0)
    assert np.allclose(cumulants(np.full((50, 1, 2), 0.8), 1), 2 / 3)
    for components in (1, 3):
        share = (rng.normal(size=(200_000, 1, 2, components)) ** 2).sum(axis=-1)
        assert np.abs(cumulants(share, components)).max() < 0.02


def test_a_crossing_and_its_error() -> None:
    """Curves of a known crossing with known noise: the error is that of repetitions; curves that do not cross have none."""
    t, rng = np.linspace(500.0, 550.0, 16), np.random.default_rng(1)

    def curves(slope: float, noise: float) -> np.ndarray:
        return 0.61 - slope * (t[:, None] - 526.0) - 1e-5 * (t[:, None] - 526.0) ** 2 + noise * rng.normal(size=(16, WALKERS))

    found = [crossing(t, curves(2e-3, 3e-3), curves(1e-3, 2e-3)) for _ in range(200)]
    known = [c for c in found if c is not None]
    at, errors = np.array([c.temperature_K for c in known]), np.array([c.error_K for c in known])
    assert len(known) == 200 and abs(at.mean() - 526) < 4 * at.std() / np.sqrt(200) + 0.05
    assert 0.8 < at.std() / np.sqrt((errors**2).mean()) < 1.25 and at.std() < 3
    assert not any(c.first_order for c in known)
    assert crossing(t, curves(2e-3, 0.0) - 0.2, curves(1e-3, 0.0)) is None
    dip = 0.5 * np.exp(-(((t - 530) / 5) ** 2))[:, None]
    sudden = crossing(t, curves(2e-2, 1e-3) - 3 * dip, curves(1e-3, 1e-3) - dip)
    assert isinstance(sudden, Crossing) and sudden.first_order


def test_the_group_of_transitions() -> None:
    """Composition at the crossing, interpolated between temperatures; a scan that does not cross is left out."""
    t = np.linspace(500.0, 550.0, TEMPERATURES)
    rng, shape = np.random.default_rng(2), (400, TEMPERATURES, WALKERS)
    ions = np.broadcast_to(np.rint(40 + (t - 500))[:, None], shape).astype(np.int64)
    larger = np.where(t[:, None] < 525, 0.9, rng.chisquare(1, shape) * 0.1)
    scan = OrderScan("Li", np.array([0.5, 0.5, 0.0]), 1, t, np.array([larger, np.abs(0.6 + 0.1 * rng.normal(size=shape))]), ions)
    flat = replace(scan, share=np.full((2, *shape), 0.6))
    group = transitions_group([ScansAt(0.0, [scan]), ScansAt(0.1, [flat])], 100)
    assert group is not None and group.q.tolist() == [[0.5, 0.5, 0.0]] and group.chemical_potential_eV.tolist() == [0.0]
    assert group.x[0] == pytest.approx((40 + group.temperature_K[0] - 500) / 100, abs=0.011)
    assert transitions_group([ScansAt(0.0, [])], 100) is None


def test_scans_are_kept_and_belong_to_a_smaller_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once; made again for another smaller cell; not read for a run that has another or none."""
    larger, smaller, other = (antiferromagnet(size) for size in (6, 4, 3))
    plan, store, comm = SimpleNamespace(mu_eV=(np.array([0.0, 9.0]),), mix=larger.mix), SampleStore(tmp_path), MPI.COMM_SELF
    monkeypatch.setattr(order_scans, "read_ladder", lambda store: (plan, None))
    for name in MOVES:
        monkeypatch.setitem(MOVES, name, 1.0)

    def made(smaller: System) -> list[int]:
        run_order_scans((larger, smaller), (300.0, 900.0), 1, store, comm, StopWatch(comm, None))
        return [store.order_scan(k).stat().st_mtime_ns for k in (0, 1)]

    first = made(smaller)
    assert made(smaller) == first and [s.mu_eV for s in read_order_scans(store, smaller)] == [0.0, 9.0]
    assert read_order_scans(store, None) == [] == read_order_scans(store, other)
    assert not set(made(other)) & set(first) and len(read_order_scans(store, other)) == 2


@pytest.mark.validate
def test_the_antiferromagnet_orders_at_its_temperature(tmp_path: Path) -> None:
    """32 x 32 and 16 x 16 sites: 526.7 K within 3 errors and 3 K; at the field that aligns all spins nothing is ordered."""
    systems = (antiferromagnet(32), antiferromagnet(16))
    (scan,) = scan_order(systems, 0.0, (300.0, 700.0), seed=1, number=0)
    group = transitions_group([ScansAt(0.0, [scan])], 1024)
    assert group is not None and group.kind.tolist() == ["continuous"] and abs(group.x[0] - 0.5) < 0.01
    assert abs(group.temperature_K[0] - T_NEEL_K) < min(3.0, 3 * group.temperature_K_error[0])
    assert scan_order(systems, 0.3, (300.0, 700.0), seed=1, number=1) == []
