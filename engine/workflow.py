"""The stages of a run, in order. Each is done only if what it depends on has changed."""

import json
import logging
import os
import shutil
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from icet import ClusterExpansion
from mpi4py import MPI
from numpy.typing import NDArray

from .check import print_plan
from .config import Config, matrix_of
from .errors import RedoxError
from .fit import expansion, fit_expansion
from .fit_report import fit_record
from .ground_state import HamiltonianOf, ground_states
from .hamiltonian.clusters import from_icet
from .hamiltonian.electrostatics import PointCharges, point_charges
from .hamiltonian.terms import Hamiltonian
from .inputfile import InputFile, read_input
from .lattice import Supercell
from .moves import Mix
from .parallel import StopWatch, wait_idly
from .prepare import Prepared, prepare, with_labels
from .provenance import attributes, fingerprint, fit_identity, potential_mark, sample_identity
from .refine import run_refinement
from .report import write_report
from .results import LAYOUT, Group, Results, read_results, write_results
from .sampling.ground_states import read_ground_states, run_ground_states
from .sampling.split import run_split
from .sampling.stage import run_sampling
from .storage import SampleStore, differences, write_text, write_whole
from .system import System, build_system
from .thermodynamics.analyse import Analysis
from .thermodynamics.compare import boundary_shifts
from .thermodynamics.diagram import phase_labels
from .thermodynamics.ground_states import fraction, ground_state_group, ground_state_notes, write_corners
from .thermodynamics.phases import write_examples
from .thermodynamics.samples import Samples, read_samples

if TYPE_CHECKING:
    from .hybrid.stage import Correction  # torch comes with it

STAGES = ("train", "evaluate", "label", "fit", "sample", "analyse", "report")
log = logging.getLogger("redoxmc")


@dataclass(frozen=True)
class Options:
    check: bool = False
    only: str | None = None
    until: str | None = None
    fresh: bool = False

    def includes(self, stage: str) -> bool:
        if self.only:
            return stage == self.only
        return self.until is None or STAGES.index(stage) <= STAGES.index(self.until)

    @property
    def stops_before_fit(self) -> bool:
        """Whether potentials and labels are all that is wanted."""
        return (self.only or self.until) in STAGES[: STAGES.index("fit")]


@dataclass(frozen=True)
class Output:
    """Where things are in outputs/NAME."""

    folder: Path

    @property
    def expansion(self) -> Path:
        return self.folder / "cluster_expansion.ce"

    @property
    def fit(self) -> Path:
        return self.folder / "fit.json"

    @property
    def results(self) -> Path:
        return self.folder / "results.h5"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def learning(self) -> Path:
        return self.folder / "learning.json"

    @property
    def ground_states(self) -> Path:
        return self.folder / "ground_states"

    @property
    def made_by_potentials(self) -> tuple[Path, ...]:
        names = (
            "labelled.extxyz",
            "label.json",
            "label.mark",
            "learning.json",
            "evaluation.json",
            "evaluation.html",
            "refused_frames.txt",
        )
        return tuple(self.folder / name for name in names)

    @property
    def store(self) -> SampleStore:
        return SampleStore(self.folder / "samples")


def run(path: Path, options: Options) -> None:
    """The whole command. Collective; rank 0 reads, fits, analyses and reports, all ranks sample."""
    comm = MPI.COMM_WORLD
    prepared = None
    if comm.rank == 0:
        source = read_input(path)
        prepared = prepare(source)
        if options.check:
            print_plan(prepared, comm.size)
    if options.check:
        return
    output: Output = comm.bcast(Output(prepared.source.resolve(prepared.config.output)) if prepared else None)
    if prepared:
        _open_output(output, prepared.source, options)
    config: Config = comm.bcast(prepared.config if prepared else None)
    watch = StopWatch(comm, config.sampling.walltime_s if config.sampling else None)
    watch.listen()
    makes_labels = config.energy is not None and config.energy.needs_labels
    if config.training or config.evaluation or makes_labels:
        prepared = _potentials(prepared, makes_labels, output, options, comm, watch)
    if config.energy is not None:
        _thermodynamics(prepared, config, output, options, comm, watch)
    wait_idly(comm)


