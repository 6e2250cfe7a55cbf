"""A system to sample, from an input file or from user-specified sections."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ase import Atoms

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.reader import input_from_sections, read_input
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.chains.system import build_system as build
from redoxmc.engine.stages.fit import compute, short_range
from redoxmc.engine.stages.prepare import prepare, prepare_energy
from redoxmc.engine.stages.shared.cells import hamiltonian_of, sampled_hamiltonian
from redoxmc.engine.stages.shared.run import RootData, Run

ANY_SAMPLING = {"temperature_K": [300.0]}  # the lattice and the energy do not depend on it


def build_system(
    source: str | PathLike[str] | None = None,
    *,
    lattice: Mapping[str, Any] | None = None,
    energy: Mapping[str, Any] | None = None,
) -> System:
    """The supercell with its energies and moves, for `sample`.

    source: an input file. Or, in place of it, lattice and energy: these two sections of an input file as dictionaries, with
    paths relative to the current folder; the structure may be an ase.Atoms. A data set is fitted here and now.

    Raises RedoxError if anything is wrong with them, all problems at once.

    >>> system = build_system(
    ...     lattice={
    ...         "structure": "inputs/structures/LiMnO2.cif",
    ...         "sublattices": [
    ...             {"element": "Li", "species": {"Li+": 1, "Va": 0}},
    ...             {"element": "Mn", "species": {"Mn3+": 3, "Mn4+": 4}},
    ...         ],
    ...         "spectators": {"O": -2},
    ...         "supercell": [4, 4, 1],
    ...     },
    ...     energy={"pairs": [{"species": ["Li+", "Li+"], "r_A": [0, 3], "energy_eV": 0.02}]},
    ... )
    >>> system.ions, system.n_formula_units
    (('Li+',), 48)
    """
    if (source is None) == (lattice is None or energy is None):
        raise RedoxError("give either an input file, or lattice and energy")
    if source is not None:
        return _system(*prepare(read_input(Path(source))))
    with TemporaryDirectory() as folder:
        structure = lattice.get("structure") if isinstance(lattice, Mapping) else None
        if isinstance(lattice, Mapping) and isinstance(structure, Atoms):
            structure.write(Path(folder) / "structure.traj")  # which keeps every digit
            lattice = {**lattice, "structure": str(Path(folder) / "structure.traj")}
        sections = {"output": folder, "lattice": lattice, "energy": energy, "sampling": ANY_SAMPLING}
        return _system(*prepare_energy(input_from_sections(sections)))


def _system(run: Run, data: RootData) -> System:
    if run.config.energy is None:
        raise RedoxError("the input has no energy to sample")
    if run.config.makes_labels:
        raise RedoxError("the input has no data set yet; the stage label of a run makes it")
    fitted = compute(run, data.fit_data).parameters if data.fit_data else None
    of = hamiltonian_of(run, short_range(run, data, fitted))
    return build(sampled_hamiltonian(run, of, run.matrix), run.matrix, run.ions)
