"""Convergence of the sampling: a row for each temperature, a verdict for each number, what failed and what to change."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.results import Results
from ..runtime.results.canonical import Canonical
from ..runtime.results.replicas import Exchange, Replicas
from ..sampling.diagnostics import LEAST_ESS, MOST_R_HAT
from .limitations import LEAST_EXCHANGE, TRUSTED_SHARE, replicas
from .page import Cell, Table

Float = NDArray[np.float64]
MOVES, EXCHANGE = (0.01, 0.001), (0.1, LEAST_EXCHANGE)  # good from the first on, bad below the second
SHARE = (TRUSTED_SHARE, 0.5)  # likewise, of replicas or compositions
CLOSURE = (3.0, 5.0)  # standard errors: good up to the first, bad above the second
VERDICTS = ("good", "doubtful", "bad")
COLUMNS = (
    "T (K)",
    "overall",
    "moves accepted",
    "exchange in T",
    "exchange in x",
    "R-hat, worst",
    "ESS, least",
    "closure (meV/fu)",
    "trusted",
    "what failed: what to change",
)
CAPTION = (
    "✓ good, ? doubtful, ✗ do not rely on it. Overall: the worst of R-hat, ESS and trusted; exchange and moves accepted only "
    "help to find the cause. "
    f"Moves accepted: median of the replicas (good from {MOVES[0]:.0%}, bad below {MOVES[1]:.1%}). "
    f"Exchange: median of the pairs of replicas (good from {EXCHANGE[0]:.0%}, bad below {EXCHANGE[1]:.0%}); "
    "in T with the next rungs. "
    f"R-hat and effective sample size (ESS): good where all replicas have at most {MOST_R_HAT:g} and at least {LEAST_ESS:g}, "
    f"bad where fewer than {SHARE[1]:.0%} have; replicas that do not move have none and count only where no F is known. "
    f"Closure error of F by the transition-matrix estimate alone: good up to {CLOSURE[0]:g} standard errors, "
    f"bad above {CLOSURE[1]:g}. "
    f"Trusted: share of the compositions (good from {SHARE[0]:.0%}, bad below {SHARE[1]:.0%}). "
    "What failed: the criteria of results.h5 with the share of compositions that miss them."
)
FAILED = {
    "samples_suffice": "fewer than 10 independent parts: raise sweeps.measure",
    "steps_sampled": "neighbouring compositions not sampled both ways: raise sweeps.equilibrate, or the lowest temperature",
    "replicas_converged": "R-hat or ESS of the nearest replica: raise sweeps.measure",
    "walkers_agree": "walkers from both ends differ: raise sweeps.equilibrate and walkers",
    "precise": "error of F of the cell above 5 kT: raise sweeps.measure",
    "stable": "F rises or U falls on heating: raise sweeps.equilibrate, or the lowest temperature",
}
DISAGREE = "methods disagree: raise sweeps.measure and sweeps.equilibrate"
FROZEN = "no move accepted: raise the lowest temperature, or set moves: auto"
SHORT = "R-hat or ESS of {} of {} replicas: raise sweeps.measure"


def convergence_table(results: Results) -> Table:
    chains = list(replicas(results).values())
    temperatures = np.unique(np.concatenate([group.temperature_K for group in chains]))
    return Table("Convergence", COLUMNS, [_row(results, chains, float(t)) for t in temperatures], CAPTION)


def _row(results: Results, chains: list[Replicas], t: float) -> list[str | Cell]:
    acceptance, r_hat, ess = (
        np.concatenate([getattr(group, name)[group.temperature_K == t].ravel() for group in chains])
        for name in ("acceptance", "r_hat", "ess")
    )
    rates = [
        _rate(acceptance, MOVES, "{:.1%}"),
        *(_rate(_exchange(results.exchange, axis, t), EXCHANGE, "{:.0%}") for axis in ("temperature", "composition")),
    ]
    closure, trusted = _free_energy(results.canonical, t)
    still = np.isnan(r_hat) & isinstance(trusted, Cell)  # at an end of composition that is right; F shows where it is not
    of_chains = [
        _of_all(r_hat, (r_hat <= MOST_R_HAT) | still, np.fmax, "{:.2f}"),
        _of_all(ess, (ess >= LEAST_ESS) | still, np.fmin, "{:.0f}"),
    ]
    worst = max((c.verdict for c in (*of_chains, trusted) if isinstance(c, Cell)), key=VERDICTS.index)
    failed = _failed(results.canonical, t, r_hat, ess) if worst != VERDICTS[0] else "–"
    return [f"{t:.4g}", Cell(worst, worst), *rates, *of_chains, closure, trusted, failed]


def _rate(values: Float, limits: tuple[float, float], form: str) -> str | Cell:
    """The median of the known values; a dash if there are none."""
    known = values[np.isfinite(values)]
    return Cell(form.format(np.median(known)), _verdict(float(np.median(known)), limits)) if len(known) else "–"


def _verdict(value: float, limits: tuple[float, float]) -> str:
    return VERDICTS[sum(value < limit for limit in limits)]


def _of_all(values: Float, good: NDArray[np.bool_], worse: np.ufunc, form: str) -> Cell:
    """The worst of the known values; a dash if there are none."""
    text = form.format(worse.reduce(values)) if np.isfinite(values).any() else "–"
    return Cell(text, VERDICTS[0] if good.all() else _verdict(float(good.mean()), (1.0, SHARE[1])))


def _exchange(exchange: Exchange | None, axis: str, t: float) -> Float:
    """Acceptances of the pairs along an axis of which either side has this temperature."""
    if exchange is None:
        return np.zeros(0)
    return exchange.acceptance[(exchange.pair_temperature_K == t).any(axis=1) & (exchange.axis == axis)]


def _free_energy(canonical: Canonical | None, t: float) -> tuple[str | Cell, str | Cell]:
    """Closure error and share of trusted compositions; dashes where there is no free energy."""
    row = np.flatnonzero(canonical.temperature_K == t) if canonical is not None else np.zeros(0, int)
    if canonical is None or not len(row):
        return "–", "–"
    share = float(canonical.trusted[row[0]].mean())
    return _closure(canonical, row[0]), Cell(f"{share:.0%}", _verdict(share, SHARE))


def _closure(canonical: Canonical, row: int) -> str | Cell:
    """A dash where the free energy is known at one end alone."""
    closure, error = 1e3 * canonical.closure_eV[row], 1e3 * canonical.closure_eV_error[row]
    if not np.isfinite(closure):
        return "–"
    off = abs(closure) / error if error > 0 else 0.0
    return Cell(f"{closure:+.2f} ± {error:.2f}", VERDICTS[sum(off > limit for limit in CLOSURE)])


def _failed(canonical: Canonical | None, t: float, r_hat: Float, ess: Float) -> str:
    """The criteria that were missed, those missed most first, each with what to change."""
    found: list[tuple[float, str]] = []
    row = np.flatnonzero(canonical.temperature_K == t) if canonical is not None else np.zeros(0, int)
    if canonical is not None and len(row):
        masks = {text: getattr(canonical.criteria, name)[row[0]] for name, text in FAILED.items() if canonical.criteria}
        masks |= {DISAGREE: canonical.checks.routes_agree[row[0]]} if canonical.checks else {}
        found += [(float((~mask).mean()), text) for text, mask in masks.items() if not mask.all()]
    words = [f"{text} ({share:.0%})" for share, text in sorted(found, reverse=True)]
    if (frozen := np.isnan(r_hat)).any():
        words.insert(0, f"{FROZEN} ({frozen.mean():.0%} of the replicas)")
    elif not words:
        missed = (r_hat > MOST_R_HAT) | (ess < LEAST_ESS)
        words = [SHORT.format(int(missed.sum()), len(missed))]
    return "; ".join(words)
