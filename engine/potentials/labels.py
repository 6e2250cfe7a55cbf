"""Charge labels: the symbol of a redox ion in a structure is that of its charge state, a proxy element (arXiv 2603.26471)."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..crystal.lattice import VACANCY, Lattice, Species, bare_copy
from ..errors import RedoxError

# Common values of PBE+U in projection spheres. Fe and Mn are high-spin; Co3+ is low-spin, or high-spin as the second value.
MOMENTS_MU_B: dict[str, tuple[float, ...]] = {
    "Ti3+": (0.9,), "Ti4+": (0.0,), "V2+": (2.7,), "V3+": (1.9,), "V4+": (1.0,), "V5+": (0.1,), "Cr3+": (2.9,), "Cr4+": (2.0,),
    "Mn2+": (4.6,), "Mn3+": (3.8,), "Mn4+": (3.0,), "Fe2+": (3.78,), "Fe3+": (4.34,), "Co2+": (2.7,), "Co3+": (0.1, 3.1),
    "Co4+": (1.0,), "Ni2+": (1.7,), "Ni3+": (1.0,), "Ni4+": (0.1,), "Cu+": (0.0,), "Cu2+": (0.6,),
}  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """The species that occur in labelled structures.

    ions: all species except the vacancy, and the spectators, by their symbol. redox: element → its charge states (two or
    more) in ascending order of charge.
    """

    ions: dict[str, Species]
    redox: dict[str, tuple[Species, ...]]

    def element(self, symbol: str) -> str:
        """The real element behind a symbol: Fe for Ga."""
        return self.ions[symbol].element

    def charges(self, labelled: Atoms) -> NDArray[np.int64]:
        """Charge of every atom (atoms,)."""
        return np.array([self.ions[s].charge for s in labelled.get_chemical_symbols()], np.int64)

    def redox_atoms(self, atoms: Atoms) -> NDArray[np.int64]:
        """Indices of the atoms whose element has several charge states, in a labelled or unlabelled structure."""
        return np.array(
            [i for i, s in enumerate(atoms.get_chemical_symbols()) if s in self.ions and self.ions[s].element in self.redox],
            np.int64,
        )

    def single_valence(self, labelled: Atoms) -> bool:
        """Whether there are redox atoms, and all those of an element have the same charge."""
        states = {labelled.symbols[i] for i in self.redox_atoms(labelled)}
        return 0 < len(states) == len({self.element(s) for s in states})

    def unlabelled(self, labelled: Atoms) -> Atoms:
        """The same structure with real elements, as a potential sees it that does not know charges."""
        plain = bare_copy(labelled)
        plain.symbols = [self.element(s) for s in labelled.get_chemical_symbols()]
        return plain

    def labelled(self, atoms: Atoms, charges: NDArray[np.int64]) -> Atoms:
        """The structure with the symbols of the given charges (atoms,); atoms that are not redox atoms keep their symbol.

        Raises ValueError if a charge is not among the states of its element.
        """
        symbols = atoms.get_chemical_symbols()
        for i in self.redox_atoms(atoms):
            states = self.redox[self.element(symbols[i])]
            state = next((s for s in states if s.charge == charges[i]), None)
            if state is None:
                raise ValueError(f"atom {i} ({symbols[i]}) cannot have charge {charges[i]:+d}")
            symbols[i] = state.symbol
        result = bare_copy(atoms)
        result.symbols = symbols
        return result

    def moments(self, labelled: Atoms) -> NDArray[np.float64]:
        """Initial magnetic moments (atoms,) of a calculation, Bohr magnetons, ferromagnetic; 0 for other than redox atoms.

        Raises RedoxError if a moment is neither given in the input nor in the table.
        """
        species = [self.ions[s] for s in labelled.get_chemical_symbols()]
        return np.array([reference_moments_muB(sp)[0] if sp.element in self.redox else 0.0 for sp in species])


def reference_moments_muB(species: Species) -> tuple[float, ...]:
    """Typical sizes of the moment of a species, the most common first; several if it has several spin states.

    Raises RedoxError if they are neither given in the input nor in the table.
    """
    if species.moment_muB is not None:
        return (abs(species.moment_muB),)
    if species.name not in MOMENTS_MU_B:
        raise RedoxError(f"the magnetic moment of {species.name} is unknown; give it as moment_muB of the species")
    return MOMENTS_MU_B[species.name]


def labels_of(lattice: Lattice) -> Labels:
    """The labels of all species of a lattice."""
    species = {sp.symbol: sp for sp in lattice.species if sp.name != VACANCY}
    ions = {e: Species(e, q) for e, q in lattice.spectators.items()} | species
    elements = sorted({sp.element for sp in species.values()})
    states = {e: tuple(sorted((sp for sp in species.values() if sp.element == e), key=lambda sp: sp.charge)) for e in elements}
    return Labels(ions, {e: s for e, s in states.items() if len(s) > 1})
