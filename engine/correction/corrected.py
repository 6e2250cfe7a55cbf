"""A chain of the potential. One proposal is a stretch of moves that the expansion accepts or rejects."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Ensemble, Tally
from ...kernels.random import uniform
from ..sampling.chains.chain import Chain, advance
from ..sampling.chains.moves import MoveSet
from ..sampling.chains.system import System
from ..units import NEV_PER_EV

Float = NDArray[np.float64]
EnergyOf = Callable[[NDArray[np.int8]], float]
UNCHANGED_COST = 0.1  # of a proposal that changes nothing, over the cost of a call of the potential
LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass
class Corrected:
    """State of a chain, with the energy of the expansion in `chain`, and the potential's energy (eV of the cell)."""

    chain: Chain
    potential_eV: float


@dataclass(frozen=True)
class Record:
    """The state after each proposal, and the proposals.

    potential_eV, expansion_eV (proposals,): energies of the cell. ions (proposals, ions): counts. proposed (proposals, ions):
    counts in the proposal; probability (proposals,): of its acceptance. changed (proposals,): number of sites that changed.
    asked (proposals,): whether the potential was called; it is not if the stretch ends in the state where it began.
    """

    potential_eV: Float
    expansion_eV: Float
    ions: NDArray[np.int64]
    proposed: NDArray[np.int64]
    probability: Float
    changed: NDArray[np.int64]
    asked: NDArray[np.bool_]

    @property
    def acceptance(self) -> float:
        """Accepted over proposed, among proposals that differ from the state before."""
        return float((self.changed > 0).sum() / max(self.asked.sum(), 1))


def advance_corrected(
    state: Corrected, system: System, moves: MoveSet, ensemble: Ensemble, energy_of: EnergyOf, stretch: int, n_proposals: int,
    extra_weight: Float | None = None,
) -> Record:  # fmt: skip
    """Make n_proposals proposals, each of `stretch` attempted moves. Changes the state.

    The moves of a stretch sample exp[-beta E_ce + w(n)], where w is the log weight of the ensemble. The stretch is accepted
    with min(1, exp[-beta (dE_potential - dE_ce) + dv(n)]), where v is extra_weight (n_max+1,), or 0 if there is none. The chain
    then samples exp[-beta E_potential + w(n) + v(n)] (Iftimie et al., J. Chem. Phys. 113, 4852, 2000; Gelb, J. Chem. Phys. 118,
    7747, 2003). This needs a reversible stretch. It is one, because every attempt draws a new move and the length is fixed
    beforehand: its transition matrix is a power of a reversible one.
    """
    chain, ensemble, tally = state.chain, ensemble._replace(step=0), Tally(np.zeros((1, 6), np.int64), 0.0, 0.0, 1.0)
    counts = (n_proposals, len(chain.ions))
    record = Record(
        potential_eV=np.zeros(n_proposals),
        expansion_eV=np.zeros(n_proposals),
        ions=np.zeros(counts, np.int64),
        proposed=np.zeros(counts, np.int64),
        probability=np.ones(n_proposals),
        changed=np.zeros(n_proposals, np.int64),
        asked=np.zeros(n_proposals, np.bool_),
    )
    for k in range(n_proposals):
        species, energy, ions = chain.species.copy(), chain.energy, chain.ions.copy()
        advance(chain, system, moves, ensemble, tally, 1, stretch)
        record.proposed[k] = chain.ions
        changed = int((chain.species != species).sum())
        if changed:
            record.asked[k] = True
            proposed_eV = energy_of(chain.species)
            excess_eV = (proposed_eV - state.potential_eV) - (chain.energy - energy) / NEV_PER_EV
            tilt = 0.0 if extra_weight is None else extra_weight[chain.ions[0]] - extra_weight[ions[0]]
            record.probability[k] = np.exp(min(tilt - ensemble.beta * NEV_PER_EV * excess_eV, 0.0))
            if uniform(chain.stream) < record.probability[k]:
                state.potential_eV, record.changed[k] = proposed_eV, changed
            else:
                chain.species[:], chain.energy, chain.ions[:] = species, energy, ions
        record.potential_eV[k], record.expansion_eV[k] = state.potential_eV, chain.energy / NEV_PER_EV
        record.ions[k] = chain.ions
    return record


def tuned_stretch(
    state: Corrected, system: System, moves: MoveSet, ensemble: Ensemble, energy_of: EnergyOf, proposals: int,
    extra_weight: Float | None = None,
) -> int:  # fmt: skip
    """The length of proposals, one of LENGTHS, that changes most sites for each call of the potential. Part of the equilibration.

    The lengths take turns, so that all are tried on the same part of the chain. Longer proposals change more sites where the
    expansion is good, and are rejected more often where it is not.
    """
    changed, asked = np.zeros(len(LENGTHS)), np.zeros(len(LENGTHS))
    for _ in range(max(1, proposals // len(LENGTHS))):
        for k, length in enumerate(LENGTHS):
            record = advance_corrected(state, system, moves, ensemble, energy_of, length, 1, extra_weight)
            changed[k] += record.changed.sum()
            asked[k] += record.asked.sum() + UNCHANGED_COST
    return LENGTHS[int(np.argmax(changed / asked))]
