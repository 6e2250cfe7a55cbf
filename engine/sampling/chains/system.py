"""What a chain needs and what does not change during a run: supercell, energy table, moves."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ....kernels.energy import total_energy
from ....kernels.layout import Couplings, Domains, Geometry, Model, Mutual, Polynomial
from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states, random_neutral_state
from ...hamiltonian.polynomial import build_mutual, build_polynomial, wide_polynomial
from ...hamiltonian.table import build_table
from ...hamiltonian.terms import Hamiltonian
from ...runtime.streams import ANY_SEED, Stream, generator
from .domains import cut
from .moves import Mix, MoveSet, Scope, build_moves

INDEPENDENT_OF_MIX = {"polynomial", "fields", "neutral_counts", "end_energies_neV"}
VERY_LARGE = 40_000  # sites, more than the caches hold


@dataclass(frozen=True)
class System:
    """Supercell, energy table and moves.

    ions: names of the species whose counts fix the ionic composition. description: of the energy, for the report. domains: for a
    very large cell, the boxes that a single chain advances one by one and the smaller cell on which it does so; else None.
    charge: of the ion, where the lattice is that of the ions alone, which have none; else None.
    """

    supercell: Supercell
    geometry: Geometry
    couplings: Couplings
    mix: Mix
    ions: tuple[str, ...]
    description: str = ""
    domains: "tuple[Domains, System] | None" = None
    charge: int | None = None

    @cached_property
    def polynomial(self) -> Polynomial | None:
        """The energy table in a shorter form; None if a sublattice has more than two species."""
        return build_polynomial(self.couplings) if self.lattice.n_species <= 2 else None

    @cached_property
    def fields(self) -> tuple[Polynomial, Mutual]:
        """The polynomial as a single chain reads it, and the interactions between two sites of a move."""
        polynomial = wide_polynomial(self.polynomial)
        return polynomial, build_mutual(polynomial, self.geometry)

    @property
    def model(self) -> Model:
        """All that the kernels read of the energy."""
        return Model(self.geometry, self.couplings, *self.fields)

    @cached_property
    def moves(self) -> MoveSet:
        return build_moves(self.supercell, self.ions, self.mix)

    @cached_property
    def canonical_moves(self) -> MoveSet:
        """Moves that leave the counts of the ions."""
        return build_moves(self.supercell, self.ions, self.mix, Scope.FIXED_COMPOSITION)

    @cached_property
    def exchange_moves(self) -> MoveSet:
        """Moves that change the count of an ion."""
        return build_moves(self.supercell, self.ions, self.mix, Scope.COMPOSITION_CHANGES)

    @cached_property
    def electron_moves(self) -> MoveSet:
        """Moves that leave every ion where it is."""
        return build_moves(self.supercell, self.ions, self.mix, Scope.ELECTRONS)

    @cached_property
    def ion_moves(self) -> MoveSet:
        """Moves at fixed counts that leave every electron where it is."""
        return build_moves(self.supercell, self.ions, self.mix, Scope.IONS)

    def with_mix(self, mix: Mix) -> "System":
        """The same system with other weights of the moves. What does not depend on them and is known is not computed again."""
        if mix == self.mix:
            return self
        other = replace(self, mix=mix)
        vars(other).update({name: value for name, value in vars(self).items() if name in INDEPENDENT_OF_MIX})
        return other

    @property
    def lattice(self) -> Lattice:
        return self.supercell.lattice

    @property
    def n_formula_units(self) -> int:
        return self.supercell.n_formula_units

    @property
    def ion(self) -> str | None:
        return self.ions[0] if self.ions else None

    @cached_property
    def neutral_counts(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts n of the first ion that neutral states can have, and ln of the number of states at each."""
        return count_neutral_states(self.supercell, self.ion)

    @property
    def n_range(self) -> tuple[int, int]:
        counts, _ = self.neutral_counts
        return int(counts[0]), int(counts[-1])

    @cached_property
    def end_energies_neV(self) -> tuple[int, int]:
        """Energies of a state at the lowest and at the highest count of the ion, which in most crystals are the only ones."""
        low, high = self.n_range
        return self.energy_neV(self.any_state(low)), self.energy_neV(self.any_state(high))

    @property
    def step(self) -> int:
        """Smallest change of the first ion's count by a move; 0 if none changes it."""
        changes = np.abs(self.moves.arrays.ion_change[:, 0])
        return int(np.gcd.reduce(changes))

    def any_state(self, n: int) -> NDArray[np.int8]:
        """A neutral state (n_sites,) with n of the first ion, the same in every run."""
        return random_neutral_state(self.supercell, self.ion, n, generator(ANY_SEED, Stream.ANY_STATE, n))

    def energy_neV(self, species: NDArray[np.int8]) -> int:
        return int(total_energy(species, self.geometry, self.couplings))

    def count_ions(self, species: NDArray[np.int8]) -> NDArray[np.int64]:
        """Counts of the ions, (ions,); a single 0 if there are none."""
        sub = self.supercell.site_sublattice
        counts = [sum(int(np.sum(species[sub == g] == k)) for g, k in self.lattice.rows(ion)) for ion in self.ions]
        return np.array(counts or [0], np.int64)


def build_system(hamiltonian: Hamiltonian, matrix: NDArray[np.int64], ions: tuple[str, ...], mix: Mix | None = None) -> System:
    supercell = Supercell(hamiltonian.lattice, np.asarray(matrix))
    geometry, couplings = build_table(hamiltonian, supercell)
    system = System(supercell, geometry, couplings, mix or Mix(), ions, hamiltonian.description)
    if supercell.n_sites < VERY_LARGE:
        return system
    domains = cut(supercell, geometry.margin)
    if domains is None or np.prod(domains.board) * supercell.lattice.n_sites >= VERY_LARGE:
        return system
    return replace(system, domains=(domains, build_system(hamiltonian, np.diag(domains.board), ions, mix)))
