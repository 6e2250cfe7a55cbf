"""The learning curve: what every round of labels was worth."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..results import Group
from .style import PALETTE


def learning_curve(groups: dict[str, Group], fit: dict[str, Any] | None) -> Figure | None:
    if fit is None or "learning" not in fit:
        return None
    rounds = fit["learning"]["rounds"]
    labels = [r["labels"] for r in rounds]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2))
    errors = [np.array(r["error_eV"], float) for r in rounds]
    for values, words, mark in (
        ([np.nanmax(e) for e in errors], "of what is visited, worst T and x", "s"),
        ([np.nanmedian(e) for e in errors], "of what is visited, median", "o"),
        ([r["validation_rmse_eV"] for r in rounds], "validation", "D"),
        ([r["band_eV"] for r in rounds], "mixing free energy by the couplings, largest", "^"),
    ):
        left.plot(labels, 1e3 * np.array(values), f"-{mark}", ms=4, lw=1, label=words)
    left.set(xlabel="labels", ylabel="error (meV/fu)", title="Learning curve", ylim=(0, None))
    left.legend(fontsize=7)
    for values, words, color in (
        ([r["moved_x"] for r in rounds], "moved by the labels of the round", PALETTE[1]),
        ([r["band_x"] for r in rounds], "left open by all labels", PALETTE[0]),
    ):
        right.plot(labels, np.array(values, float), "-o", ms=4, lw=1, color=color, label=words)
    right.set(xlabel="labels", ylabel="mean over their points, in x", title="Phase boundaries", ylim=(0, None))
    right.legend(fontsize=7)
    return figure
