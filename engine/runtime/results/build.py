"""From the arrays and attributes of a file to a group."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from numpy.typing import NDArray

from .schema import Group, attribute_fields, layouts, parts

G = TypeVar("G", bound=Group)


def build(cls: type[G], arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> G:
    """The group that a file holds; names that the class does not know are left out. Raises KeyError with what is missing."""
    return _build(cls, arrays, attributes, "")


def _build(cls: type[G], arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any], prefix: str) -> G:
    given: dict[str, Any] = {}
    known = {layout.name for layout in layouts(cls, prefix)}
    for layout in layouts(cls, prefix):
        if "{ion}" in layout.name:
            given[layout.field] = _of_ions(layout.name, arrays, known)
        elif layout.name in arrays:
            given[layout.field] = arrays[layout.name]
        elif not layout.optional:
            raise KeyError(layout.name)
    for name, spec, optional in attribute_fields(cls):
        if prefix + name in attributes:
            value = attributes[prefix + name]
            given[name] = json.loads(value) if spec.json else value
        elif not optional:
            raise KeyError(prefix + name)
    for name, inner, described, optional in parts(cls):
        if not optional or _is_there(inner, arrays, prefix + described.prefix):
            given[name] = _build(inner, arrays, attributes, prefix + described.prefix)
    return cls(**given)


def _of_ions(pattern: str, arrays: Mapping[str, NDArray[Any]], known: set[str]) -> dict[str, NDArray[Any]] | None:
    before, after = pattern.split("{ion}")
    named = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
    matches = {name: match for name in arrays if name not in known and (match := named.fullmatch(name))}
    found = {match[1]: arrays[name] for name, match in matches.items() if after.endswith("_error") or not name.endswith("_error")}
    return found or None


def _is_there(cls: type[Group], arrays: Mapping[str, NDArray[Any]], prefix: str) -> bool:
    return any(layout.name in arrays for layout in layouts(cls, prefix))
