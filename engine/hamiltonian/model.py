"""A cluster expansion that was read from a file."""

from dataclasses import dataclass, field

from .terms import Hamiltonian


@dataclass(frozen=True)
class Model:
    """The expansion, and the charges of the species if it has point charges beside: these belong to one supercell."""

    hamiltonian: Hamiltonian
    n_parameters: int
    charges: dict[str, float] = field(default_factory=dict)
    dielectric: float = 1.0
