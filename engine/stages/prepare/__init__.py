"""From the input file to lattice and Hamiltonian: everything that can be wrong is found here, before anything runs."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice
from ...crystal.neutrality import Exchange, exchangeable_ions
from ...hamiltonian.electrostatics import PointCharges
from ...hamiltonian.model import Model
from ...hamiltonian.terms import Hamiltonian
from ...input.checks.checker import Checker
from ...input.checks.lattice import read_exchanges, read_lattice
from ...input.checks.output import check_output
from ...input.checks.potentials import check_potentials
from ...input.checks.sampling import check_correction, check_ground_states, check_learning, check_sampling
from ...input.reader import InputFile
from ...input.schema import Config
from ...report.experiment import Experiment
from ...thermodynamics.vibrations import Vibrations
from .expansion import Training, read_expansion, read_training
from .files import read_experiment_file, read_vibrations_file
from .terms import typed_terms


@dataclass(frozen=True)
class Prepared:
    """A checked input. `typed` holds the typed-in terms; the expansion comes from `training` or from the file `model`."""

    source: InputFile
    lattice: Lattice
    exchanges: list[Exchange]
    ions: tuple[str, ...]
    typed: Hamiltonian
    training: Training | None
    model: Model | None
    vibrations: Vibrations | None = None
    experiment: Experiment | None = None

    @property
    def config(self) -> Config:
        return self.source.config

    @property
    def matrix(self) -> NDArray[np.int64]:
        return self.config.lattice.matrix

    @property
    def point_charges(self) -> tuple[PointCharges, ...]:
        """Typed in, and of the model."""
        given = (self.config.energy.electrostatics if self.config.energy else None, self.model)
        return tuple(PointCharges(dict(g.charges), g.dielectric) for g in given if g is not None and g.charges)


def prepare(source: InputFile) -> Prepared:
    """Build and check; raises InputError with every problem that can be found together."""
    check = Checker(source)
    check_output(source, check)
    lattice = read_lattice(source, check)
    exchanges = read_exchanges(lattice, check)
    ions = check_sampling(source, lattice, exchanges, check)
    typed = typed_terms(source, lattice, check)
    check_potentials(source, lattice, check)
    check_ground_states(source, lattice, ions, check)
    check_correction(source, lattice, ions, check)
    check_learning(source, ions, check)
    vibrations = read_vibrations_file(source, lattice, ions, check)
    experiment = read_experiment_file(source, lattice, ions, check)
    check.stop_if_wrong()
    training, model = read_expansion(source, lattice, check)
    check.stop_if_wrong()
    return Prepared(source, lattice, exchanges, ions, typed, training, model, vibrations, experiment)


def prepare_energy(source: InputFile) -> Prepared:
    """Lattice and energy alone, whatever is to be sampled; raises InputError likewise."""
    check = Checker(source)
    lattice = read_lattice(source, check)
    exchanges = read_exchanges(lattice, check)
    typed = typed_terms(source, lattice, check)
    check.stop_if_wrong()
    training, model = read_expansion(source, lattice, check)
    check.stop_if_wrong()
    ions = tuple(exchangeable_ions(lattice, exchanges))
    return Prepared(source, lattice, exchanges, ions, typed, training, model)


def with_labels(prepared: Prepared, labelled: Path) -> Prepared:
    """The same, with the data set that the `label` stage made. Raises InputError if it cannot be fitted."""
    check = Checker(prepared.source)
    training = read_training(prepared.source, prepared.lattice, [labelled], check)
    check.stop_if_wrong()
    return replace(prepared, training=training)
