"""Energies of occupations by a potential: one number for all that symmetry makes equal, each worked out once."""

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
    """Call it with an occupation (n_sites,): energy of the cell, eV; inf where the potential has none, so that no chain goes there.

    of: energy of a symmetry representative, eV. A relaxation may find any of several minima, and which one hangs on rounding:
    so the representative stands for its whole class, and a state's energy is a function of the state. known: what was worked
    out, by representative.
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
    """By relaxation, kept on disk; one that fails, or loses its charge order, is no state of the labelled crystal: inf.
    potential: called when it is needed."""
    matrix = tuple(tuple(int(v) for v in row) for row in supercell.matrix)

    def of(representative: Occupation) -> float:
        configuration = Configuration(matrix, representative.tobytes(), "representative")
        if not store.path(configuration).exists():
            store.run(configuration, potential())
        done = store.read(configuration)
        return float(done.cell.get_potential_energy()) if done.failure is None else np.inf

    return Energies(site_permutations(supercell), of)
