"""Sampling health in one glance: a row for each temperature, a light for each number."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.results import Group, Results
from ..sampling.diagnostics import LEAST_ESS, MOST_R_HAT
from ..thermodynamics.free_energy.canonical import LARGEST_CLOSURE_EV
from .limitations import LEAST_EXCHANGE, SOUND_SHARE
from .page import Cell, Table

Float = NDArray[np.float64]
KINDS = ("vcsgc", "semigrand", "fixed_composition")
MOVES, EXCHANGE = (0.01, 0.001), (0.1, LEAST_EXCHANGE)  # sound from the first on, bad below the second
SHARE = (SOUND_SHARE, 0.5)  # likewise, of replicas or compositions
BAD_CLOSURE_EV = 3 * LARGEST_CLOSURE_EV
VERDICTS = ("sound", "doubtful", "bad")
COLUMNS = (
    "T (K)",
    "in all",
    "moves accepted",
    "exchange in T",
    "exchange in x",
    "R-hat, worst",
    "ESS, least",
    "closure (meV/fu)",
    "trusted",
)
CAPTION = (
    f"✓ sound, ? doubtful, ✗ do not rely on it. Moves accepted: median of the replicas ({MOVES[0]:.0%}, {MOVES[1]:.1%}: sound from the first "
    f"on, bad below the second); exchange: median of the pairs of replicas ({EXCHANGE[0]:.0%}, {EXCHANGE[1]:.0%}), in T with the next rungs; "
    f"R-hat and effective sample size (ESS): sound where all replicas have at most {MOST_R_HAT:g} and at least {LEAST_ESS:g}, bad where fewer "
    f"than {SHARE[1]:.0%} have; closure of F by the steps between counts alone: {1e3 * LARGEST_CLOSURE_EV:g} and {1e3 * BAD_CLOSURE_EV:g} meV/fu; "
    f"trusted: share of the compositions ({SHARE[0]:.0%}, {SHARE[1]:.0%}). In all: the worst of a row."
)


def health_table(results: Results) -> Table:
    groups = results.groups
    chains = [groups[kind] for kind in KINDS if kind in groups]
    rows = [_row(groups, chains, float(t)) for t in np.unique(np.concatenate([g["temperature_K"] for g in chains]))]
    return Table("Sampling health", COLUMNS, rows, CAPTION)


def _row(groups: dict[str, Group], chains: list[Group], t: float) -> list[str | Cell]:
    acceptance, r_hat, ess = (
        np.concatenate([np.ravel(g[name][g["temperature_K"] == t]) for g in chains]) for name in ("acceptance", "r_hat", "ess")
    )
    cells = [
        _rate(acceptance, MOVES, "{:.1%}"),
        *(_rate(_exchange(groups["exchange"], axis, t), EXCHANGE, "{:.0%}") for axis in ("temperature", "composition")),
        Cell(f"{r_hat.max():.2f}", _of_all(r_hat <= MOST_R_HAT)),
        Cell(f"{ess.min():.0f}", _of_all(ess >= LEAST_ESS)),
        *_free_energy(groups.get("canonical"), t),
    ]
    worst = max((c.verdict for c in cells if isinstance(c, Cell)), key=VERDICTS.index)
    return [f"{t:.4g}", Cell(worst, worst), *cells]


def _rate(values: Float, limits: tuple[float, float], form: str) -> str | Cell:
    """The median of what is known; a dash where nothing is."""
    known = values[np.isfinite(values)]
    return Cell(form.format(np.median(known)), _verdict(float(np.median(known)), limits)) if len(known) else "–"


def _verdict(value: float, limits: tuple[float, float]) -> str:
    return VERDICTS[sum(value < limit for limit in limits)]


def _of_all(good: NDArray[np.bool_]) -> str:
    return "sound" if good.all() else _verdict(float(good.mean()), (1.0, SHARE[1]))


def _exchange(exchange: Group, axis: str, t: float) -> Float:
    """Acceptances of the pairs along an axis that have this temperature on either side; none in results of before they were named."""
    if "pair_temperature_K" not in exchange:
        return np.zeros(0)
    here = (exchange["pair_temperature_K"] == t).any(axis=1) & (exchange["axis"] == axis)
    return exchange["acceptance"][here]


def _free_energy(canonical: Group | None, t: float) -> list[str | Cell]:
    """Closure and share of what is trusted; dashes where there is no free energy."""
    row = np.flatnonzero(canonical["temperature_K"] == t) if canonical is not None else np.zeros(0, int)
    if canonical is None or not len(row):
        return ["–", "–"]
    share = float(canonical["trusted"][row[0]].mean())
    return [_closure(canonical, row[0]), Cell(f"{share:.0%}", _verdict(share, SHARE))]


def _closure(canonical: Group, row: int) -> str | Cell:
    """A dash where the free energy is known at one end alone."""
    closure, error = (1e3 * canonical[name][row] for name in ("closure_eV", "closure_eV_error"))
    if not np.isfinite(closure):
        return "–"
    return Cell(f"{closure:+.2f} ± {error:.2f}", _verdict(-abs(closure), (-1e3 * LARGEST_CLOSURE_EV, -1e3 * BAD_CLOSURE_EV)))
