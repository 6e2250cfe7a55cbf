"""What all figures share: sizes of a journal's columns, colours, a legend beside the data, marks of what is not trusted, and how they are written."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...runtime.results import Group

COLUMN_IN, PAGE_IN = 3.375, 7.0  # 86 and 178 mm: one column and two of a journal
PALETTE = ("#3540D6", "#A63A08", "#00734F", "#E0559F", "#C58A00", "#2898F0", "#000000")  # after Okabe and Ito, further apart
SERIES = PALETTE[:-1]  # of what is many; black is for what is compared with it
STYLE: Any = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"], "font.size": 8, "axes.labelsize": 8,
    "axes.titlesize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.title_fontsize": 7,
    "legend.frameon": False, "legend.handlelength": 1.6, "lines.linewidth": 1.1, "lines.markersize": 3.5, "axes.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5, "savefig.dpi": 300, "figure.constrained_layout.use": True,
    "svg.fonttype": "none", "svg.hashsalt": "redoxmc",
}  # fmt: skip
MOST_CURVES = 8  # told apart in one panel, by all eyes


def one_column(height_in: float = 2.5) -> tuple[Figure, Axes]:
    """One panel, as wide as a column."""
    return plt.subplots(figsize=(COLUMN_IN, height_in))


def side_by_side(panels: int, height_in: float = 2.7, rows: int = 1, **shared: Any) -> tuple[Figure, NDArray[Any]]:
    """Panels (rows, panels) over both columns; one alone in one."""
    return plt.subplots(rows, panels, figsize=(PAGE_IN if panels > 1 else COLUMN_IN, height_in), squeeze=False, **shared)


def legend_above(figure: Figure) -> None:
    """One legend for all panels, above them, so that it covers no data; in as few rows as its figure is wide enough for."""
    entries = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    for rows in range(1, len(entries) + 1):
        columns = -(-len(entries) // rows)
        legend = figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=columns, columnspacing=1.0)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def save_figures(figures: Mapping[str, tuple[Callable[[], Figure | None], str]], folder: Path) -> dict[str, str]:
    """Draw and write as PNG and SVG what there is data for; returns name -> caption."""
    folder.mkdir(parents=True, exist_ok=True)
    captions: dict[str, str] = {}
    with plt.rc_context(STYLE):
        for name, (draw, caption) in figures.items():
            figure = draw()
            if figure is not None:
                lay_out(figure)
                figure.savefig(folder / f"{name}.png")
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                plt.close(figure)
                captions[name] = caption
    return captions


def lay_out(figure: Figure) -> None:
    """Place everything once, for both formats."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def rows_asked(group: Group) -> NDArray[np.int64]:
    """Rows of the temperatures asked for; spread over them where they are more than MOST_CURVES."""
    rows = np.flatnonzero(group["asked"]) if "asked" in group else np.arange(len(group["temperature_K"]))
    return spread_over(rows, MOST_CURVES)


def spread_over(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of them, the first and the last among them."""
    return rows[np.unique(np.rint(np.linspace(0, len(rows) - 1, min(most, len(rows)))).astype(int))]


def colour_of(k: int, n: int) -> Any:
    """Of curve k of n, from cold to hot."""
    return plt.get_cmap("viridis")(0.9 * k / max(n - 1, 1))


def hatch_untrusted(axes: Axes, x: NDArray[np.float64], trusted: Any, label: str | None = None) -> None:
    """Hatch the stretches of x where nothing drawn is trusted at some temperature."""
    edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    for k in np.flatnonzero(~trusted):
        axes.axvspan(edges[k], edges[k + 1], facecolor="none", edgecolor="0.75", hatch="////", linewidth=0, zorder=0, label=label)
        label = None


def draw_curves(groups: dict[str, Group], source: str, name: str, scale: float = 1.0) -> tuple[Figure, Axes]:
    """A quantity of a group over x at the temperatures asked for, with bands of two standard errors; dotted where not trusted."""
    group, canonical = groups[source], groups["canonical"]
    figure, axes = one_column()
    rows, x = rows_asked(canonical), group["x"]
    for k, row in enumerate(rows):
        value, error, trusted = scale * group[name][row], scale * group[f"{name}_error"][row], canonical["trusted"][row]
        plot_trusted(axes, x, value, trusted, colour_of(k, len(rows)), f"{group['temperature_K'][row]:g} K")
        axes.fill_between(x, value - 2 * error, value + 2 * error, color=colour_of(k, len(rows)), alpha=0.25, lw=0)
    if not canonical["trusted"][rows].all():
        axes.plot([], [], ":", color="0.3", lw=0.8, label="not trusted")
    axes.set(xlabel="x (ions per formula unit)")
    legend_above(figure)
    return figure, axes


def plot_trusted(axes: Axes, x: Any, value: NDArray[np.float64], trusted: NDArray[np.bool_], colour: Any, label: str) -> None:
    """A curve, dotted where it is not trusted."""
    axes.plot(x, value, ":", color=colour, lw=0.8)
    axes.plot(x, np.where(trusted, value, np.nan), color=colour, label=label)


def rung_ticks(axes: Axes, temperature_K: NDArray[np.float64], most: int = 10) -> None:
    """Rows 0, 1, ... of a map by their temperatures, no more of them than can be read."""
    rows = spread_over(np.arange(len(temperature_K)), most)
    axes.set_yticks(rows, [f"{temperature_K[row]:.0f}" for row in rows])


def plain(text: str) -> str:
    """Words of a user, which matplotlib is not to read as mathematics."""
    return text.replace("$", r"\$")
