"""What is sampled: the rungs of the temperature ladder and, at each, windows along x and chemical potentials."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...kernels.layout import Ensemble, Tally
from ..units import NEV_PER_EV
from .ladder import Ladder
from .moves import Mix
from .slots import EnsembleKind, Slot
from .system import System

Float = NDArray[np.float64]
TALLY_UNIT_NEV_PER_FU = 1.0


@dataclass(frozen=True)
class Cycles:
    """Cooling and heating at fixed composition: n (compositions,), temperature_K (temperatures,) ascending; energy_neV, error_neV (compositions, 2, temperatures) of the
    cell, cooling first."""

    n: NDArray[np.int64]
    temperature_K: Float
    energy_neV: Float
    error_neV: Float


@dataclass(frozen=True)
class Plan:
    """What is sampled. All log weights are of the whole supercell.

    target_n (windows,), sigma_n: centres and width of the windows; weight exp[-(n - target)^2 / (2 sigma^2)].
    mu_eV: one axis per ion. reference (rungs, n_max+1): estimate of ln Z_n - ln Z_(n+step), kept fixed. scan_reference (asked, 2, n_max+1): the same
    from the scans up and down at the temperatures asked for. cycles: cooling and heating at fixed composition. mix: of the moves that sample.
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
        """Of the weight exp[-kappa N (x - target)^2]."""
        return n_formula_units / (2 * self.sigma_n**2)

    def mu_of(self, slot: Slot) -> tuple[float, ...]:
        shape = tuple(len(m) for m in self.mu_eV)
        return tuple(float(m[k]) for m, k in zip(self.mu_eV, np.unravel_index(slot.index, shape)))

    def bias(self, rung: int, step: int) -> Float:
        """Estimate of -ln Z_n, (n_max+1,), from the reference."""
        return integrate_steps(self.reference[rung], step)

    def log_weight(self, slot: Slot, system: System) -> tuple[Float, Float]:
        """log_weight (n_max+1,) and beta_mu (ions,) of a slot's Ensemble."""
        n = np.arange(self.reference.shape[1])
        beta_mu = np.zeros(max(len(system.ions), 1))
        if slot.kind is EnsembleKind.VCSGC:
            return self.bias(slot.rung, system.step) - (n - self.target_n[slot.index]) ** 2 / (2 * self.sigma_n**2), beta_mu
        if slot.kind is EnsembleKind.SEMIGRAND:
            beta_mu[:] = np.array(self.mu_of(slot)) * self.ladder.beta_per_neV[slot.rung] * NEV_PER_EV
        return np.zeros(len(n)), beta_mu

    def ensemble(self, slot: Slot, system: System) -> Ensemble:
        log_weight, beta_mu = self.log_weight(slot, system)
        return Ensemble(float(self.ladder.beta_per_neV[slot.rung]), beta_mu, log_weight, self.reference[slot.rung], system.step)


def integrate_steps(steps: Float, step: int) -> Float:
    """f with f[n+step] - f[n] = steps[n] and f[0..step-1] = 0."""
    total = np.zeros(len(steps))
    for start in range(max(step, 1)):
        if step:
            part = steps[start::step]
            total[start::step] = np.concatenate([[0.0], np.cumsum(part[:-1])])
    return total


def empty_tally(system: System) -> Tally:
    """Sums at zero; the excess energy is counted from the line between the ends of composition."""
    low, high, e_low, e_high = end_energies(system)
    slope = (e_high - e_low) / (high - low) if high > low else 0.0
    unit = TALLY_UNIT_NEV_PER_FU * system.n_formula_units
    return Tally(np.zeros((high + system.step + 1, 6), np.int64), float(e_low - slope * low), slope, unit)


def end_energies(system: System) -> tuple[int, int, int, int]:
    """Lowest and highest count of the ion, and the energy (neV) of a state at each; of *the* state where there is one."""
    low, high = system.n_range
    energies = [system.energy_neV(system.any_state(n)) for n in (low, high)]
    return low, high, energies[0], energies[1]
