"""Where results come from: the input, the code and its libraries."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ... import __version__
from ...runtime.results import Attributes
from .run import Run

PACKAGES = (
    "ase",
    "h5py",
    "icet",
    "mpi4py",
    "numba",
    "numpy",
    "pydantic",
    "pymatgen",
    "scikit-learn",
    "scipy",
    "torch",
    "mace-torch",
    "chgnet",
    "trainstation",
)


def provenance(run: Run) -> Attributes:
    """Attributes of the root of results.h5."""
    return Attributes(
        title=run.config.title,
        redoxmc_version=__version__,
        git_commit=_git_commit(),
        packages={name: _version(name) for name in PACKAGES},
        input=run.source.text,
        config=json.loads(run.config.model_dump_json()),
        seed=run.config.seed,
        file_hashes=run.file_hashes,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git_commit() -> str:
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
