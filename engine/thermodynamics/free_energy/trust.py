"""Which points (T, x) are trusted: criteria in standard errors and in kT of the whole cell, each with a mask of its own."""

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.results.canonical import Canonical, CrossChecks, TrustCriteria
from ...sampling.diagnostics import LEAST_UNITS, Convergence
from ...sampling.ladder.slots import EnsembleKind
from ...units import BOLTZMANN_EV_PER_K
from .isotherms import Isotherms

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
COMPARED = ("free_energy_eV", "energy_eV", "heat_capacity_x_kB")  # between the walkers that started at either end
SIGNIFICANT = 4.0  # standard errors of a difference
LARGEST_ERROR_KT = 5.0  # of F of the whole cell: a larger one hides a barrier that separates two phases
ROUNDING_EV = 1e-6
LEAST_SPREAD_NEV = 1e4  # standard deviation of the cell's energy that is more than the rounding of the tallies


def criteria(
    isotherms: Isotherms, convergence: Convergence, values: dict[str, Float], halves: dict[str, tuple[Float, Float]]
) -> TrustCriteria:
    """Every criterion at every point.

    values: of /canonical, with errors. halves: those in COMPARED by the walkers that started at either end, (rungs, x) each.
    """
    f, error, n_fu = values["free_energy_eV"], values["free_energy_eV_error"], isotherms.n_fu
    kT = BOLTZMANN_EV_PER_K * isotherms.temperature_K[:, None]
    known = np.isfinite(f) & np.isfinite(error) & np.isfinite(values["energy_eV"]) & np.isfinite(values["energy_eV_error"])
    units = np.array([c.units >= LEAST_UNITS for c in isotherms.curves])
    known &= _excitations_seen(isotherms)
    masks = {
        "samples_suffice": np.repeat(units[:, None], f.shape[1], axis=1) & known,
        "steps_sampled": np.array([steps_sampled(c.all.from_annealing, isotherms) for c in isotherms.curves]),
        "replicas_converged": _nearest_trusted(isotherms, convergence),
        "walkers_agree": _halves_agree(values, halves),
        "precise": error * n_fu <= LARGEST_ERROR_KT * kT,
    }
    masks["stable"] = _stable(values, np.logical_and.reduce(list(masks.values())))
    for side, exact in zip((0, -1), isotherms.ends.exact):
        for mask in masks.values():
            mask[:, side] |= exact  # known without samples
    return TrustCriteria(**masks)


def _halves_agree(values: dict[str, Float], halves: dict[str, tuple[Float, Float]]) -> Bool:
    """Either half has half the walkers: the standard error of a difference is twice that of the value."""
    apart = []
    for name, (up, down) in halves.items():
        with np.errstate(invalid="ignore"):
            apart.append(np.abs(up - down) > SIGNIFICANT * 2 * values[f"{name}_error"] + ROUNDING_EV)
    return ~np.logical_or.reduce(apart)


def _excitations_seen(isotherms: Isotherms) -> Bool:
    """(rungs, x): the energy varies, or does not at any hotter rung either. Where it only does there, it has no error here."""
    curves = [*isotherms.curves, *isotherms.hotter]
    varies = np.array([c.all.energy_variance_neV2[isotherms.grid] > LEAST_SPREAD_NEV**2 for c in curves])
    hotter = np.logical_or.accumulate(varies[::-1])[::-1]
    return (varies | ~hotter)[: len(isotherms.curves)]


def _stable(values: dict[str, Float], otherwise: Bool) -> Bool:
    """S >= 0 and C >= 0 within the errors: F must not rise with T, U must not fall.

    otherwise: what the other criteria say. Of two rungs between which F rises both are out, unless one is out otherwise.
    """
    sound = values["entropy_kB"] >= -SIGNIFICANT * values["entropy_kB_error"] - ROUNDING_EV
    sound |= ~np.isfinite(values["entropy_kB"])
    for name, sign in (("free_energy_eV", -1.0), ("energy_eV", 1.0)):
        value, error = sign * values[name], values[f"{name}_error"]
        with np.errstate(invalid="ignore"):
            wrong = np.diff(value, axis=0) < -SIGNIFICANT * np.hypot(error[1:], error[:-1]) - ROUNDING_EV
        cold, hot = otherwise[:-1], otherwise[1:]
        sound[1:] &= ~(wrong & (cold | ~hot))
        sound[:-1] &= ~(wrong & (hot | ~cold))
    return sound


def all_of(found: TrustCriteria, checks: CrossChecks | None = None) -> Bool:
    """Points that meet every criterion, the agreement of the methods included where it is known."""
    masks = [getattr(found, f.name) for f in fields(found)]
    return np.logical_and.reduce(masks if checks is None else [*masks, checks.routes_agree])


def with_checks(canonical: Canonical, checks: CrossChecks) -> Canonical:
    """The group with its cross-checks: a point at which the methods disagree is not trusted."""
    return replace(canonical, checks=checks, trusted=canonical.trusted & checks.routes_agree)


def steps_sampled(from_annealing: Bool, isotherms: Isotherms) -> Bool:
    """Per composition of the grid: no step nearby is taken from annealing."""
    half = max(isotherms.half_step, 1)
    return np.array([not from_annealing[max(g - half, 0) : g + half + 1].any() for g in isotherms.grid])


def _nearest_trusted(isotherms: Isotherms, convergence: Convergence) -> Bool:
    """(rungs, x): the replica nearest in composition has converged."""
    plan, x, rows = isotherms.plan, isotherms.x_grid, []
    for r in isotherms.rungs:
        own = [k for k, s in enumerate(plan.slots) if s.rung == r and s.kind is not EnsembleKind.FIXED_COMPOSITION]
        place = np.array([plan.slots[k].n_expected for k in own]) / isotherms.n_fu
        rows.append(convergence.trusted[own][np.abs(x[:, None] - place).argmin(axis=1)])
    return np.array(rows)
