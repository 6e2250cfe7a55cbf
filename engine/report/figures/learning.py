"""The learning curve: errors and changes after each round of labels."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...runtime.results import Results
from .style import PALETTE, side_by_side


def learning_curve(results: Results, fit: dict[str, Any] | None) -> Figure | None:
    if fit is None or "learning" not in fit:
        return None
    rounds = fit["learning"]["rounds"]
    labels = [r["labels"] for r in rounds]
    figure, panels = side_by_side(2, 3.1)
    errors = [np.array(r["error_eV"], float) for r in rounds]
    in_energy = (
        ([np.nanmax(e) for e in errors], "visited states, worst T and x", "s"),
        ([np.nanmedian(e) for e in errors], "visited states, median", "o"),
        ([r["validation_rmse_eV"] for r in rounds], "validation", "D"),
        ([r["band_eV"] for r in rounds], "largest fit uncertainty of the mixing free energy", "^"),
    )
    in_x = (
        ([r["moved_x"] for r in rounds], "change by the labels of the round", "v"),
        ([r["band_x"] for r in rounds], "fit uncertainty", "p"),
    )
    colours = iter(PALETTE)
    for panel, curves, scale, quantity in (
        (panels[0, 0], in_energy, 1e3, "error (meV/fu)"),
        (panels[0, 1], in_x, 1.0, "phase boundaries, mean in x"),
    ):
        for values, words, mark in curves:
            panel.plot(labels, scale * np.array(values, float), f"-{mark}", lw=0.9, color=next(colours), label=words)
        panel.set(xlabel="labels", ylabel=quantity, ylim=(0, None))
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3)
    return figure
