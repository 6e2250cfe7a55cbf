"""A Gibbs energy in the compound energy formalism, fitted to F(T, x) of a run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import Avogadro, elementary_charge

from ...errors import RedoxError
from ...runtime.results import Results
from ...runtime.results.canonical import Canonical
from ...units import BOLTZMANN_EV_PER_K
from .formula import FormulaUnit, canonical_of, formula_unit, rows_asked_for
from .redlich_kister import Points, RedlichKister, basis, choose_terms, fit_terms, thermal, thermal_coefficients
from .two_sublattices import TwoSublattices, two_sublattices

Float = NDArray[np.float64]
J_PER_MOL = elementary_charge * Avogadro  # of one eV


@dataclass(frozen=True)
class CalphadModel:
    """F = E0 + (x - x0) e + polynomial - T S_ideal on the neutral line, eV per formula unit.

    composition: lowest and highest x. temperature_K: lowest and highest that the model is for. zero_eV: E0, free energy of
    the low end at the lowest temperature; ion_eV: e, the energy per ion that counts as zero, of the metal if the input
    names it. polynomial: over u from 0 to 1 between the ends. held_out_eV: cross-validation error of the excess.
    """

    unit: FormulaUnit
    sublattices: TwoSublattices
    composition: tuple[float, float]
    temperature_K: tuple[float, float]
    zero_eV: float
    ion_eV: float
    ion_is_metal: bool
    polynomial: RedlichKister
    held_out_eV: float

    def free_energy_eV(self, temperature_K: Float, x: Float) -> Float:
        """F at (n,) points of an infinite crystal, eV per formula unit on the run's zero of energies."""
        return self.zero_line_eV(x) + self.gibbs_energy_J_per_mol(temperature_K, x) / J_PER_MOL

    def gibbs_energy_J_per_mol(self, temperature_K: Float, x: Float) -> Float:
        """Of a mole of formula units on the zero of the database, (n,)."""
        kT = BOLTZMANN_EV_PER_K * temperature_K
        return J_PER_MOL * (self.polynomial(temperature_K, self._u(x)) - kT * self.sublattices.ideal_entropy_kB(x))

    def zero_line_eV(self, x: Float) -> Float:
        """What counts as zero in the database, eV per formula unit on the run's zero of energies."""
        return self.zero_eV + (x - self.composition[0]) * self.ion_eV

    def in_site_fractions(self) -> RedlichKister:
        """The polynomial over the ion's site fraction instead of u, J/mol: the same where the ends are empty and full."""
        y = np.linspace(0, 1, self.polynomial.terms + 2)
        change = np.linalg.solve(
            basis(y, self.polynomial.terms), basis(self._u(y * self.sublattices.ion_sites), self.polynomial.terms)
        )
        return RedlichKister(J_PER_MOL * change @ self.polynomial.coefficients)

    def _u(self, x: Float) -> Float:
        return (x - self.composition[0]) / (self.composition[1] - self.composition[0])


def fit_model(results: Results) -> CalphadModel:
    """Weighted least squares over the trusted points at all temperatures.

    The ideal mixing that is taken out before the fit is that of the cell, ln of its number of states: what the model
    then adds is that of an infinite crystal. Raises RedoxError where there is no such model, or too little to fit.
    """
    canonical, unit, config = canonical_of(results), formula_unit(results), results.attributes.config
    assert config is not None and results.attributes.n_formula_units is not None
    if (config["energy"] or {}).get("electrons") == "ground_state":
        raise RedoxError("electrons: ground_state has no mixing of electrons, which two sublattices always have")
    sublattices, rows = two_sublattices(unit), rows_asked_for(canonical)
    t, x = canonical.temperature_K[rows], canonical.x
    if len(t) < 2:
        raise RedoxError("at least two temperatures are needed")
    kT, n_fu = BOLTZMANN_EV_PER_K * t[:, None], results.attributes.n_formula_units
    entropy = sublattices.ideal_entropy_of_cell_kB(x, n_fu)
    unmixed = canonical.free_energy_eV[rows] + kT * entropy
    trusted = known_and_trusted(canonical)[rows] | ((entropy == 0) & np.isfinite(unmixed))
    ends = np.array([_end(t, unmixed[:, k], trusted[:, k]) for k in (0, -1)])
    coldest = thermal(t[:1])[0]
    zero, slope = float(ends[0] @ coldest), float((ends[1] - ends[0]) @ coldest) / (x[-1] - x[0])
    metal = config["analysis"]["reference_energy_eV"].get(unit.ion.element)
    ion_eV = slope if metal is None else float(metal)
    ends[:, 0] -= zero + np.array([0.0, x[-1] - x[0]]) * ion_eV

    u = (x - x[0]) / (x[-1] - x[0])
    at, where = (a.ravel() for a in np.broadcast_arrays(t[:, None], u))
    line = zero + where * (x[-1] - x[0]) * ion_eV + RedlichKister(ends)(at, where)
    chosen = (trusted & (u > 0) & (u < 1)).ravel()
    error = canonical.free_energy_eV_error[rows].ravel()
    points = Points(at, where, unmixed.ravel() - line, error).where(chosen & np.isfinite(error))
    terms, held_out = choose_terms(points)
    if not terms:
        raise RedoxError(f"{len(points.u)} trusted points are too few to fit")
    polynomial = RedlichKister(np.vstack([ends, fit_terms(points, terms)]))
    span, heat = (float(x[0]), float(x[-1])), (float(t[0]), float(t[-1]))
    return CalphadModel(unit, sublattices, span, heat, zero, ion_eV, metal is not None, polynomial, held_out)


def known_and_trusted(canonical: Canonical) -> NDArray[np.bool_]:
    return canonical.trusted & np.isfinite(canonical.free_energy_eV)


def _end(temperature_K: Float, values: Float, known: NDArray[np.bool_]) -> Float:
    if not known.any():
        raise RedoxError("the free energy of an end of composition is not trusted at any temperature")
    return thermal_coefficients(temperature_K[known], values[known])
