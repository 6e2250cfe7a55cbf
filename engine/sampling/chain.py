"""A chain as one small object, and advancing it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.chain import WHERE_CHEAPER, run
from ...kernels.layout import Ensemble, Record, Tally
from ..moves import MoveSet
from ..system import System


@dataclass
class Chain:
    """State of a chain: occupation (n_sites,) int8, energy (neV), ion counts (ions,), random stream (2,) uint64."""

    species: NDArray[np.int8]
    energy: int
    ions: NDArray[np.int64]
    stream: NDArray[np.uint64]


def start_chain(system: System, species: NDArray[np.int8], stream: NDArray[np.uint64]) -> Chain:
    return Chain(species.copy(), system.energy_neV(species), system.count_ions(species), stream)


def advance(
    chain: Chain, system: System, moves: MoveSet, ensemble: Ensemble, tally: Tally, n_sweeps: int, attempts: int | None = None
) -> Record:
    """Run n_sweeps sweeps, of so many attempted moves (default: one a site); changes the chain and the tally, returns the record."""
    kinds = len(moves.names)
    record = Record(
        np.zeros(n_sweeps, np.int64),
        np.zeros((n_sweeps, len(chain.ions)), np.int64),
        np.zeros(kinds, np.int64),
        np.zeros(kinds, np.int64),
    )
    chain.energy = run(
        chain.species,
        chain.energy,
        chain.ions,
        chain.stream,
        system.supercell.n_sites if attempts is None else attempts,
        system.geometry,
        system.couplings,
        *system.fields,
        moves.arrays,
        ensemble,
        tally,
        record,
        WHERE_CHEAPER,
    )
    return record
