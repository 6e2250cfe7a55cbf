"""Several chains that advance together: in lanes that share their proposals where that is possible, else one after the other."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....kernels.lanes import run_lanes
from ....kernels.layout import Ensemble, Ensembles, Record, States, Tally
from ....kernels.simd import LANES
from ...runtime.effort import EFFORT
from .chain import Chain, advance
from .moves import MoveSet
from .system import System

Float = NDArray[np.float64]
LEAST_LANES = 8  # fewer chains are faster one by one
EXCHANGES = 4  # one directed exchange for so many sites and sweep of the lanes
FEW_RANKS, WORTHWHILE = 2, 16  # so many groups are made of few chains, if so many chains are left for each


@dataclass
class Chains:
    """Occupations (chains, n_sites) int8, energies (chains,) neV, ion counts (chains, ions).

    streams: random stream of each chain, (chains, 2) uint64. proposals: stream of the proposals that all chains share, (2,).
    """

    species: NDArray[np.int8]
    energy: NDArray[np.int64]
    ions: NDArray[np.int64]
    streams: NDArray[np.uint64]
    proposals: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.species)


def groups_of(number: int, each: int = 1) -> list[range]:
    """Items 0 .. number-1, of so many chains each, in equal groups: as few as hold them, but some for every one of a few ranks.

    Whatever the number of ranks: which chains run together decides what they draw.
    """
    chains = number * each
    groups = min(number, max(-(-chains // LANES), min(FEW_RANKS, chains // WORTHWHILE), 1))
    return [range(number * g // groups, number * (g + 1) // groups) for g in range(groups)]


def start_chains(
    system: System, species: NDArray[np.int8], streams: Sequence[NDArray[np.uint64]], proposals: NDArray[np.uint64]
) -> Chains:
    """species (chains, n_sites), copied."""
    energy = np.array([system.energy_neV(s) for s in species], np.int64)
    ions = np.array([system.count_ions(s) for s in species], np.int64)
    return Chains(np.array(species, np.int8, order="C"), energy, ions, np.array(streams, np.uint64), proposals)


def ensembles_by_count(system: System, beta: float, log_weights: Float, reference: Float | None = None) -> Ensembles:
    """exp[-beta E + log_weights[r, n]] for each chain r; log_weights (chains, n_max+1).

    With a reference (n_max+1,) the moves between counts are tallied.
    """
    number, size = log_weights.shape
    step, one = (0, np.zeros(size)) if reference is None else (system.step, reference)
    beta_mu = np.zeros((number, max(len(system.ions), 1)))
    return Ensembles(np.full(number, beta), beta_mu, log_weights, np.tile(one, (number, 1)), step)


def advance_together(
    chains: Chains, system: System, moves: MoveSet, ensembles: Ensembles, tally: Tally, rows: NDArray[np.int64], n_sweeps: int
) -> Record:
    """Run n_sweeps sweeps of every chain, with directed exchanges beside shared proposals.

    Changes the chains and the tally; chain r adds to tally.sums[rows[r]].

    The record's arrays have the chains as first axis.
    """
    record = advance_undirected(chains, system, moves, ensembles, tally, rows, n_sweeps)
    changing = np.flatnonzero(moves.arrays.ion_change.any(axis=1))
    if can_share_proposals(chains, system) and len(changing):
        attempts = -(-system.supercell.n_sites // EXCHANGES)
        one_by_one(chains, system, system.exchange_moves, ensembles, tally, rows, n_sweeps, record, changing, attempts)
    return record


def can_share_proposals(chains: Chains, system: System) -> bool:
    return system.polynomial is not None and LEAST_LANES <= len(chains) <= LANES


def advance_undirected(
    chains: Chains, system: System, moves: MoveSet, ensembles: Ensembles, tally: Tally, rows: NDArray[np.int64], n_sweeps: int
) -> Record:
    """The given moves only: in lanes, without a tally, if the chains can share proposals; else one chain after the other."""
    if can_share_proposals(chains, system):
        return in_lanes(chains, system, moves, ensembles, n_sweeps)
    record = _empty_record(chains, moves, n_sweeps)
    one_by_one(
        chains, system, moves, ensembles, tally, rows, n_sweeps, record, np.arange(len(moves.names)), system.supercell.n_sites
    )
    return record


def _empty_record(chains: Chains, moves: MoveSet, n_sweeps: int) -> Record:
    number, kinds, ions = len(chains), len(moves.names), chains.ions.shape[1]
    shapes = ((number, n_sweeps), (number, n_sweeps, ions), (number, kinds), (number, kinds))
    return Record(*(np.zeros(shape, np.int64) for shape in shapes))


def in_lanes(chains: Chains, system: System, moves: MoveSet, ensembles: Ensembles, n_sweeps: int) -> Record:
    """All chains at once, by shared proposals."""
    assert system.polynomial is not None
    record = _empty_record(chains, moves, n_sweeps)
    states = States(chains.species, chains.energy, chains.ions, chains.streams, chains.proposals)
    began = time.perf_counter()
    run_lanes(states, system.geometry, system.polynomial, system.lattice.n_species, moves.arrays, ensembles, record)
    EFFORT.lanes.add(n_sweeps * system.supercell.n_sites * len(chains), time.perf_counter() - began)
    return record


def one_by_one(
    chains: Chains, system: System, moves: MoveSet, ensembles: Ensembles, tally: Tally, rows: NDArray[np.int64], n_sweeps: int,
    record: Record, kinds: NDArray[np.int64], attempts: int,
) -> None:  # fmt: skip
    """Each chain alone, `attempts` per sweep, directed to sites that can change. kinds: columns of the moves in the record."""
    for r in range(len(chains)):
        chain = Chain(chains.species[r], int(chains.energy[r]), chains.ions[r], chains.streams[r])
        log_weight, reference = ensembles.log_weight[r], ensembles.reference[r]
        ensemble = Ensemble(ensembles.beta[r], ensembles.beta_mu[r], log_weight, reference, ensembles.step)
        one = advance(chain, system, moves, ensemble, tally._replace(sums=tally.sums[rows[r]]), n_sweeps, attempts)
        chains.energy[r] = chain.energy
        record.energy[r], record.ions[r] = one.energy, one.ions
        record.tried[r, kinds] += one.tried
        record.accepted[r, kinds] += one.accepted
