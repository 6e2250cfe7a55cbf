"""States that the chains start from."""

import numpy as np
from numpy.typing import NDArray

from ...crystal.neutral_states import random_neutral_state
from ...runtime.streams import Stream, generator
from ..chains.system import System
from ..ladder.plan import Plan
from ..ladder.slots import EnsembleKind
from .anneal import Annealed


def starts_of(system: System, plan: Plan, annealed: Annealed | None, seed: int) -> NDArray[np.int8]:
    """States (slots, walkers, n_sites): those of the annealing, or random ones if nothing was annealed.

    Random states are at the composition of the slot; where that is free, half the walkers start at either end of composition.
    """
    starts = np.zeros((len(plan.slots), plan.walkers, system.supercell.n_sites), np.int8)
    for k, slot in enumerate(plan.slots):
        for w in range(plan.walkers):
            if annealed is not None:
                starts[k, w] = annealed.starts[slot.rung, np.argmin(np.abs(plan.target_n - slot.n_expected)), w]
            else:
                n = int(slot.n_expected) if slot.kind is EnsembleKind.FIXED_COMPOSITION else system.n_range[w % 2]
                starts[k, w] = random_neutral_state(
                    system.supercell, system.ion, n, generator(seed, Stream.SAMPLING, Stream.START, k, w)
                )
    return starts
