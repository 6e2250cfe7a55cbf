"""Charge-labelled data sets: relaxed cells mapped to the lattice."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..crystal.lattice import Lattice
from ..errors import RedoxError
from .calculations import label_calculation, read_calculations
from .labels import labels_of
from .site_mapping import SiteMapping


@dataclass(frozen=True)
class DataSet:
    """Labelled cells on ideal positions, with the symbols of the species and vacancies as X.

    energies_eV (cells,): energies per formula unit. n_formula_units (cells,).
    """

    cells: tuple[Atoms, ...]
    names: tuple[str, ...]
    energies_eV: NDArray[np.float64]
    n_formula_units: NDArray[np.int64]

    def fraction(self, symbol: str) -> NDArray[np.float64]:
        """Number (cells,) of atoms with this symbol per formula unit."""
        counts = [list(c.symbols).count(symbol) for c in self.cells]
        return np.array(counts) / self.n_formula_units


def read_relaxed(paths: list[Path], lattice: Lattice) -> tuple[list[Atoms], list[str]]:
    """Labelled relaxed cells, the last step of each calculation, and messages why other frames are refused.

    Charge states are those of the proxies, or are assigned from moments and bond lengths. Raises RedoxError, with the names of
    file and frame, if a frame cannot be an occupation of the lattice, or if no frame can be used.
    """
    labels, frames, refusals = labels_of(lattice), [], []
    for path in paths:
        found = read_calculations(path, every_step=False)
        if not found:
            raise RedoxError(f"the data set {path.name} is empty")
        if unread := [c for c in found if c.atoms is None]:
            raise RedoxError(f"{unread[0].file.name}: {unread[0].left_out}")
        wrong = [message for k, c in enumerate(found) if c.atoms and (message := _frame_problem(c.atoms, lattice, k))]
        if wrong:
            more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise RedoxError(f"{path.name}: " + "; ".join(wrong[:5]) + more)
        labelled = [label_calculation(c, labels) for c in found]
        frames += [f.atoms for f in labelled if f.atoms is not None]
        refusals += [f"{f.calculation.described}: {f.left_out}" for f in labelled if f.left_out]
    if not frames:
        raise RedoxError("no frame of the data set can be used: " + "; ".join(refusals[:3]))
    return frames, refusals


def _frame_problem(frame: Atoms, lattice: Lattice, number: int) -> str | None:
    name = frame.info.get("config", f"number {number + 1}")
    charge_of = dict(lattice.spectators)
    charge_of |= {sp.symbol: sp.charge for sp in lattice.species}
    elements = {sp.element for sp in lattice.species}
    counts = Counter(frame.get_chemical_symbols())
    if unknown := sorted(set(counts) - set(charge_of) - elements):
        return f"frame {name}: found {', '.join(unknown)}; allowed: {', '.join(sorted(set(charge_of) - {'X'}))}"
    if frame.calc is None or not np.isfinite(frame.calc.results.get("energy", np.nan)):
        return f"frame {name} has no energy"
    if not np.isfinite(frame.cell).all() or not np.isfinite(frame.positions).all():
        return f"frame {name} has lengths that are not finite"
    if not frame.pbc.all() or frame.cell.rank < 3 or frame.get_volume() < len(frame):  # A^3
        return f"frame {name} is not periodic in three directions"
    proxied = [sp for sp in lattice.species if sp.symbol != sp.element]
    labelled = any(sp.symbol in counts for sp in proxied) or not any(sp.element in counts for sp in proxied)
    if labelled and set(counts) <= set(charge_of) and (charge := sum(charge_of[s] * n for s, n in counts.items())):
        return f"frame {name} ({frame.get_chemical_formula()}) has charge {charge:+d}, not 0"
    host = Counter(lattice.atoms.get_chemical_symbols())
    ratios = {counts[s] / host[s] for s in lattice.spectators}
    if len(ratios) > 1 or any(r != round(r) for r in ratios):
        return f"frame {name} ({frame.get_chemical_formula()}) is not a whole number of cells of the lattice"
    return None


def map_to_lattice(frames: list[Atoms], lattice: Lattice) -> DataSet:
    """The data set on ideal positions. Raises RedoxError if an atom is too far from every site that it may occupy."""
    mapped, cells = SiteMapping(lattice), []
    for k, frame in enumerate(frames):
        try:
            cells.append(mapped(frame))
        except RedoxError as error:
            raise RedoxError(f"frame {frame.info.get('config', f'number {k + 1}')}: {error}") from None
    per_cell = len(lattice.atoms) / lattice.n_formula_units
    units = np.array([round(len(c) / per_cell) for c in cells])
    energies = np.array([f.get_potential_energy() for f in frames]) / units
    names = tuple(str(f.info.get("config", k + 1)) for k, f in enumerate(frames))
    return DataSet(tuple(cells), names, energies, units)
