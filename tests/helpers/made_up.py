"""Results of made-up systems whose free energy is a formula."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln, xlogy

from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.canonical import Canonical
from redoxmc.engine.runtime.results.phase_diagram import Boundaries, PhaseDiagram
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from .blank import blank

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Material:
    """sites and filled: per sublattice that mixes, sites per formula unit and the atoms or electrons on it at x."""

    formula_unit: dict[str, int]
    sublattices: list[dict[str, Any]]
    ion: str
    x: tuple[float, float]
    sites: tuple[int, int]
    filled: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

    def entropy_kB(self, x: np.ndarray, n_fu: float) -> np.ndarray:
        """ln of the number of states per formula unit; n_fu = inf: of an infinite crystal."""
        total = np.zeros_like(x)
        for sites, n in zip(self.sites, self.filled(x)):
            if np.isinf(n_fu):
                total -= sites * (xlogy(n / sites, n / sites) + xlogy(1 - n / sites, 1 - n / sites))
            else:
                total += (gammaln(n_fu * sites + 1) - gammaln(n_fu * n + 1) - gammaln(n_fu * (sites - n) + 1)) / n_fu
        return total


OLIVINE = Material(
    {"Na": 1, "Fe": 1, "P": 1, "O": 4},
    [{"element": "Na", "species": {"Na+": 1, "Va": 0}}, {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": 3}}],
    "Na+", (0, 1), (1, 1), lambda x: (x, x),
)  # fmt: skip
SPINEL = Material(  # two electrons per ion, and VA before ZN in the alphabet
    {"Zn": 1, "Mn": 2, "O": 4},
    [{"element": "Zn", "species": {"Va": 0, "Zn2+": 2}}, {"element": "Mn", "species": {"Mn4+": 4, "Mn3+": 3}}],
    "Zn2+", (0, 1), (1, 2), lambda x: (x, 2 * x),
)  # fmt: skip
NASICON = Material(  # the low end keeps one ion of three, in any place
    {"Na": 3, "V": 2, "P": 3, "O": 12},
    [{"element": "Na", "species": {"Na+": 1, "Va": 0}}, {"element": "V", "species": {"V3+": 3, "V4+": 4}}],
    "Na+", (1, 3), (3, 2), lambda x: (x, x - 1),
)  # fmt: skip


def made_up_results(
    material: Material,
    formula: Formula,
    temperature_K: tuple[float, ...] = (300.0, 500.0, 700.0, 900.0),
    n_fu: int = 960,
    points: int = 61,
    error_eV: float = 1e-5,
    boundaries: tuple[tuple[float, float, int, int], ...] = (),
    metal: dict[str, float] | None = None,
    **energy: Any,
) -> Results:
    """F(T, x) = formula(T, x) (eV per formula unit) and the mixing of a cell of n_fu formula units, all of it trusted."""
    t = np.array(temperature_K)
    x = np.unique(np.rint(np.linspace(*material.x, points) * n_fu)) / n_fu
    f = formula(t[:, None], x) - BOLTZMANN_EV_PER_K * t[:, None] * material.entropy_kB(x, n_fu)
    canonical = blank(
        Canonical,
        temperature_K=t,
        x=x,
        asked=np.ones(len(t), bool),
        free_energy_eV=f,
        free_energy_eV_error=np.full(f.shape, error_eV),
        trusted=np.ones(f.shape, bool),
    )
    table = np.array(boundaries, float).reshape(-1, 4).T
    points = blank(Boundaries, temperature_K=table[0], x=table[1], region=table[2].astype(int), side=table[3].astype(int))
    diagram = blank(PhaseDiagram, temperature_K=t, sampled_temperature_K=t, x=x, trusted=np.ones(f.shape, bool), boundary=points)
    spectators = {e: q for e, q in {"P": 5, "O": -2}.items() if e in material.formula_unit}
    config = {
        "lattice": {"structure": "made up", "sublattices": material.sublattices, "spectators": spectators},
        "energy": {"electrons": "equilibrium", **energy},
        "analysis": {"reference_energy_eV": metal or {}},
    }
    attributes = Attributes(
        config=config,
        formula_unit=material.formula_unit,
        ion=material.ion,
        n_formula_units=n_fu,
        title="Made up: NaₓFePO₄, 100 %!",
    )
    return Results(attributes, canonical=canonical, phase_diagram=diagram)
