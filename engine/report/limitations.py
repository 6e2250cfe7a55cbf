"""Limitations of a run: what its results cannot support, the most severe first. And the run in two sentences."""

from typing import Any

import numpy as np

from ..runtime.results import Results
from ..runtime.results.canonical import Canonical
from ..runtime.results.replicas import Exchange, Replicas

TRUSTED_SHARE = 0.95  # least share of trusted compositions for a temperature not to be listed
LEAST_EXCHANGE = 0.05


def limitations(results: Results, fit: dict[str, Any] | None) -> list[str]:
    """Of the energies first, then of free energies, diagram, analysis (its notes) and chains."""
    found = [str(fit["verdict"])] if fit and not fit.get("trusted", True) else []
    found += _of_fit(fit) if fit else []
    if results.canonical is not None:
        found += _free_energies(results.canonical)
    if results.phase_diagram is not None:
        found.append(f"Phase diagram: {results.phase_diagram.not_resolved}")
    found += [_sentence(note) for note in results.attributes.notes or []]
    found += [text for name, group in replicas(results).items() if (text := _short_chains(name, group))]
    return found + _exchange(results.exchange)


def replicas(results: Results) -> dict[str, Replicas]:
    """The groups of replicas that were sampled, by name."""
    groups = {"vcsgc": results.vcsgc, "semigrand": results.semigrand, "fixed_composition": results.fixed_composition}
    return {name: group for name, group in groups.items() if group is not None}


def _of_fit(fit: dict[str, Any]) -> list[str]:
    """An older version did not record the spread and the outliers."""
    found = [_outlier(*of_cell) for of_cell in fit.get("outliers", [])]
    if fit["validation_rmse_eV"] >= fit.get("spread_eV", np.inf):
        found.append("The cluster expansion predicts cells no better than their composition alone does.")
    return found


def _outlier(name: str, error_eV: float, ratio: float) -> str:
    return (
        f"Cell {name} is predicted {1e3 * error_eV:+.1f} meV/fu off by a fit without it, {ratio:.1f} times the error of others: "
        "check its calculation."
    )


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + ("" if note.endswith(".") else ".")


def _short_chains(name: str, group: Replicas) -> str | None:
    if (good := group.trusted).all():
        return None
    still = int(np.isnan(group.r_hat).sum())
    text = (
        f"{np.sum(~good)} of {good.size} replicas of /{name} are too short or still depend on their initial state "
        "(R-hat, effective sample size)"
    )
    return f"{text}; {still} of them did not move at all." if still else f"{text}."


def _free_energies(canonical: Canonical) -> list[str]:
    found, trusted = [], canonical.trusted.mean(axis=1)
    if (bad := trusted < TRUSTED_SHARE).any():
        rows = ", ".join(f"{t:.4g} K ({share:.0%})" for t, share in zip(canonical.temperature_K[bad], trusted[bad]))
        found.append(
            f"Free energies and all quantities derived from them are trusted at only part of the compositions at {rows}. "
            "Nothing is derived from the others; do not use what the figures show hatched, dotted or with open symbols. "
            "The table of convergence names what failed and what to change."
        )
    agree = canonical.criteria.walkers_agree if canonical.criteria else np.ones_like(canonical.trusted)
    if not agree.all():
        gap = np.nanmax(np.abs(canonical.free_energy_up_eV - canonical.free_energy_down_eV)[~agree], initial=0) * 1e3
        found.append(
            "F from walkers that started at low x and at high x differs by more than its errors at "
            f"{int((~agree).sum())} points, by up to {gap:.2f} meV/fu: hysteresis."
        )
    return found


def _exchange(exchange: Exchange | None) -> list[str]:
    if exchange is None:
        return []
    along_t, along_x = (exchange.acceptance[exchange.axis == axis] for axis in ("temperature", "composition"))
    if not len(along_t) or np.median(along_t) >= LEAST_EXCHANGE:
        return []
    text = (
        f"Replicas hardly exchange along temperature (median acceptance {np.median(along_t):.1%}): "
        "the temperatures are too far apart; give more rungs, or rungs: auto"
    )
    return [f"{text}; along composition they do." if len(along_x) and np.median(along_x) > LEAST_EXCHANGE else f"{text}."]


def summary(results: Results) -> str:
    """Size of the run, and the two-phase regions that it found."""
    a, diagram = results.attributes, results.phase_diagram
    text = (
        f"{a.n_formula_units} formula units; {a.attempted_moves:.3g} attempted moves measured in {a.sweeps_measured} sweeps "
        f"with {a.walkers} walkers per replica."
    )
    if diagram is None:
        return text
    counts = diagram.n_two_phase_regions
    if not counts.any() and diagram.trusted.all():
        return text + " One phase at every composition and temperature sampled."
    if not counts.any():
        return text + f" No two-phase region was found at the {diagram.trusted.mean():.0%} of the points (T, x) that are trusted."
    names = ", ".join(str(n) for n in diagram.region_name)
    return text + f" Two-phase regions were found at {np.sum(counts > 0)} of {len(counts)} temperatures: {names}."
