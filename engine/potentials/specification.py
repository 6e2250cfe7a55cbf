"""The specification of a potential in the input, with a hash of everything that its energies depend on."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..input.reader import InputFile
from ..input.schema import PotentialInput, TrainedPotentialInput
from ..runtime.hashes import file_hash, fingerprint
from .labels import Labels

if TYPE_CHECKING:
    from .potential import LabelledCalculator  # torch comes with it


@dataclass(frozen=True)
class PotentialSpec:
    """A potential before it is loaded; small enough to be sent to all ranks.

    file: file of the weights, None for published ones. options: keyword arguments of an ASE calculator. mark: hash of all
    of these and of the weights.
    """

    name: str
    model: str
    charge_aware: bool
    file: Path | None
    options: dict[str, Any]
    mark: str

    def load(self, labels: Labels) -> "LabelledCalculator":
        """The calculator. Raises RedoxError if the potential is not installed, or if its weights lack a symbol of the labels."""
        from .potential import load_potential

        return load_potential(self.model, self.file, labels, self.charge_aware, self.options)


def specify(
    source: InputFile, given: PotentialInput | TrainedPotentialInput, name: str = "potential", weights: Path | None = None
) -> PotentialSpec:
    """The specification of a potential in the input. weights: a file to use instead of the one in the input.

    Raises OSError if the file cannot be read.
    """
    file = weights or (source.resolve(given.file) if given.file else None)
    options = given.options if isinstance(given, PotentialInput) else {}
    mark = fingerprint(given.model, given.charge_aware, options, file_hash(file) if file else "as published")
    return PotentialSpec(name, given.model, given.charge_aware, file, options, mark)
