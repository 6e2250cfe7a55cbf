"""What is measured on every snapshot, and means of it over independent chains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...crystal.structure_factor import Field, Waves, deviations, electron_field, ion_field
from ...sampling.chains.system import System
from .short_range import Shell, correlations, neighbour_shells

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """Measures the shares of all stars for each field, then the correlations in all shells; electrons: None without any."""

    system: System
    waves: Waves
    ions: Field
    electrons: Field | None
    shells: list[Shell]

    @property
    def fields(self) -> list[Field]:
        return [self.ions] if self.electrons is None else [self.ions, self.electrons]

    @property
    def quantities(self) -> int:
        return len(self.fields) * len(self.waves.star_size) + len(self.shells)

    def composition(self, states: NDArray[np.int8]) -> Float:
        """Ions per formula unit (k,) of states (k, n_sites)."""
        return np.array([self.system.count_ions(s)[0] for s in states]) / self.system.n_formula_units

    def measure(self, states: NDArray[np.int8]) -> Float:
        """(k, quantities) of states (k, n_sites); nan where something does not vary."""
        found = [deviations(f, self.system.supercell, states) for f in self.fields]
        return np.concatenate([*(self.waves.star_weights(d) for d in found), correlations(self.shells, found)], axis=1)

    def stars(self, values: Float, field: int) -> Float:
        """The part of values (..., quantities) that belongs to one field, (..., stars)."""
        n = len(self.waves.star_size)
        return values[..., field * n : (field + 1) * n]

    def correlations(self, values: Float) -> Float:
        """The part of values (..., quantities) that belongs to the shells, (..., shells)."""
        return values[..., len(self.fields) * len(self.waves.star_size) :]


def build_probe(system: System) -> Probe:
    """A probe of the first ion, and of the electrons where there are any."""
    assert system.ion is not None
    ions, electrons = ion_field(system.lattice, system.ion), electron_field(system.lattice)
    fields = [ions] if electrons is None else [ions, electrons]
    return Probe(system, Waves(system.supercell), ions, electrons, neighbour_shells(system.supercell, fields))


class ChainMeans:
    """Means over independent chains of quantities measured at (temperature, x), with the standard error from their scatter."""

    def __init__(self, shape: tuple[int, int], quantities: int) -> None:
        self.chains = np.zeros(shape, np.int64)
        self.total, self.squares = np.zeros((*shape, quantities)), np.zeros((*shape, quantities))

    def add(self, point: tuple[int, int], values: Float) -> None:
        """Add the mean over what one chain saw at a point, (snapshots, quantities)."""
        mean = values.mean(axis=0)
        self.chains[point] += 1
        self.total[point] += mean
        self.squares[point] += mean**2

    def mean_and_error(self) -> tuple[Float, Float]:
        """nan where nothing was seen; the error also where only one chain was."""
        n = self.chains[..., None].astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total / n
            error = np.sqrt(np.maximum(self.squares / n - mean**2, 0) / np.where(n > 1, n - 1, np.nan))
        return mean, error
