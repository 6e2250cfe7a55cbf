"""Two more routes to F(T, x), independent of the ratios between neighbouring counts, and whether all agree.

From beta = 0, where ln Z_n is the exact number of neutral states, along the energy U(beta, n); and by MBAR (Shirts, Chodera, J. Chem.
Phys. 129, 124105, 2008) over all replicas together, where the samples are few enough.
"""

import logging

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...runtime.results import Group
from ...sampling.samples import Samples
from ...sampling.slots import EnsembleKind
from .isotherms import Isotherms, spread
from .least_squares import energy_steps
from .transition_matrix import Isotherm

Float = NDArray[np.float64]
TX = ("temperature_K", "x")
AGREEMENT = 4.0  # standard errors of the difference
ROUNDING_EV = 1e-6
MOST_STATES, MOST_SAMPLES = 150, 6_000  # replicas and samples up to which MBAR is done
MBAR_BLOCKS = 16  # a difference of 4 standard errors is then one in a thousand, with 5 one in sixty
ITERATIONS, MOST_ROUNDS = 4, 25
SOLVED = 1e-6  # by how much free energies (kT) may miss their own equations


def add_routes(canonical: Group, isotherms: Isotherms, samples: Samples, notes: list[str]) -> None:
    """Add the free energies of every route alone to /canonical, and to `notes` where they disagree.

    What is given is of ratios and energies together: it is held against the ratios alone, and they against each other route.
    """
    given = canonical["free_energy_eV"], canonical["free_energy_eV_error"]
    ratios = _with_vibrations(_by_ratios(isotherms), isotherms)
    found = {
        "ratios": (ratios, "by the ratios between counts", given, "what is given, which has the energies too,"),
        "beta": (
            _with_vibrations(_beta_route(isotherms), isotherms),
            "from beta = 0 along the energy",
            ratios,
            "those of the ratios",
        ),
        "mbar": (_with_vibrations(_mbar(isotherms, samples), isotherms), "by MBAR", ratios, "those of the ratios"),
    }
    agree = np.ones_like(given[0], bool)
    for name, (values, words, other, its_words) in found.items():
        if values is None or other is None:
            continue
        value, error = values
        canonical.add(f"free_energy_{name}_eV", TX, value, "eV/fu", f"free energy {words} alone", error)
        with np.errstate(invalid="ignore"):
            apart = np.abs(value - other[0]) > AGREEMENT * np.hypot(error, other[1]) + ROUNDING_EV
        agree &= ~apart
        if apart.any():
            worst, trusted = 1e3 * np.nanmax(np.abs(value - other[0])[apart]), int((apart & canonical["trusted"]).sum())
            notes.append(
                f"free energies {words} differ from {its_words} by up to {worst:.2f} meV/fu at {int(apart.sum())} points, {trusted} of them "
                "trusted"
            )
    canonical.add("routes_agree", TX, agree, "1", f"all routes known here agree within {AGREEMENT:g} standard errors")


def _with_vibrations(values: tuple[Float, Float] | None, isotherms: Isotherms) -> tuple[Float, Float] | None:
    if values is None or isotherms.vibrational is None:
        return values
    return values[0] + isotherms.vibrational.free_energy_eV[:, isotherms.grid], values[1]


def _by_ratios(isotherms: Isotherms) -> tuple[Float, Float]:
    """(rungs, x) value and error, eV/fu: the closure spread evenly."""
    scale = np.array([isotherms.per_fu_eV(r) for r in isotherms.rungs])[:, None]
    value = np.array([c.all.by_ratios for c in isotherms.curves])[:, isotherms.grid]
    error = np.array([spread(np.array([r.by_ratios[isotherms.grid] for r in c.resampled])) for c in isotherms.curves])
    return value * scale, error * scale


