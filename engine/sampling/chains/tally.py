"""The tally of attempted moves between counts of the ion, and the ends of composition from which its energies are counted."""

import numpy as np

from ....kernels.layout import Tally
from .system import System

TALLY_UNIT_NEV_PER_FU = 1.0


def empty_tally(system: System) -> Tally:
    """A tally of zeros. Its excess energy is counted from the straight line between the ends of composition."""
    low, high, e_low, e_high = end_energies(system)
    slope = (e_high - e_low) / (high - low) if high > low else 0.0
    unit = TALLY_UNIT_NEV_PER_FU * system.n_formula_units
    return Tally(np.zeros((high + system.step + 1, 6), np.int64), float(e_low - slope * low), slope, unit)


def end_energies(system: System) -> tuple[int, int, int, int]:
    """Lowest and highest count of the ion, and the energy (neV) of a state at each."""
    return *system.n_range, *system.end_energies_neV
