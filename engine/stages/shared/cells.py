"""The cells that are sampled, and the Hamiltonian in each of them."""

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...hamiltonian.clusters import from_icet
from ...hamiltonian.electrostatics import PointCharges, point_charges
from ...hamiltonian.terms import Hamiltonian
from ...input.schema import Config
from ...runtime.mpi import bcast_from_root
from ...runtime.storage import read_json
from ...sampling.chains.moves import Mix
from ...sampling.chains.system import System, build_system
from ...sampling.ground_states.electron_ground_state import HamiltonianOf, ground_states
from .run import FitData, Run

if TYPE_CHECKING:
    from ...correction.correct import Correction  # torch comes with it

log = logging.getLogger("redoxmc")


@dataclass(frozen=True)
class Cells:
    """What is sampled. The same on every rank.

    hamiltonian_of: Hamiltonian of ions and electrons, by supercell matrix. main: the cell of lattice.supercell. second: the
    smaller cell that shows the finite-size shift, if the input has one. correction: the small cell in which the potential
    itself is sampled, if the input has one.
    """

    hamiltonian_of: HamiltonianOf
    main: System
    second: System | None
    correction: "Correction | None"


def build_cells(run: Run, short_range: Hamiltonian, comm: Any) -> Cells:
    """short_range: the Hamiltonian without point charges, of the fit stage. Collective."""
    of = hamiltonian_of(run, short_range)
    second = run.config.second_matrix
    return Cells(
        of,
        _system(run, of, run.matrix, comm),
        None if second is None else _system(run, of, second, comm),
        correction_of(run, of),
    )


def hamiltonian_of(run: Run, short_range: Hamiltonian) -> HamiltonianOf:
    """The Hamiltonian of ions and electrons by supercell matrix: that of point charges differs from cell to cell."""
    return partial(_with_point_charges, short_range, run.point_charges)


def _with_point_charges(short_range: Hamiltonian, charges: tuple[PointCharges, ...], matrix: NDArray[np.int64]) -> Hamiltonian:
    return short_range + point_charges(short_range.lattice, charges, matrix)


def sampled_hamiltonian(run: Run, of: HamiltonianOf, matrix: NDArray[np.int64]) -> Hamiltonian:
    """Of ions and electrons; with `electrons: ground_state` of the ions alone, each arrangement with its lowest electrons."""
    energy = run.config.energy
    if energy is None or energy.electrons == "equilibrium":
        return of(matrix)
    found = ground_states(run.lattice, matrix, run.ions[0], of, run.config.sampler.temperature_K, run.config.seed)
    log.info("energy: %s", found.note)
    return replace(found.hamiltonian, description=found.note)


def drawn_systems(run: Run, fit_data: FitData | None, system: System) -> list[System]:
    """The main cell with each draw of the effective cluster interactions.

    None where they were not fitted to the energy that is sampled, or by a version that drew none.
    """
    energy = run.config.energy
    if fit_data is None or energy is None or energy.electrons != "equilibrium":
        return []
    from icet import ClusterExpansion  # slow to import

    expansions = [ClusterExpansion(fit_data.space, p) for p in read_json(run.output.fit).get("draws", [])]
    drawn = (hamiltonian_of(run, run.user_terms + from_icet(e, run.lattice)) for e in expansions)
    return [build_system(of(run.matrix), run.matrix, system.ions) for of in drawn]


def correction_of(run: Run, of: HamiltonianOf) -> "Correction | None":
    """The small cell with its cluster expansion and the potential; its `identity` is what the samples depend on.

    None if the input has no correction, and then torch is not imported.
    """
    given, potential = run.config.correction, run.potential
    if given is None:
        return None
    from ...correction.correct import Correction

    assert potential is not None
    system = build_system(of(given.matrix), given.matrix, run.ions)
    temperatures_K = given.temperature_K or run.config.sampler.temperature_K
    return Correction(given, potential, run.config.relaxation, temperatures_K, run.config.seed, run.output.folder, system)


def _system(run: Run, of: HamiltonianOf, matrix: NDArray[np.int64], comm: Any) -> System:
    hamiltonian = bcast_from_root(comm, lambda: sampled_hamiltonian(run, of, matrix))
    system = build_system(hamiltonian, matrix, run.ions, _mix(run.config))
    if hamiltonian.lattice is run.lattice or len(run.ions) != 1:
        return system
    return replace(system, charge=run.lattice.species_named(run.ions[0]).charge)


def _mix(config: Config) -> Mix:
    moves = config.sampler.moves
    return Mix() if moves == "auto" else Mix(**moves.model_dump())
