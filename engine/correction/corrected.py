"""A chain of the potential that the expansion proposes for: a stretch of the expansion's moves is one proposal."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Ensemble, Tally
from ...kernels.random import uniform
from ..sampling.chain import Chain, advance
from ..sampling.moves import MoveSet
from ..sampling.system import System
from ..units import NEV_PER_EV

Float = NDArray[np.float64]
EnergyOf = Callable[[NDArray[np.int8]], float]
FREE = 0.1  # cost of a proposal that is nothing new, over that of a call of the potential
LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass
class Corrected:
    """State: the chain, whose energy is the expansion's, and the potential's energy of the same occupation, eV per cell."""

    chain: Chain
    potential_eV: float


@dataclass(frozen=True)
class Record:
    """After each proposal: both energies of the cell, eV, and the ion counts (proposals, ions). changed: the sites (proposals,) by
    which the chain's state differs from that before; asked: whether the potential was (a stretch may end where it began).
    proposed (proposals, ions): the counts that the stretch ended at; probability (proposals,): that it is accepted."""

    potential_eV: Float
    expansion_eV: Float
    ions: NDArray[np.int64]
    proposed: NDArray[np.int64]
    probability: Float
    changed: NDArray[np.int64]
    asked: NDArray[np.bool_]

    @property
    def acceptance(self) -> float:
        """Of the proposals that were something new."""
        return float((self.changed > 0).sum() / max(self.asked.sum(), 1))


def advance_corrected(
    state: Corrected, system: System, moves: MoveSet, ensemble: Ensemble, energy_of: EnergyOf, stretch: int, n_proposals: int,
    lean: Float | None = None,
) -> Record:  # fmt: skip
    """Make n_proposals proposals, each of `stretch` attempted moves; changes the state.

    The stretch samples exp[-beta E_ce + w(n)], w of the ensemble; it is accepted with min(1, exp[-beta (dE_potential - dE_ce) + d lean(n)]),
    so the chain samples exp[-beta E_potential + w(n) + lean(n)], lean (n_max+1,) being 0 if not given (Iftimie et al., J. Chem. Phys. 113, 4852, 2000; Gelb, J. Chem. Phys. 118, 7747, 2003). This
    needs the stretch to be reversible: every attempt draws its move afresh and the length is fixed beforehand, so its transition
    matrix is a power of one that is.
    """
    chain, ensemble, tally = state.chain, ensemble._replace(step=0), Tally(np.zeros((1, 6), np.int64), 0.0, 0.0, 1.0)
    counts = (n_proposals, len(chain.ions))
    record = Record(
        np.zeros(n_proposals), np.zeros(n_proposals), np.zeros(counts, np.int64), np.zeros(counts, np.int64), np.ones(n_proposals),
        np.zeros(n_proposals, np.int64), np.zeros(n_proposals, np.bool_),
    )  # fmt: skip
    for k in range(n_proposals):
        species, energy, ions = chain.species.copy(), chain.energy, chain.ions.copy()
        advance(chain, system, moves, ensemble, tally, 1, stretch)
        record.proposed[k] = chain.ions
        changed = int((chain.species != species).sum())
        if changed:
            record.asked[k] = True
            proposed_eV = energy_of(chain.species)
            excess_eV = (proposed_eV - state.potential_eV) - (chain.energy - energy) / NEV_PER_EV
            tilt = 0.0 if lean is None else lean[chain.ions[0]] - lean[ions[0]]
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
    lean: Float | None = None,
) -> int:  # fmt: skip
    """The length, of LENGTHS, that leaves most sites changed for each time that the potential is asked; part of the equilibration.

    Lengths take turns, so that each is judged on the same stretch of the chain's history. Longer ones decorrelate more where the
    expansion is good, and are refused more often where it is bad.
    """
    changed, asked = np.zeros(len(LENGTHS)), np.zeros(len(LENGTHS))
    for _ in range(max(1, proposals // len(LENGTHS))):
        for k, length in enumerate(LENGTHS):
            record = advance_corrected(state, system, moves, ensemble, energy_of, length, 1, lean)
            changed[k] += record.changed.sum()
            asked[k] += record.asked.sum() + FREE  # a stretch that ends where it began costs a little, too
    return LENGTHS[int(np.argmax(changed / asked))]
