"""Results of older layouts, made into those of the present one. The only place that knows what older files look like."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYOUT = 7  # of the groups, their names and the random numbers of an analysis: an analysis of another layout is redone

RENAMED = {
    "mixing_free_energy_eV_couplings": "mixing_free_energy_eV_fit_uncertainty",
    "boundary_x_couplings": "boundary_x_fit_uncertainty",
    "invariant_temperature_K_couplings": "invariant_temperature_K_fit_uncertainty",
}  # in layout 5


MASKS = ("grand_potential_trusted", "x_from_free_energy_trusted")  # since layout 6


@dataclass(frozen=True)
class Stored:
    """A group as it is in the file: arrays and attributes by name."""

    arrays: dict[str, NDArray[Any]]
    attributes: dict[str, Any]


def migrated(groups: dict[str, Stored]) -> dict[str, Stored]:
    """The groups of a file of any layout, in the present one.

    Values that an older layout did not have are nan, and nothing is trusted of which it did not say so.
    """
    return {name: Stored(_migrated(name, group.arrays), group.attributes) for name, group in groups.items()}


def _migrated(group: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    arrays = {RENAMED.get(name, name): values for name, values in arrays.items()}
    if group.startswith("phase_diagram") and "invariant_height_vanishes_K" not in arrays:  # layouts 1 and 2
        arrays["invariant_height_vanishes_K"] = np.full((len(arrays["invariant_kind"]), 2), np.nan)
    if group == "exchange" and "pair_temperature_K" not in arrays:  # layouts 1 and 2
        arrays["pair_temperature_K"] = np.full((len(arrays["pair"]), 2), np.nan)
    if group == "semigrand" and "grand_potential_eV" in arrays:  # layouts up to 5 had no masks here
        for name in MASKS:
            arrays.setdefault(name, np.zeros(arrays["grand_potential_eV"].shape, bool))
    return arrays
