"""Structure factors of occupations: the waves of the lattice in which the ions and the electrons are ordered."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from .lattice import Lattice, Supercell, diagonal_form
from .subsystems import has_electrons
from .symmetry import site_permutations, space_group

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Field:
    """A quantity that can be ordered: a number for every (sublattice, species), `table`; `sites` of the cell where it can vary.

    orbit (sites,): symmetry-equivalent sites have the same number.
    """

    name: str
    table: Float
    sites: Int
    orbit: Int


def ion_field(lattice: Lattice, ion: str) -> Field:
    """The field of an ion: 1 where it is, else 0."""
    table = np.zeros((len(lattice.sublattices), lattice.n_species))
    for row in lattice.rows(ion):
        table[row] = 1
    return _field(lattice, ion, table)


def electron_field(lattice: Lattice) -> Field | None:
    """The field of electrons: how far a charge is below the highest of its element (Fe2+: 1, Fe3+: 0); None without electrons."""
    if not has_electrons(lattice):
        return None
    table, names = np.zeros((len(lattice.sublattices), lattice.n_species)), []
    for g, s in enumerate(lattice.sublattices):
        for k, sp in enumerate(s.species):
            charges = [other.charge for other in s.species if other.element == sp.element]
            table[g, k] = max(charges) - sp.charge
            if len(charges) > 1 and sp.charge == min(charges):
                names.append(sp.name)
    return _field(lattice, "/".join(dict.fromkeys(names)), table)


def _field(lattice: Lattice, name: str, table: Float) -> Field:
    varies = np.array([np.ptp(table[g, : len(s.species)]) > 0 for g, s in enumerate(lattice.sublattices)])
    sites = np.flatnonzero(varies[lattice.site_sublattice])
    return Field(name, table, sites, site_orbits(lattice)[sites])


def site_orbits(lattice: Lattice) -> Int:
    """(sites of the cell,): the first site that the space group maps each one on."""
    return site_permutations(Supercell(lattice, np.eye(3, dtype=np.int64))).min(axis=0)


def deviations(field: Field, supercell: Supercell, states: NDArray[np.int8]) -> Float:
    """The field of states (k, n_sites) minus its mean over symmetry-equivalent sites, (k, n_cells, sites of the field).

    Sites of two Wyckoff positions are unequally filled in any phase: that is no order.
    """
    cells = states.reshape(len(states), supercell.n_cells, -1)
    values = field.table[supercell.lattice.site_sublattice[field.sites], cells[..., field.sites]]
    for orbit in np.unique(field.orbit):
        alike = field.orbit == orbit
        values[..., alike] -= values[..., alike].mean(axis=(1, 2), keepdims=True)
    return values


@dataclass(frozen=True)
class Waves:
    """The waves exp(2 pi i q.R) that fit into a supercell. q counts in reciprocal vectors of the cell of the structure file."""

    supercell: Supercell

    @cached_property
    def _diagonal(self) -> tuple[Int, Int]:
        return diagonal_form(self.supercell.hermite)

    @cached_property
    def _place(self) -> Int:
        """Index of each cell in the box of the diagonal form, where translations add component by component."""
        sizes, columns = self._diagonal
        return np.ravel_multi_index(tuple((self.supercell.cells @ columns % sizes).T), tuple(sizes))

    @cached_property
    def period(self) -> int:
        """Smallest number that makes every component of q an integer."""
        return int(np.lcm.reduce(self._diagonal[0]))

    @cached_property
    def whole(self) -> Int:
        """(n_cells, 3) period * q, folded to between -period/2 (excluded) and period/2."""
        sizes, columns = self._diagonal
        m = np.indices(tuple(sizes)).reshape(3, -1).T
        return self._fold((m * (self.period // sizes)) @ columns.T)

    @property
    def q(self) -> Float:
        """(n_cells, 3), in reciprocal-lattice units."""
        return self.whole / self.period

    def _fold(self, whole: Int) -> Int:
        half = (self.period - 1) // 2
        return (whole + half) % self.period - half

    @cached_property
    def star(self) -> Int:
        """(n_cells,) number of the star of each wave: waves that are equivalent by the point group and time reversal."""
        rotations, _ = space_group(self.supercell.lattice.atoms)
        key = np.full(self.supercell.n_cells, np.iinfo(np.int64).max)
        for rotation in np.unique(np.concatenate([rotations, -rotations]), axis=0):
            h, k, l = (self._fold(self.whole @ rotation) % self.period).T
            key = np.minimum(key, (h * self.period + k) * self.period + l)
        return np.unique(key, return_inverse=True)[1].reshape(-1)

    @cached_property
    def star_size(self) -> Int:
        """(stars,) waves of the star that fit into the supercell."""
        return np.bincount(self.star)

    @cached_property
    def star_q(self) -> Float:
        """(stars, 3) one q of each star, with few negative components and the last ones largest."""
        nicest = np.lexsort([*(-self.whole.T), (self.whole < 0).sum(axis=1)])
        first = np.unique(self.star[nicest], return_index=True)[1]
        return self.q[nicest[first]]

    @cached_property
    def star_wavelength_A(self) -> Float:
        """(stars,) wavelength, A; inf for q = 0."""
        length = np.linalg.norm(self._star_shortest @ self._reciprocal, axis=1)
        return np.divide(1, length, out=np.full(len(length), np.inf), where=length > 1e-9)

    @cached_property
    def star_passes(self) -> Int:
        """(stars,) number of wavelengths in the supercell, along that of its shortest edges where there are most."""
        edges, _ = minkowski_reduce(self.supercell.matrix @ np.asarray(self.supercell.lattice.atoms.cell))
        return np.rint(np.abs(self._star_shortest @ self._reciprocal @ edges.T)).max(axis=1).astype(np.int64)

    @property
    def _reciprocal(self) -> Float:
        """Rows: reciprocal vectors of the cell of the structure file, 1/A without the factor 2 pi."""
        return np.linalg.inv(np.asarray(self.supercell.lattice.atoms.cell)).T

    @cached_property
    def _star_shortest(self) -> Float:
        """(stars, 3) star_q minus the reciprocal vector that makes it shortest."""
        images = self.star_q[:, None] - np.indices((5, 5, 5)).reshape(3, -1).T + 2
        nearest = np.linalg.norm(images @ self._reciprocal, axis=-1).argmin(axis=1)
        return images[np.arange(len(images)), nearest]

    def amplitudes(self, deviation: Float) -> NDArray[np.complex128]:
        """sum_R d(R, b) exp(-2 pi i q.R) of fields (k, n_cells, sites), (k, waves, sites)."""
        box = np.empty_like(deviation)
        box[:, self._place] = deviation
        return np.fft.fftn(box.reshape(len(box), *self._diagonal[0], box.shape[-1]), axes=(1, 2, 3)).reshape(box.shape)

    def weights(self, deviation: Float) -> Float:
        """Share of each wave, (k, n_cells), in fields (k, n_cells, sites): they sum to 1.

        w(q) = sum_b |sum_R d(R, b) exp(-2 pi i q.R)|^2 / (n_cells sum d^2); 1/n_cells on average where nothing is ordered.
        nan where the field does not vary.
        """
        power = (np.abs(self.amplitudes(deviation)) ** 2).sum(axis=-1)
        total = power.sum(axis=1, keepdims=True)
        return np.divide(power, total, out=np.full_like(power, np.nan), where=total > 1e-9)

    def star_weights(self, deviation: Float) -> Float:
        """Share of each star, (k, stars)."""
        order = np.argsort(self.star, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.star_size)[:-1]])
        return np.add.reduceat(self.weights(deviation)[:, order], starts, axis=1)
