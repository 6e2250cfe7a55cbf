"""The package: every module is in it, under one version, and mypy sees it whole."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from setuptools import find_packages

from redoxmc import __version__

from ..helpers.paths import ROOT

API = ROOT / "engine/api"  # installed as redoxmc itself
lay_out = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")["lay_out"]


def test_every_folder_of_code_is_a_package(tmp_path: Path) -> None:
    lay_out(ROOT, tmp_path)
    listed = find_packages(str(tmp_path), exclude=["redoxmc.engine.api*"])
    folders = {p.parent for top in ("engine", "kernels") for p in (ROOT / top).rglob("*.py")}
    found = {"redoxmc" if f == API else "redoxmc." + ".".join(f.relative_to(ROOT).parts) for f in folders}
    assert sorted(listed) == sorted(found)


def test_every_module_of_the_api_is_in_the_layout(tmp_path: Path) -> None:
    lay_out(ROOT, tmp_path)
    links = {p.name: p.resolve() for p in (tmp_path / "redoxmc").glob("*.py")}
    assert links == {p.name: p for p in API.glob("*.py")}


def test_the_layout_is_renewed(tmp_path: Path) -> None:
    """A module that has gone or moved is not found any longer, a new one is."""
    for name in ("engine/api/_old.py", "engine/api/__init__.py", "kernels/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    lay_out(tmp_path, tmp_path / "place")
    (tmp_path / "engine/api/_old.py").rename(tmp_path / "engine/api/_new.py")
    (tmp_path / "place/redoxmc/kernels").unlink()
    (tmp_path / "place/redoxmc/kernels").symlink_to("elsewhere")
    lay_out(tmp_path, tmp_path / "place")
    assert sorted(p.name for p in (tmp_path / "place/redoxmc").glob("*.py")) == ["__init__.py", "_new.py"]
    assert (tmp_path / "place/redoxmc/kernels/__init__.py").is_file()


def test_one_version() -> None:
    assert YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_no_link_is_in_the_tree() -> None:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("outputs", "build")]
        assert not [name for name in (*folders, *files) if Path(folder, name).is_symlink()]


@pytest.mark.runs
def test_types(tmp_path: Path) -> None:
    lay_out(ROOT, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found" in done.stdout
