"""F(T, x) as pymatgen's entries and phase diagrams: what is stable at T is the hull of F, not of the energy."""

import json

import numpy as np
from pymatgen.analysis.phase_diagram import CompoundPhaseDiagram, PDEntry
from pymatgen.core import Composition

from ...runtime.results import Results
from .formula import FormulaUnit, canonical_of, formula_unit, rows_asked_for


def phase_diagrams(results: Results) -> dict[float, CompoundPhaseDiagram]:
    """Per temperature (K) between those asked for: one entry per composition with a trusted F, in eV per formula unit.

    A temperature at which an end of composition is not trusted has no diagram.

    The terminals are the two ends of composition as formula units, so energies above the hull are eV per formula unit too.
    An entry's `attribute` holds x, the error of F and whether it is trusted. Raises RedoxError as formula_unit does.
    """
    canonical, unit = canonical_of(results), formula_unit(results)
    found = {}
    for row in rows_asked_for(canonical):
        known = canonical.trusted[row] & np.isfinite(canonical.free_energy_eV[row])
        if known[[0, -1]].all():
            t = float(canonical.temperature_K[row])
            columns = (c[row].tolist() for c in (canonical.free_energy_eV, canonical.free_energy_eV_error, canonical.trusted))
            found[t] = _diagram(unit, t, [p for p, good in zip(zip(canonical.x.tolist(), *columns), known) if good])
    return found


def _diagram(unit: FormulaUnit, temperature_K: float, points: list[tuple[float, float, float, bool]]) -> CompoundPhaseDiagram:
    entries = []
    for x, f, error, trusted in points:
        known = error if np.isfinite(error) else None  # JSON has no nan
        what = {"temperature_K": temperature_K, "x": x, "free_energy_error_eV": known, "trusted": bool(trusted)}
        entries.append(PDEntry(Composition(unit.composition(x)), f, attribute=what))
    ends = [entries[0].composition, entries[-1].composition]
    return CompoundPhaseDiagram(entries, ends, normalize_terminal_compositions=False)


def as_json(diagram: CompoundPhaseDiagram) -> str:
    """For monty's loadfn. The terminals get their class, without which pymatgen cannot read its own diagrams of compounds."""
    content = diagram.as_dict()
    mark = {"@module": "pymatgen.core.composition", "@class": "Composition"}
    content["terminal_compositions"] = [{**mark, **c.as_dict()} for c in diagram.terminal_compositions]
    return json.dumps(content, indent=1)
