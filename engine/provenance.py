"""What identifies a run: the parts of the input that its samples depend on, the code and its libraries."""

import hashlib
import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import __version__
from .inputfile import InputFile
from .prepare import file_hash

PACKAGES = ("ase", "h5py", "icet", "mpi4py", "numba", "numpy", "pydantic", "pymatgen", "scikit-learn", "scipy", "trainstation")
FILE_KEYS = frozenset({"dataset", "model", "structure"})


def fingerprint(*parts: Any) -> str:
    """Short hash of anything that json can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def input_files(source: InputFile) -> dict[str, str]:
    """Hashes of the files that the input names."""
    config = source.config
    named = {"structure": config.lattice.structure}
    if expansion := config.energy.cluster_expansion:
        named |= {k: v for k, v in (("dataset", expansion.dataset), ("model", expansion.model)) if v is not None}
    return {key: file_hash(source.resolve(path)) for key, path in named.items()}


def fit_identity(source: InputFile) -> dict[str, Any]:
    """What the fit depends on."""
    config = source.config.model_dump(mode="json")
    expansion = config["energy"]["cluster_expansion"]
    return {
        "lattice": _without_paths(config["lattice"]),
        "cluster_expansion": _without_paths(expansion or {}),
        "seed": config["seed"],
        "files": input_files(source),
    }


def sample_identity(source: InputFile) -> dict[str, Any]:
    """What the samples depend on: all but how long to sample."""
    config = source.config.model_dump(mode="json")
    sampling = dict(config["sampling"])
    sampling.pop("walltime_s")
    sampling["sweeps"] = {k: v for k, v in sampling["sweeps"].items() if k != "measure"}
    energy = _without_paths(config["energy"])
    return {
        "lattice": _without_paths(config["lattice"]),
        "energy": energy,
        "sampling": sampling,
        "seed": config["seed"],
        "files": input_files(source),
    }


def _without_paths(value: Any) -> Any:
    """Moving a file does not change a run; its content does, and that is hashed."""
    if isinstance(value, dict):
        return {k: _without_paths(v) for k, v in value.items() if k not in FILE_KEYS or not isinstance(v, str)}
    return value


def attributes(source: InputFile) -> dict[str, Any]:
    """For the root of results.h5."""
    return {
        "redoxmc_version": __version__,
        "title": source.config.title,
        "input": source.text,
        "config": source.config.model_dump_json(),
        "seed": source.config.seed,
        "git_commit": _git_commit(),
        "packages": json.dumps({name: _version(name) for name in PACKAGES}),
        "file_hashes": json.dumps(input_files(source)),
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
