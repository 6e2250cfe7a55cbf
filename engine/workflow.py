"""The stages of a run, in order. Each is done only if what it depends on has changed."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from .hamiltonian.electrostatics import PointCharges
from .input.options import Options
from .input.reader import read_input
from .input.schema import Config
from .report import write_report
from .runtime.mpi import StopWatch, wait_idly
from .sampling.electron_ground_state import HamiltonianOf
from .sampling.ground_states import run_ground_states
from .sampling.moves import Mix
from .sampling.run import run_sampling
from .sampling.split import run_split
from .sampling.system import System, build_system
from .stages.analyse import analyse
from .stages.check import print_plan
from .stages.fit import hamiltonian_of, short_range_terms, with_point_charges
from .stages.identity import potential_mark
from .stages.output import Output, open_output
from .stages.prepare import Prepared, prepare, with_labels
from .stages.refine import run_refinement

if TYPE_CHECKING:
    from .correction.correct import Correction  # torch comes with it


def run(path: Path, options: Options) -> None:
    """The whole command. Collective; rank 0 reads, fits, analyses and reports, all ranks sample."""
    comm = MPI.COMM_WORLD
    watch = StopWatch(comm)
    with watch.listening():
        prepared = None
        if comm.rank == 0:
            source = read_input(path)
            prepared = prepare(source)
            if options.check:
                print_plan(prepared, comm.size)
        if not options.check:
            _run_stages(prepared, options, comm, watch)
            wait_idly(comm)


def _run_stages(prepared: Prepared | None, options: Options, comm: Any, watch: StopWatch) -> None:
    output: Output = comm.bcast(Output(prepared.source.resolve(prepared.config.output)) if prepared else None)
    lock = None if options.only_looks else output.running
    if prepared:
        open_output(output, prepared.source, options.fresh, options.includes("sample"), lock)
        if lock:
            lock.share()  # before the others, who would else find it taken
    config: Config = comm.bcast(prepared.config if prepared else None)
    if lock and not prepared:
        lock.share()
    watch.walltime_s = config.sampling.walltime_s if config.sampling else None
    makes_labels = config.energy is not None and config.energy.needs_labels
    if config.training or config.evaluation or makes_labels:
        prepared = _potentials(prepared, makes_labels, output, options, comm, watch)
    if config.energy is not None:
        _thermodynamics(prepared, config, output, options, comm, watch)


def _potentials(
    prepared: Prepared | None, makes_labels: bool, output: Output, options: Options, comm: Any, watch: StopWatch
) -> Prepared | None:
    """Train, evaluate, label; returns `prepared` with the data set that was made. Torch is imported only here."""
    from .stages.potentials import Place, evaluate_stage, label_stage, labels_are_there, place_of, train_stage

    place: Place = comm.bcast(place_of(prepared, output.folder) if prepared else None)
    if options.includes("train"):
        train_stage(place, comm, watch)
    if options.includes("evaluate"):
        evaluate_stage(place, comm, watch)
    if makes_labels and options.includes("label"):
        label_stage(place, comm, watch)
    if prepared and makes_labels and not options.stops_before_fit and labels_are_there(place):
        return with_labels(prepared, output.folder / "labelled.extxyz")
    return prepared


def _thermodynamics(
    prepared: Prepared | None, config: Config, output: Output, options: Options, comm: Any, watch: StopWatch
) -> None:
    """From the Hamiltonian to the report."""
    if options.stops_before_fit:
        return
    samples, analyses = options.includes("sample"), options.includes("analyse")
    if not samples and not analyses:
        if prepared:
            short_range_terms(prepared, output, options.includes("fit"))
            with output.analysing.held():
                _report(output, options)
        return
    short_range = comm.bcast(short_range_terms(prepared, output, options.includes("fit")) if prepared else None)
    charges: tuple[PointCharges, ...] = comm.bcast(prepared.point_charges if prepared else None)
    of_supercell = partial(with_point_charges, short_range, charges)
    system = _system(prepared, config, config.lattice.matrix, of_supercell, comm)
    second = _second_system(prepared, config, of_supercell, comm)
    correction = _correction(prepared, config, system, of_supercell, output, comm) if config.correction else None
    if samples:
        if prepared and correction:
            from .correction.correct import try_potential

            try_potential(correction)
        if config.ground_states:
            run_ground_states(
                config.ground_states, short_range.lattice, of_supercell, system.ions, config.seed, output.store, comm, watch
            )
        run_sampling(system, config, output.store, comm, watch)
        run_refinement(system, config, prepared.vibrations if prepared else None, output.store, comm, watch)
        if second:
            run_sampling(second, config, output.store.second(second.supercell.matrix), comm, watch)
        run_split(system, config.analysis.entropy_compositions, config.seed, output.store, comm, watch)
        if correction:
            from .correction.correct import run_correction

            run_correction(correction, comm, watch)
    if prepared:
        with output.analysing.held():
            if analyses:
                analyse(prepared, system, second, correction, output)
            _report(output, options)


def _report(output: Output, options: Options) -> None:
    if options.includes("report"):
        write_report(output.results, output.fit, output.folder)


def _system(
    prepared: Prepared | None, config: Config, matrix: NDArray[np.int64], of_supercell: HamiltonianOf, comm: Any
) -> System:
    """The lattice of one supercell with its energies. Collective."""
    hamiltonian = comm.bcast(hamiltonian_of(prepared, matrix, of_supercell) if prepared else None)
    return build_system(hamiltonian, matrix, comm.bcast(prepared.ions if prepared else None), _mix(config))


def _second_system(prepared: Prepared | None, config: Config, of_supercell: HamiltonianOf, comm: Any) -> System | None:
    """The smaller cell that shows the finite-size shift, if one is asked for. Collective."""
    matrix = config.sampler.second_matrix
    return None if matrix is None else _system(prepared, config, matrix, of_supercell, comm)


def _correction(
    prepared: Prepared | None, config: Config, system: System, of_supercell: HamiltonianOf, output: Output, comm: Any
) -> "Correction":
    """The small cell in which the potential is sampled. Collective."""
    from .correction.correct import correction_of

    where: tuple[Path | None, str] = comm.bcast(_weights(prepared) if prepared else None)
    return correction_of(config, system.lattice, system.ions, output.folder, *where, of_supercell)


def _weights(prepared: Prepared) -> tuple[Path | None, str]:
    """File of the potential's weights, and the hash of what its energies depend on."""
    given = prepared.config.potential
    assert given is not None
    return prepared.source.resolve(given.file) if given.file else None, potential_mark(prepared.source, given)


def _mix(config: Config) -> Mix:
    moves = config.sampler.moves
    return Mix() if moves == "auto" else Mix(**moves.model_dump())
