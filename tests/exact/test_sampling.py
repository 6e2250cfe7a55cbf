"""The sampler's own path: annealed windows, replica exchange and analysis together, against enumeration."""

from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from redoxmc.engine.input.schema import AnalysisInput, Config
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.results import Results
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.runtime.streams import Stream
from redoxmc.engine.sampling import run
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.ladder.ladder_file import read_ladder
from redoxmc.engine.sampling.preparation.anneal import cooling
from redoxmc.engine.sampling.replicas.replicas import build_replicas
from redoxmc.engine.sampling.run import run_sampling
from redoxmc.engine.sampling.samples import Samples, read_samples, sample_in_memory
from redoxmc.engine.thermodynamics.analysis import analyse_samples
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.enumeration import enumerate_states
from ..helpers.lengths import FULL, SHORT, bar

TEMPERATURES_K = (400.0, 800.0)


def configuration(tmp_path: Path, measure: int) -> Config:
    return Config.model_validate(
        {
            "seed": 5,
            "output": str(tmp_path),
            "lattice": {"structure": "x", "sublattices": [{"element": "Na", "species": {"Na+": 1}}], "supercell": [1, 1, 1]},
            "energy": {"points": [{"species": "Na+", "energy_eV": 0.0}]},
            "sampling": {
                "temperature_K": list(TEMPERATURES_K),
                "chemical_potential_eV": {"Na+": {"min": -0.05, "max": 0.1, "points": 4}},
                "walkers": 4,
                "sweeps": {"equilibrate": 2000, "measure": measure},
            },
        }
    )


@pytest.fixture(
    scope="module", params=[pytest.param(SHORT, id="short"), pytest.param(FULL, id="full", marks=pytest.mark.validate)]
)
def length(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def sampled(small: System, length: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[System, Samples]:
    store = SampleStore(tmp_path_factory.mktemp("sampling") / "samples")
    run_sampling(small, configuration(store.folder, length * 3000), store, MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None))
    return small, read_samples(store)


@pytest.fixture(scope="module")
def results(sampled: tuple[System, Samples]) -> Results:
    system, samples = sampled
    return analyse_samples(samples, system, AnalysisInput(compositions=5), 5).results


def agrees(value: np.ndarray, error: np.ndarray, exact: np.ndarray, largest_error: float) -> None:
    assert np.isfinite(error).all() and error.max() < largest_error
    assert (np.abs(value - exact) < 4.5 * error + 1e-9).all(), (value - exact) / error


def test_the_ladder_leads_to_beta_zero_and_replicas_exchange(sampled: tuple[System, Samples], results: Results) -> None:
    _, samples = sampled
    assert np.isinf(samples.plan.ladder.temperature_K[-1])
    assert samples.plan.mix != Mix()  # tuned: what is compared with enumeration below was sampled with it
    exchange = results.exchange
    assert exchange is not None
    for axis in ("temperature", "composition"):
        assert np.median(exchange.acceptance[exchange.axis == axis]) > 0.1
    assert (exchange.acceptance >= 0).all() and len(exchange.pair) == len(samples.exchanged)


def test_free_energy_energy_and_entropy(sampled: tuple[System, Samples], results: Results, length: int) -> None:
    system, _ = sampled
    e, canonical = enumerate_states(system), results.canonical
    assert canonical is not None
    for t in TEMPERATURES_K:
        row = canonical.temperature_K.tolist().index(t)
        kT = BOLTZMANN_EV_PER_K * t
        f, u = -kT * e.log_z(t) / 4, e.canonical_energy_eV(t) / 4
        inner = slice(1, -1)
        assert np.allclose(canonical.free_energy_eV[row][[0, -1]], f[[0, -1]], atol=1e-9)
        agrees(canonical.free_energy_eV[row][inner], canonical.free_energy_eV_error[row][inner], f[inner], bar(2e-4, length))
        agrees(canonical.energy_eV[row][inner], canonical.energy_eV_error[row][inner], u[inner], bar(2e-4, length))
        agrees(canonical.entropy_kB[row][inner], canonical.entropy_kB_error[row][inner], ((u - f) / kT)[inner], bar(8e-3, length))
        agrees(canonical.closure_eV[[row]], canonical.closure_eV_error[[row]], np.zeros(1), bar(3e-4, length))
    assert canonical.trusted.mean() > 0.8


def test_semigrand_averages(sampled: tuple[System, Samples], results: Results, length: int) -> None:
    system, _ = sampled
    e, group = enumerate_states(system), results.semigrand
    assert group is not None and group.grand is not None and group.x is not None and group.x_error is not None
    assert group.chemical_potential_eV is not None
    for t in TEMPERATURES_K:
        row = group.temperature_K.tolist().index(t)
        kT = BOLTZMANN_EV_PER_K * t
        p = [e.probability(t, mu) for mu in group.chemical_potential_eV]
        x = np.array([q @ e.n / 4 for q in p])
        agrees(group.x[row], group.x_error[row], x, bar(6e-3, length))
        agrees(group.grand.x_from_free_energy[row], group.grand.x_from_free_energy_error[row], x, bar(6e-3, length))
        omega = [-kT * np.log(np.exp(e.log_weight(t, mu)).sum()) / 4 for mu in group.chemical_potential_eV]
        agrees(group.grand.grand_potential_eV[row], group.grand.grand_potential_eV_error[row], np.array(omega), bar(3e-4, length))
        phi = [(e.energy_eV - mu * e.n) / kT for mu in group.chemical_potential_eV]
        heat = np.array([(q @ f**2 - (q @ f) ** 2) / 4 for q, f in zip(p, phi)])
        agrees(group.heat_capacity_mu_kB[row], group.heat_capacity_mu_kB_error[row], heat, bar(0.05, length))


@pytest.mark.runs
def test_samples_in_memory_are_those_in_files(small: System, tmp_path: Path) -> None:
    """The same slots, sampled in one go in memory and in many segments in files."""
    config, store = configuration(tmp_path, 100), SampleStore(tmp_path / "samples")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "COMMIT_EVERY_S", 0.0)
        run_sampling(small, config, store, MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None))
    assert store.committed() > 2
    plan, starts = read_ladder(store)
    replicas = build_replicas(plan, starts, small.with_mix(plan.mix), config.seed, (Stream.SAMPLING,), MPI.COMM_SELF)
    written, held = read_samples(store), sample_in_memory(replicas, 100, config.sampler.exchange_every)
    assert held.exchanged == written.exchanged and held.bin_sweeps == written.bin_sweeps and not held.origin
    for name in ("energy_neV", "ions", "tried", "accepted", "tallies"):
        assert np.array_equal(getattr(held, name), getattr(written, name)), name


def test_cooling_passes_all_rungs() -> None:
    steps = cooling(np.array([4.0, 1.0, 0.0]))
    assert steps == sorted(steps) and {0.0, 1.0, 4.0} <= set(steps) and max(np.diff(steps)) <= 4.0 / 24 + 1e-12
