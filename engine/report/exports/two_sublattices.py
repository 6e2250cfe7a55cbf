"""The compound energy formalism's view of one ion and one redox pair: (ion, Va)m (reduced, oxidised)r, the rest fixed.

Hillert, J. Alloys Compd. 320, 161 (2001). Neutrality leaves one line of the square of site fractions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from ...crystal.lattice import VACANCY, Species
from ...errors import RedoxError
from .formula import FormulaUnit

Float = NDArray[np.float64]


@dataclass(frozen=True)
class TwoSublattices:
    """Sites per formula unit of either sublattice; rest_charge: of all that never changes, per formula unit."""

    ion: Species
    ion_sites: int
    reduced: Species
    oxidised: Species
    redox_sites: int
    rest_charge: int

    def site_fractions(self, x: Float) -> tuple[Float, Float]:
        """Of the ion and of the reduced species on their sublattices, at x ions per formula unit, on the neutral line."""
        surplus = self.ion.charge * x + self.rest_charge + self.redox_sites * self.oxidised.charge
        reduced = surplus / (self.oxidised.charge - self.reduced.charge) / self.redox_sites
        return np.clip(x / self.ion_sites, 0, 1), np.clip(reduced, 0, 1)

    def ideal_entropy_kB(self, x: Float) -> Float:
        """Of mixing on both sublattices in an infinite crystal, k_B per formula unit."""
        return -sum(
            (sites * (xlogy(y, y) + xlogy(1 - y, 1 - y)) for sites, y in zip(self._sites, self.site_fractions(x))),
            np.zeros_like(x),
        )

    def ideal_entropy_of_cell_kB(self, x: Float, n_formula_units: int) -> Float:
        """ln of the number of states at x of a cell, per formula unit."""
        total = np.zeros_like(x)
        for sites, y in zip(self._sites, self.site_fractions(x)):
            n, filled = n_formula_units * sites, np.rint(n_formula_units * sites * y)
            total += gammaln(n + 1) - gammaln(filled + 1) - gammaln(n - filled + 1)
        return total / n_formula_units

    @property
    def _sites(self) -> tuple[int, int]:
        return self.ion_sites, self.redox_sites


def two_sublattices(unit: FormulaUnit) -> TwoSublattices:
    """Raises RedoxError if the system is not one ion with its vacancies and one redox pair."""
    redox = [s for s in unit.sublattices if s is not unit.home and len(s.species) > 1]
    if len(unit.home.species) != 2 or unit.partner != VACANCY:
        raise RedoxError(f"the sublattice of {unit.ion.name} holds more than it and vacancies")
    if len(redox) != 1 or len(redox[0].species) != 2:
        raise RedoxError("there is not exactly one redox pair")
    reduced, oxidised = sorted(redox[0].species, key=lambda sp: sp.charge)
    fixed = [s for s in unit.sublattices if s is not unit.home and s is not redox[0]]
    rest = sum(q * unit.atoms[e] for e, q in unit.spectators.items()) + sum(
        s.species[0].charge * unit.atoms[s.element] for s in fixed
    )
    return TwoSublattices(unit.ion, unit.ion_sites, reduced, oxidised, unit.atoms[redox[0].element], rest)
