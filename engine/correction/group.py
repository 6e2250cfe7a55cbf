"""The group /corrected: the potential's free energies in the small cell by every requested method, and what they cost."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..runtime.results.corrected import Chain, Corrected, Enumerated, Reweighted
from ..runtime.streams import Stream, generator
from ..sampling.diagnostics import Convergence, assess
from ..thermodynamics.free_energy.isotherms import above_ends
from .cell import SmallCell
from .correct import Correction, all_energies
from .estimate import (
    LEAST_ESS,
    RESAMPLED,
    by_bennett,
    by_enumeration,
    by_reweighting,
    by_transitions,
    resampled,
)
from .methods import Method
from .walker import Walk

Float = NDArray[np.float64]
LARGEST_CLOSURE_EV = 5e-3


def corrected_group(correction: Correction) -> tuple[Corrected, list[str]]:
    """The group, and notes for the report. Raises RedoxError if a method has not been sampled yet."""
    cell, rng, methods = SmallCell(correction), generator(correction.seed, Stream.CORRECTION_BOOTSTRAP), correction.given.methods
    chain = _chain(cell, cell.walks(Method.CORRECTED), rng) if Method.CORRECTED in methods else None
    direct = _chain(cell, cell.walks(Method.DIRECT), rng) if Method.DIRECT in methods else None
    reweighted = _reweighted(cell, Method.CORRECTED in methods, rng) if Method.REWEIGHTED in methods else None
    enumerated = _enumerated(cell) if Method.ENUMERATED in methods else None
    notes = [
        *(_chain_notes(cell, chain, "corrected sampling") if chain else []),
        *(_chain_notes(cell, direct, "direct sampling") if direct else []),
        *(_reweighting_notes(cell, reweighted) if reweighted else []),
        *(_enumeration_notes(enumerated) if enumerated else []),
        *(_expansion_notes(cell, reweighted, enumerated) if reweighted else []),
    ]
    group = Corrected(
        temperature_K=cell.temperatures_K,
        x=cell.counts / cell.n_fu,
        chain=chain,
        direct=direct,
        reweighted=reweighted,
        enumerated=enumerated,
        n_formula_units=cell.n_fu,
        supercell=str(cell.system.supercell.matrix.tolist()),
        energies="relaxed" if correction.given.relaxed else "static",
    )
    return group, notes


def _chain(cell: SmallCell, walks: list[list[Walk]], rng: np.random.Generator) -> Chain:
    """From walks (rungs, walkers) of a chain of the potential's own energies."""
    rows = [_with_error(w, partial(_curve, cell, r), rng) for r, w in enumerate(walks)]
    (f, u, s), (f_error, u_error, s_error) = (np.array([row[k] for row in rows]).transpose(1, 0, 2) for k in (0, 1))
    closure = np.array([by_transitions(w, cell.counts, cell.exact_ends[r]).closure for r, w in enumerate(walks)])
    closure = closure / cell.beta_per_eV / cell.n_fu
    convergence = [_convergence(w) for w in walks]
    calls = np.array([sum(int(w.asked.sum()) for w in some) for some in walks])
    moved = np.array([sum(int((w.changed > 0).sum()) for w in some) for some in walks])
    connected = np.isfinite(f).all(axis=1)  # else some composition was not reached, or not left
    converged = np.array([h.trusted[0] for h in convergence])
    return Chain(
        free_energy_eV=f,
        free_energy_eV_error=f_error,
        energy_eV=u,
        energy_eV_error=u_error,
        entropy_kB=s,
        entropy_kB_error=s_error,
        closure_eV=closure,
        acceptance=moved / np.maximum(calls, 1),
        stretch=np.array([np.median([w.stretch for w in some]) for some in walks]),
        potential_calls=calls,
        ess=np.array([h.ess[0] for h in convergence]),
        r_hat=np.array([h.r_hat[0] for h in convergence]),
        trusted=converged & connected & (np.abs(np.nan_to_num(closure)) < LARGEST_CLOSURE_EV),
    )


def _chain_notes(cell: SmallCell, chain: Chain, method: str) -> list[str]:
    if chain.trusted.all():
        return []
    temperatures = ", ".join(f"{t:g}" for t in cell.temperatures_K[~chain.trusted])
    return [f"correction: free energies by {method} are not trusted at {temperatures} K: more proposals are needed"]


def _curve(cell: SmallCell, rung: int, walks: list[Walk]) -> Float:
    """F, U (eV/fu) and S (k_B/fu), (3, n)."""
    found = by_transitions(walks, cell.counts, cell.exact_ends[rung])
    beta = cell.beta_per_eV[rung]
    return np.array([found.beta_f / beta, found.energy_eV, beta * found.energy_eV - found.beta_f]) / cell.n_fu


def _with_error(walks: list[Walk], of: Callable[[list[Walk]], Float], rng: np.random.Generator) -> tuple[Float, Float]:
    """A value and its error by bootstrap over blocks of every walk."""
    again = np.array([of(resampled(walks, rng)) for _ in range(RESAMPLED)])
    return of(walks), again.std(axis=0, ddof=1)


def _convergence(walks: list[Walk]) -> Convergence:
    changes = sum(np.count_nonzero(np.diff(w.potential_eV)) for w in walks)
    return assess(np.array([[w.potential_eV for w in walks]]), np.array([[w.n for w in walks]], float), np.array([changes]))


