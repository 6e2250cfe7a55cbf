"""The record of an output, by its format; several outputs of one run."""

from collections import defaultdict
from pathlib import Path

from ase import Atoms

from ...errors import RedoxError
from ...input.reader import OUTPUTS_OF_A_RUN
from .other_codes import aims_record, espresso_record
from .outcar import outcar_record
from .record import Record
from .vasprun import vasprun_record

NOTHING_SAID = Record()


def read_record(kind: str, path: Path, frames: list[Atoms]) -> Record:
    """The record of an output of VASP, Quantum ESPRESSO or FHI-aims; NOTHING_SAID for other formats.

    A vasprun.xml beside an OUTCAR of as many steps has that of the OUTCAR.
    """
    if kind == "vasp-out":
        return outcar_record(path)
    if kind == "vasp-xml":
        beside = outcar_beside(path)
        other = outcar_record(beside) if beside else NOTHING_SAID
        return other if len(other.moments) == len(frames) else vasprun_record(path)
    if kind == "espresso-out":
        return espresso_record(path, {str(s) for f in frames for s in f.symbols})
    return aims_record(path, len(frames)) if kind == "aims-output" else NOTHING_SAID


def outcar_beside(path: Path) -> Path | None:
    """The OUTCAR that is read for the moments of a vasprun.xml; None if there is none, or for another file."""
    beside = [path.parent / name for name in OUTPUTS_OF_A_RUN[:2]] if "vasprun" in path.name else []
    return next((p for p in beside if p.is_file()), None)


def one_per_run(paths: list[Path]) -> list[Path]:
    """The paths, each once, and of the outputs of a run in one folder only the first of OUTPUTS_OF_A_RUN."""
    paths = list(dict.fromkeys(paths))
    runs: dict[Path, list[str]] = defaultdict(list)
    for path in paths:
        if path.name in OUTPUTS_OF_A_RUN:
            runs[path.parent].append(path.name)
    first = {folder: min(names, key=OUTPUTS_OF_A_RUN.index) for folder, names in runs.items()}
    return [p for p in paths if p.name not in OUTPUTS_OF_A_RUN or p.name == first[p.parent]]


def check_settings(given: list[tuple[Path, dict[str, str]]]) -> None:
    """Check that settings on which energies depend are the same wherever they are known. Raises RedoxError."""
    seen: dict[str, dict[str, dict[Path, None]]] = defaultdict(lambda: defaultdict(dict))
    for path, settings in given:
        for name, value in settings.items():
            seen[name][value][path] = None
    mixed = {name: values for name, values in seen.items() if len(values) > 1}
    if mixed:
        words = [
            f"{name}: " + "; ".join(f"{v} in {in_short(list(files))}" for v, files in values.items())
            for name, values in mixed.items()
        ]
        raise RedoxError(
            f"energies of different settings cannot be compared. Use calculations of one kind. Found {'. '.join(words)}"
        )


def in_short(files: list[Path]) -> str:
    """The first of several files and how many more there are."""
    return f"{files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
