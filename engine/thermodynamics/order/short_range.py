"""Short-range order: correlations of ions and electrons in the first shells of neighbours (Cowley, Phys. Rev. 77, 669, 1950)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ...crystal.lattice import Supercell
from ...crystal.structure_factor import Field

Float = NDArray[np.float64]
SHELLS = 4  # nearest shells of each pair of fields
SAME_SHELL_A = 1e-2


@dataclass(frozen=True)
class Shell:
    """Pairs of a site of one field and a site of another at one distance. fields: their two indices in the list of fields.

    links (sites of the first, sites of the second): number of images of each pair at that distance.
    """

    fields: tuple[int, int]
    distance_A: float
    neighbours: float
    links: csr_array


def neighbour_shells(supercell: Supercell, fields: Sequence[Field]) -> list[Shell]:
    """The first shells of every pair of fields: ion-ion, ion-electron, electron-electron."""
    pairs = combinations_with_replacement(range(len(fields)), 2)
    return [shell for a, b in pairs for shell in _shells(supercell, fields, (a, b))]


def _shells(supercell: Supercell, fields: Sequence[Field], pair: tuple[int, int]) -> list[Shell]:
    first, second = (fields[f] for f in pair)
    i, j, shift, distance, number = _neighbours(supercell, first, second)
    found = []
    for shell in range(SHELLS):
        mine = number == shell
        rows = np.arange(supercell.n_cells)[:, None] * len(first.sites) + np.searchsorted(first.sites, i[mine])
        columns = supercell.cell_index(supercell.cells[:, None] + shift[mine]) * len(second.sites) + np.searchsorted(
            second.sites, j[mine]
        )
        shape = (supercell.n_cells * len(first.sites), supercell.n_cells * len(second.sites))
        links = csr_array((np.ones(rows.size), (rows.ravel(), columns.ravel())), shape=shape)
        found.append(Shell(pair, float(distance[mine].mean()), float(mine.sum() / len(first.sites)), links))
    return found


def _neighbours(supercell: Supercell, first: Field, second: Field) -> tuple[NDArray[Any], ...]:
    """Directed pairs of sites of the cell: both sites, cell shift, distance (A), number of the shell (also beyond the last)."""
    lattice = supercell.lattice
    active, cutoff_A = lattice.atoms[lattice.site_atom], 3.0
    while True:
        i, j, shift, distance = neighbor_list("ijSd", active, cutoff_A)
        wanted = np.flatnonzero(np.isin(i, first.sites) & np.isin(j, second.sites))
        wanted = wanted[np.argsort(distance[wanted], kind="stable")]
        number = np.cumsum(np.diff(distance[wanted], prepend=0.0) > SAME_SHELL_A) - 1
        if len(number) and number[-1] >= SHELLS:
            return i[wanted], j[wanted], shift[wanted], distance[wanted], number
        cutoff_A *= 1.3


def correlations(shells: Sequence[Shell], deviations: Sequence[Float]) -> Float:
    """Warren-Cowley parameters (k, shells) from the deviations (k, n_cells, sites) of every field.

    alpha = <d_i d'_j> over the shell / sqrt(<d^2> <d'^2>). On one sublattice of two species this is Cowley's
    1 - P(B next to A) / c_B; between an ion and an electron 1 - P(no electron next to the ion) / c(no electron). Hence > 0: they
    attract each other, < 0: they avoid each other, 1: always together, 0: random (-1/(sites - 1) at a fixed number).
    nan where a field does not vary.
    """
    flat = [d.reshape(len(d), -1) for d in deviations]
    scale = [np.sqrt((f**2).mean(axis=1)) for f in flat]
    found = np.full((len(flat[0]), len(shells)), np.nan)
    for s, shell in enumerate(shells):
        a, b = shell.fields
        covariance = (flat[a] * (shell.links @ flat[b].T).T).sum(axis=1) / shell.links.sum()
        norm = scale[a] * scale[b]
        np.divide(covariance, norm, out=found[:, s], where=norm > 1e-9)
    return found
