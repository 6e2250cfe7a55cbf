"""The wheel, built by way of a source distribution: it holds every module and runs an example where there is no checkout."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import redoxmc

from ..helpers.command import environment
from ..helpers.paths import ROOT

pytestmark = pytest.mark.runs
SOURCES = (
    "engine",
    "kernels",
    "inputs",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "run.py",
)
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
MOST_BYTES = 1_500_000


def build(kind: str, source: Path, folder: Path) -> Path:
    """What pip and build do, without a download of setuptools."""
    command = [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__", "*.model"))
        else:
            shutil.copy(ROOT / name, folder / "source")
    with tarfile.open(build("sdist", folder / "source", folder)) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", unpacked, folder)


def test_a_plain_install_is_whole(wheel: Path, tmp_path: Path) -> None:
    """The wheel, unpacked and found before the editable install."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
        names = packed.namelist()
        scripts = next(packed.read(n).decode() for n in names if n.endswith("entry_points.txt"))
    assert "redoxmc = redoxmc.engine.cli:main" in scripts
    assert wheel.stat().st_size < MOST_BYTES
    ours = {"redoxmc/engine/" + p.relative_to(ROOT / "engine").as_posix() for p in (ROOT / "engine").rglob("*.py")}
    ours |= {"redoxmc/kernels/" + p.name for p in (ROOT / "kernels").glob("*.py")}
    ours = {name.replace("redoxmc/engine/api/", "redoxmc/") for name in ours}
    assert {name for name in names if name.endswith(".py")} == ours
    assert {"redoxmc/py.typed", "redoxmc/CITATION.cff", "redoxmc/inputs/schema.json", "redoxmc/engine/report/page.html"} <= set(
        names
    )
    code = "import redoxmc, redoxmc.engine.workflow as w; print(redoxmc.__file__, w.__file__, redoxmc.sample.__module__)"
    env = environment(PYTHONPATH=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert done.stdout.split() == [
        str(tmp_path / "redoxmc/__init__.py"),
        str(tmp_path / "redoxmc/engine/workflow.py"),
        "redoxmc._sampling",
    ]


def test_a_wheel_in_an_environment_of_its_own_runs_an_example(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are those of the tests' environment, seen by a .pth file: nothing is downloaded."""
    place, ours = tmp_path / "place", tmp_path / "environment"
    place.mkdir()
    venv.create(ours, symlinks=True)
    purelib = Path(sysconfig.get_path("purelib", "venv", {"base": str(ours)}))
    (purelib / "of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(ours / "bin/python")
    install = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, timeout=300, cwd=place)
    env = environment(LD_LIBRARY_PATH=str(Path(sys.prefix) / "lib"))  # of the MPI that was installed with pip

    def started(*words: str) -> str:
        done = subprocess.run(
            [str(ours / "bin/redoxmc"), *words], capture_output=True, text=True, cwd=place, env=env, timeout=1200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = subprocess.run(
        [python, "-c", "import redoxmc; print(redoxmc.__file__)"], capture_output=True, text=True, cwd=place, env=env
    )
    assert Path(where.stdout.strip()).is_relative_to(ours), where.stderr
    assert "redoxmc init ising" in started("init")
    started("init", "ising")
    assert "The input is valid." in started("ising.yaml", "--check")
    started("ising.yaml")
    assert (place / "ising/report.html").is_file()
    energy = redoxmc.open_results(place / "ising")["semigrand"]["energy_eV"]
    at_zero = energy.sel(temperature_K=900).sel(chemical_potential_eV=0, method="nearest")
    assert abs(float(at_zero) + 0.01158) < 0.001  # Onsager
