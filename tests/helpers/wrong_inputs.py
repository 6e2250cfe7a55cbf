"""Wrong inputs by the thousand: good documents and files, mutated; and documents drawn from the schema."""

import copy
import json
import math
from collections.abc import Iterator
from functools import partial, reduce
from typing import Any

from hypothesis import strategies as st

from redoxmc.engine.input.schema import json_schema

from .good_inputs import DOCUMENTS, as_yaml

SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 10**6, 10**9, 10**18, 2**63, 10**40, -(10**9), 0.0, -0.0, 0.5, -2.5, 1e-300, 1e300,
        -1e300,
    math.nan, math.inf, -math.inf, "", "auto", "Na", "Na+", "Va", "Fe", "Fe2+", "Fe3+", "K+", "Ga", "P", "O", "X", "Zz", "0",
        "1.5", "nan",
    "good.cif", "good.extxyz", "smol.json", "input.yaml", "none.cif", ".", "..", "/", "/dev/null", "/dev/zero", "*", "a/" * 300,
        "x" * 5000,
    "~", "$(rm x)", "<script>", "[bold]", "[/bold]", "{x}", "%s", "\u202eNa", "Na\u207a", "\x00", "\x1b[2J", "\ud800", "é" * 200,
    "mace", "chgnet", "cpainn", "canonical", "semigrand", "10-fold", "99999999999-fold",
]  # fmt: skip
COMPOUND: list[Any] = [
    [], {}, [[]], [None], [0], [1, 1], [1, 1, 1], [10**6, 10**6, 10**6], [10**4, 10**4, 10**4], [100, 100, 100], [-1, 1, 1], [0,
        1, 1],
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[9999, 1, 0], [1, 9999, 0], [0, 1, 9999]], [1e300,
        2e300],
    list(range(1, 60)), [300.0] * 5, {"Na+": 1, "Va": 0}, {"Na+": 2}, {"Fe2+": 3, "Fe3+": 2}, {"auto": "auto"}, {1: 2}, {"min": 1,
        "max": 0},
    {"min": -1e9, "max": 1e9, "points": 10**9}, {"a": {"b": {"c": {"d": {}}}}}, {"charge": 3, "proxy": "Na"}, ["Na+", "Fe2+"], [0,
        1e9],
    {f"X{k}+": k for k in range(9)}, {f"Q{k}": q for k, q in enumerate((17, -13, 19, 11, -7, 5, -3, 2))},
]  # fmt: skip
VALUES = st.sampled_from(SCALARS) | st.sampled_from(COMPOUND) | st.integers() | st.floats() | st.text(max_size=20)


def places(node: Any, here: tuple = ()) -> Iterator[tuple]:
    """Paths to everything in a document."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*here, key)
        yield from places(value, (*here, key))


def at(document: Any, path: tuple) -> Any:
    return reduce(lambda node, key: node[key], path, document)


def _rename(holder: Any, key: Any, value: Any, other: Any) -> None:
    if isinstance(holder, dict):
        holder[other if isinstance(other, str | int | float | bool) else "other"] = holder.pop(key)
    else:
        holder.insert(0, holder.pop(key))


def _drop(holder: Any, key: Any, value: Any, other: Any) -> None:
    del holder[key]


def _replace(holder: Any, key: Any, value: Any, other: Any) -> None:
    holder[key] = other


def _wrap(holder: Any, key: Any, value: Any, other: Any) -> None:
    holder[key] = [value]


def _twice(holder: Any, key: Any, value: Any, other: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
    else:
        holder[f"{key}2"] = copy.deepcopy(value)


def _scale(holder: Any, key: Any, value: Any, other: Any) -> None:
    if isinstance(value, int | float):
        holder[key] = value * (1000 if isinstance(other, str) else -1)
    else:
        holder[key] = other


OPERATIONS = (_replace, _replace, _replace, _drop, _rename, _wrap, _twice, _scale)


@st.composite
def mutated_documents(draw: st.DrawFn) -> bytes:
    """A good document with one to three things changed."""
    document = copy.deepcopy(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))])
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        paths = list(places(document))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        other = copy.deepcopy(draw(VALUES | st.sampled_from(paths).map(partial(at, document))))
        draw(st.sampled_from(OPERATIONS))(at(document, path[:-1]), path[-1], at(document, path), other)
    return as_yaml(document)


SCHEMA = json.loads(json_schema())
WORDS = [
    "Na+",
    "Va",
    "Fe2+",
    "Fe3+",
    "Na",
    "Fe",
    "P",
    "O",
    "good.extxyz",
    "good.cif",
    "10-fold",
    "3-fold",
    "auto",
    "mace",
    "ase.calculators.emt.EMT",
    "a",
]


@st.composite
def from_schema(draw: st.DrawFn, schema: Any = None, depth: int = 0) -> Any:
    """What the schema allows, and now and then something else."""
    whole = SCHEMA if schema is None else schema
    if depth and draw(st.integers(0, 79)) == 0:
        return draw(VALUES)
    if "$ref" in whole:
        return draw(from_schema(SCHEMA["$defs"][whole["$ref"].rsplit("/", 1)[1]], depth + 1))
    if options := whole.get("anyOf", whole.get("oneOf")):
        return draw(from_schema(draw(st.sampled_from(options)), depth + 1))
    if "const" in whole or "enum" in whole:
        return draw(st.sampled_from(whole.get("enum", [whole.get("const")])))
    kind = whole.get("type")
    if kind == "object":
        return {name: draw(from_schema(inner, depth + 1)) for name, inner in draw(_keys(whole)).items()}
    if kind == "array":
        low, high = whole.get("minItems", 0), whole.get("maxItems", 3)
        shapes = whole.get("prefixItems") or [whole.get("items", {})] * draw(st.integers(low, max(low, min(high, 3))))
        return [draw(from_schema(inner, depth + 1)) for inner in shapes]
    if kind in ("integer", "number"):
        low, high = whole.get("minimum", whole.get("exclusiveMinimum", -5) + 0.01), whole.get("maximum", 1e6)
        inside = st.integers(math.ceil(low), min(math.ceil(low) + 6, int(high))) if kind == "integer" else st.floats(low, high)
        return draw(inside | inside | st.sampled_from([math.ceil(low), int(high)]))
    return draw(st.booleans() if kind == "boolean" else st.none() if kind == "null" else st.sampled_from(WORDS))


@st.composite
def _keys(draw: st.DrawFn, schema: Any) -> dict[str, Any]:
    """Some of an object's keys, those that it needs among them, each with its schema."""
    known, needed = schema.get("properties", {}), set(schema.get("required", ()))
    chosen = {k: v for k, v in known.items() if k in needed or draw(st.integers(0, 3)) == 0}
    free = schema.get("additionalProperties")
    if isinstance(free, dict):
        chosen |= {draw(st.sampled_from(WORDS[:8])): free for _ in range(draw(st.integers(schema.get("minProperties", 0), 2)))}
    return chosen


@st.composite
def schema_documents(draw: st.DrawFn) -> bytes:
    """Drawn from the schema; lattice, energy and sampling most often those of a good document, so that the rest is looked at
    too.
    """
    document = draw(from_schema())
    if isinstance(document, dict):
        good = DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))]
        kept = [key for key in ("lattice", "energy", "sampling") if key in good and draw(st.integers(0, 4))]
        document |= {key: copy.deepcopy(good[key]) for key in kept}
    return as_yaml(document)
