"""What our training loop asks of a network, and its use as an ASE calculator."""

from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from .cpainn import CPaiNN, Graph, collate, graph_of
from .weights import Weights


class Network(torch.nn.Module):
    """Called with a batch: energy (structures,) eV per cell, forces (atoms, 3) eV/A, stress (structures, 3, 3) eV/A^3, and
    moments and bader (atoms,) if it has them.
    """

    def graph(self, atoms: Atoms) -> Any:
        raise NotImplementedError

    def collate(self, graphs: list[Any]) -> Any:
        raise NotImplementedError

    def shift_reference(self, per_symbol_eV: dict[str, float]) -> None:
        raise NotImplementedError

    def paces(self) -> list[tuple[float, list[torch.nn.Parameter]]]:
        """Parameters in groups, each with the factor of its learning rate."""
        return [(1.0, list(self.parameters()))]

    def weights(self, symbols: list[str], charge_aware: bool, card: dict[str, Any]) -> Weights:
        raise NotImplementedError


class CPaiNNNetwork(Network):
    """cPaiNN in the terms of our training loop."""

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
    """ASE calculator of cPaiNN, in the precision of its weights."""

    implemented_properties = ["energy", "forces", "stress", "magmoms"]

    def __init__(self, network: CPaiNN) -> None:
        super().__init__()
        self.network = network.to("cuda" if torch.cuda.is_available() else "cpu")

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
