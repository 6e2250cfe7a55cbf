"""results.h5 as xarray."""

from os import PathLike
from pathlib import Path

import xarray as xr

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.results import Group, read_results
from redoxmc.engine.stages.output import Output


def open_results(path: str | PathLike[str]) -> xr.DataTree:
    """Everything that a run found: one node per group of results.h5, each variable with its `units` and `long_name`.

    path: the output folder of a run, or its results.h5. Energies are eV per formula unit, entropies k_B per formula unit;
    errors stand beside values as NAME_error. The attributes of the root are those of the run: input, seed, versions, notes.

    Raises RedoxError if there are no results, or they are damaged or of another format.

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
    """A group with its coordinates, units and names."""
    variables = {name: (v.dims, v.values, {"units": v.units, "long_name": v.long_name}) for name, v in group.variables.items()}
    return xr.Dataset(variables, attrs=group.attributes)
