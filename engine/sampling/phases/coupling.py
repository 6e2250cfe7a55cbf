"""H + lambda D, where D is the number of sites off a pattern: a coupling to one ordered state.

It is the Einstein crystal (Frenkel, Ladd, J. Chem. Phys. 81, 3188, 1984) of ions and electrons on a lattice.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ....kernels.layout import Couplings
from ..chains.system import System


def coupled(system: System, pattern: NDArray[np.int8], strength_neV: int) -> System:
    """The system with strength_neV for each site off the pattern (n_sites,). Only chains in lanes can advance it.

    Every template is there twice: sites of the second half prefer species 1.
    """
    number = len(system.couplings.point)
    prefers = np.asarray(pattern, np.int64)
    geometry = system.geometry._replace(template=(system.geometry.template + number * prefers).astype(np.int16))
    couplings = _doubled(system.couplings, int(prefers.sum()), strength_neV)
    found = replace(system, geometry=geometry, couplings=couplings, domains=None)
    vars(found)["moves"] = system.moves  # they do not depend on the energy
    return found


def _doubled(couplings: Couplings, preferring: int, strength_neV: int) -> Couplings:
    species = np.arange(couplings.point.shape[1])
    point = [couplings.point + strength_neV * (species != k) for k in (0, 1)]

    def twice(start: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([start, start[-1] + start[1:]])

    return couplings._replace(
        constant=couplings.constant + strength_neV * preferring,
        point=np.concatenate(point),
        pair_start=twice(couplings.pair_start),
        pair_offset=np.tile(couplings.pair_offset, 2),
        pair_table=np.tile(couplings.pair_table, 2),
        triplet_start=twice(couplings.triplet_start),
        triplet_offset=np.tile(couplings.triplet_offset, (2, 1)),
        triplet_table=np.tile(couplings.triplet_table, 2),
        many_start=twice(couplings.many_start),
        many_size=np.tile(couplings.many_size, 2),
        many_offset=np.tile(couplings.many_offset, (2, 1)),
        many_table=np.tile(couplings.many_table, 2),
    )


def off_pattern(species: NDArray[np.int8], pattern: NDArray[np.int8]) -> NDArray[np.int64]:
    """D of states (chains, n_sites), (chains,)."""
    return np.asarray((species != pattern).sum(axis=1), np.int64)