def _beta_route(isotherms: Isotherms) -> tuple[Float, Float] | None:
    """(rungs, x) value and error, eV/fu; None if the ladder does not lead to beta = 0."""
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
    """beta F of every rung with every second node left out: what it moves tells the error of the rule."""
    found = []
    for row in range(len(betas) - 1):
        kept = [*range(row, len(betas) - 1, 2), len(betas) - 1]
        found.append((_from_zero([curves[k] for k in kept], betas[kept])[0] - start)[grid])
    return np.array(found)


def _mbar(isotherms: Isotherms, samples: Samples) -> tuple[Float, Float] | None:
    """(rungs, x) value and error over blocks, eV/fu; None where there are too many replicas or no solution."""
    plan = samples.plan
    if len(plan.slots) > MOST_STATES or any(s.kind is EnsembleKind.FIXED_COMPOSITION for s in plan.slots):
        return None
    per_slot = max(1, MOST_SAMPLES // (len(plan.slots) * plan.walkers))
    kept = np.unique(np.linspace(samples.n_sweeps // 2, samples.n_sweeps - 1, per_slot).astype(int))
    energy, n = samples.energy_neV[:, :, kept].astype(float), samples.ions[:, :, kept, 0]
    weights = [plan.log_weight(s, isotherms.system) for s in plan.slots]
    blocks = np.array_split(np.arange(len(kept)), MBAR_BLOCKS)
    rows: list[Float] = []
    guess = np.array([_known(isotherms, s.rung, w, bm[0]) for s, (w, bm) in zip(plan.slots, weights)])
    guess -= guess[0]
    for part in (np.arange(len(kept)), *(np.setdiff1d(np.arange(len(kept)), b) for b in blocks)):
        e, m = (a[:, :, part].reshape(len(plan.slots), -1) for a in (energy, n))
        reduced = np.array(
            [
                plan.ladder.beta_per_neV[s.rung] * e.ravel() - w[m.ravel()] - bm[0] * m.ravel()
                for s, (w, bm) in zip(plan.slots, weights)
            ]
        )
        if (solved := _solve(reduced, e.shape[1], guess)) is None:
            return None
        guess, log_mixture = solved
        rows.append(
            np.array(
                [_log_z(plan.ladder.beta_per_neV[r] * e.ravel(), m.ravel(), log_mixture, isotherms) for r in isotherms.rungs]
            )
        )
    beta_f = -np.array(rows)
    exact = np.array(
        [plan.ladder.beta_per_neV[r] * isotherms.ends.energy_neV[0] - isotherms.ends.log_states[0] for r in isotherms.rungs]
    )
    if not isotherms.ends.exact[0]:
        return None
    beta_f += (exact - beta_f[..., 0])[..., None]
    scale = np.array([isotherms.per_fu_eV(r) for r in isotherms.rungs])[:, None]
    beta_f[~np.isfinite(beta_f)] = np.nan  # counts that no sample of a block has
    jackknife = np.sqrt((MBAR_BLOCKS - 1) / MBAR_BLOCKS * ((beta_f[1:] - beta_f[1:].mean(axis=0)) ** 2).sum(axis=0))
    return (beta_f[0] * scale)[:, isotherms.grid], (jackknife * scale)[:, isotherms.grid]


def _known(isotherms: Isotherms, rung: int, log_weight: Float, beta_mu: float) -> float:
    """Free energy of a replica from the ratios: where the solver starts."""
    ladder = [*isotherms.curves, *isotherms.hotter]
    n = isotherms.n
    return -float(logsumexp(log_weight[n] + beta_mu * n - ladder[rung].all.beta_f))


def _solve(reduced: Float, per_state: int, guess: Float) -> tuple[Float, Float] | None:
    """Free energies of the states, and ln of the mixture density sum_k N_k exp(f_k - u_k) of every sample; None if they are not consistent."""
    logging.getLogger("pymbar").setLevel(logging.ERROR)  # it speaks of JAX
    from pymbar.mbar_solvers import adaptive  # slow to import

    number = np.full(len(reduced), per_state)
    for _ in range(MOST_ROUNDS):  # its own test of convergence, relative to f, fails for ever where some f is nearly 0
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
