"""Whether pycalphad redraws a database with the two-phase regions of its model. Needs the extra `calphad`."""

import warnings
from pathlib import Path

import numpy as np

from ...errors import RedoxError
from .calphad import CalphadModel
from .deviation import Gap, gaps_of_model
from .tdb import phase_name

MOST_TEMPERATURES = 12
SAME_X = 0.01
LEAST_FIELD = 0.02  # narrower single-phase fields are not looked at


def check_redrawn(path: Path, model: CalphadModel, temperatures_K: list[float], narrowest: float) -> None:
    """Raises RedoxError with the first temperature at which equilibria are not those of the model.

    In the middle of every region there must be two phases with the compositions of its ends, in the middle of every field one.
    """
    chosen = np.unique(np.linspace(0, len(temperatures_K) - 1, min(MOST_TEMPERATURES, len(temperatures_K))).astype(int))
    for t in (temperatures_K[k] for k in chosen):
        gaps = gaps_of_model(model, t, narrowest)
        expected = [(sum(gap) / 2, gap) for gap in gaps] + [(x, None) for x in _fields(gaps, model.composition)]
        for (x, gap), found in zip(expected, phases_at(path, model, t, [x for x, _ in expected])):
            same = gap is found if gap is None or found is None else np.abs(np.subtract(gap, found)).max() <= SAME_X
            if not same:
                raise RedoxError(f"pycalphad redraws other regions from it at {t:g} K near x = {x:.3f}")


def _fields(gaps: list[Gap], composition: tuple[float, float]) -> list[float]:
    """Middles of the single-phase fields."""
    ends = [composition[0], *(x for gap in gaps for x in gap), composition[1]]
    return [(a + b) / 2 for a, b in zip(ends[::2], ends[1::2]) if b - a > LEAST_FIELD]


def phases_at(path: Path, model: CalphadModel, temperature_K: float, x: list[float]) -> list[Gap | None]:
    """At each x the compositions of both phases in equilibrium by pycalphad; None: one phase."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pycalphad import Database, equilibrium
        from pycalphad import variables as v

        ion, redox, sites = (
            model.sublattices.ion.element.upper(),
            model.sublattices.reduced.element,
            model.sublattices.redox_sites,
        )
        at = np.unique([value / (value + sites) for value in x])
        found = equilibrium(
            Database(str(path)),
            sorted({"VA", ion, redox.upper()}),
            [phase_name(model)],
            {v.X(ion): at.tolist(), v.T: temperature_K, v.P: 101325, v.N: 1},
        )
    shares = np.asarray(found.X.sel(component=ion).values, float).reshape(len(at), -1)
    pairs = [_pair(np.sort(row[np.isfinite(row)]), sites) for row in shares]
    return [pairs[int(np.abs(at - value / (value + sites)).argmin())] for value in x]


def _pair(shares: np.ndarray, sites: int) -> Gap | None:
    x = shares * sites / (1 - shares)
    return (float(x[0]), float(x[-1])) if len(x) > 1 and x[-1] - x[0] > SAME_X else None
