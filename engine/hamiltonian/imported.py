"""A fitted cluster expansion of another code, read from its file."""

from dataclasses import dataclass, field

from .terms import Hamiltonian


@dataclass(frozen=True)
class ImportedExpansion:
    """A cluster expansion, with the point charges that it includes.

    hamiltonian: all terms that hold in any supercell. charges: by species, in elementary charges; empty without point
    charges. Their energy depends on the supercell, so it is added for each one (`electrostatics.point_charges`).
    """

    hamiltonian: Hamiltonian
    n_parameters: int
    charges: dict[str, float] = field(default_factory=dict)
    dielectric: float = 1.0
