"""The pages: their links, the keys of the input file, the index of docs/, the words."""

import json
import re
from pathlib import Path

import pytest

from redoxmc.engine.input.schema import json_schema

from ..helpers.paths import ROOT

PAGES = [p for top in ("docs", "engine", "inputs", "kernels", "tests") for p in sorted((ROOT / top).rglob("*.md"))]
PAGES += sorted(ROOT.glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NOT_OURS = (
    "borrowed", "cautions", "couplings", "distrust", "doubts", "forsaken", "health", "joined", "lean",
    "lost to sight", "mend", "mended", "settles", "settling", "steps between counts", "told", "typed in", "which see",
)  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if "://" not in target:
            place = (page.parent / target).resolve() if target else page
            assert place.exists(), link
            assert not anchor or anchor in anchors(place), link


def test_the_page_of_the_input_file_has_every_key() -> None:
    page = (ROOT / "docs/input_file.md").read_text(encoding="utf-8")

    def keys(node: object) -> set[str]:
        if isinstance(node, dict):
            return set(node.get("properties", {})).union(*(keys(v) for v in node.values()))
        return set().union(*(keys(v) for v in node)) if isinstance(node, list) else set()

    found = keys(json.loads(json_schema()))
    assert "temperature_K" in found
    assert not {key for key in found if not re.search(rf"\b{key}\b", page)}


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert {p.name for p in (ROOT / "docs").glob("*.md")} - set(LINK.findall(index)) == {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    text = re.sub("`[^`\n]*`", "", page.read_text(encoding="utf-8")).lower()  # not the names that the changelog quotes
    assert [words for words in NOT_OURS if re.search(rf"\b{words}\b", text)] == []


def test_files_that_pages_name_exist() -> None:
    """With their path from the root; the changelog also names those that are gone."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in PAGES if p.name != "CHANGELOG.md")
    named = set(re.findall(r"(?<![\w/.])((?:docs|engine|inputs|kernels|tests)/[\w./]+\.(?:py|yaml|md|sh|extxyz|json))\b", text))
    assert len(named) > 20
    assert sorted(path for path in named if "NAME" not in path and not (ROOT / path).exists()) == []
