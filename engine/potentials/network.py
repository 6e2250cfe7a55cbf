"""The interface of networks to the training loop, and cPaiNN as an ASE calculator."""

from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from .cpainn import CPaiNN, Graph, collate, graph_of
from .device import device
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


class CPaiNNNetwork(Network):
    """cPaiNN as a network of the training loop."""

    def __init__(self, network: CPaiNN) -> None:
        super().__init__()
        self.network = network

    def graph(self, atoms: Atoms) -> Graph:
        return graph_of(atoms, self.network.symbols, self.network.cutoff_A, torch.get_default_dtype())

    def collate(self, graphs: list[Graph]) -> Graph:
        device = next(self.parameters()).device
        return collate(graphs).to(device)

    def forward(self, batch: Graph) -> dict[str, torch.Tensor]:
        return self.network(batch)

    def shift_reference(self, per_symbol_eV: dict[str, float]) -> None:
        with torch.no_grad():
            for symbol, energy in per_symbol_eV.items():
                self.network.reference_eV[self.network.symbols.index(symbol)] += energy

    def weights(self, symbols: list[str], charge_aware: bool, card: dict[str, Any]) -> Weights:
        state = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        settings = {k: v for k, v in self.network.settings.items() if k != "symbols"}
        return Weights("cpainn", charge_aware, self.network.symbols, settings, state, card)


class NetworkCalculator(Calculator):
    """ASE calculator of cPaiNN; it computes in the precision of the weights."""

    implemented_properties = ["energy", "forces", "stress", "magmoms"]

    def __init__(self, network: CPaiNN) -> None:
        super().__init__()
        self.network = network.to(device())

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        parameter = next(self.network.parameters())
        assert atoms is not None
        graph = graph_of(atoms, self.network.symbols, self.network.cutoff_A, parameter.dtype).to(parameter.device)
        found = {k: v.detach().cpu().numpy() for k, v in self.network(graph).items()}
        self.results = {
            "energy": float(found["energy"][0]),
            "forces": found["forces"],
            "stress": full_3x3_to_voigt_6_stress(found["stress"][0]),
        }
        if "moments" in found:
            self.results["magmoms"] = np.asarray(found["moments"], float)
