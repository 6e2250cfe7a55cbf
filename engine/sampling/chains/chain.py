"""A chain as one small object, and advancing it."""

import time
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from ....kernels.chain import WHERE_CHEAPER, run
from ....kernels.domains import run_domains, run_domains_together
from ....kernels.layout import Ensemble, Record, Scheme, State, Tally
from ...runtime.effort import EFFORT
from .moves import MoveSet
from .system import System

Float = NDArray[np.float64]


@dataclass
class Chain:
    """State of a chain: occupation (n_sites,) int8, energy (neV), ion counts (ions,), random stream (2,) uint64."""

    species: NDArray[np.int8]
    energy: int
    ions: NDArray[np.int64]
    stream: NDArray[np.uint64]


def start_chain(system: System, species: NDArray[np.int8], stream: NDArray[np.uint64]) -> Chain:
    return Chain(species.copy(), system.energy_neV(species), system.count_ions(species), stream)


def ensemble_by_count(system: System, beta: float, log_weight: Float, reference: Float | None = None) -> Ensemble:
    """exp[-beta E + log_weight[n]], log_weight (n_max+1,); with a reference (n_max+1,) the moves between counts are tallied."""
    step, steps = (0, np.zeros(len(log_weight))) if reference is None else (system.step, reference)
    return Ensemble(beta, np.zeros(max(len(system.ions), 1)), log_weight, steps, step)


def advance(
    chain: Chain, system: System, moves: MoveSet, ensemble: Ensemble, tally: Tally, n_sweeps: int, attempts: int | None = None
) -> Record:
    """Run n_sweeps sweeps, of so many attempted moves (default: one a site); changes the chain and the tally, returns the record.

    A system with domains is advanced box by box, on NUMBA_NUM_THREADS threads. The number of threads changes the time only.
    """
    kinds = len(moves.names)
    record = Record(
        np.zeros(n_sweeps, np.int64),
        np.zeros((n_sweeps, len(chain.ions)), np.int64),
        np.zeros(kinds, np.int64),
        np.zeros(kinds, np.int64),
    )
    state = State(chain.species, chain.energy, chain.ions, chain.stream)
    if attempts is None:
        attempts = system.supercell.n_sites
    began = time.perf_counter()
    if system.domains:
        domains, board = system.domains
        scheme = Scheme(moves.within(board.supercell), ensemble, tally)
        together = numba.config.NUMBA_NUM_THREADS > 1 and counts_are_free(moves, ensemble)  # type: ignore[attr-defined]
        advance_boxes = run_domains_together if together else run_domains
        chain.energy = advance_boxes(state, domains, board.model, scheme, record, attempts)
    else:
        chain.energy = run(state, system.model, Scheme(moves.arrays, ensemble, tally), record, attempts, WHERE_CHEAPER)
    EFFORT.alone.add(n_sweeps * attempts, time.perf_counter() - began)
    return record


def counts_are_free(moves: MoveSet, ensemble: Ensemble) -> bool:
    """Whether domains need not know each other's counts: these are fixed, or the log weight is linear and nothing is tallied."""
    return not moves.arrays.ion_change.any() or (ensemble.step == 0 and not ensemble.log_weight.any())
