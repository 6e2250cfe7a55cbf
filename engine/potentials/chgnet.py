"""CHGNet (Deng et al., Nature Machine Intelligence 5, 1031, 2023) with proxies as elements; needs the extra `chgnet`."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from pymatgen.io.ase import AseAtomsAdaptor

from ..errors import RedoxError
from ..input.schema import TrainedPotentialInput
from .device import device
from .labels import Labels
from .network import Network
from .weights import Weights

GPA_IN_EV_PER_A3 = 1 / 160.21766208
EMBEDDING_PACE = 30.0


def calculator(weights: Weights | None, file: Path | None) -> Calculator:
    """The calculator with the given weights, with a checkpoint of chgnet, or as published.

    Raises RedoxError if CHGNet is not installed or the file is not a model of it.
    """
    package = _package()
    from chgnet.model.dynamics import CHGNetCalculator

    network: Any
    if weights is not None:
        network = build(weights)
    elif file is not None:
        try:
            network = package.from_file(str(file))
        except Exception as error:  # unpickling raises anything
            raise RedoxError(f"{file}: not a CHGNet model: {type(error).__name__}: {error}") from None
    else:
        network = published()
    with contextlib.redirect_stdout(io.StringIO()):
        return CHGNetCalculator(network.eval(), use_device=device(), on_isolated_atoms="ignore")


def check_settings(entry: TrainedPotentialInput, folder: Path) -> None:
    """Raises RedoxError for any setting of the network."""
    if entry.settings:
        raise RedoxError(
            f"training: {entry.name}: settings: found {', '.join(entry.settings)}; "
            "allowed: none, since chgnet has the network of its published weights"
        )


def initial_network(entry: TrainedPotentialInput, symbols: list[str], labels: Labels, start: Weights | None) -> Network:
    """The network from which training starts: `start`, or the published weights with proxies as their real elements."""
    if start is not None:
        return CHGNetNetwork(build(start))
    network = published()
    if entry.charge_aware:
        adopt_proxies(network, labels)
    return CHGNetNetwork(network)


def _package() -> Any:
    warnings.filterwarnings("ignore", module="pymatgen|chgnet")
    try:
        from chgnet.model import CHGNet
    except ImportError:
        raise RedoxError('CHGNet is not installed; install it with: pip install "redoxmc[chgnet]"') from None
    return CHGNet


def published() -> torch.nn.Module:
    """CHGNet with the published weights, version 0.3.0."""
    with contextlib.redirect_stdout(io.StringIO()):
        return _package().load(model_name="0.3.0", use_device="cpu", verbose=False)


def build(weights: Weights) -> torch.nn.Module:
    """CHGNet with the given weights."""
    with contextlib.redirect_stdout(io.StringIO()):
        network = _package()(**weights.settings)
    network.load_state_dict(weights.state)
    return network


def adopt_proxies(network: Any, labels: Labels) -> None:
    """Give every proxy the embedding and the reference energy of its real element, from which training starts."""
    with torch.no_grad():
        for symbol, species in labels.ions.items():
            if symbol != species.element:
                proxy, real = atomic_numbers[symbol] - 1, atomic_numbers[species.element] - 1
                table = network.atom_embedding.embedding.weight
                table[proxy] = table[real]
                reference = network.composition_model.fc.weight
                reference[:, proxy] = reference[:, real]


class CHGNetNetwork(Network):
    """CHGNet as a network of the training loop: eV per cell, eV/A, eV/A^3."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def graph(self, atoms: Atoms) -> Any:
        return self.network.graph_converter(AseAtomsAdaptor.get_structure(atoms))

    def collate(self, graphs: list[Any]) -> list[Any]:
        device = next(self.parameters()).device
        return [g.to(device) for g in graphs]

    def forward(self, graphs: list[Any]) -> dict[str, torch.Tensor]:
        found = self.network(graphs, task="efsm")
        counts = torch.tensor([len(g.atomic_number) for g in graphs], device=found["e"].device)
        return {
            "energy": found["e"] * counts,
            "forces": torch.cat(found["f"]),
            "stress": torch.stack(list(found["s"])) * GPA_IN_EV_PER_A3,
            "moments": torch.cat([m.ravel() for m in found["m"]]),
        }

    def shift_reference(self, per_symbol_eV: dict[str, float]) -> None:
        """Add to the reference energy of each symbol."""
        with torch.no_grad():
            for symbol, energy in per_symbol_eV.items():
                self.network.composition_model.fc.weight[0, atomic_numbers[symbol] - 1] += energy

    def paces(self) -> list[tuple[float, list[torch.nn.Parameter]]]:
        """The embedding of the elements learns faster than the other parameters.

        Its rows have norms of 20 to 30, and neighbouring elements differ by 26, while a step of Adam is at most the learning
        rate. At a usual rate of fine-tuning a proxy would stay at its real element: 0.25 away after 300 steps.
        """
        table = self.network.atom_embedding.embedding.weight
        return [(1.0, [p for p in self.parameters() if p is not table]), (EMBEDDING_PACE, [table])]

    def weights(self, symbols: list[str], charge_aware: bool, card: dict[str, Any]) -> Weights:
        settings = {
            k: v for k, v in self.network.model_args.items() if isinstance(v, (int, float, str, bool, list, tuple, type(None)))
        }
        state = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        return Weights("chgnet", charge_aware, symbols, settings, state, card)
