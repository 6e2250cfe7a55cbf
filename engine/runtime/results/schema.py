"""The language in which the groups of results.h5 are written down: frozen dataclasses whose fields describe datasets.

    @results_group
    class Hull(Group):
        temperature_K: Float = coordinate("K", "temperature")
        energy_above_hull_eV: Float = variable(("temperature_K", "x"), "eV/fu", "free energy above the hull")
        energy_above_hull_eV_error: Float = error_of("energy_above_hull_eV")

The name of a field is the name of its dataset. A field with `default=None` is optional: None is absent from the file. Arrays are
converted to the type of the annotation, and the shapes of all arrays of a group are checked against their dimensions.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType
from typing import Any, ClassVar, TypeVar, dataclass_transform, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Text = NDArray[np.str_]
FloatByIon = Mapping[str, Float]
T = TypeVar("T")


@dataclass(frozen=True)
class Variable:
    """An array with named dimensions; a variable whose only dimension bears its own name is a coordinate."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    units: str
    long_name: str


@dataclass(frozen=True)
class _Described:
    """dims: None for a coordinate."""

    dims: tuple[str, ...] | None
    units: str
    long_name: str


@dataclass(frozen=True)
class _ErrorOf:
    name: str


@dataclass(frozen=True)
class _ByIon:
    name: str
    pattern: str


@dataclass(frozen=True)
class _Attribute:
    long_name: str
    json: bool


@dataclass(frozen=True)
class _Part:
    prefix: str
    words: str


def coordinate(units: str, long_name: str, *, default: Any = MISSING) -> Any:
    """A dimension's values: one-dimensional, and the dimension has the name of the field."""
    return _field(_Described(None, units, long_name), default)


def variable(dims: tuple[str, ...], units: str, long_name: str, *, default: Any = MISSING) -> Any:
    """An array over `dims`. "{replica_axis}" in dims is that class variable; "{part}" and "{words}" are those of the part."""
    return _field(_Described(dims, units, long_name), default)


def error_of(name: str, *, default: Any = MISSING) -> Any:
    """The standard error of another field: dataset NAME_error, same dimensions and unit."""
    return _field(_ErrorOf(name), default)


def by_ion(name: str, pattern: str, *, default: Any = MISSING) -> Any:
    """Takes the place of the field `name` where there are several ions: a mapping from the ion to its array.

    pattern: of the datasets' names, such as x_{ion}. If the field is a coordinate, a dimension of its name becomes one for
    each ion.
    """
    return _field(_ByIon(name, pattern), default)


def attribute(long_name: str, *, default: Any = MISSING, json: bool = False) -> Any:
    """An attribute of the group; json: stored as JSON text."""
    return _field(_Attribute(long_name, json), default)


def part(prefix: str, words: str = "", *, default: Any = MISSING) -> Any:
    """Another group whose datasets and attributes stand in this one, each name with the prefix; words: for its long names."""
    return _field(_Part(prefix, words), default)


