"""Coverage of error bars: runs of small cells whose thermodynamics is known exactly, and the deviations in standard errors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.special import logsumexp

from redoxmc.engine.input.schema.sampling import SamplingInput
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.replicas import Semigrand
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.runtime.streams import Stream
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.conditional_entropies.conditional_entropy_sampling import run_conditional_entropies
from redoxmc.engine.sampling.ladder.slots import EnsembleKind
from redoxmc.engine.sampling.preparation.prepare_ladder import prepare_ladder
from redoxmc.engine.sampling.run import sample_ladder
from redoxmc.engine.sampling.samples import Samples, convergence_of, read_samples
from redoxmc.engine.thermodynamics.analysis import free_energies, isotherms_of
from redoxmc.engine.thermodynamics.observables import replica_group
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from .enumeration import Enumeration

Float = NDArray[np.float64]
EQUILIBRATE = 200  # sweeps: the automatic choice takes most of the time in cells this small
ROUNDING = 1e-6  # of a value that is known without error: the ends of composition, quantities that do not fluctuate

ROUNDING_LISTED = 1e-9  # of entropies over listed states, which rest on no tallies


@dataclass(frozen=True)
class Levels:
    """Energies (eV, of the cell) and ln of the number of states of each, by count of the ion; split: conditional entropies."""

    n_fu: int
    energy_eV: dict[int, Float]
    log_states: dict[int, Float]
    split: Callable[[float, int], tuple[float, float]] | None = None

    def canonical(self, temperature_K: float) -> dict[str, Float]:
        """F, U (eV/fu), S and C (k_B/fu), (n,)."""
        kT = BOLTZMANN_EV_PER_K * temperature_K
        rows = []
        for n, energy in self.energy_eV.items():
            w = self.log_states[n] - energy / kT
            log_z = logsumexp(w)
            p = np.exp(w - log_z)
            mean = p @ energy
            rows.append((-kT * log_z, mean, mean / kT + log_z, p @ (energy - mean) ** 2 / kT**2))
        f, u, s, c = np.array(rows).T / self.n_fu
        return {"free_energy_eV": f, "energy_eV": u, "entropy_kB": s, "heat_capacity_x_kB": c}

    def grand(self, temperature_K: float, mu_eV: Float) -> dict[str, Float]:
        """Grand potential (eV/fu), x and mean energy (eV/fu), (mu,)."""
        kT = BOLTZMANN_EV_PER_K * temperature_K
        found, n = self.canonical(temperature_K), np.array(list(self.energy_eV))
        w = (mu_eV[:, None] * n - found["free_energy_eV"] * self.n_fu) / kT
        log_z = logsumexp(w, axis=1)
        p = np.exp(w - log_z[:, None])
        x = p @ n / self.n_fu
        return {
            "grand_potential_eV": -kT * log_z / self.n_fu,
            "x": x,
            "x_from_free_energy": x,
            "energy_eV": p @ found["energy_eV"],
        }


def enumerated(e: Enumeration) -> Levels:
    """Levels of a cell whose states are listed."""
    electrons = np.array([g == 1 for g in e.system.supercell.site_sublattice])
    counts = np.unique(e.n).tolist()
    keys = [np.unique(e.states[:, which], axis=0, return_inverse=True)[1].ravel() for which in (~electrons, electrons)]

    def split(temperature_K: float, n: int) -> tuple[float, float]:
        """S(electrons | ions) and S(ions | electrons), k_B/fu."""
        here = e.n == n
        w = e.log_weight(temperature_K, 0.0)[here]
        p = np.exp(w - logsumexp(w))
        joint = -(p @ np.log(p))
        marginal = [np.bincount(k[here], p) for k in keys]
        ions, others = (-float(m[m > 0] @ np.log(m[m > 0])) for m in marginal)
        return (joint - ions) / e.system.n_formula_units, (joint - others) / e.system.n_formula_units

    return Levels(
        e.system.n_formula_units,
        {n: e.energy_eV[e.n == n] for n in counts},
        {n: np.zeros(int((e.n == n).sum())) for n in counts},
        split,
    )


@cache
def ising_states(size: int) -> NDArray[np.int64]:
    """Number of states of the square lattice with periodic boundaries, by [unlike bonds, spins up]; by transfer of rows."""
    rows = np.arange(2**size)
    bits = (rows[:, None] >> np.arange(size)) & 1
    up, within = bits.sum(axis=1), (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    between = (bits[:, None] != bits[None]).sum(axis=2)
    total = np.zeros((2 * size**2 + 1, size**2 + 1), np.int64)
    for first in rows:
        table = np.zeros((len(rows), *total.shape), np.int64)
        table[first, within[first], up[first]] = 1
        for _ in range(size - 1):
            new = np.zeros_like(table)
            for b in rows:
                summed = np.zeros_like(total)
                for k in range(size + 1):
                    summed[k:] += table[between[:, b] == k].sum(axis=0)[: len(total) - k]
                new[b, within[b] :, up[b] :] = summed[: len(total) - within[b], : total.shape[1] - up[b]]
            table = new
        for b in rows:
            total[between[b, first] :] += table[b, : len(total) - between[b, first]]
    return total


def ising_levels(size: int, coupling_eV: float) -> Levels:
    """Levels of the square lattice, energy coupling_eV (unlike bonds - like bonds)."""
    states = ising_states(size)
    energy = coupling_eV * (2 * np.arange(len(states)) - 2.0 * size**2)
    present = states > 0
    counts = range(states.shape[1])
    return Levels(
        size**2,
        {n: energy[present[:, n]] for n in counts},
        {n: np.log(states[present[:, n], n].astype(float)) for n in counts},
    )


def run_of(system: System, temperature_K: tuple[float, ...], sweeps: int, walkers: int, seed: int, folder: Path) -> Results:
    """The results of a run with default settings."""
    store, comm, watch = sampled(system, temperature_K, sweeps, walkers, seed, folder), MPI.COMM_SELF, StopWatch(MPI.COMM_SELF)
    run_conditional_entropies(system, system.n_range[1], seed, store, comm, watch)
    return results_of(read_samples(store), system, seed)


def sampled(system: System, temperature_K: tuple[float, ...], sweeps: int, walkers: int, seed: int, folder: Path) -> SampleStore:
    """The chains of a run with default settings."""
    lengths: Any = {"equilibrate": EQUILIBRATE, "measure": sweeps}
    given = SamplingInput(temperature_K=temperature_K, walkers=walkers, sweeps=lengths)
    config: Any = SimpleNamespace(sampler=given, seed=seed)
    store, comm, watch = SampleStore(folder), MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None)
    prepare_ladder(system, config, store, comm)
    sample_ladder("sampling", system, config, store, (Stream.SAMPLING,), sweeps, comm, watch)
    return store


def results_of(samples: Samples, system: System, seed: int) -> Results:
    """The groups whose errors are tested, at all compositions."""
    convergence, isotherms = convergence_of(samples), isotherms_of(samples, system, system.n_range[1] + 1, seed)
    semigrand = replica_group(EnsembleKind.SEMIGRAND, samples, system, convergence)
    assert isotherms is not None and isinstance(semigrand, Semigrand)
    canonical, semigrand_too, _ = free_energies(samples, isotherms, convergence, semigrand)
    return Results(Attributes(), canonical=canonical, semigrand=semigrand_too)


@dataclass(frozen=True)
class Coverage:
    """Deviations over standard errors of the trusted points of one quantity, and the share of points that are trusted."""

    deviation: Float
    trusted: float

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(self.deviation**2))) if len(self.deviation) else float("nan")

    @property
    def beyond(self) -> float:
        """Share of the points beyond 5 standard errors."""
        return float(np.mean(np.abs(self.deviation) > 5)) if len(self.deviation) else float("nan")

    @property
    def within(self) -> float:
        """Share of the points within one standard error."""
        return float(np.mean(np.abs(self.deviation) < 1)) if len(self.deviation) else float("nan")


def compared(results: Results, exact: Levels) -> Iterator[tuple[str, Float, Float, Float, NDArray[np.bool_]]]:
    """Quantity, found, error, exact and trusted, each (points,), of all that a run finds."""
    canonical, semigrand = results.canonical, results.semigrand
    assert canonical is not None and semigrand is not None and semigrand.grand is not None
    mu = semigrand.chemical_potential_eV
    for row, t in enumerate(canonical.temperature_K.tolist()):
        for name, values in exact.canonical(t).items():
            yield name, getattr(canonical, name)[row], getattr(canonical, f"{name}_error")[row], values, canonical.trusted[row]
        at_mu = exact.grand(t, mu)
        for name, group in (("x", semigrand), ("energy_eV", semigrand)):
            label = "x(mu)" if name == "x" else "U(mu)"
            yield label, getattr(group, name)[row], getattr(group, f"{name}_error")[row], at_mu[name], group.trusted[row]
        for name in ("x_from_free_energy", "grand_potential_eV"):
            grand = semigrand.grand
            trusted = getattr(grand, f"{name.removesuffix('_eV')}_trusted", np.ones((row + 1, len(mu)), bool))[row]
            yield name, getattr(grand, name)[row], getattr(grand, f"{name}_error")[row], at_mu[name], trusted
        split = canonical.split
        if split is not None and exact.split is not None and canonical.asked[row]:
            s = exact.canonical(t)["entropy_kB"]
            given = np.array([exact.split(t, int(n)) for n in exact.energy_eV]).T
            values = {
                "entropy_electron_given_ion_kB": given[0],
                "entropy_ion_given_electron_kB": given[1],
                "entropy_ion_kB": s - given[0],
                "mutual_information_kB": s - given[0] - given[1],
            }
            for name, value in values.items():
                found, error = getattr(split, name)[row], getattr(split, f"{name}_error")[row]
                yield name, found, error, value, split.entropy_split_trusted[row]


def coverage(runs: list[Results], exact: Levels) -> dict[str, Coverage]:
    """Of every quantity over all runs; points that are exact by construction are left out."""
    deviations: dict[str, list[Float]] = {}
    shares: dict[str, list[NDArray[np.bool_]]] = {}
    for results in runs:
        for name, found, error, value, trusted in compared(results, exact):
            with np.errstate(divide="ignore", invalid="ignore"):
                z = (found - value) / error
            rounding = ROUNDING_LISTED if "_given_" in name else ROUNDING
            sure = (np.abs(found - value) <= rounding) & ~(error > rounding)
            counted = ~sure
            shares.setdefault(name, []).append(trusted[counted])
            deviations.setdefault(name, []).append(np.where(np.isfinite(z), z, np.inf)[counted & trusted])
    return {name: Coverage(np.concatenate(deviations[name]), _share(shares[name])) for name in deviations}


def _share(masks: list[NDArray[np.bool_]]) -> float:
    every = np.concatenate(masks)
    return float(every.mean()) if every.size else float("nan")
