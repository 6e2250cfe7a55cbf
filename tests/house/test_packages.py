"""A plain install, not an editable one, holds every module."""

import tomllib

from ..conftest import ROOT

HOME = ROOT / "engine/api"  # installed as redoxmc itself


def test_every_folder_of_code_is_a_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {p.parent for top in ("engine", "kernels") for p in (ROOT / top).rglob("*.py")}
    found = {"redoxmc" if f == HOME else "redoxmc." + ".".join(f.relative_to(ROOT).parts) for f in folders}
    assert sorted(listed) == sorted(found)


def test_mypy_finds_every_module_of_the_home() -> None:
    links = {p.name: p.resolve() for p in (ROOT / ".ci/typing/redoxmc").glob("*.py")}
    assert links == {p.name: p for p in HOME.glob("*.py")}
