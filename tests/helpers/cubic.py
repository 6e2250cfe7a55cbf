"""States of a simple cubic lattice of ions and one of electrons."""

import numpy as np
from ase import Atoms

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice

NON_DIAGONAL = np.array([[2, -2, 0], [0, 2, -2], [2, 2, 2]])  # 24 cells; holds period 2 and period 3 along (1 1 1)


def cubic_lattice() -> Lattice:
    """Perovskite NaFeF3: a simple cubic lattice of ions and one of electrons."""
    places = [[0, 0, 0], [2, 2, 2], [2, 2, 0], [2, 0, 2], [0, 2, 2]]
    atoms = Atoms("NaFeF3", positions=places, cell=[4, 4, 4], pbc=True)
    ions = Sublattice("Na", (Species("Na+", 1), Species("Va", 0)))
    electrons = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3)))
    return build_lattice(atoms, (ions, electrons), {"F": -1})


def cells_of(supercell: Supercell) -> np.ndarray:
    return np.array(np.unravel_index(np.arange(supercell.n_cells), supercell.shape)).T


def state(supercell: Supercell, ions: np.ndarray, electrons: np.ndarray) -> np.ndarray:
    """(1, n_sites) of a cubic supercell, from whether each cell holds the ion and the electron."""
    return np.column_stack([~ions, ~electrons]).astype(np.int8).reshape(1, -1)


def random_states(supercell: Supercell, number: int, share: float, seed: int) -> np.ndarray:
    """(number, n_sites) with a fixed share of every sublattice at random."""
    rng = np.random.default_rng(seed)
    states = np.ones((number, supercell.n_sites), np.int8)
    for g in np.unique(supercell.site_sublattice):
        sites = np.flatnonzero(supercell.site_sublattice == g)
        for s in states:
            s[rng.choice(sites, round(share * len(sites)), replace=False)] = 0
    return states
