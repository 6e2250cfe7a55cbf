"""Experimental points in the phase diagram."""

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...runtime.results.experiment import ExperimentalPoints
from ..experiment import KINDS
from .style import plain

MARKERS = "soPXp"  # one for each label, none of them that of an invariant point
FILLS = dict(zip(KINDS, ("full", "none", "left")))


def draw_experiment(axes: Axes, group: ExperimentalPoints) -> None:
    """Draw the points with their errors; filled: boundary, open: one phase, half: two phases. Extends the range of T."""
    for marker, label in zip(cycle(MARKERS), dict.fromkeys(group.label.tolist())):
        for kind, fill in FILLS.items():
            mine = (group.label == label) & (group.kind == kind)
            if mine.any():
                x, t, x_error, t_error = (
                    group.x[mine],
                    group.temperature_K[mine],
                    group.x_error[mine],
                    group.temperature_K_error[mine],
                )
                axes.errorbar(
                    x, t, t_error, x_error, fmt="none", elinewidth=0.6, capsize=2.5, ecolor="0.25", zorder=6, clip_on=False
                )
                look: Any = {"ms": 4.5, "mew": 0.8, "mfcalt": "white", "fillstyle": fill, "zorder": 6, "clip_on": False}
                axes.plot(x, t, marker, color="k", label=f"{plain(label)}, {kind}", **look)
    low, high = axes.get_ylim()
    margin = 0.04 * (high - low)
    t = group.temperature_K
    axes.set_ylim(min(low, np.min(t) - margin), max(high, np.max(t) + margin))
