"""What an input says of a potential, with the hash of all that its energies depend on."""

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
    """A potential before it is loaded; small, so that it can be sent to all ranks.

    file: its weights, None for published ones; options: keyword arguments of an ASE calculator; mark: hash of all of these.
    """

    name: str
    model: str
    charge_aware: bool
    file: Path | None
    options: dict[str, Any]
    mark: str

    def load(self, labels: Labels) -> "LabelledCalculator":
        """Raises RedoxError if the potential is not installed, or its weights do not fit the labels."""
        from .potential import load_potential

        return load_potential(self.model, self.file, labels, self.charge_aware, self.options)


def specify(
    source: InputFile, given: PotentialInput | TrainedPotentialInput, name: str = "potential", weights: Path | None = None
) -> PotentialSpec:
    """The potential that an input names, with its weights hashed. weights: a file to use instead of the one in the input.

    Raises OSError if the file cannot be read.
    """
    file = weights or (source.resolve(given.file) if given.file else None)
    options = given.options if isinstance(given, PotentialInput) else {}
    mark = fingerprint(given.model, given.charge_aware, options, file_hash(file) if file else "as published")
    return PotentialSpec(name, given.model, given.charge_aware, file, options, mark)