def _potentials(
    prepared: Prepared | None, makes_labels: bool, output: Output, options: Options, comm: Any, watch: StopWatch
) -> Prepared | None:
    """Train, evaluate, label; returns `prepared` with the data set that was made. Torch is imported only here."""
    from .stages import Place, evaluate_stage, label_stage, labels_are_there, place_of, train_stage

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
            _hamiltonian(prepared, output, options)
            _report(output, options)
        return
    short_range = comm.bcast(_hamiltonian(prepared, output, options) if prepared else None)
    charges: tuple[PointCharges, ...] = comm.bcast(prepared.point_charges if prepared else None)
    of_supercell = partial(_with_point_charges, short_range, charges)
    system = _system(prepared, config, np.array(config.lattice.matrix), of_supercell, comm)
    second = _second_system(prepared, config, of_supercell, comm)
    correction = _correction(prepared, config, system, of_supercell, output, comm) if config.correction else None
    if samples:
        if prepared and correction:
            from .hybrid.stage import try_potential

            try_potential(correction)
        if config.ground_states:
            run_ground_states(
                config.ground_states, short_range.lattice, of_supercell, system.ions, config.seed, output.store, comm, watch
            )
        run_sampling(system, config, output.store, comm, watch)
        run_refinement(system, config, prepared.vibrations if prepared else None, output.store, comm, watch)
        if second:
            run_sampling(second, config, _second_store(config, output), comm, watch)
        run_split(system, config.analysis.entropy_compositions, config.seed, output.store, comm, watch)
        if correction:
            from .hybrid.stage import run_correction

            run_correction(correction, comm, watch)
    if prepared:
        if analyses:
            _analyse(prepared, system, second, correction, output)
        _report(output, options)


def _report(output: Output, options: Options) -> None:
    if options.includes("report"):
        write_report(output.results, output.fit, output.folder)


def _system(
    prepared: Prepared | None, config: Config, matrix: NDArray[np.int64], of_supercell: HamiltonianOf, comm: Any
) -> System:
    """The lattice of one supercell with its energies. Collective."""
    hamiltonian = comm.bcast(_energy(prepared, matrix, of_supercell) if prepared else None)
    return build_system(hamiltonian, matrix, comm.bcast(prepared.ions if prepared else None), _mix(config))


def _second_system(prepared: Prepared | None, config: Config, of_supercell: HamiltonianOf, comm: Any) -> System | None:
    """The smaller cell that shows the finite-size shift, if one is asked for. Collective."""
    shape = config.sampler.second_supercell
    return _system(prepared, config, np.array(matrix_of(shape)), of_supercell, comm) if shape else None


def _correction(
    prepared: Prepared | None, config: Config, system: System, of_supercell: HamiltonianOf, output: Output, comm: Any
) -> "Correction":
    """The small cell in which the potential is sampled. Collective."""
    from .hybrid.stage import correction_of

    where: tuple[Path | None, str] = comm.bcast(_weights(prepared) if prepared else None)
    return correction_of(config, system.lattice, system.ions, output.folder, *where, of_supercell)


def _weights(prepared: Prepared) -> tuple[Path | None, str]:
    """File of the potential's weights, and the hash of what its energies depend on."""
    given = prepared.config.potential
    assert given is not None
    return prepared.source.resolve(given.file) if given.file else None, potential_mark(prepared.source, given)


def _second_store(config: Config, output: Output) -> SampleStore:
    return output.store.second(matrix_of(config.sampler.second_supercell))


def _mix(config: Config) -> Mix:
    moves = config.sampler.moves
    return Mix() if moves == "auto" else Mix(**moves.model_dump())


