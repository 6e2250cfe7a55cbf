"""results.h5: groups of variables with dimension scales, units, long names and errors; readable with h5py and xarray."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .storage import open_h5, write_sealed_h5

LAYOUT = 4  # of the groups and their names, and of the numbers that an analysis draws; an analysis of another layout is done anew


@dataclass(frozen=True)
class Variable:
    """An array with named dimensions; a variable whose only dimension bears its own name is a coordinate."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    units: str
    long_name: str


@dataclass
class Group:
    variables: dict[str, Variable] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, dims: tuple[str, ...], values: Any, units: str, long_name: str, error: Any = None) -> None:
        """Add a variable and, if given, its standard error as NAME_error."""
        self.variables[name] = Variable(dims, np.asarray(values), units, long_name)
        if error is not None:
            self.variables[f"{name}_error"] = Variable(dims, np.asarray(error), units, f"standard error of {long_name}")

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.variables[name].values

    def __contains__(self, name: str) -> bool:
        return name in self.variables


@dataclass
class Results:
    attributes: dict[str, Any]
    groups: dict[str, Group]


def write_results(path: Path, results: Results) -> None:
    write_sealed_h5(path, lambda file: _fill(file, results))


def _fill(file: h5py.File, results: Results) -> None:
    for key, value in results.attributes.items():
        file.attrs[key] = value
    for name, group in results.groups.items():
        target = file.create_group(name, track_order=True)
        for key, value in group.attributes.items():
            target.attrs[key] = value
        for key, variable in _with_all_coordinates(group).items():
            values = variable.values
            if values.dtype.kind in "US":
                values = np.array(values.tolist(), dtype=h5py.string_dtype())
            dataset = target.create_dataset(key, data=values)
            dataset.attrs["units"] = variable.units
            dataset.attrs["long_name"] = variable.long_name
            if variable.dims == (key,):
                dataset.make_scale(key)
        for key, variable in group.variables.items():
            for axis, dim in enumerate(variable.dims):
                if dim != key and dim in target:
                    target[key].dims[axis].attach_scale(target[dim])


def _with_all_coordinates(group: Group) -> dict[str, Variable]:
    """The group's variables, and a plain number for every dimension without a coordinate: xarray wants all or none."""
    lengths = {dim: n for v in group.variables.values() for dim, n in zip(v.dims, v.values.shape)}
    missing = {dim: Variable((dim,), np.arange(n), "1", "number") for dim, n in lengths.items() if dim not in group.variables}
    return {**missing, **group.variables}


def read_results(path: Path) -> Results:
    """Raises RedoxError if the file is missing, damaged or of a newer format."""
    groups = {}
    with open_h5(path) as file:
        attributes = {k: _plain(v) for k, v in file.attrs.items()}
        for name, source in file.items():
            group = Group(attributes={k: _plain(v) for k, v in source.attrs.items()})
            for key, dataset in source.items():
                dims = tuple(d[0].name.rsplit("/", 1)[-1] if len(d) else key for d in dataset.dims)
                values = dataset.asstr()[()].astype("U") if h5py.check_string_dtype(dataset.dtype) else dataset[()]
                group.variables[key] = Variable(dims, values, str(dataset.attrs["units"]), str(dataset.attrs["long_name"]))
            groups[name] = group
    return Results(attributes, groups)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
