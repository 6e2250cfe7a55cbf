"""Chains at given temperatures and chemical potentials or compositions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.streams import Stream
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.sampling.ladder.ladder import Ladder
from redoxmc.engine.sampling.ladder.plan import Plan
from redoxmc.engine.sampling.ladder.planning import place_slots
from redoxmc.engine.sampling.ladder.slots import EnsembleKind
from redoxmc.engine.sampling.preparation.starting_states import starts_of
from redoxmc.engine.sampling.replicas.replicas import build_replicas
from redoxmc.engine.sampling.samples import convergence_of, sample_in_memory
from redoxmc.engine.thermodynamics.observables import replica_group

from ._opening import dataset_of

Float = NDArray[np.float64]
EXCHANGE_EVERY = 10  # sweeps


def sample(
    system: System,
    temperature_K: ArrayLike,
    *,
    chemical_potential_eV: ArrayLike | Mapping[str, ArrayLike] | None = None,
    x: ArrayLike | None = None,
    sweeps: int = 1000,
    walkers: int = 4,
    seed: int = 0,
) -> xr.Dataset:
    """Means of x and energy with their errors, heat capacity, acceptance and convergence, over temperature and the axis given.

    chemical_potential_eV: semigrand chains, on the zero of the energies; with several ions a grid for each of `system.ions`. Or
    x: chains at fixed composition, ions per formula unit, snapped to whole numbers of ions. Chains of neighbouring
    temperatures and chemical potentials exchange; `walkers` independent ones each start from either end of composition, or
    at random at x. What they forget first is left out of the means, and `trusted` says where they are too short. Free
    energies and phase diagrams want more than that: the command `redoxmc`.

    Raises RedoxError if a number is out of range. The same seed gives the same result, bit for bit.

    >>> system = build_system("inputs/small.yaml")
    >>> found = sample(system, [400, 800], chemical_potential_eV=[-4.2, -4.1], sweeps=200)
    >>> found["x"].dims, found["energy_eV_error"].shape
    (('temperature_K', 'chemical_potential_eV'), (2, 2))
    """
    temperatures = _axis("temperature_K", temperature_K)
    if temperatures[0] <= 0:
        raise RedoxError(f"temperature_K: found {temperatures[0]:g}; allowed: above 0")
    for name, value, least in (("sweeps", sweeps, 8), ("walkers", walkers, 2)):
        if value < least:
            raise RedoxError(f"{name}: found {value}; allowed: at least {least}")
    if (chemical_potential_eV is None) == (x is None):
        raise RedoxError("give either chemical_potential_eV or x")
    if not system.ions:
        raise RedoxError("no ion of this system is exchangeable, so that it has no composition to fix")
    kind = EnsembleKind.SEMIGRAND if x is None else EnsembleKind.FIXED_COMPOSITION
    mu = () if chemical_potential_eV is None else _potentials(system.ions, chemical_potential_eV)
    targets = np.zeros(0) if x is None else _counts(system, _axis("x", x))
    steps = np.zeros((len(temperatures), len(empty_tally(system).sums)))
    plan = Plan(Ladder(temperatures, np.ones(len(temperatures), bool)), (), targets, 1.0, mu, steps, walkers, system.mix)
    plan = replace(plan, slots=place_slots(system, plan, [kind]))
    starts = starts_of(system, plan, None, seed)
    replicas = build_replicas(plan, starts, system, seed, (Stream.SAMPLING,), MPI.COMM_SELF)
    samples = sample_in_memory(replicas, sweeps, EXCHANGE_EVERY)
    return dataset_of(replica_group(kind, samples, system, convergence_of(samples)))


def _axis(name: str, values: ArrayLike) -> Float:
    """Ascending and distinct."""
    found = np.unique(np.atleast_1d(np.asarray(values, float)))
    if not found.size or found.ndim != 1 or not np.isfinite(found).all():
        raise RedoxError(f"{name}: found {values!r}; allowed: a finite number, or a list of such")
    return found


def _potentials(ions: Sequence[str], given: ArrayLike | Mapping[str, ArrayLike]) -> tuple[Float, ...]:
    """One axis per ion."""
    grids = dict(given) if isinstance(given, Mapping) else {ion: given for ion in ions[:1]}
    if set(grids) != set(ions):
        raise RedoxError(f"chemical_potential_eV: found {', '.join(grids)}; allowed: a grid for each of {', '.join(ions)}")
    return tuple(_axis(f"chemical_potential_eV of {ion}", grids[ion]) for ion in ions)


def _counts(system: System, x: Float) -> Float:
    """Numbers of ions at compositions x, without repeats."""
    if len(system.ions) > 1:
        raise RedoxError(f"x: found {len(system.ions)} exchangeable ions; allowed: one, or chemical_potential_eV in its place")
    n, n_fu = system.neutral_counts[0], system.n_formula_units
    if x[0] * n_fu < n[0] - 0.5 or x[-1] * n_fu > n[-1] + 0.5:
        raise RedoxError(f"x: found {x[0]:g} to {x[-1]:g}; allowed: {n[0] / n_fu:g} to {n[-1] / n_fu:g}")
    return np.unique(n[np.abs(n - x[:, None] * n_fu).argmin(axis=1)]).astype(float)
