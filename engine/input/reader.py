"""Reading of the input file. Every problem is reported with line, key, what was found and what is allowed."""

import json
import os
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from glob import escape, glob
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import InputError, Problem, RedoxError, did_you_mean
from .schema import Config
from .yamltext import read_yaml

SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = SHOWN.maxlong = 60
OUTPUTS_OF_A_RUN = ("OUTCAR", "OUTCAR.gz", "vasprun.xml", "vasprun.xml.gz")  # of VASP, in the order in which they are preferred
Location = tuple[str | int | float, ...]


@dataclass(frozen=True)
class InputFile:
    """A validated input file; relative paths in it are relative to the file."""

    path: Path
    text: str
    document: dict[str, Any]
    config: Config

    def resolve(self, path: Path) -> Path:
        """The absolute path. Raises RedoxError if it cannot be followed: circular links, unreadable folders."""
        try:
            found = (self.path.parent / path).resolve()
            found.exists()
            return found
        except (OSError, RuntimeError) as error:
            raise RedoxError(f"cannot follow the path {path}: {error}") from None

    def files(self, patterns: tuple[str, ...]) -> list[Path]:
        """All files that match names or patterns such as dft/*/OUTCAR, in order, each once.

        The part of a path that exists as it stands is no pattern. A folder stands for the OUTCAR or vasprun.xml in it.
        ** stands for any number of folders. Raises RedoxError for a pattern without a file.
        """
        found: list[Path] = []
        for pattern in patterns:
            given = self.path.parent / pattern
            matches = sorted(Path(p).resolve() for p in glob(_escaped(given), recursive=True))
            if not matches:
                raise RedoxError(f"no such file: {given}")
            found += [path if path.is_file() else _output_in(path) for path in matches]
        return list(dict.fromkeys(found))

    def problem(self, location: Location, message: str) -> Problem:
        """A problem at the line of the key, or of the section in which the key is missing."""
        known, line = _locate(self.document, location)
        return Problem(_spell(location if len(known) >= len(location) - 1 else known or location), message, line)


def _escaped(pattern: Path) -> str:
    """The pattern, with [, ? and * taken literally in the first part of the path, as long as that exists."""
    known = next((p for p in (pattern, *pattern.parents) if os.path.exists(p)), Path())
    return str(Path(escape(str(known))) / pattern.relative_to(known))


def _output_in(folder: Path) -> Path:
    """The output of the run of VASP in a folder. Raises RedoxError if there is none: ASE would open folders as trajectories."""
    found = next((folder / name for name in OUTPUTS_OF_A_RUN if (folder / name).is_file()), None)
    if found is None:
        raise RedoxError(f"not a file: {folder}, a folder without {' or '.join(OUTPUTS_OF_A_RUN)}")
    return found


def read_input(path: Path) -> InputFile:
    """Read and validate a file. Raises InputError with all problems at once, RedoxError if the file cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise RedoxError(f"cannot read the input file {path}: not a file")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RedoxError(f"cannot read the input file {path}: {error}") from None
    document, values = read_yaml(text, str(path))
    # strict, so that no text or boolean becomes a number; from JSON, so that lists may become tuples, and text paths
    read = partial(Config.model_validate_json, json.dumps(values), strict=True)
    return InputFile(path.resolve(), text, document, _validated(read, document, str(path)))


def input_from_sections(sections: dict[str, Any]) -> InputFile:
    """An input given as dictionaries instead of a file; paths are relative to the current folder. Raises InputError."""
    name = "the given sections"
    return InputFile(Path.cwd() / name, "", sections, _validated(partial(Config.model_validate, sections), sections, name))


def _validated(read: Callable[[], Config], document: dict[str, Any], source: str) -> Config:
    try:
        return read()
    except ValidationError as error:
        raise InputError(_problems(error, document), source) from None


def _locate(document: Any, location: Location) -> tuple[Location, int | None]:
    """The part of a location that exists in the document, and its line; tags that pydantic adds for unions are skipped."""
    node, line, known = document, None, []
    for part in location:
        is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if is_item or (isinstance(node, dict) and part in node):
            line = _line(node, part) or line
            known.append(part)
            node = node[part]
    return tuple(known), line


def _line(node: Any, part: str | int | float) -> int | None:
    """Line of a key or item; None if no file was read, or if a YAML merge inserted the key."""
    try:
        lines = node.lc
        return int((lines.key(part) if isinstance(node, dict) else lines.item(part))[0]) + 1
    except (KeyError, TypeError, AttributeError):
        return None


def _spell(location: Location) -> str:
    """A location as text, e.g. sampling.temperature_K[2]."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "file"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """All models that occur in the type of a key."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple, dict, list):
        return [m for a in get_args(annotation) for m in _models_in(a)]
    return []


def _allowed_keys(location: Location) -> list[str]:
    models: list[type[BaseModel]] = [Config]
    for part in location[:-1]:
        deeper = [
            m for model in models if part in model.model_fields for m in _models_in(model.model_fields[str(part)].annotation)
        ]
        models = deeper or models
    return list(models[0].model_fields)


def _problems(error: ValidationError, document: dict[str, Any]) -> list[Problem]:
    grouped: dict[tuple[str, int | None], list[str]] = {}
    for e in error.errors(include_url=False):
        location: Location = tuple(e["loc"])
        known, line = _locate(document, location)
        if e["type"] == "missing":
            key, message = _spell((*known, location[-1])), "missing; this key is required"
        elif e["type"] == "extra_forbidden":
            allowed = _allowed_keys(location)
            key, message = _spell(known), f"unknown key; allowed: {', '.join(allowed)}{did_you_mean(str(location[-1]), allowed)}"
        elif e["type"] == "value_error":
            key, message = _spell(known), f"{e['ctx']['error']}"
        else:
            found = SHOWN.repr(e["input"])
            key, message = (
                _spell(known),
                f"found {found}; allowed: {e['msg'].removeprefix('Input should be ').removeprefix('a valid ')}",
            )
        grouped.setdefault((key, line), []).append(message)
    return [Problem(key, _join(messages), line) for (key, line), messages in grouped.items()]


def _join(messages: list[str]) -> str:
    """The messages for all alternatives of a union as one sentence."""
    first, *others = dict.fromkeys(messages)
    return " or ".join([first, *(m.split("allowed: ")[-1] for m in others)])
