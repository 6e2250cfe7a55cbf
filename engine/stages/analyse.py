"""The analyse stage: results.h5 from the samples, the hull's ground states and examples of the phases as CIF files."""

import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..crystal.lattice import Supercell
from ..crystal.supercells import fits
from ..errors import RedoxError
from ..runtime.hashes import fingerprint
from ..runtime.results import LAYOUT, Group, Results, read_results, write_results
from ..runtime.results.transition import LooseGroup, typed_results
from ..sampling.ground_state_search import Lowest
from ..sampling.ground_states import read_ground_states
from ..sampling.samples import Samples, read_samples
from ..sampling.system import System
from ..thermodynamics.analysis import Analysis
from ..thermodynamics.ground_states import ground_state_group, ground_state_notes, write_corners
from ..thermodynamics.phase_diagram.compare import boundary_shifts
from ..thermodynamics.phase_diagram.diagram import phase_labels
from ..thermodynamics.phase_diagram.phases import write_examples
from ..units import fraction
from . import sample
from .cells import Cells, drawn_systems
from .input_warnings import cell_too_small, input_warnings
from .output import Output
from .provenance import attributes
from .run import RootData, Run

if TYPE_CHECKING:
    from ..correction.correct import Correction  # torch comes with it

log = logging.getLogger("redoxmc")


@dataclass(frozen=True)
class Committed:
    """What there is to analyse; the run may still continue.

    second: samples of the second cell. correction: None until all its walks are finished. other: results of the run whose
    phase diagram is drawn beside this one's. pending: what the run has not reached yet.
    """

    samples: Samples
    second: Samples | None
    correction: "Correction | None"
    other: Results | None
    pending: tuple[str, ...]


@dataclass(frozen=True)
class Analysed:
    """groups of results.h5; notes: what a reader of the results should know; ground_states: lowest states of every supercell."""

    groups: dict[str, Group]
    notes: tuple[str, ...]
    ground_states: list[tuple[Supercell, Lowest]]


def run(run: Run, data: RootData, cells: Cells) -> None:
    """Write the results, unless they were made from the same samples in the same way. Rank 0 only."""
    if not run.options.includes("analyse"):
        return
    committed = read_committed(run, cells)
    mark = fingerprint(*identity(run, data, cells, committed))
    if _is_made(run.output, mark):
        log.info("analyse: nothing has changed")
        return
    write(run, cells, committed, compute(run, data, cells, committed), mark)


def read_committed(run: Run, cells: Cells) -> Committed:
    pending, store = [], run.output.store
    second, correction = None, cells.correction
    if cells.second is not None:
        of_second = store.second(cells.second.supercell.matrix)
        second = read_samples(of_second) if of_second.committed() else None
        if second is None:
            pending.append("the second cell has not been sampled yet")
    if correction is not None and not correction.is_sampled:
        pending.append("the potential has not been sampled yet: no corrected free energies")
        correction = None
    return Committed(read_samples(store), second, correction, _other_results(run), tuple(pending))


def identity(run: Run, data: RootData, cells: Cells, committed: Committed) -> list[Any]:
    """What the results depend on."""
    config, samples, refinement = run.config, committed.samples, run.output.store.refinement
    return [
        sample.identity(run),
        LAYOUT,
        samples.n_sweeps,
        samples.plan.ladder.temperature_K.tolist(),
        refinement.read_text() if refinement.exists() else None,
        config.analysis.model_dump(mode="json"),
        committed.other.attributes["fingerprint"] if committed.other else None,
        config.sampler.second_supercell,
        committed.second.n_sweeps if committed.second else 0,
        sorted((rung, split.mark) for rung, split in samples.splits.items()),
        _formula(cells.main),
        *([config.ground_states.model_dump()] if config.ground_states else []),
        data.vibrations.content if data.vibrations else None,
        *([data.experiment.sha256] if data.experiment else []),
        *([committed.correction.identity, committed.correction.given.methods] if committed.correction else []),
    ]


def compute(run: Run, data: RootData, cells: Cells, committed: Committed) -> Analysed:
    """All groups of results.h5. Nothing is written."""
    config, second, correction = run.config, committed.second, committed.correction
    drawn = drawn_systems(run, data.fit_data, cells.main)
    analysis = Analysis(committed.samples, cells.main, config.analysis, config.seed, data.vibrations, drawn)
    notes = analysis.notes
    notes += committed.pending
    if config.energy is not None and config.energy.electrons == "ground_state":
        notes.append(cells.main.description)
    notes += input_warnings(run, data)
    groups, ground_states = analysis.groups(), []
    if config.ground_states is not None:
        ground_states = read_ground_states(config.ground_states, run.lattice, run.output.store)
        groups["ground_states"] = ground_state_group(ground_states, run.ions[0])
        notes += _ground_state_notes(run, groups["ground_states"], committed.samples)
    if correction is not None:
        from ..correction.group import CorrectedGroup

        groups["corrected"] = CorrectedGroup(correction, notes).build()
    if data.experiment is not None:
        groups["experiment"] = data.experiment.group()
    if second is not None and cells.second is not None:
        of_second = Analysis(second, cells.second, config.analysis, config.seed, data.vibrations).groups()
        _add_second(groups, of_second, cells.second.n_formula_units)
    notes += _add_other(run, groups, committed.other)
    return Analysed(groups, tuple(notes), ground_states)


