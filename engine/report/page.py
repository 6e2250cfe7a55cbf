"""A page of HTML that needs nothing beside it: figures are in it, there is no script, and all that it shows is escaped."""

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
WIDE_PIXELS = 1500  # of a figure over both columns, which scrolls within itself on a phone
PIXELS_SHOWN = 0.5  # per pixel of a PNG: sharp on a dense screen
LONG_CELL = 40  # letters
MOST_ROWS = 15  # of a table that is open from the start


class Cell(NamedTuple):
    """A cell of a table with a verdict: sound, doubtful or bad."""

    text: str
    verdict: str


class Table(NamedTuple):
    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""

    @property
    def long(self) -> list[bool]:
        """Of each column: whether it holds words that want more than one line."""
        return [any(isinstance(cell, str) and len(cell) > LONG_CELL for cell in column) for column in zip(*self.rows)]


@dataclass(frozen=True)
class Citations:
    """What to cite, in words and as BibTeX; others: what else to cite, a sentence each."""

    works: Sequence[tuple[str, str]]
    bibtex: str
    others: Sequence[str]


@dataclass(frozen=True)
class Content:
    """What a page says beside its figures. warnings, the gravest first; all_fine is said where there are none."""

    title: str
    summary: str
    warnings: Sequence[str]
    all_fine: str
    tables: Sequence[Table]
    facts: Sequence[tuple[str, str]]
    input: str
    numbers: str
    health: Table | None = None
    citations: Citations | None = None


class Image(NamedTuple):
    name: str
    caption: str
    data: str
    width: int
    height: int
    wide: bool


def write_page(page: Path, captions: dict[str, str], mark: str, content: Content) -> None:
    """captions: figures of the folder `figures` beside the page, by name; mark: what the page was made of."""
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
