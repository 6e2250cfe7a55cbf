"""The formula unit that F(T, x) belongs to, from the attributes of results.h5."""

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ...crystal.lattice import VACANCY, Species, Sublattice
from ...errors import RedoxError
from ...input.schema import LatticeInput
from ...runtime.results import Results
from ...runtime.results.canonical import Canonical


@dataclass(frozen=True)
class FormulaUnit:
    """atoms: of the fully occupied formula unit, by element. ion: the species that x counts, of sublattice `home`."""

    atoms: dict[str, int]
    sublattices: tuple[Sublattice, ...]
    spectators: dict[str, int]
    ion: Species
    home: Sublattice

    @property
    def name(self) -> str:
        return "".join(f"{element}{n if n > 1 else ''}" for element, n in self.atoms.items())

    @property
    def ion_sites(self) -> int:
        return self.atoms[self.home.element]

    @property
    def partner(self) -> str:
        """The element, or Va, that replaces the ion."""
        (other,) = {sp.element for sp in self.home.species} - {self.ion.element}
        return other

    def composition(self, x: float) -> dict[str, float]:
        """Number of atoms by element at x ions per formula unit."""
        rest = {element: float(n) for element, n in self.atoms.items() if element != self.home.element}
        return {e: n for e, n in {self.ion.element: x, self.partner: self.ion_sites - x, **rest}.items() if e != VACANCY and n}


def formula_unit(results: Results) -> FormulaUnit:
    """Raises RedoxError if x does not determine the number of atoms of each element."""
    a = results.attributes
    if a.formula_unit is None or not a.ion or a.config is None:
        raise RedoxError("results.h5 does not contain the formula unit (it is of an earlier version): run the analysis again")
    lattice = LatticeInput.model_validate(a.config["lattice"])
    sublattices = tuple(
        Sublattice(s.element, tuple(Species(name, sp.charge) for name, sp in s.species.items())) for s in lattice.sublattices
    )
    homes = [s for s in sublattices if len({sp.element for sp in s.species}) > 1]
    atoms = {str(element): int(n) for element, n in a.formula_unit.items()}
    if not set(atoms) <= set(atomic_numbers):  # its name is that of a file
        raise RedoxError(f"results.h5 has a formula unit of no elements: {', '.join(atoms)}")
    if len(homes) != 1 or len({sp.element for sp in homes[0].species}) != 2:
        raise RedoxError(
            "the composition is not that of one ion on one sublattice, with vacancies or one other element beside it"
        )
    ion = next((sp for sp in homes[0].species if sp.name == a.ion), None)
    if ion is None:
        raise RedoxError(f"{a.ion} has no sublattice that it shares")
    return FormulaUnit(atoms, sublattices, lattice.spectators, ion, homes[0])


def canonical_of(results: Results) -> Canonical:
    """Raises RedoxError if there are no free energies."""
    if results.canonical is None:
        raise RedoxError("there are no free energies over the composition of one ion")
    return results.canonical


def rows_asked_for(canonical: Canonical) -> NDArray[np.int64]:
    """Rows from the lowest to the highest temperature given by the user: without the rungs towards beta = 0."""
    t = canonical.temperature_K
    asked = t[canonical.asked]
    return np.flatnonzero((t >= asked.min()) & (t <= asked.max()))
