"""What the module of an architecture supplies. The module has the architecture's name."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ase.calculators.calculator import Calculator

from ..input.schema import TrainedPotentialInput
from .labels import Labels
from .network import Network
from .weights import Weights


class Architecture(Protocol):
    """The functions of mace.py, chgnet.py and cpainn.py. MACE has no `initial_network`: mace-torch trains it."""

    def calculator(self, weights: Weights | None, file: Path | None) -> Calculator:
        """ASE calculator with our weights, with a checkpoint of the original package, or as published."""
        ...

    def check_settings(self, entry: TrainedPotentialInput, folder: Path) -> None:
        """Raises RedoxError if the input's settings of the network are wrong."""
        ...

    def initial_network(self, entry: TrainedPotentialInput, symbols: list[str], labels: Labels, start: Weights | None) -> Network:
        """The network from which training starts. symbols: those of the training frames. start: weights of `start_from`."""
        ...


def architecture(name: str) -> Architecture:
    """The module of an architecture."""
    return cast(Architecture, import_module(f".{name}", __package__))