def _field(spec: Any, default: Any) -> Any:
    return field(default=default, metadata={"spec": spec})


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(coordinate, variable, error_of, by_ion, attribute, part)
)
def results_group(cls: type[T]) -> type[T]:
    """Make a frozen dataclass of a group."""
    return dataclass(frozen=True, kw_only=True, eq=False)(cls)


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Base of all groups. Raises TypeError for an array of the wrong type, ValueError for one of the wrong shape."""

    replica_axis: ClassVar[str] = ""

    def __post_init__(self) -> None:
        types = array_types(type(self))
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None and not _optional(f):
                raise TypeError(f"{type(self).__name__}.{f.name} is missing")
            if value is None or f.name not in types:
                continue
            if isinstance(value, Mapping):
                value = {ion: _array(v, types[f.name], f.name) for ion, v in value.items()}
            else:
                value = _array(value, types[f.name], f.name)
            object.__setattr__(self, f.name, value)
        _check_shapes(type(self).__name__, self.datasets())

    def datasets(self) -> dict[str, Variable]:
        """Every variable that is not None, by its name in the file, parts included."""
        return dict(_datasets(self, "", ""))

    def file_attributes(self) -> dict[str, Any]:
        """Every attribute that is not None, by its name in the file, parts included."""
        return dict(_attributes(self, ""))


def _optional(f: Field[Any]) -> bool:
    return f.default is not MISSING


def array_types(cls: type) -> dict[str, np.dtype[Any]]:
    """The type of every field that is an array, or a mapping to arrays."""
    hints = {name: _without_none(hint) for name, hint in get_type_hints(cls).items()}
    by_name = {f.name: f.metadata["spec"] for f in fields(cls)}
    arrays = {n: hints[n] for n, spec in by_name.items() if not isinstance(spec, (_Attribute, _Part))}
    arrays = {n: get_args(h)[1] if get_args(h)[0] is str else h for n, h in arrays.items()}
    return {n: np.dtype(get_args(get_args(h)[1])[0]) for n, h in arrays.items()}


def _without_none(hint: Any) -> Any:
    kept = [a for a in get_args(hint) if a is not NoneType]
    return kept[0] if NoneType in get_args(hint) else hint


def _array(value: Any, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind == dtype.kind and (dtype.kind == "U" or array.dtype == dtype):
        return array
    if array.size and not np.can_cast(array.dtype, dtype, "safe"):
        raise TypeError(f"{name}: found {array.dtype}; allowed: {dtype}")
    return array.astype(dtype)


def _check_shapes(owner: str, datasets: dict[str, Variable]) -> None:
    lengths: dict[str, int] = {}
    for name, v in datasets.items():
        if v.values.ndim != len(v.dims):
            raise ValueError(
                f"{owner}.{name}: found the shape {v.values.shape}; allowed: one length for each of {', '.join(v.dims)}"
            )
        for dim, length in zip(v.dims, v.values.shape):
            if lengths.setdefault(dim, length) != length:
                raise ValueError(f"{owner}.{name}: found the length {length} along {dim}; allowed: {lengths[dim]}, as elsewhere")


# From fields to datasets.


@dataclass(frozen=True)
class Layout:
    """How one field of a group stands in the file; name: with {ion} where there is a dataset for each ion."""

    field: str
    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    optional: bool


def layouts(cls: type[Group], prefix: str = "", words: str = "") -> tuple[Layout, ...]:
    """Of all arrays of a class, without those of its parts."""
    found = []
    for f in fields(cls):
        if isinstance(f.metadata["spec"], (_Attribute, _Part)):
            continue
        name, dims, units, long_name = _described(cls, f.name)
        name = prefix + name
        own = (
            (name,)
            if dims is None
            else tuple(d.replace("{part}", prefix).replace("{replica_axis}", cls.replica_axis) for d in dims)
        )
        found.append(Layout(f.name, name, own, units, long_name.replace("{words}", words), _optional(f)))
    return tuple(found)


def _described(cls: type[Group], name: str) -> tuple[str, tuple[str, ...] | None, str, str]:
    spec = next(f.metadata["spec"] for f in fields(cls) if f.name == name)
    if isinstance(spec, _Described):
        return name, spec.dims, spec.units, spec.long_name
    of, dims, units, long_name = _described(cls, spec.name)
    if isinstance(spec, _ErrorOf):
        return f"{of}_error", dims, units, f"standard error of {long_name}"
    return spec.pattern, dims, units, f"{long_name}: {{ion}}"


def parts(cls: type[Group]) -> Iterator[tuple[str, type[Group], _Part, bool]]:
    """Field, class, description and whether it is optional, of each part."""
    hints = get_type_hints(cls)
    for f in fields(cls):
        if isinstance(f.metadata["spec"], _Part):
            yield f.name, _without_none(hints[f.name]), f.metadata["spec"], _optional(f)


def attribute_fields(cls: type[Group]) -> Iterator[tuple[str, _Attribute, bool]]:
    """Field, description and whether it is optional, of each attribute."""
    for f in fields(cls):
        if isinstance(f.metadata["spec"], _Attribute):
            yield f.name, f.metadata["spec"], _optional(f)


def _datasets(group: Group, prefix: str, words: str) -> Iterator[tuple[str, Variable]]:
    cls = type(group)
    own = [(layout, value) for layout in layouts(cls, prefix, words) if (value := getattr(group, layout.field)) is not None]
    several = {
        _replaced(cls, layout): _names(layout, value)
        for layout, value in own
        if layout.dims == (layout.name,) and isinstance(value, dict)
    }
    for layout, value in own:
        for ion, values in value.items() if isinstance(value, dict) else [("", value)]:
            name = layout.name.replace("{ion}", ion)
            dims = [name] if layout.dims == (layout.name,) else [n for d in layout.dims for n in several.get(d, (d,))]
            yield name, Variable(tuple(dims), values, layout.units, layout.long_name.replace("{ion}", ion))
    for name, _, spec, _ in parts(cls):
        if (inner := getattr(group, name)) is not None:
            yield from _datasets(inner, prefix + spec.prefix, spec.words)


def _replaced(cls: type[Group], layout: Layout) -> str:
    """The dimension that the coordinates of several ions take the place of."""
    return str(next(f.metadata["spec"].name for f in fields(cls) if f.name == layout.field))


def _names(layout: Layout, by_ion: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(layout.name.replace("{ion}", ion) for ion in by_ion)


def _attributes(group: Group, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, spec, _ in attribute_fields(type(group)):
        if (value := getattr(group, name)) is not None:
            yield prefix + name, json.dumps(value, ensure_ascii=False) if spec.json else value
    for name, _, described, _ in parts(type(group)):
        if (inner := getattr(group, name)) is not None:
            yield from _attributes(inner, prefix + described.prefix)
