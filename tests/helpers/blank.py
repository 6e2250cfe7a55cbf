"""Groups of results of which a test needs a few fields only."""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

import numpy as np

from redoxmc.engine.runtime.results.schema import Group, array_types, attribute_fields, layouts, parts

G = TypeVar("G", bound=Group)
LENGTHS = {"of_three": 3, "of_two": 2, "side": 2, "axis": 3, "place": 3}
EMPTY = {"f": np.nan, "i": 0, "b": False, "U": ""}


def blank(cls: type[G], **given: Any) -> G:
    """The group with what is given, and nan, 0, False or "" in all other required fields; unknown dimensions have length 0."""
    return _blank(cls, given, dict(LENGTHS))


def _blank(cls: type[G], given: dict[str, Any], lengths: dict[str, int], prefix: str = "") -> G:
    for layout in layouts(cls, prefix):
        if given.get(layout.field) is not None:
            lengths |= dict(zip(layout.dims, np.shape(given[layout.field])))
    found, required = dict(given), {f.name for f in fields(cls) if f.default is MISSING}
    for layout in layouts(cls, prefix):
        if layout.field in required - set(found):
            dtype = array_types(cls)[layout.field]
            shape = tuple(lengths.get(dim, 0) for dim in layout.dims)
            found[layout.field] = np.full(shape, EMPTY[dtype.kind], dtype)
    found |= {name: "" for name, _, optional in attribute_fields(cls) if not optional and name not in found}
    for name, inner, spec, optional in parts(cls):
        if not optional and name not in found:
            found[name] = _blank(inner, {}, dict(lengths), prefix + spec.prefix)
    return cls(**found)