def _open_output(output: Output, source: InputFile, options: Options) -> None:
    """Make the folder; refuse samples of another run, with the difference."""
    identity = sample_identity(source)
    if options.fresh:
        output.store.clear()
        for path in (output.results, output.report, output.fit, output.expansion, *output.made_by_potentials):
            path.unlink(missing_ok=True)
        for name in (
            "figures",
            "exports",
            "phases",
            "ground_states",
            "correction",
            "potentials",
            "relaxations",
            "rounds",
            "moments",
            "held_out",
        ):
            shutil.rmtree(output.folder / name, ignore_errors=True)
    try:
        output.folder.mkdir(parents=True, exist_ok=True)
        _log_to(output.folder / "run.log")
        if output.store.identity.exists():
            old = json.loads(output.store.identity.read_text())
            if changed := differences(old, json.loads(json.dumps(identity))):
                raise RedoxError(
                    f"the samples in {output.folder} belong to another input:\n  " + "\n  ".join(changed)
                    + "\nuse another output folder, or --fresh to delete them and start over"
                )  # fmt: skip
        elif source.config.energy is not None and options.includes("sample"):
            write_text(output.store.identity, json.dumps(identity, indent=1))
    except OSError as error:
        raise RedoxError(f"cannot write to the output folder {output.folder}: {error.strerror}") from None


def _log_to(path: Path) -> None:
    log.setLevel(logging.INFO)
    log.handlers = [logging.StreamHandler(sys.stderr), logging.FileHandler(path)]
    log.propagate = False  # libraries of potentials give the root logger handlers of their own
    for handler in log.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))


def _with_point_charges(short_range: Hamiltonian, charges: tuple[PointCharges, ...], matrix: NDArray[np.int64]) -> Hamiltonian:
    return short_range + point_charges(short_range.lattice, charges, matrix)


def _energy(prepared: Prepared, matrix: NDArray[np.int64], of_supercell: HamiltonianOf) -> Hamiltonian:
    """Of ions and electrons; or of the ions alone with their best electrons."""
    energy = prepared.config.energy
    if energy is None or energy.electrons == "equilibrium":
        return of_supercell(matrix)
    temperatures = prepared.config.sampler.temperature_K
    found = ground_states(prepared.lattice, matrix, prepared.ions[0], of_supercell, temperatures, prepared.config.seed)
    log.info("energy: %s", found.note)
    return replace(found.hamiltonian, description=found.note)


def _hamiltonian(prepared: Prepared, output: Output, options: Options) -> Hamiltonian:
    """Typed-in terms and the expansion, which is fitted unless this fit is there already."""
    total = prepared.typed
    if prepared.model is not None:
        total = total + prepared.model.hamiltonian
    if prepared.config.energy is not None and prepared.config.energy.needs_labels and prepared.training is None:
        raise RedoxError("there are no labelled configurations of this input yet; run without --only, or with --until label")
    if prepared.training is not None:
        total = total + from_icet(_fitted(prepared, output, options), prepared.lattice)
    return total


