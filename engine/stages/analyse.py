"""The analyse stage: results.h5 from the samples, the hull's ground states and examples of the phases as CIF files."""

import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..crystal.lattice import Supercell
from ..crystal.supercells import fits
from ..errors import RedoxError
from ..runtime.hashes import fingerprint
from ..runtime.results import LAYOUT, Results, read_results, write_results
from ..runtime.results.canonical import Canonical
from ..runtime.results.ground_states import GroundStates
from ..sampling.chains.system import System
from ..sampling.ground_states.ground_state_search import Lowest
from ..sampling.ground_states.ground_states import read_ground_states
from ..sampling.order_scans.gap_scan import GapScan
from ..sampling.order_scans.order_scans import ScansAt, read_gap_scans, read_order_scans
from ..sampling.phases.phases import read_phases
from ..sampling.phases.sheets import Sheet
from ..sampling.phases.tasks import Catalogue
from ..sampling.samples import Samples, read_samples
from ..thermodynamics.analysis import Analysis, analyse_samples
from ..thermodynamics.ground_states import ground_state_group, ground_state_notes, write_corners
from ..thermodynamics.order.transitions import transitions_group
from ..thermodynamics.phase_diagram.compare import with_size
from ..thermodynamics.phase_diagram.diagram import ALONE, Beside
from ..thermodynamics.phase_diagram.ends import with_scanned_ends
from ..thermodynamics.phase_diagram.phases import Phase, Seen, phases_of, with_phases, write_cells
from ..thermodynamics.phase_diagram.two_runs import compared
from ..thermodynamics.phases.group import phases_group
from ..thermodynamics.phases.names import names_of, too_large
from ..thermodynamics.phases.phases import Phases, find_all
from ..units import fraction
from . import sample
from .check.input_warnings import cell_too_small, input_warnings
from .shared.cells import Cells, drawn_systems
from .shared.output import Output
from .shared.provenance import provenance
from .shared.run import RootData, Run

if TYPE_CHECKING:
    from ..correction.correct import Correction  # torch comes with it

log = logging.getLogger("redoxmc")
NOT_BESIDE = "analysis: beside: {} has no phase diagram yet; run it, then this input again"


@dataclass(frozen=True)
class Committed:
    """What there is to analyse; the run may still continue.

    second: samples of the second cell. scans, gaps: of order over temperature, and of ends of gaps. phases: their catalogue and
    chains. correction: None until all its walks are finished. other: results of the run whose phase diagram is drawn beside
    this one's. pending: what the run has not reached yet.
    """

    samples: Samples
    second: Samples | None
    correction: "Correction | None"
    scans: list[ScansAt]
    gaps: list[GapScan]
    phases: tuple[Catalogue, list[Sheet]] | None
    other: Results | None
    pending: tuple[str, ...]


@dataclass(frozen=True)
class Analysed:
    """results: without attributes; notes: what a reader of them should know; ground_states: lowest states of every supercell."""

    results: Results
    notes: tuple[str, ...]
    ground_states: list[tuple[Supercell, Lowest]]
    phases: list[Phase]


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
    return Committed(
        read_samples(store),
        second,
        correction,
        read_order_scans(store, cells.second),
        read_gap_scans(store, cells.second),
        read_phases(store, cells.main, cells.second),
        _other_results(run),
        tuple(pending),
    )


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
        committed.other.attributes.fingerprint if committed.other else None,
        cells.second.supercell.matrix.tolist() if cells.second else None,
        committed.second.n_sweeps if committed.second else 0,
        *([[s.mu_eV for s in committed.scans]] if committed.scans else []),
        *([[g.x for g in committed.gaps]] if committed.gaps else []),
        *([[len(committed.phases[1])]] if committed.phases else []),
        sorted((rung, split.mark) for rung, split in samples.splits.items()),
        _formula(cells.main),
        *([config.ground_states.model_dump()] if config.ground_states else []),
        data.vibrations.content if data.vibrations else None,
        *([data.experiment.sha256] if data.experiment else []),
        *([committed.correction.identity, committed.correction.given.methods] if committed.correction else []),
    ]


def compute(run: Run, data: RootData, cells: Cells, committed: Committed) -> Analysed:
    """All groups of results.h5. Nothing is written."""
    config, energy = run.config, run.config.energy
    drawn = drawn_systems(run, data.fit_data, cells.main)
    found = _phases(committed, cells, config.seed)
    other = _second(run, data, cells, committed.second, found)
    beside = Beside(other.isotherms if other else None, found, tuple(committed.gaps))
    analysis = analyse_samples(committed.samples, cells.main, config.analysis, config.seed, data.vibrations, drawn, beside)
    of_ions = [cells.main.description] if energy is not None and energy.electrons == "ground_state" else []
    notes = [*analysis.notes, *committed.pending, *of_ions, *input_warnings(run, data)]
    results, ground_states = _with_second(analysis.results, other, cells), []
    sizes = cells.main.n_formula_units, (cells.second or cells.main).n_formula_units
    results = replace(results, transitions=transitions_group(committed.scans, sizes))
    if results.phase_diagram is not None:
        results = replace(results, phase_diagram=with_scanned_ends(results.phase_diagram, committed.gaps))
    if found is not None:
        names = names_of(found.catalogue, run.lattice)
        results = replace(results, phases=phases_group(found, names))
        notes += too_large(found, names)
    results, phases = _with_phases(results, committed.samples, cells)
    if config.ground_states is not None:
        ground_states = read_ground_states(config.ground_states, run.lattice, run.output.store)
        group = ground_state_group(ground_states)
        results = replace(results, ground_states=group)
        notes += _ground_state_notes(run, group, committed.samples)
    if committed.correction is not None:
        from ..correction.group import corrected_group

        corrected, more = corrected_group(committed.correction)
        results, notes = replace(results, corrected=corrected), notes + more
    if data.experiment is not None:
        results = replace(results, experiment=data.experiment.group())
    if config.analysis.beside is not None:
        results = _with_other(results, committed.other)
        notes += [] if results.phase_diagram_beside else [NOT_BESIDE.format(config.analysis.beside)]
    return Analysed(results, tuple(notes), ground_states, phases)


