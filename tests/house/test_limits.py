"""Limits of size: functions, modules, lines, paragraphs, and what stands at the top of engine/."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ..helpers.paths import ROOT

MODULE_LINES, FUNCTION_LINES, LINE_LENGTH, PARAGRAPH_WORDS = 300, 60, 130, 100
MODULES_AT_THE_TOP, FOLDERS_AT_THE_TOP = 4, 11

CODE = sorted(p for top in ("engine", "kernels", "tests") for p in (ROOT / top).rglob("*.py"))
PAGES = sorted(
    [*ROOT.glob("*.md"), *(p for top in ("docs", "engine", "inputs", "kernels", "tests") for p in (ROOT / top).rglob("*.md"))]
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def long_modules() -> set[str]:
    return {name(p) for p in CODE if len(p.read_text().splitlines()) > MODULE_LINES}


def long_lines() -> set[str]:
    return {name(p) for p in CODE if any(len(line) > LINE_LENGTH for line in p.read_text().splitlines())}


def long_functions() -> set[str]:
    """Those of kernels/ are long where a call would cost."""
    return {
        f"{name(p)}: {node.name}"
        for p in CODE
        if not p.is_relative_to(ROOT / "kernels")
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > FUNCTION_LINES
    }


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def long_paragraphs() -> set[str]:
    return {name(p) for p in PAGES if any(len(t.split()) > PARAGRAPH_WORDS for t in paragraphs(p.read_text(encoding="utf-8")))}


def paragraphs(page: str) -> list[str]:
    """Of a page in Markdown: blocks of text and the items of lists, without code, tables, comments and the targets of links."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.S | re.M)
    page = re.sub(r"<!--.*?-->|(?<=\])\([^)]*\)", "", page)
    page = re.sub(r"^(?=\s*([-*+]|\d+\.)\s)", "\n", page, flags=re.M)
    return [block for block in re.split(r"\n\s*\n", page) if not block.lstrip().startswith(("|", "<", "#"))]


def top_of_the_engine() -> set[str]:
    modules = {p for p in (ROOT / "engine").glob("*.py") if p.stem != "__init__"}
    folders = {p.parent for p in (ROOT / "engine").glob("*/__init__.py")}
    return {f"{n} {kind}" for n, limit, kind in (
        (len(modules), MODULES_AT_THE_TOP, "modules"), (len(folders), FOLDERS_AT_THE_TOP, "folders"),
    ) if n > limit}  # fmt: skip


@pytest.mark.parametrize("found", [long_modules, long_functions, long_lines, long_paragraphs, top_of_the_engine])
def test_limits_are_kept(found: Callable[[], set[str]]) -> None:
    assert found() == set()


def test_limits_are_seen() -> None:
    text = "# One\n\n" + "word " * 101 + "\n\n- " + "word " * 60 + "\n- " + "word " * 60 + "\n\n```\n" + "word " * 200 + "\n```\n"
    assert [len(p.split()) for p in paragraphs(text) if p.strip()] == [101, 61, 61]
    assert function_lines(ast.parse("def f():\n" + "    pass\n" * 60).body[0]) == 61  # type: ignore[arg-type]