def write(run: Run, cells: Cells, committed: Committed, found: Analysed, mark: str) -> None:
    """The structures first, results.h5 last: its fingerprint says that all is there."""
    system, samples, groups = cells.main, committed.samples, found.groups
    if "ground_states" in groups:
        write_corners(found.ground_states, groups["ground_states"], run.output.ground_states)
    if "phase_diagram" in groups:
        diagram, order = groups["phase_diagram"], groups["order"]
        names = [str(name) for name in diagram["phase_name"]]
        write_examples(order, phase_labels(diagram, order), names, samples, system.supercell, run.output.phases)
    own = {
        "fingerprint": mark,
        "hamiltonian": fingerprint([part.tobytes().hex() if isinstance(part, np.ndarray) else part for part in system.couplings]),
        "n_formula_units": system.n_formula_units,
        **_formula(system),
        "attempted_moves": int(samples.tried.sum()),
        "sweeps_measured": samples.n_sweeps,
        "walkers": samples.plan.walkers,
        "moves": str(samples.plan.mix),
        "notes": json.dumps(found.notes, ensure_ascii=False),
    }
    write_results(run.output.results, typed_results({**attributes(run), **own}, groups))
    log.info("analyse: %.3g attempted moves measured; wrote %s", own["attempted_moves"], os.path.relpath(run.output.results))
    if "canonical" in groups:
        _log_closure(groups["canonical"])


def _is_made(output: Output, mark: str) -> bool:
    if not output.results.exists():
        return False
    try:
        return read_results(output.results).attributes.get("fingerprint") == mark
    except RedoxError:
        return False  # damaged or of another version: made again


def _formula(system: System) -> dict[str, str]:
    return {"formula_unit": json.dumps(system.lattice.formula_unit), "ion": system.ion or ""}


def _other_results(run: Run) -> Results | None:
    """Of the run whose diagram is drawn beside this one's, once it has any."""
    given = run.config.analysis.beside
    path = Output(run.source.resolve(given)).results if given else None
    return read_results(path) if path and path.exists() else None


def _add_other(run: Run, groups: dict[str, Group], other: Results | None) -> list[str]:
    """The other run's diagram; a note if it has none yet."""
    if other is not None and "phase_diagram" in other.groups:
        title, mark = str(other.attributes.get("title", "")), str(other.attributes["fingerprint"])
        groups["phase_diagram_beside"] = _titled(other.groups["phase_diagram"], title=title, fingerprint=mark)
    elif run.config.analysis.beside is not None:
        return [f"analysis: beside: {run.config.analysis.beside} has no phase diagram yet; run it, then this input again"]
    return []


def _add_second(groups: dict[str, Group], other: dict[str, Group], n_formula_units: int) -> None:
    """The smaller cell's diagram, and how far its boundaries lie from this one's."""
    if "phase_diagram" not in groups or "phase_diagram" not in other:
        return
    title = f"cell of {n_formula_units} formula units"
    groups["phase_diagram_second"] = _titled(other["phase_diagram"], title=title)
    words = f"x of the boundary in a {title}, less x here; nan: not there"
    shifts = boundary_shifts(groups["phase_diagram"], other["phase_diagram"])
    groups["phase_diagram"].add("boundary_x_finite_size", ("boundary",), shifts, "1", words)


def _titled(diagram: Group, **attributes: str) -> LooseGroup:
    return LooseGroup(diagram.variables, {**diagram.attributes, **attributes})


def _ground_state_notes(run: Run, group: Group, samples: Samples) -> list[str]:
    """What a reader should know of the hull at T = 0."""
    assert run.config.energy is not None
    same_energy = run.config.energy.electrons == "equilibrium"  # else the samples have that of an expansion of the ions
    n_fu = Supercell(run.lattice, run.matrix).n_formula_units
    notes = ground_state_notes(group, samples if same_energy else None, n_fu)
    for k in np.flatnonzero(group["on_hull"]):
        if not fits(group["supercell"][k], run.matrix, run.lattice):
            notes.append(cell_too_small(group["x"][k], group["supercell"][k], run.matrix))
    log.info("ground states: corners of the hull at x = %s", ", ".join(fraction(x) for x in group["x"][group["on_hull"]]))
    return notes


def _log_closure(canonical: Group) -> None:
    for t, closure, error in zip(canonical["temperature_K"], canonical["closure_eV"], canonical["closure_eV_error"]):
        if np.isfinite(closure):  # where the other end is known too
            log.info("closure at %7.1f K: %+.3f +- %.3f meV/fu", t, 1e3 * closure, 1e3 * error)
