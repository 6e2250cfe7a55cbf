"""The two subsystems of a lattice, ions and electrons, and how many arrangements each can have."""

import numpy as np

from .lattice import Lattice

MOST_LISTED = 2**12  # arrangements of a subsystem, neutral or not, up to which they are listed one by one


def has_electrons(lattice: Lattice) -> bool:
    """Whether some element has several charges on one sublattice."""
    return any(len(s.species) > len({sp.element for sp in s.species}) for s in lattice.sublattices)


def separable(lattice: Lattice) -> bool:
    """Whether every sublattice belongs to one subsystem: several elements, or several charges of one element.

    Only then can the ions move while the electrons stay where they are.
    """
    return all(len({sp.element for sp in s.species}) in (1, len(s.species)) for s in lattice.sublattices)


def can_be_listed(lattice: Lattice, n_cells: int) -> bool:
    """Whether the arrangements of the ions, and those of the electrons, in n_cells cells are few enough to be listed.

    The lattice is separable.
    """
    log_number = {True: 0.0, False: 0.0}
    for s, n in zip(lattice.sublattices, lattice.sites_per_sublattice.tolist()):
        log_number[len({sp.element for sp in s.species}) > 1] += n_cells * n * np.log(len(s.species))
    return max(log_number.values()) <= np.log(MOST_LISTED) + 1e-9
