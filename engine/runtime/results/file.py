"""results.h5: groups of variables with dimension scales, units, long names and errors; readable with h5py and xarray."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import RedoxError
from ...runtime.storage import open_h5, write_sealed_h5
from .build import build
from .migration import Stored, migrated
from .run import Attributes, Results, group_classes
from .schema import Group, Variable


def write_results(path: Path, results: Results) -> None:
    """Write results.h5 in one step; a file that was there is replaced."""
    write_sealed_h5(path, lambda file: _fill(file, results))


def _fill(file: h5py.File, results: Results) -> None:
    for key, value in results.attributes.file_attributes().items():
        if key != "format_version":
            file.attrs[key] = value
    for name, group in results.groups.items():
        target = file.create_group(name, track_order=True)
        for key, value in group.file_attributes().items():
            target.attrs[key] = value
        _fill_group(target, group.datasets())


def _fill_group(target: h5py.Group, variables: dict[str, Variable]) -> None:
    for key, variable in with_all_coordinates(variables).items():
        values = variable.values
        if values.dtype.kind == "U":
            values = np.array(values.tolist(), dtype=h5py.string_dtype())
        dataset = target.create_dataset(key, data=values)
        dataset.attrs["units"] = variable.units
        dataset.attrs["long_name"] = variable.long_name
        if variable.dims == (key,):
            dataset.make_scale(key)
    for key, variable in variables.items():
        for axis, dim in enumerate(variable.dims):
            if dim != key:
                target[key].dims[axis].attach_scale(target[dim])


def with_all_coordinates(variables: dict[str, Variable]) -> dict[str, Variable]:
    """The variables, and a plain number for every dimension without a coordinate: xarray needs all or none."""
    lengths = {dim: n for v in variables.values() for dim, n in zip(v.dims, v.values.shape)}
    missing = {dim: Variable((dim,), np.arange(n), "1", "number") for dim, n in lengths.items() if dim not in variables}
    return {**missing, **variables}


def read_results(path: Path) -> Results:
    """Raises RedoxError if the file is missing, damaged, of a newer format, or of an older one that is no longer read."""
    with open_h5(path) as file:
        attributes = {key: _plain(value) for key, value in file.attrs.items()}
        stored = {
            name: Stored(
                {key: _array(dataset) for key, dataset in source.items()},
                {key: _plain(value) for key, value in source.attrs.items()},
            )
            for name, source in file.items()
        }
    stored, classes = migrated(stored), group_classes()
    try:
        groups: dict[str, Group] = {
            name: build(classes[name], s.arrays, s.attributes) for name, s in stored.items() if name in classes
        }
        return Results(build(Attributes, {}, attributes), **groups)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise RedoxError(
            f"{path} was written by an older RedoxMC and is no longer read ({error}): run the stage analyse again"
        ) from None


def _array(dataset: h5py.Dataset) -> NDArray[Any]:
    return dataset.asstr()[()].astype("U") if h5py.check_string_dtype(dataset.dtype) else dataset[()]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
