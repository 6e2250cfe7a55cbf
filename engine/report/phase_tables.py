"""Tables of the phases as objects and of the first-order lines between them."""

import numpy as np

from ..runtime.results.phases import Phases
from .page import Table

EACH_LINE_AT = 12  # points of a line that are listed, at most


def phase_tables(found: Phases | None) -> list[Table]:
    if found is None:
        return []
    return [table for table in (_phases(found), _lines(found)) if table.rows]


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