def _fitted(prepared: Prepared, output: Output, options: Options) -> ClusterExpansion:
    energy = prepared.config.energy
    assert prepared.training is not None and energy is not None and energy.cluster_expansion is not None
    mark = fingerprint(fit_identity(prepared.source))
    if output.fit.exists() and output.expansion.exists() and json.loads(output.fit.read_text())["fingerprint"] == mark:
        return ClusterExpansion.read(str(output.expansion))
    if not options.includes("fit"):
        raise RedoxError("there is no fit of this data set yet; run without --only, or with --until fit")
    given, training = energy.cluster_expansion, prepared.training
    fit = fit_expansion(
        training.space, training.vectors, training.data, training.null, given.fit.method, given.fit.n_folds, prepared.config.seed
    )
    log.info(
        "fit: %d cells, %d parameters, error %.1f meV/fu, validation error %.1f +- %.1f meV/fu",
        len(training.data.cells), len(fit.parameters), 1e3 * fit.rmse_eV, 1e3 * fit.validation_rmse_eV, 1e3 * fit.validation_spread_eV,
    )  # fmt: skip
    result = expansion(training.space, fit)
    write_whole(output.expansion, lambda p: result.write(str(p)))
    if given.dataset:
        frames = [_plain_frame(f) for f in training.frames]
        write_whole(
            output.folder / "labelled.extxyz", lambda p: write(p, frames, format="extxyz", columns=["symbols", "positions"])
        )
    if training.refusals:
        write_text(output.folder / "refused_cells.txt", "\n".join(training.refusals) + "\n")
        log.info("fit: %d cells have no certain charges and are left out; see refused_cells.txt", len(training.refusals))
    record = fit_record(fit, training, prepared.lattice, prepared.ions)
    if energy.needs_labels and output.learning.exists():
        record["learning"] = json.loads(output.learning.read_text())
    write_text(output.fit, json.dumps({"fingerprint": mark, **record}, indent=1))
    return result


def _drawn(prepared: Prepared, system: System, output: Output) -> list[System]:
    """The same cell with each draw of the couplings; none where they were not fitted to the energy that is sampled, or by an older version."""
    energy, training = prepared.config.energy, prepared.training
    if training is None or energy is None or energy.electrons != "equilibrium":
        return []
    expansions = [ClusterExpansion(training.space, p) for p in json.loads(output.fit.read_text()).get("draws", [])]
    found = (prepared.typed + from_icet(e, prepared.lattice) for e in expansions)
    matrix = prepared.matrix
    return [build_system(_with_point_charges(h, prepared.point_charges, matrix), matrix, system.ions) for h in found]


def _plain_frame(frame: Atoms) -> Atoms:
    """Symbols, positions, cell, energy and the configuration's name."""
    plain = Atoms(frame.get_chemical_symbols(), positions=frame.positions, cell=frame.cell, pbc=True)
    plain.calc = SinglePointCalculator(plain, energy=frame.get_potential_energy())
    plain.info = {k: frame.info[k] for k in ("config",) if k in frame.info}
    return plain


def _other_results(prepared: Prepared) -> Results | None:
    """Of the run whose diagram is drawn beside this one's, once it has any."""
    given = prepared.config.analysis.beside
    path = Output(prepared.source.resolve(given)).results if given else None
    return read_results(path) if path and path.exists() else None


def _add_second(groups: dict[str, Group], other: dict[str, Group], n_formula_units: int) -> None:
    """The smaller cell's diagram, and how far its boundaries lie from this one's."""
    if "phase_diagram" not in groups or "phase_diagram" not in other:
        return
    title = f"cell of {n_formula_units} formula units"
    groups["phase_diagram_second"] = _titled(other["phase_diagram"], title=title)
    words = f"x of the boundary in a {title}, less x here; nan: not there"
    shifts = boundary_shifts(groups["phase_diagram"], other["phase_diagram"])
    groups["phase_diagram"].add("boundary_x_finite_size", ("boundary",), shifts, "1", words)


def _titled(diagram: Group, **attributes: str) -> Group:
    return Group(diagram.variables, {**diagram.attributes, **attributes})


def _ground_states(prepared: Prepared, samples: Samples, notes: list[str], output: Output) -> Group:
    """The hull at T = 0; writes its corners as structures and adds to `notes` what a reader should know."""
    given, energy = prepared.config.ground_states, prepared.config.energy
    assert given is not None and energy is not None
    found = read_ground_states(given, prepared.lattice, output.store)
    group = ground_state_group(found, prepared.ions[0])
    write_corners(found, group, output.ground_states)
    same_energy = energy.electrons == "equilibrium"  # else the samples have that of an expansion of the ions
    n_fu = Supercell(prepared.lattice, prepared.matrix).n_formula_units
    notes += ground_state_notes(group, samples if same_energy else None, n_fu)
    log.info("ground states: corners of the hull at x = %s", ", ".join(fraction(x) for x in group["x"][group["on_hull"]]))
    return group


