"""A plain install, not an editable one, holds every module."""

import tomllib

from .conftest import ROOT


def test_every_folder_of_code_is_a_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [p.parent for top in ("engine", "kernels") for p in (ROOT / top).rglob("*.py")]
    found = {"redoxmc." + ".".join(f.relative_to(ROOT).parts) for f in folders}
    assert sorted(listed) == sorted(found)
