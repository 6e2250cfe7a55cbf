"""Where results come from: the input, the code and its libraries."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
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


def attributes(run: Run) -> dict[str, Any]:
    """Attributes of the root of results.h5."""
    return {
        "redoxmc_version": __version__,
        "title": run.config.title,
        "input": run.source.text,
        "config": run.config.model_dump_json(),
        "seed": run.config.seed,
        "git_commit": _git_commit(),
        "packages": json.dumps({name: _version(name) for name in PACKAGES}),
        "file_hashes": json.dumps(run.file_hashes),
    }


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