def _reweighted(cell: SmallCell, with_bar: bool, rng: np.random.Generator) -> Reweighted:
    """From samples of the expansion; with_bar: also by Bennett's acceptance ratio with those of the corrected chain."""
    walks, scale = cell.walks(Method.REWEIGHTED), cell.scale
    own = np.array([cell.expansion_beta_f(w, r) for r, w in enumerate(walks)])
    each = np.array([[cell.expansion_beta_f([one], r) for one in w] for r, w in enumerate(walks)])
    own_error = each.std(axis=1, ddof=1) / np.sqrt(each.shape[1])
    shifts = [by_reweighting(w, cell.counts, b) for w, b in zip(walks, cell.beta_per_eV)]
    errors = np.array([_with_error(w, partial(_shifts, cell, r), rng)[1] for r, w in enumerate(walks)])
    bar, bar_error = _bar(cell, walks, rng) if with_bar else (None, None)
    return Reweighted(
        expansion_free_energy_eV=own * scale,
        expansion_free_energy_eV_error=own_error * scale,
        reweighted_exponential_free_energy_eV=(own + np.array([s.exponential for s in shifts])) * scale,
        reweighted_exponential_free_energy_eV_error=np.hypot(errors[:, 0], own_error) * scale,
        reweighted_cumulant_free_energy_eV=(own + np.array([s.cumulant for s in shifts])) * scale,
        reweighted_cumulant_free_energy_eV_error=np.hypot(errors[:, 1], own_error) * scale,
        reweighting_ess=np.array([s.ess for s in shifts]),
        bar_free_energy_eV=None if bar is None else (own + bar) * scale,
        bar_free_energy_eV_error=None if bar_error is None else np.hypot(bar_error, own_error) * scale,
    )


def _shifts(cell: SmallCell, rung: int, walks: list[Walk]) -> Float:
    """beta F of the potential minus that of the expansion, by both averages, (2, n)."""
    found = by_reweighting(walks, cell.counts, cell.beta_per_eV[rung])
    return np.array([found.exponential, found.cumulant])


def _bar(cell: SmallCell, of_expansion: list[list[Walk]], rng: np.random.Generator) -> tuple[Float, Float]:
    """beta F of the potential minus that of the expansion by Bennett's acceptance ratio, and its error, (rungs, n)."""
    of_potential, values, errors = cell.walks(Method.CORRECTED), [], []
    for a, b, beta in zip(of_expansion, of_potential, cell.beta_per_eV):
        values.append(by_bennett(a, b, cell.counts, beta))
        again = [by_bennett(resampled(a, rng), resampled(b, rng), cell.counts, beta) for _ in range(RESAMPLED // 4)]
        errors.append(np.std(again, axis=0, ddof=1))
    return np.array(values), np.array(errors)


def _reweighting_notes(cell: SmallCell, found: Reweighted) -> list[str]:
    if not (few := found.reweighting_ess < LEAST_ESS).any():
        return []
    differences = [[w.potential_eV - w.expansion_eV for w in some] for some in cell.walks(Method.REWEIGHTED)]
    spread = max(np.nanstd(np.concatenate([d[np.isfinite(d)] for d in some])) for some in differences)
    return [
        f"correction: reweighting gives no result at {int(few.sum())} of {few.size} points, where it has fewer than "
        f"{LEAST_ESS:g} effective samples; the standard deviation of potential minus expansion is up to "
        f"{1e3 * spread / cell.n_fu:.1f} meV/fu: label more configurations, take a smaller cell or more proposals, "
        "or use the corrected chain"
    ]


def _enumerated(cell: SmallCell) -> Enumerated:
    every = all_energies(cell.correction, cell.energies)
    curves = [by_enumeration(every, b) for b in cell.beta_per_eV]
    return Enumerated(
        enumerated_free_energy_eV=np.array([c.beta_f for c in curves]) / cell.beta_per_eV[:, None] / cell.n_fu,
        enumerated_energy_eV=np.array([c.energy_eV for c in curves]) / cell.n_fu,
        states=sum(map(len, every)),
        states_without_energy=sum(int((~np.isfinite(e)).sum()) for e in every),
    )


def _enumeration_notes(found: Enumerated) -> list[str]:
    lost = found.states_without_energy
    return (
        [f"correction: {lost} of {found.states} states of the small cell lose their charge order and do not count"]
        if lost
        else []
    )


def _expansion_notes(cell: SmallCell, reweighted: Reweighted, enumerated: Enumerated | None) -> list[str]:
    """How much the expansion's mixing free energy differs from the best estimate of the potential's."""
    best = reweighted.bar_free_energy_eV
    best = reweighted.reweighted_exponential_free_energy_eV if best is None else best
    best = enumerated.enumerated_free_energy_eV if enumerated else best
    missed = 1e3 * np.abs([above_ends(row) for row in reweighted.expansion_free_energy_eV - best])
    if not np.isfinite(missed).any():
        return []
    rung, k = np.unravel_index(np.nanargmax(missed), missed.shape)
    return [
        f"correction: in the cell of {cell.n_fu} formula units the expansion misses the potential's mixing free energy by up to "
        f"{missed[rung, k]:.1f} meV/fu (x = {cell.counts[k] / cell.n_fu:.3g}, {cell.temperatures_K[rung]:g} K)"
    ]
