"""The interface of networks to the training loop."""

from typing import Any

import torch
from ase import Atoms

from .weights import Weights


class Network(torch.nn.Module):
    """A network that the training loop can train.

    Called with a batch, it returns energy (structures,), eV per cell; forces (atoms, 3), eV/A; stress (structures, 3, 3),
    eV/A^3; and, if the network has them, moments (atoms,), Bohr magnetons, and bader (atoms,), e.
    """

    def graph(self, atoms: Atoms) -> Any:
        """The input of the network for one structure."""
        raise NotImplementedError

    def collate(self, graphs: list[Any]) -> Any:
        """A batch of several graphs, on the device of the network."""
        raise NotImplementedError

    def shift_reference(self, per_symbol_eV: dict[str, float]) -> None:
        """Add to the reference energy of each symbol."""
        raise NotImplementedError

    def paces(self) -> list[tuple[float, list[torch.nn.Parameter]]]:
        """Groups of parameters, each with a factor on the learning rate."""
        return [(1.0, list(self.parameters()))]

    def weights(self, symbols: list[str], charge_aware: bool, card: dict[str, Any]) -> Weights:
        """The trained weights, on the CPU."""
        raise NotImplementedError
