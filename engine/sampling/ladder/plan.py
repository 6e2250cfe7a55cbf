"""The plan of the sampling: a ladder of temperatures and, at each, windows along x and chemical potentials."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Ensembles
from ...units import NEV_PER_EV
from ..chains.log_z import integrate_steps
from ..chains.moves import Mix
from ..chains.system import System
from .ladder import Ladder
from .slots import EnsembleKind, Slot

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Cycles:
    """Cooling and heating at fixed composition.

    n (compositions,): counts of the ion. temperature_K (temperatures,) ascending. energy_neV, error_neV (compositions, 2,
    temperatures): mean energy of the cell and its standard error, first on cooling, then on heating.
    """

    n: NDArray[np.int64]
    temperature_K: Float
    energy_neV: Float
    error_neV: Float


@dataclass(frozen=True)
class Plan:
    """What is sampled. All log weights are those of the whole supercell.

    target_n (windows,), sigma_n: centres and width of the windows, with weight exp[-(n - target)^2 / (2 sigma^2)]. mu_eV: one
    axis of chemical potentials for each ion. reference (rungs, n_max+1): estimate of ln Z_n - ln Z_(n+step), which stays fixed
    while samples are taken. mix: weights of the moves. scan_reference (asked, 2, n_max+1): the same as `reference` from the
    scans up and down at the temperatures asked for. cycles: cooling and heating. notes: for the results.
    """

    ladder: Ladder
    slots: tuple[Slot, ...]
    target_n: Float
    sigma_n: float
    mu_eV: tuple[Float, ...]
    reference: Float
    walkers: int
    mix: Mix = Mix()
    scan_reference: Float | None = None
    cycles: Cycles | None = None
    notes: tuple[str, ...] = field(default=())

    def kappa(self, n_formula_units: int) -> float:
        """kappa of a window's weight, written exp[-kappa N (x - target)^2]."""
        return n_formula_units / (2 * self.sigma_n**2)

    def mu_of(self, slot: Slot) -> tuple[float, ...]:
        """Chemical potentials (eV) of a semigrand slot, one for each ion."""
        shape = tuple(len(m) for m in self.mu_eV)
        return tuple(float(m[k]) for m, k in zip(self.mu_eV, np.unravel_index(slot.index, shape)))

    def bias(self, rung: int, step: int) -> Float:
        """Estimate of -ln Z_n, (n_max+1,), up to a constant, from the reference."""
        return integrate_steps(self.reference[rung], step)

    def log_weight(self, slot: Slot, system: System) -> tuple[Float, Float]:
        """log_weight (n_max+1,) and beta_mu (ions,) of the ensemble of a slot."""
        n = np.arange(self.reference.shape[1])
        beta_mu = np.zeros(max(len(system.ions), 1))
        if slot.kind is EnsembleKind.VCSGC:
            return self.bias(slot.rung, system.step) - (n - self.target_n[slot.index]) ** 2 / (2 * self.sigma_n**2), beta_mu
        if slot.kind is EnsembleKind.SEMIGRAND:
            beta_mu[:] = np.array(self.mu_of(slot)) * self.ladder.beta_per_neV[slot.rung] * NEV_PER_EV
        return np.zeros(len(n)), beta_mu

    def ensembles(self, slots: Sequence[Slot], system: System) -> Ensembles:
        """For chains in these slots, one row for each."""
        weights = [self.log_weight(slot, system) for slot in slots]
        rungs = [slot.rung for slot in slots]
        log_weight, beta_mu = np.array([w for w, _ in weights]), np.array([b for _, b in weights])
        return Ensembles(self.ladder.beta_per_neV[rungs], beta_mu, log_weight, self.reference[rungs], system.step)
