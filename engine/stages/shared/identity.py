"""Parts of the input that identify what several stages make."""

from typing import Any

from ...input.reader import InputFile
from ...input.schema import Config
from ...potentials.readers.codes import outcar_beside
from ...potentials.specification import PotentialSpec
from ...runtime.hashes import file_hash

FILE_KEYS = frozenset({"dataset", "model", "settings", "eci", "structure"})


def file_hashes(source: InputFile, potential: PotentialSpec | None) -> dict[str, Any]:
    """Hashes of the files that the lattice and the energy come from. potential: counts where it labels the data set."""
    config = source.config
    hashes: dict[str, Any] = {"structure": file_hash(source.resolve(config.lattice.structure))}
    expansion = config.energy.cluster_expansion if config.energy else None
    if expansion is not None and expansion.dataset is not None:
        files = source.files(expansion.dataset)
        beside = [outcar for path in files if (outcar := outcar_beside(path)) is not None]
        hashes["dataset"] = sorted(file_hash(path) for path in {*files, *beside})
    if expansion is not None and expansion.model is not None:
        found = [file_hash(source.resolve(path)) for path in expansion.model_files]
        hashes["model"] = found[0] if len(found) == 1 else found
    if config.makes_labels and potential is not None:
        hashes["potential"] = potential.mark
    return hashes


def without_paths(value: Any) -> Any:
    """A section of the input without names of files: moving a file does not change a run, and contents are hashed."""
    if isinstance(value, dict):
        return {k: without_paths(v) for k, v in value.items() if k not in FILE_KEYS or not isinstance(v, (str, list))}
    return value


def labelling(config: Config, values: dict[str, Any]) -> dict[str, Any]:
    """How the data set is made, if the run makes it. values: the configuration as plain values."""
    return {key: values.get(key, {}) for key in ("label", "relaxation")} if config.makes_labels else {}
