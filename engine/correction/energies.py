"""Energies of occupations by a potential: the same for all symmetry-equivalent occupations, and computed once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..crystal.lattice import Supercell
from ..crystal.symmetry import canonical, site_permutations
from ..potentials.labelling.configurations import Configuration
from ..potentials.labelling.relaxations import Relaxations
from ..potentials.potential import LabelledCalculator

Occupation = NDArray[np.int8]


@dataclass
class Energies:
    """Called with an occupation (n_sites,), it returns the energy of the cell (eV); inf if the potential has none there.

    of: energy (eV) of a symmetry representative. A relaxation may find one of several minima, which can depend on rounding. The
    energy of the representative is therefore used for its whole class, so that the energy is a function of the state. known:
    energies computed, by representative; seen: by state.
    """

    permutations: NDArray[np.int64]
    of: Callable[[Occupation], float]
    known: dict[bytes, float] = field(default_factory=dict)
    seen: dict[bytes, float] = field(default_factory=dict)

    def __call__(self, species: Occupation) -> float:
        state = species.tobytes()
        if state not in self.seen:
            image = canonical(species, self.permutations)
            if image not in self.known:
                self.known[image] = self.of(np.frombuffer(image, np.int8))
            self.seen[state] = self.known[image]
        return self.seen[state]


def relaxed_energies(supercell: Supercell, store: Relaxations, potential: Callable[[], LabelledCalculator]) -> Energies:
    """Energies by relaxation, kept on disk. A relaxation that fails or loses its charge order has no energy: inf.

    potential: called when a relaxation is missing.
    """
    matrix = tuple(tuple(int(v) for v in row) for row in supercell.matrix)

    def of(representative: Occupation) -> float:
        configuration = Configuration(matrix, representative.tobytes(), "representative")
        if not store.path(configuration).exists():
            store.run(configuration, potential())
        done = store.read(configuration)
        return float(done.cell.get_potential_energy()) if done.failure is None else np.inf

    return Energies(site_permutations(supercell), of)
