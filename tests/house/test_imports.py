"""Imports point downward and run in no circle: the contracts of `pyproject.toml`, checked by import-linter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..helpers.paths import ROOT
from .test_packages import lay_out

LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def lint(root: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` on the code of `root`, whichever code is installed."""
    lay_out(root, place)
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo", str(ROOT / "pyproject.toml")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "COLUMNS": "200"},
    )


@pytest.fixture
def mutant(tmp_path: Path) -> Path:
    """A copy of the code, to be changed."""
    for part in ("engine", "kernels"):
        shutil.copytree(ROOT / part, tmp_path / "mutant" / part, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "mutant"


def test_imports_point_downward(tmp_path: Path) -> None:
    done = lint(ROOT, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_forbidden_imports_are_found(mutant: Path) -> None:
    """Upward, between neighbours, around the engine from both sides, and in a circle."""
    for module, line in (
        ("engine/crystal/lattice.py", "from ..sampling.chains import system"),
        ("engine/report/page.py", "from .. import workflow"),
        ("engine/report/page.py", "from .. import correction"),
        ("engine/crystal/lattice.py", "from . import symmetry"),
        ("engine/sampling/chains/system.py", "from redoxmc import _sampling"),
        ("engine/sampling/ladder/plan.py", "from ..preparation import anneal"),
        ("kernels/energy.py", "from redoxmc.engine import units"),
    ):
        with (mutant / module).open("a") as file:
            file.write(f"\n{line}\n")
    done = lint(mutant, mutant / "place")
    assert done.returncode == 1, done.stdout + done.stderr
    broken = done.stdout.split("Broken contracts")[1]
    for found in (
        "redoxmc.engine.crystal.lattice -> redoxmc.engine.sampling.chains.system",
        "redoxmc.engine.report.page -> redoxmc.engine.workflow",
        "redoxmc.engine.report.page -> redoxmc.engine.correction",
        "redoxmc.engine.sampling.chains.system -> redoxmc._sampling",
        "redoxmc.engine.sampling.ladder.plan -> redoxmc.engine.sampling.preparation.anneal",
        "redoxmc.kernels.energy -> redoxmc.engine.units",
        "No cycles are allowed in redoxmc.engine.crystal.",
    ):
        assert found in broken, broken


def test_a_new_room_must_be_given_its_place(mutant: Path) -> None:
    (mutant / "engine/attic.py").touch()
    done = lint(mutant, mutant / "place")
    assert done.returncode == 1 and "attic" in done.stdout, done.stdout + done.stderr
