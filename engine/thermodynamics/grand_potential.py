"""Grand potential and x at given chemical potentials, by summing exp(-beta F) over n."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.results.replicas import GrandPotential, Semigrand
from ..units import NEV_PER_EV
from .free_energy.isotherms import Isotherms, spread
from .free_energy.transition_matrix import Isotherm

Float = NDArray[np.float64]
VIBRATIONS = "in grand_potential_eV and x_from_free_energy; the means over the chains are without them"


def grand_potential(semigrand: Semigrand, isotherms: Isotherms) -> GrandPotential:
    """On the chemical potentials of /semigrand; nan at temperatures where the vibrations are not known."""
    mu = semigrand.chemical_potential_eV
    assert mu is not None
    shape = len(semigrand.temperature_K), len(mu)
    values, errors = np.full((2, *shape), np.nan), np.full((2, *shape), np.nan)
    for row, (rung, c) in enumerate(zip(isotherms.rungs, isotherms.curves)):
        found = np.array([_grand(isotherms, i, rung, mu) for i in (c.all, *c.resampled)])
        values[:, row], errors[:, row] = found[0], [spread(found[1:, k]) for k in (0, 1)]
    return GrandPotential(
        grand_potential_eV=values[0],
        grand_potential_eV_error=errors[0],
        x_from_free_energy=values[1],
        x_from_free_energy_error=errors[1],
        vibrations=VIBRATIONS if isotherms.vibrations is not None else None,
    )


def _grand(isotherms: Isotherms, c: Isotherm, rung: int, mu_eV: Float) -> tuple[Float, Float]:
    """Grand potential (eV/fu) and x (mu,)."""
    beta = isotherms.plan.ladder.beta_per_neV[rung] * NEV_PER_EV
    log_p = beta * mu_eV[:, None] * c.n - isotherms.beta_f(c, rung)
    top = log_p.max(axis=1, keepdims=True)
    p = np.exp(log_p - top)
    total = p.sum(axis=1)
    return -(np.log(total) + top[:, 0]) / beta / isotherms.n_fu, (p @ c.n) / total / isotherms.n_fu
