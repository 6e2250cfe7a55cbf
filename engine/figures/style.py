"""What all figures share: colours, marks of what is not trusted, a panel of curves, and how they are written."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..results import Group

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito, colour-blind safe
STYLE: Any = {
    "figure.figsize": (6.0, 4.2), "figure.dpi": 110, "savefig.dpi": 150, "font.size": 10, "axes.grid": True,
    "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "redoxmc",
}  # fmt: skip


def save_figures(figures: Mapping[str, tuple[Callable[[], Figure | None], str]], folder: Path) -> dict[str, str]:
    """Draw and write as PNG and SVG what there is data for; returns name -> caption."""
    folder.mkdir(parents=True, exist_ok=True)
    captions: dict[str, str] = {}
    with plt.rc_context(STYLE):
        for name, (draw, caption) in figures.items():
            figure = draw()
            if figure is not None:
                if figure.get_layout_engine() is None:
                    figure.tight_layout()
                figure.savefig(folder / f"{name}.png")
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                plt.close(figure)
                captions[name] = caption
    return captions


def plain(text: str) -> str:
    """As it stands, for labels: no formula between dollar signs."""
    return text.replace("$", r"\$")


def rows_asked(group: Group) -> NDArray[np.int64]:
    """Rows of the temperatures asked for."""
    return np.flatnonzero(group["asked"]) if "asked" in group else np.arange(len(group["temperature_K"]))


def colour_of(k: int, n: int) -> Any:
    return plt.get_cmap("viridis")(0.92 * k / max(n - 1, 1))


def hatch_untrusted(axes: Axes, x: NDArray[np.float64], trusted: Any, label: str | None = None) -> None:
    """Hatch the stretches of x where nothing drawn is trusted at some temperature."""
    edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    for k in np.flatnonzero(~trusted):
        axes.axvspan(edges[k], edges[k + 1], facecolor="none", edgecolor="0.75", hatch="////", linewidth=0, zorder=0, label=label)
        label = None


def draw_curves(groups: dict[str, Group], source: str, name: str, scale: float = 1.0) -> tuple[Figure, Axes]:
    """A quantity of a group over x at the temperatures asked for, with bands of two standard errors; untrusted x hatched."""
    group, canonical = groups[source], groups["canonical"]
    figure, axes = plt.subplots()
    rows, x = rows_asked(canonical), group["x"]
    for k, row in enumerate(rows):
        value, error = scale * group[name][row], scale * group[f"{name}_error"][row]
        axes.plot(x, value, color=colour_of(k, len(rows)), lw=1.4, label=f"{group['temperature_K'][row]:g} K")
        axes.fill_between(x, value - 2 * error, value + 2 * error, color=colour_of(k, len(rows)), alpha=0.25)
    hatch_untrusted(axes, x, canonical["trusted"][rows].all(axis=0), "not trusted at some T")
    axes.set(xlabel="x (ions per formula unit)")
    axes.legend(fontsize=8)
    return figure, axes
