"""Tables of the phases as objects, of their energies above the hull, of the lines between them, and of voltage plateaus."""

import numpy as np

from ..runtime.results.electrochemistry import Voltage
from ..runtime.results.phases import Phases
from .page import Table

EACH_LINE_AT = 12  # points of a line that are listed, at most
MOST_TEMPERATURES = 5  # of the energies above the hull


def phase_tables(found: Phases | None) -> list[Table]:
    if found is None:
        return []
    return [table for table in (_phases(found), _above_hull(found), _lines(found)) if table.rows]


def _phases(found: Phases) -> Table:
    rows = [
        [
            str(name),
            f"{found.limit_K[k]:.0f}" if np.isfinite(found.limit_K[k]) else "–",
            f"{found.closure_kT[k]:+.2f} ± {found.closure_kT_error[k]:.2f}" if np.isfinite(found.closure_kT[k]) else "–",
            f"{found.stable[k].mean():.0%}",
        ]
        for k, name in enumerate(found.name)
    ]
    caption = (
        f"Method: {found.method}. Limit: of metastability, up to which chains stay in an ordered phase, and down to which "
        "they stay in the disordered one. Closure: from one anchor to another, of the whole cell. Stable: share of the points."
    )
    return Table("Grand potentials of the phases", ["phase", "limit (K)", "closure (kT)", "stable"], rows, caption)


def _above_hull(found: Phases) -> Table:
    """Of each phase where it is lowest, at a few temperatures."""
    number = len(found.temperature_K)
    chosen = np.unique(np.rint(np.linspace(0, number - 1, min(number, MOST_TEMPERATURES))).astype(int))
    rows = [[str(name), *(_lowest(found, k, row) for row in chosen)] for k, name in enumerate(found.name)]
    columns = ["phase", *(f"{found.temperature_K[row]:.0f} K" for row in chosen)]
    caption = (
        "Least F above the hull of all phases (meV/fu), and x there. 0: stable at some x. –: chains do not stay in the phase, "
        "or its free energy is not known."
    )
    return Table("Energies above the hull at temperature", columns, rows, caption)


def _lowest(found: Phases, phase: int, row: int) -> str:
    above, error = found.energy_above_hull_eV[phase, row], found.energy_above_hull_eV_error[phase, row]
    if not np.isfinite(above).any():
        return "–"
    at = int(np.nanargmin(above))
    if above[at] <= 0:
        return "0"
    return f"{1e3 * above[at]:.2f} ± {1e3 * error[at]:.2f} (x = {found.x[phase, row, at]:.3f})"


def plateau_tables(voltage: Voltage | None) -> list[Table]:
    if voltage is None or voltage.plateau is None or not len(voltage.plateau.x):
        return []
    p = voltage.plateau
    rows = [
        [f"{t:g}", f"{low:.4f}", f"{high:.4f}", f"{v:.4f} ± {e:.4f}"]
        for t, (low, high), v, e in zip(p.temperature_K, p.x, p.voltage_V, p.voltage_V_error)
    ]
    caption = "Two-phase regions of the phase diagram, at the sampled temperatures."
    return [Table("Voltage plateaus", ["T (K)", "low x", "high x", "voltage (V)"], rows, caption)]


def _lines(found: Phases) -> Table:
    line, rows = found.line, []
    pairs = np.column_stack([line.low_phase, line.high_phase])
    for low, high in np.unique(pairs, axis=0):
        mine = np.flatnonzero((pairs == (low, high)).all(axis=1))
        for k in mine[np.unique(np.rint(np.linspace(0, len(mine) - 1, min(len(mine), EACH_LINE_AT))).astype(int))]:
            x = [f"{line.x[k, side]:.4f} ± {line.x_error[k, side]:.4f}" for side in (0, 1)]
            shift = line.x_size_shift[k]
            rows.append([
                f"{found.name[low]} – {found.name[high]}",
                f"{line.temperature_K[k]:.1f} ± {line.temperature_K_error[k]:.1f}",
                *x,
                f"{line.temperature_K_size_shift[k]:+.1f}, {shift[0]:+.4f}, {shift[1]:+.4f}" if np.isfinite(shift).all() else "–",
            ])  # fmt: skip
    caption = "Shift: T (K) and both x in the smaller cell, less those in this one; –: the line is not seen there."
    return Table("First-order lines between the phases", ["phases", "T (K)", "low x", "high x", "shift by size"], rows, caption)
