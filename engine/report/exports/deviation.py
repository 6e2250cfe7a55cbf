"""How far a CALPHAD model is from the free energies and the phase diagram that it was fitted to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.results import Results
from ...thermodynamics.free_energy.hull import facets, lower_hull
from ...thermodynamics.phase_diagram.lever import gaps_at
from ...units import BOLTZMANN_EV_PER_K
from .calphad import CalphadModel, known_and_trusted
from .formula import canonical_of, rows_asked_for

Float = NDArray[np.float64]
FINE_GRID = 2001
SAME_X = 0.05  # largest shift of a boundary of one region
Gap = tuple[float, float]


@dataclass(frozen=True)
class AtTemperature:
    """trusted: points; rms and largest over them, largest_of_all also over points that are not trusted, eV per formula unit."""

    temperature_K: float
    trusted: int
    points: int
    rms_eV: float
    largest_eV: float
    largest_of_all_eV: float


@dataclass(frozen=True)
class RegionShift:
    """A two-phase region of the run (None: the model alone has it) and of the model (None: the model has lost it).

    trusted: most of the run's compositions inside are, in its diagram at this temperature.
    """

    temperature_K: float
    trusted: bool
    run: Gap | None
    model: Gap | None

    @property
    def shift(self) -> float:
        """Largest shift of the two boundaries in x; nan if there are none to compare."""
        return max(abs(a - b) for a, b in zip(self.run, self.model)) if self.run and self.model else float("nan")

    def __str__(self) -> str:
        run, model = (f"x = {gap[0]:.3f} to {gap[1]:.3f}" if gap else "no region there" for gap in (self.run, self.model))
        return f"at {self.temperature_K:g} K: {run} in the run, {model} in the model"


@dataclass(frozen=True)
class Deviation:
    """rms, largest: model minus F of the run over all trusted points; cell_eV: the share of it that is the cell's finite size."""

    rows: tuple[AtTemperature, ...]
    rms_eV: float
    largest_eV: float
    cell_eV: float
    regions: tuple[RegionShift, ...]

    @property
    def other_regions(self) -> list[RegionShift]:
        """Regions that the run alone has, or the model where the run is trusted; and those shifted by more than SAME_X."""
        return [r for r in self.regions if (r.run or r.trusted) and not r.shift <= SAME_X]

    def __str__(self) -> str:
        n = sum(row.trusted for row in self.rows)
        text = f"RMS {1e3 * self.rms_eV:.2f}, largest {1e3 * self.largest_eV:.2f} meV/fu at {n} trusted points"
        text += f" (of it the finite size of the cell, up to {1e3 * self.cell_eV:.2f})"
        if here := [r for r in self.regions if r.run]:
            trusted = [r for r in here if r.trusted]
            of_those = f"of those trusted in the run {_kept(trusted)}" if trusted else "none of them trusted in the run"
            text += f"; two-phase regions, temperature by temperature: {_kept(here)}, {of_those}"
        if added := len(self.regions) - len(here):
            text += f"; {added} more in the model than in the run"
        return text


def _kept(regions: list[RegionShift]) -> str:
    kept = [r.shift for r in regions if r.model]
    return f"{len(kept)} of {len(regions)} kept" + (f" (boundaries shifted by up to {max(kept):.3f} in x)" if kept else "")


def deviation(model: CalphadModel, results: Results, free_energy_eV: Float | None = None) -> Deviation:
    """free_energy_eV (rows asked for, x): the model's F as another program gives it; else its own."""
    canonical, n_fu = canonical_of(results), results.attributes.n_formula_units
    assert n_fu is not None
    rows, x = rows_asked_for(canonical), canonical.x
    t = canonical.temperature_K[rows]
    if free_energy_eV is None:
        free_energy_eV = np.array([model.free_energy_eV(np.full(len(x), v), x) for v in t])
    off, good = free_energy_eV - canonical.free_energy_eV[rows], known_and_trusted(canonical)[rows]
    mixing = model.sublattices
    cell = BOLTZMANN_EV_PER_K * t[-1] * np.abs(mixing.ideal_entropy_kB(x) - mixing.ideal_entropy_of_cell_kB(x, n_fu)).max()
    return Deviation(
        tuple(_at_temperature(float(v), o, g) for v, o, g in zip(t, off, good)),
        _rms(off[good]), _largest(off[good]), float(cell), _regions(model, results),
    )  # fmt: skip


def _at_temperature(temperature_K: float, off: Float, good: NDArray[np.bool_]) -> AtTemperature:
    known = off[np.isfinite(off)]
    return AtTemperature(temperature_K, int(good.sum()), len(known), _rms(off[good]), _largest(off[good]), _largest(known))


def _rms(values: Float) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _largest(values: Float) -> float:
    return float(np.abs(values).max()) if len(values) else float("nan")


def _regions(model: CalphadModel, results: Results) -> tuple[RegionShift, ...]:
    """At every temperature sampled within the model's range at which no region ends."""
    diagram, canonical = results.phase_diagram, canonical_of(results)
    if diagram is None:
        return ()
    x, known, found = canonical.x, known_and_trusted(canonical), []
    for t in np.intersect1d(diagram.temperature_K, canonical.temperature_K).tolist():
        gaps = gaps_at(diagram, t)
        if not model.temperature_K[0] <= t <= model.temperature_K[1] or not all(g.certain for g in gaps):
            continue
        good = known[np.abs(canonical.temperature_K - t).argmin()] & diagram.trusted[diagram.sampled_temperature_K == t].all(
            axis=0
        )
        for run, mine in _paired([(g.low, g.high) for g in gaps], gaps_of_model(model, t, float(x[1] - x[0]))):
            low, high = run or mine or (x[0], x[-1])
            inside = good[(x >= low) & (x <= high)]
            found.append(RegionShift(t, bool(len(inside) and inside.mean() > 0.5), run, mine))
    return tuple(found)


def gaps_of_model(model: CalphadModel, temperature_K: float, narrowest: float) -> list[Gap]:
    """Stretches of the hull of the model's F that are wider than `narrowest` in x."""
    x = np.linspace(*model.composition, FINE_GRID)
    f = model.gibbs_energy_J_per_mol(np.full(FINE_GRID, temperature_K), x)
    f = f - np.interp(x, x[[0, -1]], f[[0, -1]])
    return [(float(x[s.left]), float(x[s.right])) for s in facets(x, f, lower_hull(x, f), narrowest)]


def _paired(run: list[Gap], model: list[Gap]) -> list[tuple[Gap | None, Gap | None]]:
    """Each region of the run with the model's that covers most of it, if any does; then what only the model has."""
    left: list[Gap] = list(model)
    found: list[tuple[Gap | None, Gap | None]] = []
    for gap in run:
        best = max(left, key=lambda m: _overlap(gap, m), default=None)
        if best is not None and _overlap(gap, best) > 0:
            left.remove(best)
            found.append((gap, best))
        else:
            found.append((gap, None))
    return [*found, *((None, gap) for gap in left)]


def _overlap(a: Gap, b: Gap) -> float:
    return min(a[1], b[1]) - max(a[0], b[0])
