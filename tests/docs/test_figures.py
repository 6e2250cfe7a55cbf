"""Figures for print: told apart by all eyes, sized for a column, with units, and nothing on top of anything."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes._base import _AxesBase
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from redoxmc.engine.report.diagram_tables import diagram_tables
from redoxmc.engine.report.figures import FIGURES
from redoxmc.engine.report.figures.diagnostics import draw_unresolved_ends
from redoxmc.engine.report.figures.style import COLUMN_IN, LAID_OUT, MOST_CURVES, PAGE_IN, PALETTE, STYLE, colour_of, lay_out
from redoxmc.engine.runtime.results import Results
from redoxmc.engine.runtime.results.phase_diagram import Invariants

from ..helpers.colour_vision import VISIONS, contrast_with_white, distance
from ..helpers.reported import reported, with_fit_uncertainty
from ..helpers.shared import made_once

APART, NEIGHBOURS_APART = 20.0, 9.0  # CIE 1976
SMALLEST_PT = 6.0
NO_UNIT = ("Warren-Cowley parameter", "x at the boundary", "1000 K / T", "acceptance of exchange", "pairs of replicas",
    "order parameter", "labels", "x in NaₓFePO₄",
           "nearest shell: probability / random", "phase boundaries, mean in x", "R-hat", "effective sample size")  # fmt: skip
FIT: dict[str, Any] = {
    "x": [0.0, 0.5, 0.5, 1.0], "reference_mixing_eV": [0.0, -0.1, 0.02, 0.0], "fitted_mixing_eV": [0.0, -0.09, 0.01, 0.0],
        "rmse_eV": 0.01,
    "reference_eV": [0.0, -0.1, 0.02, 0.0], "fitted_eV": [0.0, -0.09, 0.01, 0.0], "left_out_eV": [0.0, -0.08, 0.0, 0.01],
    "validation_rmse_eV": 0.012, "hull_x": [0, 0.5, 1], "hull_eV": [0, -0.1, 0], "fitted_hull_x": [0, 0.5, 1],
        "fitted_hull_eV": [0, -0.09, 0],
    "learning": {"rounds": [
        {"labels": n, "error_eV": [[0.02, 0.01], [0.015, 0.03]], "validation_rmse_eV": 0.01, "band_eV": 0.004, "moved_x": moved,
            "band_x": 0.03}
        for n, moved in ((40, None), (60, 0.05), (80, 0.01))
    ]},
}  # fmt: skip


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_are_told_apart(vision: str) -> None:
    worst = min((distance(a, b, vision), a, b) for a, b in combinations(PALETTE, 2))
    assert worst[0] > APART, worst
    assert distance("#d62728", "#2ca02c", "deuteranopia") < APART  # red and green, as people often take them
    for n in range(2, MOST_CURVES + 1):
        colours = [colour_of(k, n) for k in range(n)]
        assert min(distance(a, b, vision) for a, b in zip(colours, colours[1:])) > NEIGHBOURS_APART, n


def test_colours_stand_out_from_paper() -> None:
    assert all(contrast_with_white(colour) >= 2.95 for colour in PALETTE)


@pytest.fixture(scope="module")
def results(common: Path) -> Results:
    found = with_fit_uncertainty(made_once(common, "reported", reported) / "out")
    found.semigrand.trusted[0, 0] = found.canonical.trusted[0, 2] = False
    return found


@pytest.mark.runs
def test_older_results_are_drawn_and_reported(results: Results) -> None:
    """Results of layouts 1 and 2 do not say where a region that is no longer resolved ends: it is nan."""
    diagram = results.phase_diagram
    unknown = replace(diagram.invariant, height_vanishes_K=np.full_like(diagram.invariant.height_vanishes_K, np.nan))
    old = replace(results, phase_diagram=replace(diagram, invariant=unknown))
    figure = FIGURES["phase_diagram"][0](old, FIT)
    assert figure is not None and any(t.heading == "Invariant points" for t in diagram_tables(old))
    plt.close(figure)


@pytest.mark.parametrize(
    ("vanishes_K", "to_K"), [((550.0, 620.0), 620.0), ((np.inf, np.inf), 800.0), ((200.0, 350.0), 300.0), ((-np.inf,) * 2, 300.0)]
)
def test_a_region_that_is_not_resolved_is_followed(vanishes_K: tuple[float, float], to_K: float) -> None:
    """Dotted from where it is no longer resolved to where it ends at most: up from a closing, down from an opening."""
    point = Invariants(
        kind=["closing"], temperature_K=[500.0], temperature_K_error=[1.0], x=[[np.nan, 0.4, np.nan]], x_error=[[np.nan, 0.01,
            np.nan]],
        found=[1.0], height_vanishes_K=[vanishes_K], trusted=[True],
    )  # fmt: skip
    figure, axes = plt.subplots()
    draw_unresolved_ends(axes, SimpleNamespace(temperature_K=np.array([300.0, 800.0]), invariant=point))
    (line,) = axes.get_lines()
    assert line.get_linestyle() == ":" and np.asarray(line.get_xydata()).tolist() == [[0.4, 500.0], [0.4, to_K]]
    plt.close(figure)


@pytest.fixture(scope="module")
def figures(results: Results) -> Iterator[dict[str, Figure]]:
    found = {}
    with plt.rc_context({**STYLE, "figure.max_open_warning": 0}):
        for name, (draw, _) in FIGURES.items():
            figure = draw(results, FIT)
            if figure is not None:
                lay_out(figure)
                found[name] = figure
        yield found
    plt.close("all")


@pytest.mark.runs
def test_all_that_there_is_data_for_is_drawn(figures: dict[str, Figure]) -> None:
    assert set(FIGURES) - set(figures) == {"ground_states", "correction"}


def texts_of(figure: Figure) -> list[tuple[str, Bbox, float]]:
    """(text, place, size in points) of all that is written and can be seen; tick labels of an axis only within its limits."""
    out_of_sight = set()
    for axes in figure.findobj(_AxesBase):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            slack = 1e-6 * (high - low)
            out_of_sight |= {
                t for tick in ticks if not low - slack <= tick.get_loc() <= high + slack for t in (tick.label1, tick.label2)
            }
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in out_of_sight]
    return [(t.get_text(), t.get_window_extent(), t.get_fontsize()) for t in found]


def overlap(a: Bbox, b: Bbox) -> bool:
    """By more than a hair."""
    both = Bbox.intersection(a, b)
    return both is not None and both.width > 1 and both.height > 1


@pytest.mark.runs
def test_nothing_is_on_top_of_anything(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        texts = texts_of(figure)
        assert len(texts) > 4
        hidden = [(a[0], b[0]) for a, b in combinations(texts, 2) if overlap(a[1], b[1])]
        assert not hidden, (name, hidden)
        beyond = [
            t
            for t, box, _ in texts
            if not overlap(box, figure.bbox)
            or not figure.bbox.padded(1).containsx(box.x0)
            or not figure.bbox.padded(1).containsx(box.x1)
        ]
        assert not beyond, (name, beyond)
        for legend in figure.findobj(Legend):
            assert not any(overlap(legend.get_window_extent(), axes.bbox) for axes in figure.axes), name


def test_the_check_sees_what_is_on_top() -> None:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots()
        axes.plot([0, 1], label="curve")
        axes.text(0.5, 0.5, "one")
        axes.text(0.5, 0.5, "other")
        legend = axes.legend()
        lay_out(figure)
        boxes = {text: box for text, box, _ in texts_of(figure)}
        assert overlap(boxes["one"], boxes["other"]) and overlap(legend.get_window_extent(), axes.bbox)
    plt.close(figure)


@pytest.mark.runs
def test_sizes_fit_a_journal(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        assert figure.get_figwidth() in (COLUMN_IN, PAGE_IN) and figure.get_figheight() < 6, name
        small = [(text, size) for text, _, size in texts_of(figure) if size < SMALLEST_PT]
        assert not small, (name, small)
        families = {t.get_fontfamily()[0] for t in figure.findobj(Text)}
        assert families == {"sans-serif"}, name


@pytest.mark.runs
def test_axes_have_units(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        labels = [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel()) if label]
        assert len(labels) >= 2, name
        bare = [label for label in labels if not re.search(r"\(.+\)", label) and label not in NO_UNIT]
        assert not bare, (name, bare)


@pytest.mark.runs
def test_bands_are_two_standard_errors(figures: dict[str, Figure], results: Results) -> None:
    group, collections = results.canonical, figures["entropy"].axes[0].collections
    rows = np.flatnonzero(group.asked)
    assert len(collections) == len(rows) == 3
    for row, collection in zip(rows[1:], collections[1:]):
        band = np.concatenate([path.vertices for path in collection.get_paths()])
        for value, error, x in list(zip(group.entropy_kB[row], group.entropy_kB_error[row], group.x))[1:-1]:
            ends = band[np.isclose(band[:, 0], x), 1]
            assert error > 0 and np.allclose([ends.min(), ends.max()], [value - 2 * error, value + 2 * error])


@pytest.mark.runs
def test_svg_holds_its_text_as_text(figures: dict[str, Figure], tmp_path: Path) -> None:
    with plt.rc_context(LAID_OUT):
        for k in (0, 1):
            figures["phase_diagram"].savefig(tmp_path / f"{k}.svg", metadata={"Date": None})
    root = ElementTree.parse(tmp_path / "0.svg").getroot()
    words = {"".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"temperature (K)", "temperature (°C)", "x in NaₓFePO₄", "Miller, $5 <b>, boundary"} <= words
    assert (tmp_path / "0.svg").read_bytes() == (tmp_path / "1.svg").read_bytes()
