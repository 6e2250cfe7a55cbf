"""cPaiNN (cpainn_network.py) as a calculator and as a network of the training loop."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ..errors import RedoxError
from ..input.schema import TrainedPotentialInput
from .cpainn_network import CPaiNN, Graph, collate, graph_of
from .device import device
from .labels import Labels
from .network import Network
from .weights import Weights

SETTINGS = {"width": 64, "n_layers": 3, "cutoff_A": 5.0, "n_radial": 16}


def calculator(weights: Weights | None, file: Path | None) -> Calculator:
    """The calculator with the given weights. Raises RedoxError without them."""
    if weights is None:
        raise RedoxError(f"{file}: not weights of cpainn" if file else "potential: cpainn needs file, the file of its weights")
    return CPaiNNCalculator(_network(weights).double().eval())


def check_settings(entry: TrainedPotentialInput, folder: Path) -> None:
    """Raises RedoxError for an unknown setting of the network or a wrong value."""
    if unknown := sorted(set(entry.settings) - set(SETTINGS)):
        raise RedoxError(f"training: {entry.name}: settings: found {', '.join(unknown)}; allowed: {', '.join(SETTINGS)}")
    for key, value in entry.settings.items():
        kind = type(SETTINGS[key])
        if isinstance(value, bool) or not isinstance(value, (kind, int)) or not 0 < value < 10_000:
            raise RedoxError(f"training: {entry.name}: settings: {key}: found {value!r}; allowed: a positive {kind.__name__}")


def initial_network(entry: TrainedPotentialInput, symbols: list[str], labels: Labels, start: Weights | None) -> Network:
    """The network from which training starts: `start`, or random weights. Raises RedoxError if `start` lacks a symbol."""
    if start is None:
        return CPaiNNNetwork(CPaiNN(symbols, **(SETTINGS | entry.settings)))
    if unknown := sorted(set(symbols) - set(start.symbols)):
        raise RedoxError(f"training: {entry.name}: start_from: {entry.start_from} does not know {', '.join(unknown)}")
    return CPaiNNNetwork(_network(start))


def _network(weights: Weights) -> CPaiNN:
    network = CPaiNN(weights.symbols, **weights.settings)
    network.load_state_dict(weights.state)
    return network


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


class CPaiNNCalculator(Calculator):
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
