"""Checks of the energies of a data set: eV of the whole cell, from one method, over the compositions to be sampled."""

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import VACANCY, Lattice
from ...potentials.dataset import DataSet

Float = NDArray[np.float64]
SCALES = 3.0  # the wrong reading of the energies must fit better by this factor
FAR_EV, FAR_SPREADS = 1.0, 20.0  # per formula unit from the cells of the same composition, and in units of their spread
WIDEST_EV = 3.0  # spread per formula unit of the arrangements of one composition
WIDEST_GAP = 0.26  # in x, to the nearest cell


def energy_problems(data: DataSet, lattice: Lattice) -> list[str]:
    """Signs of a wrong unit, reference or size. Empty for energies that a calculation can give."""
    cell_energies = data.energies_eV * data.n_formula_units
    counts = _composition(data, lattice)
    sizes = np.unique(data.n_formula_units)
    residual = data.energies_eV - _trend(counts, data.energies_eV)
    spread = 1.4826 * float(np.median(np.abs(residual)))
    if len(sizes) > 1 and len(data.cells) > counts.shape[1] + 1:
        as_given = np.abs(cell_energies - _trend(counts, cell_energies)).mean()
        if SCALES * as_given < np.abs(residual).mean():
            return [
                f"the energies do not grow with the cells, which have {sizes[0]} to {sizes[-1]} formula units: "
                "found energies per atom or per formula unit; allowed: eV of the whole cell"
            ]
    if spread > WIDEST_EV:
        return [
            f"cells of one composition differ by {spread:.3g} eV per formula unit; "
            "allowed: eV of the whole cell (meV? divide by 1000)"
        ]
    far = np.flatnonzero(np.abs(residual) > max(FAR_EV, FAR_SPREADS * spread))
    said = ", ".join(f"{data.names[k]} ({residual[k]:+.1f})" for k in far[:3]) + (
        f" and {len(far) - 3} more" if len(far) > 3 else ""
    )
    return [
        f"energies that differ by several eV per formula unit from those of the other cells: {said}; "
        "correct their unit or reference, or leave them out"
    ] * bool(len(far))


def _composition(data: DataSet, lattice: Lattice) -> Float:
    """(cells, 1 + symbols): a column of ones, and the atoms of each symbol of the sublattices per formula unit."""
    symbols = sorted({sp.symbol for sp in lattice.species if sp.name != VACANCY})
    return np.stack([np.ones(len(data.cells)), *(data.fraction(s) for s in symbols)], axis=1)


def _trend(columns: Float, values: Float) -> Float:
    """Fit of least absolute deviations, which a few wrong values do not change, by reweighted least squares."""
    weight = np.ones(len(values))
    for _ in range(50):
        found = columns @ np.linalg.lstsq(columns * weight[:, None], values * weight, rcond=None)[0]
        deviation = np.abs(values - found)
        weight = 1 / np.sqrt(np.maximum(deviation, 1e-6 * max(float(np.median(deviation)), 1e-9)))
    return np.asarray(found)


def unseen(x: Float, wanted: Float) -> str | None:
    """Those of the `wanted` compositions that are farther than WIDEST_GAP from all data, in words. x: of the data."""
    far = wanted[np.abs(wanted[:, None] - x[None]).min(axis=1) > WIDEST_GAP]
    return f"x = {far.min():.3g} to {far.max():.3g}" if len(far) else None
