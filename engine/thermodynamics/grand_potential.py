"""Grand potential and x at given chemical potentials, by summing exp(-beta F) over n."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from ..runtime.results.replicas import GrandPotential, Semigrand
from ..units import NEV_PER_EV
from .free_energy.isotherms import Isotherms, spread
from .free_energy.transition_matrix import Isotherm
from .free_energy.trust import SIGNIFICANT

Float = NDArray[np.float64]
ROUNDING_X = 1e-6
SHARE = 0.99  # of the sum over n that must be at trusted compositions
LARGEST_ERROR_KT = 1.0  # of F of the cell between the compositions that occur: x is not linear in a larger one
VIBRATIONS = "in grand_potential_eV and x_from_free_energy; the means over the chains are without them"


def with_grand_potential(semigrand: Semigrand, isotherms: Isotherms, trusted: NDArray[np.bool_]) -> Semigrand:
    """The group with the grand potential; trusted (rungs, x): of /canonical.

    Where x of the chains and x from F(T, n) differ by more than their errors the chains are not trusted: all of them may be in
    one of two phases.
    """
    grand = grand_potential(semigrand, isotherms, trusted)
    if isotherms.vibrations is not None or semigrand.x is None or semigrand.x_error is None:
        return replace(semigrand, grand=grand)
    error = np.hypot(semigrand.x_error, grand.x_from_free_energy_error)
    with np.errstate(invalid="ignore"):
        differ = np.abs(semigrand.x - grand.x_from_free_energy) > SIGNIFICANT * error + ROUNDING_X
    return replace(semigrand, grand=grand, trusted=semigrand.trusted & ~differ)


def grand_potential(semigrand: Semigrand, isotherms: Isotherms, trusted: NDArray[np.bool_]) -> GrandPotential:
    """On the chemical potentials of /semigrand; nan at temperatures where the vibrations are not known.

    trusted (rungs, x): of /canonical.
    """
    mu = semigrand.chemical_potential_eV
    assert mu is not None
    shape = len(semigrand.temperature_K), len(mu)
    values, errors = np.full((2, *shape), np.nan), np.full((2, *shape), np.nan)
    masks = np.zeros((2, *shape), bool)
    nearest = np.rint(np.interp(isotherms.x, isotherms.x_grid, np.arange(len(isotherms.grid)))).astype(int)
    for row, (rung, c) in enumerate(zip(isotherms.rungs, isotherms.curves)):
        found = np.array([_grand(isotherms, i, rung, mu) for i in (c.all, *c.resampled)])
        values[:, row], errors[:, row] = found[0], [spread(found[1:, k]) for k in (0, 1)]
        p, scatter = _probability(isotherms, c.all, rung, mu), np.array([r.beta_f - c.all.beta_f for r in c.resampled])
        masks[:, row] = p @ trusted[row][nearest] >= SHARE
        with np.errstate(invalid="ignore"):
            masks[1, row] &= np.sqrt(p @ scatter.T**2 - (p @ scatter.T) ** 2).mean(axis=1) <= LARGEST_ERROR_KT
    return GrandPotential(
        grand_potential_eV=values[0],
        grand_potential_eV_error=errors[0],
        x_from_free_energy=values[1],
        x_from_free_energy_error=errors[1],
        grand_potential_trusted=masks[0],
        x_from_free_energy_trusted=masks[1],
        vibrations=VIBRATIONS if isotherms.vibrations is not None else None,
    )


def _grand(isotherms: Isotherms, c: Isotherm, rung: int, mu_eV: Float) -> tuple[Float, Float]:
    """Grand potential (eV/fu) and x (mu,)."""
    log_p = _log_weight(isotherms, c, rung, mu_eV)
    beta = isotherms.plan.ladder.beta_per_neV[rung] * NEV_PER_EV
    return -logsumexp(log_p, axis=1) / beta / isotherms.n_fu, softmax(log_p, axis=1) @ c.n / isotherms.n_fu


def _probability(isotherms: Isotherms, c: Isotherm, rung: int, mu_eV: Float) -> Float:
    """Of every count at each chemical potential, (mu, n)."""
    return np.asarray(softmax(_log_weight(isotherms, c, rung, mu_eV), axis=1))


def _log_weight(isotherms: Isotherms, c: Isotherm, rung: int, mu_eV: Float) -> Float:
    beta = isotherms.plan.ladder.beta_per_neV[rung] * NEV_PER_EV
    return beta * mu_eV[:, None] * c.n - isotherms.beta_f(c, rung)
