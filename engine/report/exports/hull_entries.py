"""F(T, x) as pymatgen's entries and phase diagrams: what is stable at T is the hull of F, not of the energy."""

import json
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.phase_diagram import CompoundPhaseDiagram, PDEntry
from pymatgen.core import Composition

from ...runtime.results import Results
from ...runtime.results.phases import Phases
from ...thermodynamics.free_energy.hull import hull_values, lower_hull
from .formula import FormulaUnit, canonical_of, formula_unit, rows_asked_for

SIGNIFICANT = 2.0  # standard errors above the hull


@dataclass(frozen=True)
class Metastable:
    """A phase at a composition where another state is more stable: its height above the hull, eV per formula unit."""

    name: str
    x: float
    above_hull_eV: float
    error_eV: float


def phase_diagrams(results: Results) -> dict[float, CompoundPhaseDiagram]:
    """Per temperature (K) between those asked for: one entry per composition with a trusted F, in eV per formula unit.

    A temperature at which an end of composition is not trusted has no diagram. Metastable phases of /phases have entries as far
    above the hull as they are there.

    The terminals are the two ends of composition as formula units, so energies above the hull are eV per formula unit too.
    An entry's `attribute` holds x, the error of F and whether it is trusted, and of a metastable phase its name. Raises
    RedoxError as formula_unit does.
    """
    canonical, unit = canonical_of(results), formula_unit(results)
    found = {}
    for row in rows_asked_for(canonical):
        known = canonical.trusted[row] & np.isfinite(canonical.free_energy_eV[row])
        if known[[0, -1]].all():
            t, x, f = float(canonical.temperature_K[row]), canonical.x[known], canonical.free_energy_eV[row][known]
            entries = [
                _entry(unit, t, a, b, e, trusted=True)
                for a, b, e in zip(x.tolist(), f.tolist(), canonical.free_energy_eV_error[row][known].tolist())
            ]
            hull_eV = partial(np.interp, xp=x, fp=hull_values(x, f, lower_hull(x, f)))
            entries += [
                _entry(unit, t, m.x, float(hull_eV(m.x)) + m.above_hull_eV, m.error_eV, phase=m.name)
                for m in metastable_at(results.phases, t)
                if x[0] < m.x < x[-1]
            ]
            ends = [entries[0].composition, entries[len(x) - 1].composition]
            found[t] = CompoundPhaseDiagram(entries, ends, normalize_terminal_compositions=False)
    return found


def metastable_at(phases: Phases | None, temperature_K: float) -> list[Metastable]:
    """Points of the phases that are SIGNIFICANT errors above the hull, interpolated in temperature at each chemical potential."""
    if phases is None or not phases.temperature_K[0] <= temperature_K <= phases.temperature_K[-1]:
        return []
    high = int(np.clip(np.searchsorted(phases.temperature_K, temperature_K), 1, len(phases.temperature_K) - 1))
    low_K, high_K = phases.temperature_K[high - 1 : high + 1]
    part = (temperature_K - low_K) / (high_K - low_K)

    def at(values: NDArray[np.float64]) -> NDArray[np.float64]:
        below, above = values[:, high - 1], values[:, high]
        return np.where(part == 0, below, np.where(part == 1, above, (1 - part) * below + part * above))

    x, above, error = (at(v) for v in (phases.x, phases.energy_above_hull_eV, phases.energy_above_hull_eV_error))
    with np.errstate(invalid="ignore"):
        chosen = np.argwhere(np.isfinite(x) & (above > SIGNIFICANT * error) & (above > 0))
    return [Metastable(str(phases.name[k]), float(x[k, m]), float(above[k, m]), float(error[k, m])) for k, m in chosen]


def _entry(unit: FormulaUnit, temperature_K: float, x: float, f: float, error: float, **more: str | bool) -> PDEntry:
    known = error if np.isfinite(error) else None  # JSON has no nan
    what = {"temperature_K": temperature_K, "x": x, "free_energy_error_eV": known, **more}
    return PDEntry(Composition(unit.composition(x)), f, attribute=what)


def as_json(diagram: CompoundPhaseDiagram) -> str:
    """For monty's loadfn. The terminals get their class, without which pymatgen cannot read its own diagrams of compounds."""
    content = diagram.as_dict()
    mark = {"@module": "pymatgen.core.composition", "@class": "Composition"}
    content["terminal_compositions"] = [{**mark, **c.as_dict()} for c in diagram.terminal_compositions]
    return json.dumps(content, indent=1)
