"""From the input file to `Run` and `RootData`. Everything that can be wrong is found here, before anything runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...crystal.lattice import Lattice
from ...crystal.neutrality import Exchange, exchangeable_ions
from ...hamiltonian.electrostatics import PointCharges
from ...hamiltonian.imported import ImportedExpansion
from ...hamiltonian.terms import Hamiltonian
from ...input.checks.checker import Checker
from ...input.checks.lattice import read_exchanges, read_lattice
from ...input.checks.output import check_output
from ...input.checks.potentials import check_potentials
from ...input.checks.sampling import check_correction, check_electrons, check_ground_states, check_learning, check_sampling
from ...input.reader import InputFile, read_input
from ...potentials.specification import specify
from ..shared.identity import file_hashes
from ..shared.options import Options
from ..shared.output import Output
from ..shared.run import RootData, Run
from .expansion import read_expansion, read_fit_data
from .files import read_experiment_file, read_vibrations_file
from .terms import user_terms


def prepare_on_root(comm: Any, path: Path, options: Options) -> tuple[Run, RootData | None]:
    """Rank 0 reads, checks and broadcasts the run, and keeps what only it needs. Collective."""
    if comm.rank != 0:
        return comm.bcast(None), None
    run, data = prepare(read_input(path), options)
    return comm.bcast(run), data


def prepare(source: InputFile, options: Options | None = None) -> tuple[Run, RootData]:
    """Check the input and build what follows from it. Raises InputError with all problems that can be found together."""
    check = Checker(source)
    check_output(source, check)
    lattice = read_lattice(source, check)
    exchanges = read_exchanges(lattice, check)
    ions = check_sampling(source, lattice, exchanges, check)
    terms = user_terms(source, lattice, check)
    check_potentials(source, lattice, check)
    check_electrons(source, lattice, ions, check)
    check_ground_states(source, lattice, ions, check)
    check_correction(source, lattice, ions, check)
    check_learning(source, ions, check)
    vibrations = read_vibrations_file(source, lattice, ions, check)
    experiment = read_experiment_file(source, lattice, ions, check)
    check.stop_if_wrong()
    fit_data, model = read_expansion(source, lattice, check)
    check.stop_if_wrong()
    return _run(source, options or Options(), lattice, exchanges, ions, terms, model), RootData(
        fit_data, model, vibrations, experiment
    )


def prepare_energy(source: InputFile) -> tuple[Run, RootData]:
    """Prepare the lattice and the energy only, without checks of the other sections. Raises InputError."""
    check = Checker(source)
    lattice = read_lattice(source, check)
    exchanges = read_exchanges(lattice, check)
    terms = user_terms(source, lattice, check)
    check.stop_if_wrong()
    fit_data, model = read_expansion(source, lattice, check)
    check.stop_if_wrong()
    ions = tuple(exchangeable_ions(lattice, exchanges))
    return _run(source, Options(), lattice, exchanges, ions, terms, model), RootData(fit_data, model)


def with_labels(run: Run, data: RootData, labelled: Path) -> RootData:
    """Add the data set that the label stage made. Raises InputError if it cannot be fitted."""
    check = Checker(run.source)
    fit_data = read_fit_data(run.source, run.lattice, [labelled], check)
    check.stop_if_wrong()
    return replace(data, fit_data=fit_data)


def _run(
    source: InputFile, options: Options, lattice: Lattice, exchanges: list[Exchange], ions: tuple[str, ...], terms: Hamiltonian,
    model: ImportedExpansion | None,
) -> Run:  # fmt: skip
    config = source.config
    potential = specify(source, config.potential) if config.potential is not None and config.uses_potential else None
    return Run(
        source=source,
        options=options,
        output=Output(source.resolve(config.output)),
        lattice=lattice,
        exchanges=tuple(exchanges),
        ions=ions,
        user_terms=terms,
        point_charges=_point_charges(source, model),
        file_hashes=file_hashes(source, potential),
        potential=potential,
    )


def _point_charges(source: InputFile, model: ImportedExpansion | None) -> tuple[PointCharges, ...]:
    """Those of the input and those of the model file."""
    energy = source.config.energy
    given = (energy.electrostatics if energy else None, model)
    return tuple(PointCharges(dict(g.charges), g.dielectric) for g in given if g is not None and g.charges)
