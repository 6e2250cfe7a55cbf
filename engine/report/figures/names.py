"""Names of phases in the diagram: each where its field has most room, upright or turned; by a number where there is none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from ...runtime.results.experiment import ExperimentalPoints
from ...runtime.results.phase_diagram import PhaseDiagram
from .fields import Line, Outline
from .style import legend_above

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
WIDE, HIGH = 300, 240  # pixels of the map of what is where
WINDOW = 31  # pixels: where less than half of such a window is trusted, nothing is resolved; single points do not matter
CENTRED = 25  # pixels from the edges of a field that are enough: beyond, a name is better in the middle
NAME, NUMBER, ROOMY = ((7, 3), (6, 3), (6, 1)), ((7, 0),), ((7, 3),)  # sizes of a text in pt and pixels around it
LEAST_HOLE = 0.03  # of the diagram: smaller parts without a field get no remark
TWO_PHASES, NOT_RESOLVED, TAKEN = -2, -1, -3
REMARK = "not resolved"


def short_names(names: list[str]) -> list[str]:
    """Formulas, and "disordered"; the whole name where two would be the same."""
    short = ["disordered" if n.startswith("disordered") else re.split(r", |; | \(", n)[0] for n in names]
    return [s if short.count(s) == 1 else n.replace(", ", "\n") for s, n in zip(short, names)]


def field_map(axes: Axes, diagram: PhaseDiagram, fields: list[Outline]) -> Int:
    """Number of the phase at every pixel (HIGH, WIDE) of the axes, from below; TWO_PHASES with their bands, NOT_RESOLVED."""
    from scipy.ndimage import distance_transform_edt, uniform_filter

    x, t = _pixels(axes)
    row = np.abs(t[:, None] - diagram.sampled_temperature_K).argmin(axis=1)
    column = np.abs(x[:, None] - diagram.x).argmin(axis=1)
    number = diagram.phase_number[np.ix_(row, column)].copy()
    for field in fields:
        inside = (t >= field.temperature_K[0]) & (t <= field.temperature_K[-1])
        band = field.x + field.error * [-1, 1]
        left, right = (np.interp(t, field.temperature_K, side)[:, None] for side in band.T)
        number[inside[:, None] & (x >= left) & (x <= right)] = TWO_PHASES
    nearest = distance_transform_edt(number < 0, return_distances=False, return_indices=True)
    resolved = uniform_filter((number != NOT_RESOLVED).astype(float), WINDOW, mode="nearest") > 0.5
    filled = np.where((number == NOT_RESOLVED) & resolved, number[tuple(nearest)], number)
    filled[~resolved & (number != TWO_PHASES)] = NOT_RESOLVED
    filled[(t < diagram.temperature_K[0]) | (t > diagram.temperature_K[-1])] = TAKEN
    return filled


@dataclass(frozen=True)
class Panel:
    """What is drawn in a panel, which names must not cover."""

    axes: Axes
    diagram: PhaseDiagram
    fields: list[Outline]
    lines: list[Line]
    measured: ExperimentalPoints | None


def name_phases(figure: Figure, panels: Sequence[Panel]) -> None:
    """Write names and legend. Room depends on the size of the axes, which depends on the numbers that the legend explains."""
    numbers: list[str] = []
    for _ in range(2):
        legend_above(figure, _entries(numbers))
        figure.draw_without_rendering()
        before, numbers = numbers, []
        for panel in panels:
            for text in list(panel.axes.texts):
                text.remove()
            _write_names(panel, numbers)
        if len(before) == len(numbers):
            break
    legend_above(figure, _entries(numbers))


def _entries(numbers: list[str]) -> list[Line2D]:
    """Of the legend, for the names that are numbered 1, 2, ..."""
    look: Any = {"ls": "", "ms": 4, "mew": 0, "color": "k"}
    return [Line2D([], [], marker=f"${k}$", label=name.replace("\n", ", "), **look) for k, name in enumerate(numbers, 1)]


def _write_names(panel: Panel, numbers: list[str]) -> None:
    """Write names, and one remark where the largest part is not resolved; a name without room is added to the numbers."""
    axes, free = panel.axes, field_map(panel.axes, panel.diagram, panel.fields)
    _take(axes, free, panel.lines, panel.measured)
    for k, name in enumerate(short_names(panel.diagram.phase_name.tolist())):
        if not (free == k).any() or _placed(axes, name, free == k, NAME):
            continue
        number = numbers.index(name) + 1 if name in numbers else len(numbers) + 1
        if _placed(axes, str(number), free == k, NUMBER) and number > len(numbers):
            numbers.append(name)
    if (free == NOT_RESOLVED).mean() > LEAST_HOLE:
        _placed(axes, REMARK, free == NOT_RESOLVED, ROOMY, color="0.45", style="italic")


def _pixels(axes: Axes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    (x0, x1), (t0, t1) = axes.get_xlim(), axes.get_ylim()
    return x0 + (np.arange(WIDE) + 0.5) / WIDE * (x1 - x0), t0 + (np.arange(HIGH) + 0.5) / HIGH * (t1 - t0)


def _take(axes: Axes, free: Int, lines: list[Line], measured: ExperimentalPoints | None) -> None:
    """Keep clear of lines and of measured points."""
    (x0, x1), (t0, t1) = axes.get_xlim(), axes.get_ylim()
    points = [(line.x, line.temperature_K, 2) for line in lines] + ([(measured.x, measured.temperature_K, 6)] if measured else [])
    for x, t, reach in points:
        columns, rows = np.rint((x - x0) / (x1 - x0) * WIDE).astype(int), np.rint((t - t0) / (t1 - t0) * HIGH).astype(int)
        for row, column in zip(rows, columns):
            free[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = TAKEN


def _placed(axes: Axes, text: str, room: Bool, tries: Sequence[tuple[int, int]], **style: Any) -> bool:
    """Write a text where it has most room, level or turned; False if there is none."""
    from scipy.ndimage import distance_transform_edt, minimum_filter

    depth = distance_transform_edt(np.pad(room, 1))[1:-1, 1:-1]
    middle = np.argwhere(room).mean(axis=0)
    off = np.hypot(*(np.indices(room.shape) - middle[:, None, None]))
    for (size_pt, margin), angle in product(tries, (0, 90)):
        artist: Text = axes.text(
            0.5,
            0.5,
            text,
            transform=axes.transAxes,
            ha="center",
            va="center",
            rotation=angle,
            fontsize=size_pt,
            zorder=5,
            **style,
        )
        box = artist.get_window_extent()
        height = int(box.height / axes.bbox.height * HIGH) + 2 * margin
        width = int(box.width / axes.bbox.width * WIDE) + 2 * margin
        fits = minimum_filter(room, size=(height, width), mode="constant", cval=False)
        if fits.any():
            deep = fits & (depth >= min(CENTRED, depth[fits].max()))
            row, column = np.unravel_index(int(np.where(deep, off, np.inf).argmin()), room.shape)
            artist.set_position(((column + 0.5) / WIDE, (row + 0.5) / HIGH))
            return True
        artist.remove()
    return False
