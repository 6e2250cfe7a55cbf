"""What identifies a run: the parts of the input that its samples depend on, the code and its libraries."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..input.reader import InputFile
from ..input.schema import PotentialInput, TrainedPotentialInput
from ..runtime.hashes import file_hash, fingerprint

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
FILE_KEYS = frozenset({"dataset", "model", "settings", "eci", "structure"})


def input_files(source: InputFile) -> dict[str, Any]:
    """Hashes of the files that the lattice and the energy come from."""
    config = source.config
    hashes: dict[str, Any] = {"structure": file_hash(source.resolve(config.lattice.structure))}
    expansion = config.energy.cluster_expansion if config.energy else None
    if expansion is not None and expansion.dataset is not None:
        hashes["dataset"] = sorted(file_hash(path) for path in source.files(expansion.dataset))
    if expansion is not None and expansion.model is not None:
        found = [file_hash(source.resolve(path)) for path in expansion.model_files]
        hashes["model"] = found[0] if len(found) == 1 else found
    if config.energy is not None and config.energy.needs_labels and config.potential is not None:
        hashes["potential"] = potential_mark(source, config.potential)
    return hashes


def potential_mark(source: InputFile, potential: PotentialInput | TrainedPotentialInput, weights: Path | None = None) -> str:
    """Hash of what a potential's energies depend on: its weights (those of the input, unless given), or name and options."""
    path = weights or (source.resolve(potential.file) if potential.file else None)
    options = getattr(potential, "options", {})
    return fingerprint(potential.model, potential.charge_aware, options, file_hash(path) if path else "as published")


def fit_identity(source: InputFile) -> dict[str, Any]:
    """What the fit depends on."""
    config = source.config.model_dump(mode="json")
    expansion = config["energy"]["cluster_expansion"]
    return {
        "lattice": _without_paths(config["lattice"]),
        "cluster_expansion": _without_paths(expansion or {}),
        "seed": config["seed"],
        "files": input_files(source),
        **_labelling(source, config),
    }


def sample_identity(source: InputFile, defaults: bool = True) -> dict[str, Any]:
    """What the samples depend on: all but how long to sample and what to add afterwards. defaults: with keys that are at theirs."""
    config = source.config.model_dump(mode="json", exclude_defaults=not defaults)
    sampling = dict(config.get("sampling") or {})
    for name in ("walltime_s", "refine", "second_supercell"):
        sampling.pop(name, None)
    sampling["sweeps"] = {k: v for k, v in sampling.get("sweeps", {}).items() if k != "measure"}
    return {
        "lattice": _without_paths(config["lattice"]),
        "energy": _without_paths(config.get("energy") or {}),
        "sampling": sampling,
        "seed": source.config.seed,
        "files": input_files(source),
        **_labelling(source, config),
    }


def learning_identity(source: InputFile) -> dict[str, Any]:
    """What the rounds of learning depend on: not when to stop, so that more of them go on from those that are there."""
    identity, given = sample_identity(source), source.config.label.learning
    assert given is not None
    label = {**identity["label"], "learning": given.model_dump(mode="json", exclude={"rounds", "tolerance_eV", "settled"})}
    return {**identity, "label": label, "sweeps": given.sweeps or source.config.sampler.sweeps.measure}


def _labelling(source: InputFile, config: dict[str, Any]) -> dict[str, Any]:
    """How the data set is made, where the run makes it."""
    makes = source.config.energy is not None and source.config.energy.needs_labels
    return {key: config.get(key, {}) for key in ("label", "relaxation")} if makes else {}


def _without_paths(value: Any) -> Any:
    """Moving a file does not change a run; its content does, and that is hashed."""
    if isinstance(value, dict):
        return {k: _without_paths(v) for k, v in value.items() if k not in FILE_KEYS or not isinstance(v, (str, list))}
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
