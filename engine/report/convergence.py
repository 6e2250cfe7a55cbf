"""Convergence of the sampling: a row for each temperature, a verdict for each number."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.results import Results
from ..runtime.results.canonical import Canonical
from ..runtime.results.replicas import Exchange, Replicas
from ..sampling.diagnostics import LEAST_ESS, MOST_R_HAT
from ..thermodynamics.free_energy.canonical import LARGEST_CLOSURE_EV
from .limitations import LEAST_EXCHANGE, TRUSTED_SHARE, replicas
from .page import Cell, Table

Float = NDArray[np.float64]
MOVES, EXCHANGE = (0.01, 0.001), (0.1, LEAST_EXCHANGE)  # good from the first on, bad below the second
SHARE = (TRUSTED_SHARE, 0.5)  # likewise, of replicas or compositions
BAD_CLOSURE_EV = 3 * LARGEST_CLOSURE_EV
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
)
CAPTION = (
    "✓ good, ? doubtful, ✗ do not rely on it. Overall: the worst verdict of the row. "
    f"Moves accepted: median of the replicas (good from {MOVES[0]:.0%}, bad below {MOVES[1]:.1%}). "
    f"Exchange: median of the pairs of replicas (good from {EXCHANGE[0]:.0%}, bad below {EXCHANGE[1]:.0%}); "
    "in T with the next rungs. "
    f"R-hat and effective sample size (ESS): good where all replicas have at most {MOST_R_HAT:g} and at least {LEAST_ESS:g}, "
    f"bad where fewer than {SHARE[1]:.0%} have. "
    f"Closure error of F by the transition-matrix estimate alone: good up to {1e3 * LARGEST_CLOSURE_EV:g} meV/fu, "
    f"bad above {1e3 * BAD_CLOSURE_EV:g} meV/fu. "
    f"Trusted: share of the compositions (good from {SHARE[0]:.0%}, bad below {SHARE[1]:.0%})."
)


def convergence_table(results: Results) -> Table:
    chains = list(replicas(results).values())
    temperatures = np.unique(np.concatenate([group.temperature_K for group in chains]))
    return Table("Convergence", COLUMNS, [_row(results, chains, float(t)) for t in temperatures], CAPTION)


def _row(results: Results, chains: list[Replicas], t: float) -> list[str | Cell]:
    acceptance = np.concatenate([group.acceptance[group.temperature_K == t].ravel() for group in chains])
    r_hat = np.concatenate([group.r_hat[group.temperature_K == t].ravel() for group in chains])
    ess = np.concatenate([group.ess[group.temperature_K == t].ravel() for group in chains])
    cells = [
        _rate(acceptance, MOVES, "{:.1%}"),
        *(_rate(_exchange(results.exchange, axis, t), EXCHANGE, "{:.0%}") for axis in ("temperature", "composition")),
        Cell(f"{r_hat.max():.2f}", _of_all(r_hat <= MOST_R_HAT)),
        Cell(f"{ess.min():.0f}", _of_all(ess >= LEAST_ESS)),
        *_free_energy(results.canonical, t),
    ]
    worst = max((c.verdict for c in cells if isinstance(c, Cell)), key=VERDICTS.index)
    return [f"{t:.4g}", Cell(worst, worst), *cells]


def _rate(values: Float, limits: tuple[float, float], form: str) -> str | Cell:
    """The median of the known values; a dash if there are none."""
    known = values[np.isfinite(values)]
    return Cell(form.format(np.median(known)), _verdict(float(np.median(known)), limits)) if len(known) else "–"


def _verdict(value: float, limits: tuple[float, float]) -> str:
    return VERDICTS[sum(value < limit for limit in limits)]


def _of_all(good: NDArray[np.bool_]) -> str:
    return VERDICTS[0] if good.all() else _verdict(float(good.mean()), (1.0, SHARE[1]))


def _exchange(exchange: Exchange | None, axis: str, t: float) -> Float:
    """Acceptances of the pairs along an axis of which either side has this temperature."""
    if exchange is None:
        return np.zeros(0)
    return exchange.acceptance[(exchange.pair_temperature_K == t).any(axis=1) & (exchange.axis == axis)]


def _free_energy(canonical: Canonical | None, t: float) -> list[str | Cell]:
    """Closure error and share of trusted compositions; dashes where there is no free energy."""
    row = np.flatnonzero(canonical.temperature_K == t) if canonical is not None else np.zeros(0, int)
    if canonical is None or not len(row):
        return ["–", "–"]
    share = float(canonical.trusted[row[0]].mean())
    return [_closure(canonical, row[0]), Cell(f"{share:.0%}", _verdict(share, SHARE))]


def _closure(canonical: Canonical, row: int) -> str | Cell:
    """A dash where the free energy is known at one end alone."""
    closure, error = 1e3 * canonical.closure_eV[row], 1e3 * canonical.closure_eV_error[row]
    if not np.isfinite(closure):
        return "–"
    return Cell(f"{closure:+.2f} ± {error:.2f}", _verdict(-abs(closure), (-1e3 * LARGEST_CLOSURE_EV, -1e3 * BAD_CLOSURE_EV)))
