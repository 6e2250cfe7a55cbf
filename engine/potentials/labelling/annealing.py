"""Low-energy arrangements for labelling: simulated annealing with point charges on the ideal sites."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Supercell
from ...crystal.occupations import active_atoms, full_occupation, species_on_sites

DIELECTRIC = 10.0  # screens the formal charges: a low-energy arrangement need only be plausible
ANNEAL_START_EV = 1.0  # kT
ANNEAL_END_EV = (0.01, 0.3)  # kT, drawn log-uniformly, so that the arrangements differ
SWAPS_PER_SITE = 24


@dataclass(frozen=True)
class Annealer:
    """Metropolis sampling of swaps within sublattices, with the Ewald energy of screened formal charges."""

    supercell: Supercell

    @cached_property
    def ewald_eV(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ewald energies of unit charges: between sites (n_sites, n_sites), and of each site with the spectators (n_sites,).

        The diagonal is the energy of a site with its own periodic images.
        """
        from pymatgen.analysis.ewald import EwaldSummation  # slow to import
        from pymatgen.core import Species as Ion
        from pymatgen.core import Structure

        atoms, sites = full_occupation(self.supercell), active_atoms(self.supercell)
        unit = Structure(np.asarray(atoms.cell), [Ion("H", 1)] * len(atoms), atoms.positions, coords_are_cartesian=True)
        # the energy is bilinear in the charges, so these hold for neutral cells although unit charges are not neutral
        pair_eV = 2 * EwaldSummation(unit).total_energy_matrix / DIELECTRIC
        charges = np.array([self.supercell.lattice.spectators.get(s, 0) for s in atoms.get_chemical_symbols()])
        charges[sites] = 0
        return pair_eV[np.ix_(sites, sites)], pair_eV[sites] @ charges

    def energy_eV(self, species: NDArray[np.int8]) -> float:
        """Energy of an arrangement (n_sites,), without that of the spectators among themselves."""
        pair_eV, spectators_eV = self.ewald_eV
        charge = np.array([sp.charge for sp in species_on_sites(self.supercell, species)])
        return float(charge @ (0.5 * pair_eV @ charge + spectators_eV))

    def __call__(self, species: NDArray[np.int8], electrons_only: bool, rng: np.random.Generator) -> NDArray[np.int8]:
        """Anneal an arrangement (n_sites,) to a random final temperature.

        electrons_only: swap only species of the same element.
        """
        found = species_on_sites(self.supercell, species)
        charge = np.array([sp.charge for sp in found], float)
        element = np.array([sp.element for sp in found])
        swappable = self.supercell.site_sublattice[:, None] == self.supercell.site_sublattice
        if electrons_only:
            swappable &= element[:, None] == element
        pairs = np.argwhere(np.triu(swappable, 1))
        if not len(pairs):
            return species
        pair_eV, spectators_eV = self.ewald_eV
        potential_eV = pair_eV @ charge + spectators_eV
        species, n_swaps = species.copy(), SWAPS_PER_SITE * len(species)
        kT_eV = np.geomspace(ANNEAL_START_EV, np.exp(rng.uniform(*np.log(ANNEAL_END_EV))), n_swaps)
        bars_eV = -kT_eV * np.log(1 - rng.random(n_swaps))
        for (i, j), bar_eV in zip(pairs[rng.integers(len(pairs), size=n_swaps)].tolist(), bars_eV.tolist()):
            if species[i] == species[j]:
                continue
            d = charge[j] - charge[i]
            curvature_eV = pair_eV[i, i] + pair_eV[j, j] - 2 * pair_eV[i, j]
            if d * (potential_eV[i] - potential_eV[j]) + 0.5 * d * d * curvature_eV <= bar_eV:
                species[i], species[j] = species[j], species[i]
                charge[i], charge[j] = charge[j], charge[i]
                potential_eV += d * (pair_eV[i] - pair_eV[j])
        return species
