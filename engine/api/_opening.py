"""results.h5 as xarray."""

from os import PathLike
from pathlib import Path

import xarray as xr

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.results import Group, read_results, with_all_coordinates
from redoxmc.engine.stages.shared.output import Output


def open_results(path: str | PathLike[str]) -> xr.DataTree:
    """Open the results of a run: one node per group of results.h5, each variable with its `units` and `long_name`.

    path: the output folder of a run, or its results.h5. Energies are in eV per formula unit, entropies in k_B per formula unit;
    the error of NAME is NAME_error. The attributes of the root describe the run: input, seed, versions, notes.

    Raises RedoxError if there are no results, or if they are damaged or of a newer format.

    >>> results = open_results("outputs/tutorial/ising")
    >>> free_energy = results["canonical"]["free_energy_eV"].sel(temperature_K=700)
    >>> free_energy.dims, free_energy.attrs["units"]
    (('x',), 'eV/fu')
    """
    file = Output(Path(path)).results if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise RedoxError(f"no such file: {file}; the stage analyse of a run writes it")
    found = read_results(file)
    nodes = {name: dataset_of(group) for name, group in found.groups.items()}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=found.attributes.file_attributes()), **nodes})


def dataset_of(group: Group) -> xr.Dataset:
    """A group as a Dataset with coordinates, units and long names."""
    found = with_all_coordinates(group.datasets())
    variables = {name: (v.dims, v.values, {"units": v.units, "long_name": v.long_name}) for name, v in found.items()}
    return xr.Dataset(variables, attrs=group.file_attributes())
