"""The order of a phase: the amplitudes of the waves of its ions and electrons on every site of the cell."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Supercell
from ...crystal.structure_factor import Field, Waves, deviations, electron_field, ion_field
from ...crystal.symmetry import cell_operations

Float = NDArray[np.float64]
SAME = 1 - 1e-6  # likeness from which on two variants are one
LEAST_SHARE = 0.02  # of a wave that belongs to the order


def ordered_fields(supercell: Supercell, ion: str) -> list[Field]:
    """Ions, and electrons if there are any."""
    return [f for f in (ion_field(supercell.lattice, ion), electron_field(supercell.lattice)) if f is not None]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A state (n_sites,) of the supercell that stands for a phase. Its order is that of the ions, else that of the electrons."""

    supercell: Supercell
    ion: str
    species: NDArray[np.int8]

    @cached_property
    def field(self) -> Field | None:
        """What is ordered; None: nothing is."""
        fields = ordered_fields(self.supercell, self.ion)
        return next((f for f in fields if np.abs(deviations(f, self.supercell, self.species[None])).max() > 1e-9), None)

    @cached_property
    def waves(self) -> Waves:
        return Waves(self.supercell)

    @cached_property
    def amplitudes(self) -> NDArray[np.complex128]:
        """Of the order, (waves, sites), of norm 1."""
        return self._normalised(self.species[None])[0]

    @property
    def shares(self) -> Float:
        """Of each wave, (waves,)."""
        return np.asarray((np.abs(self.amplitudes) ** 2).sum(axis=-1))

    @cached_property
    def variants(self) -> NDArray[np.complex128]:
        """Amplitudes of the pattern and of its images by the space group, but for translations, (variants, waves, sites)."""
        found = [self.amplitudes]
        for image in cell_operations(self.supercell):
            moved = np.empty_like(self.species)
            moved[image] = self.species
            other = self._normalised(moved[None])[0]
            if all(np.abs((other * v.conj()).sum(axis=-1)).sum() ** 2 < SAME for v in found):
                found.append(other)
        return np.array(found)

    def likeness(self, states: NDArray[np.int8]) -> Float:
        """Of states (k, n_sites), (3, k): to this order, to its stars, to this very state.

        To this order: (sum over q of |inner product of the amplitudes on the sites|)^2 with the variant that is most alike, which
        is 1 for the pattern and its images, and 1/3 for a state with three arms of a star of which the pattern has one. To its
        stars: share of all their arms. To this very state: the real part of the inner product, low or negative for its images.
        """
        found = self._normalised(states)
        alike = [np.abs(np.einsum("kqs,qs->kq", found, v.conj())).sum(axis=1) ** 2 for v in self.variants]
        stars = np.isin(self.waves.star, self.waves.star[self.shares > LEAST_SHARE])
        of_stars = (np.abs(found[:, stars]) ** 2).sum(axis=(1, 2))
        very_state = np.einsum("kqs,qs->k", found, self.amplitudes.conj()).real
        return np.array([np.max(alike, axis=0), of_stars, very_state])

    def within(self, larger: Supercell) -> "Pattern":
        """Repeated in a supercell of this supercell."""
        own = self.species.reshape(self.supercell.n_cells, -1)
        return Pattern(larger, self.ion, own[self.supercell.cell_index(larger.cells)].reshape(-1))

    def folded(self, smaller: Supercell) -> "Pattern | None":
        """In a supercell of which this one is a supercell; None if it does not have its periods."""
        own = self.species.reshape(self.supercell.n_cells, -1)
        first = np.zeros((smaller.n_cells, own.shape[1]), np.int8)
        first[smaller.cell_index(self.supercell.cells)] = own
        found = Pattern(smaller, self.ion, first.reshape(-1))
        return found if np.array_equal(found.within(self.supercell).species, self.species) else None

    def _normalised(self, states: NDArray[np.int8]) -> NDArray[np.complex128]:
        """Amplitudes of the leading field, (k, waves, sites), of norm 1; 0 where it does not vary."""
        assert self.field is not None
        found = self.waves.amplitudes(deviations(self.field, self.supercell, states))
        norm = np.linalg.norm(found, axis=(1, 2), keepdims=True)
        return np.asarray(np.divide(found, norm, out=np.zeros_like(found), where=norm > 1e-9))