def _analyse(prepared: Prepared, system: System, second: System | None, correction: "Correction | None", output: Output) -> None:
    samples = read_samples(output.store)
    smaller = read_samples(_second_store(prepared.config, output)) if second else None
    config = prepared.config
    other = _other_results(prepared)
    its_mark = other.attributes["fingerprint"] if other else None
    whose = {"formula_unit": json.dumps(system.lattice.formula_unit), "ion": system.ion or ""}
    mark = fingerprint(
        sample_identity(prepared.source),
        LAYOUT,
        samples.n_sweeps,
        samples.plan.temperatures_K.tolist(),
        output.store.refinement.read_text() if output.store.refinement.exists() else None,
        config.analysis.model_dump(mode="json"),
        its_mark,
        config.sampler.second_supercell,
        smaller.n_sweeps if smaller else 0,
        whose,
        *([config.ground_states.model_dump()] if config.ground_states else []),
        prepared.vibrations.content if prepared.vibrations else None,
        *([correction.identity, correction.given.methods] if correction else []),
    )
    if output.results.exists():
        try:
            if read_results(output.results).attributes.get("fingerprint") == mark:
                log.info("analyse: nothing has changed")
                return
        except RedoxError:
            pass  # damaged or of another version: made anew
    drawn = _drawn(prepared, system, output)
    analysis = Analysis(samples, system, config.analysis, config.seed, prepared.vibrations, drawn)
    if config.energy is not None and config.energy.electrons == "ground_state":
        analysis.notes.append(system.description)
    groups = analysis.groups()
    if config.ground_states is not None:
        groups["ground_states"] = _ground_states(prepared, samples, analysis.notes, output)
    if correction is not None:
        from .hybrid.group import CorrectedGroup

        groups["corrected"] = CorrectedGroup(correction, analysis.notes).build()
    if second is not None and smaller is not None:
        _add_second(
            groups, Analysis(smaller, second, config.analysis, config.seed, prepared.vibrations).groups(), second.n_formula_units
        )
    if other is not None and "phase_diagram" in other.groups:
        title = str(other.attributes.get("title", ""))
        groups["phase_diagram_beside"] = _titled(other.groups["phase_diagram"], title=title, fingerprint=str(its_mark))
    elif config.analysis.beside is not None:
        analysis.notes.append(
            f"analysis: beside: {config.analysis.beside} has no phase diagram yet; run it, then this input again"
        )
    extra: dict[str, Any] = {
        "fingerprint": mark,
        "hamiltonian": fingerprint([part.tobytes().hex() if isinstance(part, np.ndarray) else part for part in system.couplings]),
        "n_formula_units": system.n_formula_units,
        **whose,
        "attempted_moves": int(samples.tried.sum()),
        "sweeps_measured": samples.n_sweeps,
        "walkers": samples.plan.walkers,
        "moves": str(samples.plan.mix),
        "notes": json.dumps(analysis.notes, ensure_ascii=False),
    }
    if "phase_diagram" in groups:
        diagram, order = groups["phase_diagram"], groups["order"]
        names = [str(name) for name in diagram["phase_name"]]
        write_examples(order, phase_labels(diagram, order), names, samples, system.supercell, output.folder / "phases")
    write_results(output.results, Results({**attributes(prepared.source), **extra}, groups))
    log.info("analyse: %.3g attempted moves measured; wrote %s", extra["attempted_moves"], os.path.relpath(output.results))
    if "canonical" in groups:
        canonical = groups["canonical"]
        for t, closure, error in zip(canonical["temperature_K"], canonical["closure_eV"], canonical["closure_eV_error"]):
            log.info("closure at %7.1f K: %+.3f +- %.3f meV/fu", t, 1e3 * closure, 1e3 * error)
