"""Cross-checks of F(T, x): two more methods that do not use the transition matrix, and whether all of them agree.

One integrates the energy U(beta, n) from beta = 0, where ln Z_n is the exact number of neutral states. The other is MBAR
(Shirts, Chodera, J. Chem. Phys. 129, 124105, 2008) over all replicas together, where the samples are few enough.
"""

import logging
from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...runtime.results.canonical import Canonical, CrossChecks
from ...sampling.diagnostics import Convergence
from ...sampling.ladder.slots import EnsembleKind
from ...sampling.samples import Samples
from .isotherms import Isotherms, spread
from .least_squares import energy_steps
from .transition_matrix import Isotherm

Float = NDArray[np.float64]
Estimate = tuple[Float, Float]  # value and standard error (rungs, x), eV/fu
AGREEMENT = 4.0  # standard errors of the difference
ROUNDING_EV = 1e-6
MOST_STATES, MOST_SAMPLES = 150, 6_000  # replicas and samples up to which MBAR is done
MBAR_BLOCKS = 16  # a difference of 4 standard errors is then one in a thousand, with 5 one in sixty
ITERATIONS, MOST_ROUNDS = 4, 25
SOLVED = 1e-6  # by how much free energies (kT) may miss their own equations


def cross_checks(
    canonical: Canonical, isotherms: Isotherms, samples: Samples, convergence: Convergence
) -> tuple[CrossChecks, list[str]]:
    """The free energies by each method alone, and a note where methods disagree.

    The least-squares F(T, n) of /canonical is compared with the transition-matrix estimate alone, and that with every other
    method.
    """
    given = canonical.free_energy_eV, canonical.free_energy_eV_error
    matrix = _with_vibrations(_by_transition_matrix(isotherms), isotherms)
    beta = _with_vibrations(_by_beta_integration(isotherms), isotherms)
    mbar = _with_vibrations(_by_mbar(isotherms, samples, convergence), isotherms)
    reference = "the transition-matrix estimate"
    pairs = [(f"by {reference} alone", matrix, "the least-squares F(T, n)", given)]
    pairs += [
        (f"by {name}", found, reference, matrix) for name, found in (("integration over beta", beta), ("MBAR", mbar)) if found
    ]
    notes, agree = [], np.ones_like(given[0], bool)
    for name, found, of, other in pairs:
        differ = _differ(found, other)
        agree &= ~differ
        if differ.any():
            worst, alone = 1e3 * np.nanmax(np.abs(found[0] - other[0])[differ]), int((differ & canonical.trusted).sum())
            notes.append(
                f"free energies {name} differ from {of} by up to {worst:.2f} meV/fu at {int(differ.sum())} points: "
                f"they are not trusted, {alone} of them for this alone"
            )
    checks = CrossChecks(
        free_energy_ratios_eV=matrix[0],
        free_energy_ratios_eV_error=matrix[1],
        free_energy_beta_eV=beta[0] if beta else None,
        free_energy_beta_eV_error=beta[1] if beta else None,
        free_energy_mbar_eV=mbar[0] if mbar else None,
        free_energy_mbar_eV_error=mbar[1] if mbar else None,
        routes_agree=agree,
    )
    return checks, notes


def _differ(a: Estimate, b: Estimate) -> NDArray[np.bool_]:
    """Where two estimates differ by more than their errors allow."""
    with np.errstate(invalid="ignore"):
        return np.abs(a[0] - b[0]) > AGREEMENT * np.hypot(a[1], b[1]) + ROUNDING_EV


@overload
def _with_vibrations(found: Estimate, isotherms: Isotherms) -> Estimate: ...
@overload
def _with_vibrations(found: Estimate | None, isotherms: Isotherms) -> Estimate | None: ...
def _with_vibrations(found: Estimate | None, isotherms: Isotherms) -> Estimate | None:
    if found is None or isotherms.vibrational is None:
        return found
    return found[0] + isotherms.vibrational.free_energy_eV[:, isotherms.grid], found[1]


def _by_transition_matrix(isotherms: Isotherms) -> Estimate:
    """Each temperature alone, its closure error distributed evenly."""
    scale = np.array([isotherms.per_fu_eV(r) for r in isotherms.rungs])[:, None]
    value = np.array([c.all.transition_matrix_beta_f for c in isotherms.curves])[:, isotherms.grid]
    error = np.array(
        [spread(np.array([r.transition_matrix_beta_f[isotherms.grid] for r in c.resampled])) for c in isotherms.curves]
    )
    return value * scale, error * scale


def _by_beta_integration(isotherms: Isotherms) -> Estimate | None:
    """From beta = 0 along the energy; None if the ladder does not reach beta = 0."""
    if isotherms.plan.ladder.beta_per_neV[-1] > 0:
        return None
    counts, log_states = isotherms.system.neutral_counts
    start = np.interp(isotherms.n, counts, log_states)
    ladder, betas = [*isotherms.curves, *isotherms.hotter], isotherms.plan.ladder.beta_per_neV
    picks = [[c.all for c in ladder], *([c.resampled[k] for c in ladder] for k in range(len(ladder[0].resampled)))]
    beta_f = np.array([_from_zero(pick, betas) - start for pick in picks])[:, : len(isotherms.rungs)][..., isotherms.grid]
    scale = np.array([isotherms.per_fu_eV(r) for r in isotherms.rungs])[:, None]
    skipped = _skipping(betas, picks[0], start, isotherms.grid)[: len(isotherms.rungs)]
    return beta_f[0] * scale, np.hypot(spread(beta_f[1:]), np.abs(skipped - beta_f[0]) / 15) * scale


