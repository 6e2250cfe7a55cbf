"""F(T, x) between the sampled temperatures, in steps small enough to trace boundaries.

At fixed composition d(beta F)/d beta = U and dU/d beta = -var E, and all three are known at every rung: a quintic
interpolates them from rung to rung. Its difference from the cubic through beta F and U alone estimates the error of the
interpolation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...units import BOLTZMANN_EV_PER_K, NEV_PER_EV, inverse_temperature
from ..free_energy.hermite import hermite_basis
from ..free_energy.isotherms import Isotherms
from ..free_energy.transition_matrix import Ends, Isotherm, local_mean

Float = NDArray[np.float64]
STEP_K = 1.0  # largest distance between temperatures
MOST_COMPOSITIONS = 601


@dataclass(frozen=True)
class Curves:
    """Mixing free energies of one temperature, eV/fu, over x (compositions,).

    value, cubic (x,); resampled (samples, x), from_either_end (2, x) as in Trace. per_kT: formula units over kT, 1/eV.
    """

    x: Float
    value: Float
    cubic: Float
    resampled: Float
    from_either_end: Float
    per_kT: float

    @property
    def spacing(self) -> float:
        return float(self.x[1] - self.x[0])


@dataclass(frozen=True)
class Trace:
    """Mixing free energies, eV/fu, at temperature_K (temperatures,) and x (compositions,), of a cell of n_fu formula units.

    value, cubic (temperatures, x): by the quintic, and by the cubic. resampled (temperatures, samples, x).
    from_either_end (temperatures, 2, x): from the walkers that started at low and at high x.
    """

    temperature_K: Float
    x: Float
    value: Float
    cubic: Float
    resampled: Float
    from_either_end: Float
    n_fu: int

    @property
    def spacing(self) -> float:
        return float(self.x[1] - self.x[0])

    @property
    def per_kT(self) -> Float:
        """Formula units of the cell over kT, 1/eV, (temperatures,)."""
        return self.n_fu / (BOLTZMANN_EV_PER_K * self.temperature_K)

    def at(self, k: int) -> Curves:
        """The curves of one temperature."""
        curves = (self.value[k], self.cubic[k], self.resampled[k], self.from_either_end[k])
        return Curves(self.x, *curves, float(self.per_kT[k]))


def traced_temperatures(rungs_K: Float) -> Float:
    """The rungs (ascending) and evenly spaced temperatures between them, at most STEP_K apart."""
    parts = [np.linspace(a, b, int(np.ceil((b - a) / STEP_K)) + 1)[:-1] for a, b in zip(rungs_K, rungs_K[1:])]
    return np.concatenate([*parts, rungs_K[-1:]])


def trace(isotherms: Isotherms, temperature_K: Float | None = None) -> Trace:
    """Trace F over temperature_K; by default from the lowest to the highest requested temperature."""
    number = len(isotherms.n)
    at = np.unique(np.rint(np.linspace(0, number - 1, min(MOST_COMPOSITIONS, number))).astype(int))
    rungs = isotherms.temperature_K
    if temperature_K is None:
        temperature_K = traced_temperatures(rungs[rungs <= rungs[isotherms.asked].max()])
    betas = np.array([inverse_temperature(t) for t in temperature_K])
    picks = zip(*([c.all, c.up, c.down, *c.resampled] for c in isotherms.curves))
    added = isotherms.vibrations.at(temperature_K, isotherms.x[at]).free_energy_eV if isotherms.vibrations else None
    found = [_between(isotherms, list(pick), at, betas, 3, added) for pick in picks]
    cubic = _between(isotherms, [c.all for c in isotherms.curves], at, betas, 2, added)
    resampled = np.array(found[3:]).swapaxes(0, 1)
    return Trace(temperature_K, isotherms.x[at], found[0], cubic, resampled, np.array(found[1:3]).swapaxes(0, 1), isotherms.n_fu)


def _between(
    isotherms: Isotherms,
    curves: list[Isotherm],
    at: NDArray[np.int64],
    betas: Float,
    derivatives: int,
    vibrational_eV: Float | None,
) -> Float:
    """Mixing free energy (betas, x), eV/fu; vibrational_eV (betas, x) is added without interpolation."""
    f = beta_free_energy(isotherms, curves, at, betas, derivatives) / betas[:, None] / NEV_PER_EV / isotherms.n_fu
    if vibrational_eV is not None:
        f = f + vibrational_eV
    part = (at - at[0]) / (at[-1] - at[0])
    return f - f[:, :1] - part * (f[:, -1:] - f[:, :1])


def beta_free_energy(
    isotherms: Isotherms, curves: list[Isotherm], at: NDArray[np.int64], betas: Float, derivatives: int = 3
) -> Float:
    """beta F of the whole cell without vibrations, (betas, x); curves: one per rung, with this number of derivatives in beta."""
    rungs = isotherms.plan.ladder.beta_per_neV[list(isotherms.rungs)]
    known = np.array([_derivatives(c, at, isotherms.half_step, isotherms.ends) for c in curves])[:, :derivatives]
    if len(rungs) == 1:
        return known[:, 0]
    interval = np.clip(np.searchsorted(-rungs, -betas) - 1, 0, len(rungs) - 2)  # rungs descend in beta
    width = rungs[interval + 1] - rungs[interval]
    basis = hermite_basis((betas - rungs[interval]) / width, derivatives) * width ** np.arange(derivatives)[:, None]
    found = np.empty((len(betas), known.shape[-1]))
    for k in np.unique(interval).tolist():
        mine = interval == k
        found[mine] = np.einsum("sdt,sdx->tx", basis[..., mine], known[k : k + 2])
    return found


def _derivatives(curve: Isotherm, at: NDArray[np.int64], half_width: int, ends: Ends) -> Float:
    """beta F and its first two derivatives in beta, (3, x), of the whole cell."""
    energy, variance = (
        local_mean(values, curve.weight, at, half_width) for values in (curve.energy_neV, curve.energy_variance_neV2)
    )
    for side in (0, -1):
        if ends.exact[side]:
            energy[side], variance[side] = ends.energy_neV[side], 0.0
    return np.array([curve.beta_f[at], _filled(energy), -_filled(variance)])


def _filled(values: Float) -> Float:
    """Values of compositions that no chain visited, interpolated between their neighbours."""
    n, known = np.arange(len(values)), np.isfinite(values)
    return np.interp(n, n[known], values[known]) if known.any() else values
