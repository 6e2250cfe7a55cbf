"""Shared by all figures: column widths, colours, legends, marks of results that are not trusted, files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ...runtime.results.canonical import Canonical

Float = NDArray[np.float64]
COLUMN_IN, PAGE_IN = 3.375, 7.0  # 86 and 178 mm: one column and two of a journal
PALETTE = ("#3540D6", "#A63A08", "#00734F", "#E0559F", "#C58A00", "#2898F0", "#000000")  # after Okabe and Ito, further apart
SERIES = PALETTE[:-1]  # black is for what a series is compared with
STYLE: Any = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"], "font.size": 8, "axes.labelsize": 8,
    "axes.titlesize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.title_fontsize": 7,
    "legend.frameon": False, "legend.handlelength": 1.6, "lines.linewidth": 1.1, "lines.markersize": 3.5, "axes.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5, "savefig.dpi": 300, "figure.constrained_layout.use": True,
    "svg.fonttype": "none", "svg.hashsalt": "redoxmc",
}  # fmt: skip
LAID_OUT: Any = {"figure.constrained_layout.use": False}
MOST_CURVES = 8  # that can be distinguished in one panel


def one_column(height_in: float = 2.5) -> tuple[Figure, Axes]:
    """A figure of one panel, one column wide."""
    return plt.subplots(figsize=(COLUMN_IN, height_in))


def side_by_side(panels: int, height_in: float = 2.7, rows: int = 1, **shared: Any) -> tuple[Figure, NDArray[Any]]:
    """A figure of panels (rows, panels), two columns wide; a single panel is one column wide."""
    return plt.subplots(rows, panels, figsize=(PAGE_IN if panels > 1 else COLUMN_IN, height_in), squeeze=False, **shared)


def legend_above(figure: Figure, more: Sequence[Line2D] = ()) -> None:
    """One legend for all panels above them, in as few rows as fit, in place of an earlier one; more: further entries."""
    for legend in list(figure.legends):
        legend.remove()
    entries: dict[Any, Any] = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    entries |= {line.get_label(): line for line in more}
    for rows in range(1, len(entries) + 1):
        columns = -(-len(entries) // rows)
        legend = figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=columns, columnspacing=1.0)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def save_figures(figures: Mapping[str, tuple[Callable[[], Figure | None], str]], folder: Path) -> dict[str, str]:
    """Draw the figures for which there are data and write them as PNG and SVG; return name -> caption."""
    folder.mkdir(parents=True, exist_ok=True)
    captions: dict[str, str] = {}
    with plt.rc_context(STYLE):
        for name, (draw, caption) in figures.items():
            figure = draw()
            if figure is not None:
                lay_out(figure)
                with plt.rc_context(LAID_OUT):
                    figure.savefig(folder / f"{name}.png")
                    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                plt.close(figure)
                captions[name] = caption
    return captions


def lay_out(figure: Figure) -> None:
    """Fix the layout once, for both formats."""
    figure.draw_without_rendering()
    with plt.rc_context(LAID_OUT):
        figure.set_layout_engine(None)  # "none" would leave a placeholder, with which every format is drawn twice


def rows_asked(canonical: Canonical) -> NDArray[np.int64]:
    """Rows of the temperatures given by the user, at most MOST_CURVES of them."""
    return spread_over(np.flatnonzero(canonical.asked), MOST_CURVES)


def spread_over(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of the rows, evenly spaced, with the first and the last."""
    return rows[np.unique(np.rint(np.linspace(0, len(rows) - 1, min(most, len(rows)))).astype(int))]


def colour_of(k: int, n: int) -> Any:
    """Colour of curve k of n, from cold to hot."""
    return plt.get_cmap("viridis")(0.9 * k / max(n - 1, 1))


def hatch_untrusted(axes: Axes, x: NDArray[np.float64], trusted: Any, label: str | None = None) -> None:
    """Hatch the intervals of x that are not trusted."""
    edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    for k in np.flatnonzero(~trusted):
        axes.axvspan(edges[k], edges[k + 1], facecolor="none", edgecolor="0.75", hatch="////", linewidth=0, zorder=0, label=label)
        label = None


def draw_curves(canonical: Canonical, values: Float, errors: Float, scale: float = 1.0) -> tuple[Figure, Axes]:
    """Values (temperatures, x) at the temperatures given by the user, with two standard errors; dotted if not trusted."""
    figure, axes = one_column()
    rows, x = rows_asked(canonical), canonical.x
    for k, row in enumerate(rows):
        value, error = scale * values[row], scale * errors[row]
        plot_trusted(axes, x, value, canonical.trusted[row], colour_of(k, len(rows)), f"{canonical.temperature_K[row]:g} K")
        axes.fill_between(x, value - 2 * error, value + 2 * error, color=colour_of(k, len(rows)), alpha=0.25, lw=0)
    if not canonical.trusted[rows].all():
        axes.plot([], [], ":", color="0.3", lw=0.8, label="not trusted")
    axes.set(xlabel="x (ions per formula unit)")
    legend_above(figure)
    return figure, axes


def plot_trusted(axes: Axes, x: Any, value: NDArray[np.float64], trusted: NDArray[np.bool_], colour: Any, label: str) -> None:
    """A curve, dotted where it is not trusted."""
    axes.plot(x, value, ":", color=colour, lw=0.8)
    axes.plot(x, np.where(trusted, value, np.nan), color=colour, label=label)


def rung_ticks(axes: Axes, temperature_K: NDArray[np.float64], most: int = 10) -> None:
    """Label rows 0, 1, ... of a map with their temperatures, at most `most` of them."""
    rows = spread_over(np.arange(len(temperature_K)), most)
    axes.set_yticks(rows, [f"{temperature_K[row]:.0f}" for row in rows])


def plain(text: str) -> str:
    """Text of the user, protected from matplotlib's mathematics."""
    return text.replace("$", r"\$")
