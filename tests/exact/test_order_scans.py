"""Order over temperature: the chains in lanes against enumeration, crossings of cumulants, and the antiferromagnet."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI

from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.order_scans import order_scans
from redoxmc.engine.sampling.order_scans.crossing import PARTS, Crossing, Cumulants, crossing, of_count, of_order
from redoxmc.engine.sampling.order_scans.lanes import TEMPERATURES, WALKERS, Lanes, cooled_lanes
from redoxmc.engine.sampling.order_scans.order_scans import ScansAt, read_order_scans, run_order_scans
from redoxmc.engine.sampling.order_scans.scan import MOVES, OrderScan, scan_order
from redoxmc.engine.thermodynamics.order.transitions import composition, transitions_group
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.coverage import Levels, ising_levels
from ..helpers.ising import COUPLING_EV, T_CRITICAL_K, antiferromagnet, hard_hexagons


def exact_means(levels: Levels, temperature_K: float, mu_eV: float) -> tuple[float, float]:
    """Energy (eV) of the cell and count; levels of the magnet: those of the antiferromagnet have the opposite sign."""
    kT, n = BOLTZMANN_EV_PER_K * temperature_K, list(levels.energy_eV)
    energy = np.concatenate([-levels.energy_eV[k] for k in n])
    count = np.concatenate([np.full(len(levels.energy_eV[k]), k) for k in n])
    w = np.concatenate([levels.log_states[k] for k in n]) - (energy - mu_eV * count) / kT
    p = np.exp(w - w.max())
    return float(p @ energy / p.sum()), float(p @ count / p.sum())


def exact_grand_potential(kT_eV: float, mu_eV: float) -> float:
    """beta Phi of the 4 x 4 cell times kT, eV."""
    levels = ising_levels(4, COUPLING_EV)
    n = list(levels.energy_eV)
    terms = [levels.log_states[k] - (-levels.energy_eV[k] - mu_eV * k) / kT_eV for k in n]
    return float(-kT_eV * np.logaddexp.reduce(np.concatenate(terms)))


def deviations_of(lanes: Lanes, rounds: int) -> np.ndarray:
    """Of mean energies and counts at each temperature from exact ones, in standard errors by the walkers, (2, temperatures)."""
    energy, ions = [], []
    for _ in range(rounds):
        lanes.advance(5)
        energy.append(lanes.energy_neV / 1e9)
        ions.append(lanes.ions.astype(float))
    points = np.broadcast_arrays(lanes.temperature_K, lanes.mu_eV)
    exact = np.array([exact_means(ising_levels(4, COUPLING_EV), float(t), float(mu)) for t, mu in zip(*points)]).T
    found = []
    for series, wanted in zip((energy, ions), exact):
        blocks = np.array(np.split(np.array(series), 20)).mean(axis=1)  # (blocks, temperatures, walkers)
        mean, error = blocks.mean(axis=(0, 2)), blocks.std(axis=(0, 2), ddof=1) / np.sqrt(blocks[:, 0].size)
        assert (error < 0.02).all() or series is ions
        found.append((mean - wanted) / error)
    return np.array(found)


@pytest.mark.parametrize("mutant", [False, True], ids=["sound", "mutant: exchange without the chemical potential"])
@pytest.mark.parametrize("mu_eV", [-0.3, np.linspace(-0.3, -0.1, TEMPERATURES)], ids=["one mu", "mu along T"])
def test_lanes_that_exchange_sample_the_ensemble(mu_eV: np.ndarray | float, mutant: bool) -> None:
    """16 sites, exactly counted: energies and counts at every temperature within 4.5 standard errors, a few meV."""
    temperatures = np.geomspace(200.0, 1500.0, TEMPERATURES)
    lanes = cooled_lanes(antiferromagnet(4), temperatures, mu_eV, 500, seed=1, key=(0,))
    if mutant:
        lanes = _ForgetsMu(lanes.system, lanes.temperature_K, lanes.mu_eV, lanes.chains, lanes.random)
    off = deviations_of(lanes, 400)
    assert lanes.chains.species.shape == (TEMPERATURES * WALKERS, 16)
    assert (np.abs(off).max() > 8) if mutant else (np.abs(off).max() < 4.5)


class _ForgetsMu(Lanes):
    def _exchange(self, beta: np.ndarray, beta_mu: np.ndarray) -> None:
        super()._exchange(beta, 0 * beta_mu)


def test_cumulants_of_known_distributions() -> None:
    """Order: 2/3 for one component; disorder, Gaussian amplitudes: 0 for any number of components."""
    rng = np.random.default_rng(0)
    assert np.allclose(of_order(np.full((50, 1, 2), 0.8), 1).all, 2 / 3)
    for components in (1, 3):
        share = (rng.normal(size=(200_000, 1, 2, components)) ** 2).sum(axis=-1)
        found = of_order(share, components)
        assert found.without.shape == (2 * PARTS, 1) and np.abs(found.without).max() < 0.02


@pytest.mark.parametrize("mutant", [False, True], ids=["sound", "mutant: moments about the mean of what was seen"])
def test_the_cumulant_of_a_count_where_one_phase_outweighs_the_other(mutant: bool) -> None:
    """Two phases of equal width at counts 100 and 300, one of them seen nine times as often: that of equal weight."""
    rng, spread = np.random.default_rng(3), 20.0
    low = rng.random((100_000, 1, 4)) < 0.9
    ions = np.rint(np.where(low, 100, 300) + spread * rng.normal(size=low.shape)).astype(np.int64)
    r = (spread / 100) ** 2  # the Gaussians are tilted and keep their width
    exact = 1 - (1 + 6 * r + 3 * r**2) / (3 * (1 + r) ** 2)
    found = of_count(ions, float(ions.mean()) if mutant else 200.0).all[0]
    assert (abs(found - exact) > 0.1) if mutant else (abs(found - exact) < 0.01)


def test_a_crossing_and_its_error() -> None:
    """Curves of a known crossing with known noise: the error is that of repetitions; curves that do not cross have none."""
    t, rng = np.linspace(500.0, 550.0, 16), np.random.default_rng(1)

    def cumulants(of_parts: np.ndarray) -> Cumulants:
        number = of_parts.shape[1]
        return Cumulants(of_parts.mean(axis=1), np.array([np.delete(of_parts, k, axis=1).mean(axis=1) for k in range(number)]))

    def curves(slope: float, noise: float) -> np.ndarray:
        return 0.61 - slope * (t[:, None] - 526.0) - 1e-5 * (t[:, None] - 526.0) ** 2 + noise * rng.normal(size=(16, WALKERS))

    found = [crossing(t, cumulants(curves(2e-3, 3e-3)), cumulants(curves(1e-3, 2e-3))) for _ in range(200)]
    known = [c for c in found if c is not None]
    at, errors = np.array([c.temperature_K for c in known]), np.array([c.error_K for c in known])
    assert len(known) == 200 and abs(at.mean() - 526) < 4 * at.std() / np.sqrt(200) + 0.05
    assert 0.8 < at.std() / np.sqrt((errors**2).mean()) < 1.25 and at.std() < 3
    assert not any(c.first_order for c in known)
    assert crossing(t, cumulants(curves(2e-3, 0.0) - 0.2), cumulants(curves(1e-3, 0.0))) is None
    of_one_size = cumulants(curves(2e-3, 3e-3))
    assert crossing(t, of_one_size, of_one_size) is None, "mutant: U4 of one size"
    dip = 0.5 * np.exp(-(((t - 530) / 5) ** 2))[:, None]
    sudden = crossing(t, cumulants(curves(2e-2, 1e-3) - 3 * dip), cumulants(curves(1e-3, 1e-3) - dip))
    assert isinstance(sudden, Crossing) and sudden.first_order


def test_the_group_of_transitions() -> None:
    """Composition at the crossing, interpolated between temperatures; a scan that does not cross is left out."""
    t = np.linspace(500.0, 550.0, TEMPERATURES)
    rng, shape = np.random.default_rng(2), (400, TEMPERATURES, WALKERS)
    ions = np.broadcast_to(np.rint(40 + (t - 500))[:, None], shape).astype(np.int64)
    larger = np.where(t[:, None] < 525, 0.9, rng.chisquare(1, shape) * 0.1)
    both = np.array([ions, np.broadcast_to(np.rint(10 + (t - 500) / 4)[:, None], shape)]).astype(np.int64)
    scan = OrderScan("Li", np.array([0.5, 0.5, 0.0]), 1, t, np.array([larger, np.abs(0.6 + 0.1 * rng.normal(size=shape))]), both)
    flat = replace(scan, share=np.full((2, *shape), 0.6))
    group = transitions_group([ScansAt(0.0, [scan]), ScansAt(0.1, [flat])], (100, 25))
    assert group is not None and group.q.tolist() == [[0.5, 0.5, 0.0]] and group.chemical_potential_eV.tolist() == [0.0]
    assert group.x[0] == pytest.approx((40 + group.temperature_K[0] - 500) / 100, abs=0.011)
    assert transitions_group([ScansAt(0.0, [])], (100, 25)) is None


def test_a_tricritical_interval_lies_between_a_continuous_and_a_first_order_transition() -> None:
    """Of one order, at neighbouring chemical potentials; between two of one kind there is none."""
    t = np.linspace(500.0, 550.0, TEMPERATURES)
    rng, shape = np.random.default_rng(2), (400, TEMPERATURES, WALKERS)
    ions, disorder = np.full((2, *shape), 40), rng.chisquare(1, shape) * 0.01
    smaller = np.abs(0.6 + 0.1 * rng.normal(size=shape))

    def scan(at_K: float, share_of_order: float) -> OrderScan:
        """Just above, this share of the samples is still ordered."""
        above = np.where((t[:, None] < at_K + 7) & (rng.random(shape) < share_of_order), 0.9, disorder)
        larger = np.where(t[:, None] < at_K, 0.9, above)
        return OrderScan("Li", np.array([0.5, 0.5, 0.0]), 1, t, np.array([larger, smaller]), ions)

    scans = [ScansAt(mu, [scan(at, share)]) for mu, at, share in ((0.0, 525.0, 0.0), (0.1, 523.0, 0.0), (0.2, 520.0, 0.1))]
    group = transitions_group(scans[::-1], (100, 25))
    assert group is not None
    assert group.kind.tolist() == ["first order", "continuous", "continuous", "tricritical interval"]
    low, high = (group.temperature_K[3] + sign * group.temperature_K_error[3] for sign in (-1, 1))
    assert low < group.temperature_K[0] < group.temperature_K[1] < high < group.temperature_K[2] + 5
    assert group.chemical_potential_eV[3] == pytest.approx(0.15)
    assert transitions_group(scans[:2], (100, 25)).kind.tolist() == ["continuous"] * 2  # type: ignore[union-attr]


def test_the_composition_of_the_infinite_crystal() -> None:
    """x away from 0.2764 by 0.08 L^(1/nu - 2), as in hard hexagons with 1/nu = 6/5; that of the larger cell alone is wrong."""
    t, n_fu = np.linspace(230.0, 250.0, TEMPERATURES), (24**2 * 100, 12**2 * 100)
    ions = np.array([np.full((400, TEMPERATURES, WALKERS), round(n * (0.2764 + 0.08 * s**-0.8))) for n, s in zip(n_fu, (24, 12))])
    scan = OrderScan("Li", np.array([1 / 3, 1 / 3, 0.0]), 2, t, np.ones(ions.shape), ions)
    x, error, shift = composition(scan, Crossing(240.0, 1.0, False, (-2 * 2**0.2, -1.0)), n_fu)
    assert abs(x - 0.2764) < 1e-4 and error == pytest.approx(abs(shift) / 2) and x - shift > 0.2764 + 0.005
    assert composition(scan, Crossing(240.0, 1.0, True, (-3.0, -1.0)), n_fu)[2] == 0


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
    group = transitions_group([ScansAt(0.0, [scan])], (1024, 256))
    assert group is not None and group.kind.tolist() == ["continuous"] and abs(group.x[0] - 0.5) < 0.01
    assert abs(group.temperature_K[0] - T_CRITICAL_K) < min(3.0, 3 * group.temperature_K_error[0])
    assert scan_order(systems, 0.3, (300.0, 700.0), seed=1, number=1) == []


@pytest.mark.validate
def test_hard_hexagons_order_at_their_density() -> None:
    """36 x 36 and 18 x 18 sites: 0.2764 within 0.005 and three errors (Baxter, J. Phys. A 13, L61, 1980); mu/kT = 2.406."""
    (scan,) = scan_order((hard_hexagons(36), hard_hexagons(18)), 0.07, (200.0, 450.0), seed=1, number=0)
    group = transitions_group([ScansAt(0.07, [scan])], (36**2, 18**2))
    assert group is not None and group.kind.tolist() == ["continuous"] and np.allclose(np.abs(group.q[0, :2]), 1 / 3)
    assert abs(group.x[0] - 0.2764) < min(0.005, 3 * group.x_error[0])
    assert group.temperature_K[0] == pytest.approx(0.07 / BOLTZMANN_EV_PER_K / np.log((11 + 5 * np.sqrt(5)) / 2), rel=0.02)
