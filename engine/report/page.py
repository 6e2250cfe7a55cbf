"""A self-contained HTML page: figures are embedded, there are no scripts, and all text is escaped."""

import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..runtime.storage import write_text

log = logging.getLogger("redoxmc")
TEMPLATES = Path(__file__).parent
WIDE_PIXELS = 1500  # wider figures span both columns and scroll on a small screen
PIXELS_SHOWN = 0.5  # per pixel of the PNG: sharp on high-resolution screens
LONG_CELL = 40  # characters
MOST_ROWS = 15  # longer tables are folded


class Cell(NamedTuple):
    """A cell of a table with a verdict: good, doubtful or bad."""

    text: str
    verdict: str


class Table(NamedTuple):
    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""

    @property
    def long(self) -> list[bool]:
        """For each column, whether it holds text that may need several lines."""
        return [any(isinstance(cell, str) and len(cell) > LONG_CELL for cell in column) for column in zip(*self.rows)]


@dataclass(frozen=True)
class Citations:
    """What to cite: works (use, reference), the same as BibTeX, and other sources, a sentence each."""

    works: Sequence[tuple[str, str]]
    bibtex: str
    others: Sequence[str]


@dataclass(frozen=True)
class Content:
    """Content of a page beside its figures.

    limitations: the most severe first; no_limitations: the sentence shown if there are none.
    """

    title: str
    summary: str
    limitations: Sequence[str]
    no_limitations: str
    tables: Sequence[Table]
    facts: Sequence[tuple[str, str]]
    input: str
    numbers: str
    convergence: Table | None = None
    citations: Citations | None = None


class Image(NamedTuple):
    name: str
    caption: str
    data: str
    width: int
    height: int
    wide: bool


def write_page(page: Path, captions: dict[str, str], mark: str, content: Content) -> None:
    """captions: by name of the figure in the folder `figures` beside the page. mark: identity of what the page was made from."""
    images = [_image(page.parent / "figures" / f"{name}.png", caption) for name, caption in captions.items()]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("page.html")
    write_text(page, template.render(mark=mark, images=images, content=content, most_rows=MOST_ROWS))
    log.info("report: %s", page)


def _image(path: Path, caption: str) -> Image:
    png = path.read_bytes()
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))  # of the header, IHDR
    shown = round(PIXELS_SHOWN * width), round(PIXELS_SHOWN * height)
    return Image(path.stem.replace("_", " "), caption, base64.b64encode(png).decode(), *shown, width > WIDE_PIXELS)
