"""Figures of the report, from results that are open."""

from os import PathLike

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.report.figures.diagram import phase_diagram
from redoxmc.engine.report.figures.style import STYLE
from redoxmc.engine.runtime.results import Group, group_classes
from redoxmc.engine.runtime.results.schema import build

from ._opening import open_results


def plot_phase_diagram(results: xr.DataTree | str | PathLike[str]) -> Figure:
    """The phase diagram as the report has it: two-phase regions with the errors of their boundaries, untrusted parts hatched.

    results: of `open_results`, or a path for it. Raises RedoxError if they hold no phase diagram.

    >>> figure = plot_phase_diagram("outputs/tutorial/ising")
    >>> figure.axes[0].get_ylabel()
    'temperature (K)'
    """
    tree = results if isinstance(results, xr.DataTree) else open_results(results)
    with plt.rc_context(STYLE):
        figure = phase_diagram({name: group_of(name, node.to_dataset()) for name, node in tree.children.items()}, None)
    if figure is None:
        raise RedoxError("these results have no phase diagram")
    return figure


def group_of(name: str, dataset: xr.Dataset) -> Group:
    """The group that a node of results was made of."""
    return build(group_classes()[name], {str(key): v.values for key, v in dataset.variables.items()}, dataset.attrs)
