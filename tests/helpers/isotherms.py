"""Isotherms as the sampler measures them, from single chains."""

import numpy as np
from mpi4py import MPI

from redoxmc.engine.sampling.chains.chain import advance
from redoxmc.engine.sampling.chains.log_z import integrate_steps
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.tally import empty_tally, end_energies
from redoxmc.engine.sampling.ladder.planning import window_targets
from redoxmc.engine.sampling.preparation.anneal import anneal
from redoxmc.engine.thermodynamics.free_energy.transition_matrix import Ends, Isotherm, isotherm
from redoxmc.engine.units import inverse_temperature
from redoxmc.kernels.layout import Tally

from .enumeration import begin, semigrand


def reference_of(system: System, temperature_K: float, moves: int = 100_000) -> np.ndarray:
    """ln Z_n - ln Z_n+1 from annealing, with about so many proposals a chain and temperature."""
    targets, sigma = window_targets(system, "auto")
    betas = np.array([inverse_temperature(temperature_K)])
    return anneal(system, betas, targets, sigma, 2, max(12, moves // system.supercell.n_sites), 1, MPI.COMM_SELF).reference[0]


def flat_run(system: System, temperature_K: float, n_sweeps: int, seed: int, reference: np.ndarray) -> Tally:
    """A chain made flat over all counts by the reference, as the sampler's windows are."""
    ensemble = semigrand(system, temperature_K, 0.0, reference)
    ensemble = ensemble._replace(log_weight=integrate_steps(reference, system.step))
    chain, tally = begin(system, seed), empty_tally(system)
    advance(chain, system, system.moves, ensemble, empty_tally(system), 1000)
    advance(chain, system, system.moves, ensemble, tally, n_sweeps)
    return tally


def measured_isotherm(system: System, temperature_K: float, n_sweeps: int, seed: int, reference: np.ndarray) -> Isotherm:
    low, high, e_low, e_high = end_energies(system)
    tally = flat_run(system, temperature_K, n_sweeps, seed, reference)
    log_states = system.neutral_counts[1]
    ends = Ends(low, high, (float(log_states[0]), float(log_states[-1])), (e_low, e_high))
    return isotherm(tally.sums, tally, reference, inverse_temperature(temperature_K), system.step, ends)
