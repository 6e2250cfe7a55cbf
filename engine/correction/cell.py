"""The small cell in which the potential is sampled: its temperatures, counts, energies and exactly known free energies."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..sampling.chains.system import System
from ..sampling.chains.tally import empty_tally, end_energies
from ..thermodynamics.free_energy.transition_matrix import Ends, isotherm
from ..units import BOLTZMANN_EV_PER_K
from .correct import Correction, LazyPotential
from .energies import Energies, relaxed_energies
from .methods import Method
from .walker import Walk

Float = NDArray[np.float64]


@dataclass(frozen=True)
class SmallCell:
    """What the free energies of the potential are made from."""

    correction: Correction

    @property
    def system(self) -> System:
        return self.correction.system

    @property
    def n_fu(self) -> int:
        return self.system.n_formula_units

    @property
    def counts(self) -> NDArray[np.int64]:
        """All counts of the ion."""
        return self.system.neutral_counts[0]

    @property
    def temperatures_K(self) -> Float:
        return np.array(self.correction.temperatures_K)

    @property
    def beta_per_eV(self) -> Float:
        return 1 / (BOLTZMANN_EV_PER_K * self.temperatures_K)

    @property
    def scale(self) -> Float:
        """(rungs, 1) factor from beta F of the cell to F in eV/fu."""
        return 1 / self.beta_per_eV[:, None] / self.n_fu

    @cached_property
    def energies(self) -> Energies:
        """Energies of the potential by state, from disk where they are there."""
        return relaxed_energies(self.system.supercell, self.correction.relaxations, LazyPotential(self.correction))

    @cached_property
    def ends(self) -> Ends:
        """Of the expansion."""
        low, high, e_low, e_high = end_energies(self.system)
        log_states = self.system.neutral_counts[1]
        return Ends(low, high, (float(log_states[0]), float(log_states[-1])), (e_low, e_high))

    @cached_property
    def exact_ends(self) -> Float:
        """beta F of the potential at the lowest and the highest count, (rungs, 2); nan where that has several states."""
        states = zip(self.counts[[0, -1]].tolist(), self.ends.exact)
        energy_eV = np.array([self.energies(self.system.any_state(n)) if exact else np.nan for n, exact in states])
        return self.beta_per_eV[:, None] * energy_eV

    def walks(self, method: Method) -> list[list[Walk]]:
        """Walks of every rung. Raises RedoxError if one is not there yet."""
        return [self.correction.walks(method, r) for r in range(len(self.temperatures_K))]

    def expansion_beta_f(self, walks: list[Walk], rung: int) -> Float:
        """beta F of the expansion (n,), from its own moves between counts."""
        beta, step = float(self.correction.beta_per_neV[rung]), self.system.step
        weight = walks[0].log_weight
        reference = np.append(weight[step:] - weight[:-step], np.zeros(step))
        sums = np.sum([w.sums for w in walks], axis=0)
        return isotherm(sums, empty_tally(self.system), reference, beta, step, self.ends).beta_f
