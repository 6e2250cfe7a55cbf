"""Energy of point charges on the sites of one supercell, by Ewald summation over all periodic images.

E = (k/2) sum_ij q_i q_j psi(r_i - r_j), where psi is the potential of a unit charge, its periodic images and a neutralising
background in a conducting surrounding (Ewald, Ann. Phys. 369, 253, 1921; de Leeuw, Perram, Smith, Proc. R. Soc. A 373, 27,
1980). The energy of a site with its own images is included. All pairs of sites of a supercell interact, so the term holds for
one supercell only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from ..crystal.lattice import Lattice, Supercell
from .terms import Cluster, Hamiltonian

Float = NDArray[np.float64]
COULOMB_EV_A = 14.399645478  # e^2 / (4 pi epsilon_0), CODATA 2018
CUTOFF = 6.0  # both sums end where a Gaussian has fallen to exp(-CUTOFF^2)
CHUNK = 2_000_000  # distances or phases computed at a time
MOST_SITES = 8000


def ewald_potential(cell: Float, displacements: Float) -> Float:
    """psi (k,), 1/A, at displacements (k, 3), A, in a cell (3, 3), A; at zero displacement without the charge itself."""
    volume = abs(float(np.linalg.det(cell)))
    alpha = np.sqrt(np.pi) / volume ** (1 / 3)  # both sums then have the same number of terms
    fractional = displacements @ np.linalg.inv(cell)
    near = (fractional - np.rint(fractional)) @ cell
    images = _points_within(cell, CUTOFF / alpha + np.linalg.norm(cell, axis=1).sum() / 2)
    waves = _points_within(np.asarray(2 * np.pi * np.linalg.inv(cell).T, np.float64), 2 * alpha * CUTOFF)
    square = (waves**2).sum(axis=1)
    waves, square = waves[square > 0], square[square > 0]
    factor = 4 * np.pi / volume * np.exp(-square / (4 * alpha**2)) / square
    parts = []
    for some in np.array_split(near, max(1, len(near) * max(len(images), len(waves)) // CHUNK)):
        r = np.linalg.norm(some[:, None, :] + images[None], axis=2)
        away = r > 1e-9
        real = np.where(away, erfc(alpha * r) / np.where(away, r, 1.0), -2 * alpha / np.sqrt(np.pi))
        parts.append(real.sum(axis=1) + np.cos(some @ waves.T) @ factor)
    return np.concatenate(parts) - np.pi / (volume * alpha**2)


def _points_within(basis: Float, reach: float) -> Float:
    """Points (k, 3) of the lattice spanned by the rows of `basis`, up to the distance `reach` from the origin."""
    most = np.ceil(reach * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int)
    numbers = np.array(list(product(*[range(-m, m + 1) for m in most])))
    points = numbers @ basis
    return points[np.linalg.norm(points, axis=1) <= reach]


@dataclass(frozen=True)
class PointCharges:
    """Charges by species, in elementary charges, and the dielectric constant that divides their energy."""

    charges: dict[str, float]
    dielectric: float


def point_charges(lattice: Lattice, given: Sequence[PointCharges], matrix: NDArray[np.int64]) -> Hamiltonian:
    """The sum of all given point-charge terms in the supercell `matrix` (3, 3); zero if there are none."""
    total = Hamiltonian(lattice)
    for term in given:
        clusters = electrostatic_clusters(Supercell(lattice, matrix), term.charges, term.dielectric)
        total = total + Hamiltonian(lattice, tuple(clusters), 0.0, "point charges")
    return total


def electrostatic_clusters(supercell: Supercell, charges: dict[str, float], dielectric: float) -> list[Cluster]:
    """Clusters per unit cell whose sum over the supercell is its Ewald energy.

    charges: by species; species that are not named carry 0. Every pair occurs twice, once from each site, with half its energy,
    so that a site at half a period from its own image is no special case.
    """
    lattice = supercell.lattice
    of_species = [np.array([charges.get(sp.name, 0.0) for sp in s.species]) for s in lattice.sublattices]
    q = [of_species[g] for g in lattice.site_sublattice]
    charged = [s for s in range(lattice.n_sites) if q[s].any()]
    cells = supercell.cells
    positions = lattice.atoms.positions[lattice.site_atom]
    unit = np.asarray(lattice.atoms.cell)
    found = []
    for a, b in product(charged, charged):
        psi = ewald_potential(supercell.hermite @ unit, cells @ unit + positions[b] - positions[a])
        energies = COULOMB_EV_A / (2 * dielectric) * psi
        for cell, energy in zip(cells.tolist(), energies.tolist()):
            if a == b and not any(cell):
                found.append(Cluster(((a, (0, 0, 0)),), energy * q[a] ** 2))
            else:
                found.append(Cluster(((a, (0, 0, 0)), (b, tuple(cell))), energy * np.outer(q[a], q[b])))
    return found


def fixed_charges(lattice: Lattice, charges: dict[str, float], spectators: dict[str, float], dielectric: float) -> Hamiltonian:
    """Energy of the spectators with each other and with the species, in any supercell.

    charges: by species. spectators: charges by element. The spectators have the period of the unit cell, and so has the
    potential that they cause on the sites.
    """
    unit = np.asarray(lattice.atoms.cell, np.float64)
    fixed = np.array([spectators.get(s, 0.0) for s in lattice.atoms.get_chemical_symbols()])
    fixed[lattice.site_atom] = 0.0
    displacements = lattice.atoms.positions[:, None] - lattice.atoms.positions[None]
    psi = ewald_potential(unit, displacements.reshape(-1, 3)).reshape(len(fixed), len(fixed))
    potential = COULOMB_EV_A / dielectric * psi @ fixed
    clusters = []
    for site, (atom, g) in enumerate(zip(lattice.site_atom, lattice.site_sublattice)):
        q = np.array([charges.get(sp.name, 0.0) for sp in lattice.sublattices[g].species])
        clusters.append(Cluster(((site, (0, 0, 0)),), potential[atom] * q))
    return Hamiltonian(lattice, tuple(clusters), float(fixed @ potential) / 2)
