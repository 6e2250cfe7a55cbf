"""Slots of the sampling: which ensemble is sampled at which rung of the temperature ladder."""

from dataclasses import dataclass
from enum import StrEnum


class EnsembleKind(StrEnum):
    """Ensemble of a slot. The values are those of the input key `ensemble` and of the sample files."""

    FIXED_COMPOSITION = "canonical"
    SEMIGRAND = "semigrand"
    VCSGC = "vcsgc"

    @property
    def group(self) -> str:
        """Name of its group in results.h5, in which `canonical` holds F(T, x), whatever ensemble it comes from."""
        return "fixed_composition" if self is EnsembleKind.FIXED_COMPOSITION else self.value


@dataclass(frozen=True)
class Slot:
    """One replica: a rung of the temperature ladder and an ensemble. `walkers` independent chains sample it.

    index: place on the axis of its kind (window, composition or point of the chemical potentials); n_expected: count of the ion
    where it should be found.
    """

    rung: int
    kind: EnsembleKind
    index: int
    n_expected: float