def _from_zero(curves: list[Isotherm], betas: Float) -> Float:
    """Integral of U over beta from 0 (the last row) to every row, (rungs, n)."""
    steps = energy_steps(curves, betas)
    return np.concatenate([np.cumsum(steps[::-1], axis=0)[::-1], np.zeros((1, steps.shape[1]))])


def _skipping(betas: Float, curves: list[Isotherm], start: Float, grid: NDArray[np.int64]) -> Float:
    """beta F of every rung with every second node left out: the change estimates the error of the rule."""
    found = []
    for row in range(len(betas) - 1):
        kept = [*range(row, len(betas) - 1, 2), len(betas) - 1]
        found.append((_from_zero([curves[k] for k in kept], betas[kept])[0] - start)[grid])
    return np.array(found)


def _by_mbar(isotherms: Isotherms, samples: Samples, convergence: Convergence) -> Estimate | None:
    """From samples of all replicas that move, with the error over blocks.

    None for a single replica or too many, no solution, or a lowest composition of which F is not known.
    """
    plan, ends = samples.plan, isotherms.ends
    moving = np.flatnonzero(np.isfinite(convergence.ess))
    slots = [plan.slots[k] for k in moving]
    if not 1 < len(slots) <= MOST_STATES or any(s.kind is EnsembleKind.FIXED_COMPOSITION for s in slots) or not ends.exact[0]:
        return None
    per_slot = max(1, MOST_SAMPLES // (len(slots) * plan.walkers))
    kept = np.unique(np.linspace(samples.n_sweeps // 2, samples.n_sweeps - 1, per_slot).astype(int))
    n = samples.ions[moving][:, :, kept, 0]
    line = np.interp(np.arange(ends.high + 1), [ends.low, ends.high], ends.energy_neV)  # energies are counted from it
    energy = samples.energy_neV[moving][:, :, kept] - line[n]
    weights = [_above(line, plan.ladder.beta_per_neV[s.rung], *plan.log_weight(s, isotherms.system)) for s in slots]
    blocks = np.array_split(np.arange(len(kept)), MBAR_BLOCKS)
    rows: list[Float] = []
    guess = np.array([_known(isotherms, s.rung, w, line) for s, w in zip(slots, weights)])
    guess -= guess[0]
    for part in (np.arange(len(kept)), *(np.setdiff1d(np.arange(len(kept)), b) for b in blocks)):
        e, m = energy[:, :, part].reshape(len(slots), -1), n[:, :, part].reshape(len(slots), -1)
        reduced = np.array([plan.ladder.beta_per_neV[s.rung] * e.ravel() - w[m.ravel()] for s, w in zip(slots, weights)])
        if (solved := _solve(reduced, e.shape[1], guess)) is None:
            return None
        guess, log_mixture = solved
        rows.append(
            np.array(
                [_log_z(plan.ladder.beta_per_neV[r] * e.ravel(), m.ravel(), log_mixture, isotherms) for r in isotherms.rungs]
            )
        )
    beta_f = -np.array(rows)
    beta_f += plan.ladder.beta_per_neV[list(isotherms.rungs), None] * line[isotherms.n] - beta_f[..., :1]
    scale = np.array([isotherms.per_fu_eV(r) for r in isotherms.rungs])[:, None]
    beta_f[~np.isfinite(beta_f)] = np.nan  # counts that no sample of a block has
    jackknife = np.sqrt((MBAR_BLOCKS - 1) / MBAR_BLOCKS * ((beta_f[1:] - beta_f[1:].mean(axis=0)) ** 2).sum(axis=0))
    return (beta_f[0] * scale)[:, isotherms.grid], (jackknife * scale)[:, isotherms.grid]


def _above(line: Float, beta: float, log_weight: Float, beta_mu: Float) -> Float:
    """Log weight (n_max+1,) of a replica over counts, for energies (neV) above a line over them."""
    n = np.arange(len(line))
    return log_weight[: len(line)] + beta_mu[0] * n - beta * line


def _known(isotherms: Isotherms, rung: int, log_weight: Float, line: Float) -> float:
    """Free energy of a replica from F(T, n): where the solver starts."""
    curve, beta = [*isotherms.curves, *isotherms.hotter][rung], isotherms.plan.ladder.beta_per_neV[rung]
    return -float(logsumexp(log_weight[isotherms.n] - (curve.all.beta_f - beta * line[isotherms.n])))


def _solve(reduced: Float, per_state: int, guess: Float) -> tuple[Float, Float] | None:
    """Free energies of the states, and ln sum_k N_k exp(f_k - u_k) of every sample; None if they are not self-consistent."""
    logging.getLogger("pymbar").setLevel(logging.ERROR)  # it warns that JAX is missing
    from pymbar.mbar_solvers import adaptive  # slow to import

    number = np.full(len(reduced), per_state)
    for _ in range(MOST_ROUNDS):  # its own test of convergence, relative to f, never passes where some f is nearly 0
        guess = adaptive(reduced, number, guess, options=dict(maxiter=ITERATIONS))["x"]
        log_mixture = logsumexp(guess[:, None] - reduced + np.log(per_state), axis=0)
        if np.ptp(guess + logsumexp(-reduced - log_mixture, axis=1)) < SOLVED:
            return guess, log_mixture
    return None


def _log_z(beta_energy: Float, n: NDArray[np.int64], log_mixture: Float, isotherms: Isotherms) -> Float:
    """ln Z_n up to a constant, (n,); -inf where no sample has that count."""
    found = np.full(isotherms.ends.high + 1, -np.inf)
    np.logaddexp.at(found, n, -beta_energy - log_mixture)
    return found[isotherms.n]