def write(run: Run, cells: Cells, committed: Committed, found: Analysed, mark: str) -> None:
    """The structures first, results.h5 last: its fingerprint says that all is there."""
    system, samples, results = cells.main, committed.samples, found.results
    if results.ground_states is not None:
        write_corners(found.ground_states, results.ground_states, run.output.ground_states)
    if results.phase_diagram is not None:
        write_cells(found.phases, run.output.phases)
    attributes = replace(
        provenance(run),
        fingerprint=mark,
        hamiltonian=fingerprint([part.tobytes().hex() if isinstance(part, np.ndarray) else part for part in system.couplings]),
        n_formula_units=system.n_formula_units,
        **_formula(system),
        attempted_moves=int(samples.tried.sum()),
        sweeps_measured=samples.n_sweeps,
        walkers=samples.plan.walkers,
        moves=str(samples.plan.mix),
        notes=list(found.notes),
    )
    write_results(run.output.results, replace(results, attributes=attributes))
    log.info("analyse: %.3g attempted moves measured; wrote %s", samples.tried.sum(), os.path.relpath(run.output.results))
    if results.canonical is not None:
        _log_closure(results.canonical)


def _is_made(output: Output, mark: str) -> bool:
    if not output.results.exists():
        return False
    try:
        return read_results(output.results).attributes.fingerprint == mark
    except RedoxError:
        return False  # damaged or of another version: made again


def _formula(system: System) -> dict[str, Any]:
    return {"formula_unit": system.lattice.formula_unit, "ion": system.ion or ""}


def _other_results(run: Run) -> Results | None:
    """Of the run whose diagram is drawn beside this one's, once it has any."""
    given = run.config.analysis.beside
    path = Output(run.source.resolve(given)).results if given else None
    return read_results(path) if path and path.exists() else None


def _with_other(results: Results, other: Results | None) -> Results:
    """With the other run's diagram and transitions, if it has any, and the differences of the transitions."""
    if other is None or other.phase_diagram is None:
        return results
    return replace(
        results,
        phase_diagram_beside=replace(other.phase_diagram, title=other.attributes.title, fingerprint=other.attributes.fingerprint),
        transitions_beside=other.transitions,
        transitions_compared=compared(results, other),
    )


def _second(run: Run, data: RootData, cells: Cells, samples: Samples | None, found: Phases | None) -> Analysis | None:
    """Of the second cell, if it has been sampled."""
    if samples is None or cells.second is None:
        return None
    of_second = Beside(phases=replace(found, larger=found.smaller)) if found else ALONE
    return analyse_samples(samples, cells.second, run.config.analysis, run.config.seed, data.vibrations, beside=of_second)


def _with_second(results: Results, second: Analysis | None, cells: Cells) -> Results:
    """With the diagram of the second cell, and how far its boundaries lie from those of the first."""
    diagram, other = results.phase_diagram, second.results.phase_diagram if second else None
    if diagram is None or other is None or cells.second is None:
        return results
    return replace(
        results,
        phase_diagram=with_size(diagram, other),
        phase_diagram_second=replace(other, title=f"cell of {cells.second.n_formula_units} formula units"),
    )


def _phases(committed: Committed, cells: Cells, seed: int) -> Phases | None:
    """Grand potentials of all phases, if their chains are there."""
    if committed.phases is None or cells.second is None:
        return None
    return find_all(*committed.phases, (cells.main, cells.second), seed)


def _with_phases(results: Results, samples: Samples, cells: Cells) -> tuple[Results, list[Phase]]:
    """With the single-phase fields divided by order, and the phases in them."""
    diagram, order = results.phase_diagram, results.order
    if diagram is None or order is None:
        return results, []
    phases = phases_of(diagram, Seen(order, samples, cells.main.supercell), results.transitions)
    return replace(results, phase_diagram=with_phases(diagram, order, phases)), phases


def _ground_state_notes(run: Run, group: GroundStates, samples: Samples) -> list[str]:
    """Warnings about the hull at T = 0."""
    assert run.config.energy is not None
    same_energy = run.config.energy.electrons == "equilibrium"  # else the samples have that of an expansion of the ions
    n_fu = Supercell(run.lattice, run.matrix).n_formula_units
    notes = ground_state_notes(group, samples if same_energy else None, n_fu)
    for k in np.flatnonzero(group.on_hull):
        if not fits(group.supercell[k], run.matrix, run.lattice):
            notes.append(cell_too_small(group.x[k], group.supercell[k], run.matrix))
    log.info("ground states: corners of the hull at x = %s", ", ".join(fraction(x) for x in group.x[group.on_hull]))
    return notes


def _log_closure(canonical: Canonical) -> None:
    for t, closure, error in zip(canonical.temperature_K, canonical.closure_eV, canonical.closure_eV_error):
        if np.isfinite(closure):  # where the other end is known too
            log.info("closure at %7.1f K: %+.3f +- %.3f meV/fu", t, 1e3 * closure, 1e3 * error)
