"""Figures of the report, from opened results."""

from os import PathLike
from typing import Any

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.report.figures.diagram import phase_diagram
from redoxmc.engine.report.figures.style import STYLE
from redoxmc.engine.runtime.results import Attributes, Results, group_classes
from redoxmc.engine.runtime.results.build import build

from ._opening import open_results


def plot_phase_diagram(results: xr.DataTree | str | PathLike[str]) -> Figure:
    """Plot the phase diagram of the report: two-phase fields, transitions and names of the phases.

    results: from `open_results`, or a path for it. Raises RedoxError if they contain no phase diagram.

    >>> figure = plot_phase_diagram("outputs/tutorial/ising")
    >>> figure.axes[0].get_ylabel()
    'temperature (K)'
    """
    tree = results if isinstance(results, xr.DataTree) else open_results(results)
    with plt.rc_context(STYLE):
        figure = phase_diagram(results_of(tree), None)
    if figure is None:
        raise RedoxError("these results have no phase diagram")
    return figure


def results_of(tree: xr.DataTree) -> Results:
    """The typed groups that a tree of `open_results` was made from."""
    datasets = {name: node.to_dataset() for name, node in tree.children.items()}
    groups: dict[str, Any] = {
        name: build(group_classes()[name], {str(key): v.values for key, v in dataset.variables.items()}, dataset.attrs)
        for name, dataset in datasets.items()
    }
    return Results(build(Attributes, {}, {str(key): value for key, value in tree.attrs.items()}), **groups)
