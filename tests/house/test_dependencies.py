"""The installed dependencies: complete, within the declared ranges, and of licences that an MIT core may stand on.

Known vulnerabilities are not looked up: pip-audit asks the services of PyPI or OSV and works with no local copy of their data
(pypa/pip-audit, issue 698, open), and these tests call nothing outside. Who is online runs `pip-audit` in the same environment.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

from ..helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KNOWN = {"python-hostlist"}  # of mace-torch, which imports it under Slurm for training on several nodes, and runs without it


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licences(found: Distribution) -> list[str]:
    """All that the package says of its licence: the expression, the old field, the classifiers."""
    said = found.metadata
    classifiers = [c for c in said.get_all("Classifier") or [] if c.startswith("License ::")]
    return [text for text in (said.get("License-Expression"), said.get("License"), *classifiers) if text]


def is_gpl(licence: str) -> bool:
    """Of the first lines, as some give the whole text; a choice (or) with anything else is one."""
    head = licence[:100]
    gpl = re.search(r"(?<!L)GPL|(?<!Lesser )General Public License", re.sub(r"Lesser General Public|LGPL", "lesser", head))
    return bool(gpl) and " or " not in head.replace("or later", "").lower()


def needed() -> dict[str, Distribution]:
    """Everything that the core installs, by name."""
    found: dict[str, Distribution] = {}
    todo = [Requirement(text) for text in PROJECT["dependencies"]]
    while todo:
        requirement = todo.pop()
        name = normal(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = distribution(name)
        todo += [Requirement(text) for text in found[name].requires or []]
    return found


def test_installed_versions_are_within_the_declared_ranges() -> None:
    every = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    for requirement in map(Requirement, every):
        try:
            installed = distribution(requirement.name).version
        except PackageNotFoundError:
            assert str(requirement) not in PROJECT["dependencies"], f"{requirement} is not installed"
            continue
        assert requirement.specifier.contains(installed, prereleases=True), f"{requirement}: found {installed}"
        assert any(s.operator in (">=", "~=", "==") for s in requirement.specifier), f"{requirement} has no lower bound"


def test_no_dependency_is_missing_or_at_odds() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_no_dependency_of_the_core_is_under_the_gpl() -> None:
    """The LGPL and the MPL, under which libraries are used as they are, are fine."""
    found = needed()
    assert len(found) > 40 and {"ase", "numpy", "torch"} <= set(found)
    gpl = {name: licences(d) for name, d in found.items() if any(map(is_gpl, licences(d)))}
    assert set(gpl) <= KNOWN, gpl
    assert not gpl.keys() & {normal(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert [name for name, d in found.items() if not licences(d)] == []


def test_licences_are_told_apart() -> None:
    for text in (
        "GPL2+",
        "GPL-3.0-or-later",
        "GNU General Public License v3 (GPLv3)",
        "AGPL-3.0",
        "License :: OSI Approved :: GNU General Public License (GPL)",
    ):
        assert is_gpl(text), text
    for text in (
        "LGPL-2.1-or-later",
        "MIT",
        "MPL 2.0",
        "GNU Lesser General Public License v3 (LGPLv3)",
        "LGPLv3 or BSD",
        "BSD-3-Clause",
        "GPL-2.0 or MIT",
    ):
        assert not is_gpl(text), text
