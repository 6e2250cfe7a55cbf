"""The analyse stage: results.h5 from the samples, unless it is there already."""

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..crystal.lattice import Supercell
from ..crystal.supercells import fits
from ..errors import RedoxError
from ..runtime.hashes import fingerprint
from ..runtime.results import LAYOUT, Group, Results, read_results, write_results
from ..runtime.results.transition import LooseGroup, typed_results
from ..sampling.ground_states import read_ground_states
from ..sampling.system import System
from ..thermodynamics.analysis import Analysis
from ..thermodynamics.ground_states import ground_state_group, ground_state_notes, write_corners
from ..thermodynamics.phase_diagram.compare import boundary_shifts
from ..thermodynamics.phase_diagram.diagram import phase_labels
from ..thermodynamics.phase_diagram.phases import write_examples
from ..thermodynamics.samples import Samples, read_samples
from ..units import fraction
from .fit import drawn_systems
from .identity import attributes, sample_identity
from .input_warnings import cautions, does_not_fit
from .output import Output
from .prepare import Prepared

if TYPE_CHECKING:
    from ..correction.correct import Correction  # torch comes with it

log = logging.getLogger("redoxmc")


def analyse(prepared: Prepared, system: System, second: System | None, correction: "Correction | None", output: Output) -> None:
    """Of what is committed, whether or not the run goes on. A part that the run has not come to yet is left out, and that is noted."""
    config, pending = prepared.config, []
    samples = read_samples(output.store)
    of_second = output.store.second(second.supercell.matrix) if second else None
    smaller = read_samples(of_second) if of_second and of_second.committed() else None
    if second and smaller is None:
        pending.append("the second cell has not been sampled yet")
    if correction is not None and not correction.is_sampled:
        pending.append("the potential has not been sampled yet: no corrected free energies")
        correction = None
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
        sorted((rung, split.mark) for rung, split in samples.splits.items()),
        whose,
        *([config.ground_states.model_dump()] if config.ground_states else []),
        prepared.vibrations.content if prepared.vibrations else None,
        *([prepared.experiment.sha256] if prepared.experiment else []),
        *([correction.identity, correction.given.methods] if correction else []),
    )
    if output.results.exists():
        try:
            if read_results(output.results).attributes.get("fingerprint") == mark:
                log.info("analyse: nothing has changed")
                return
        except RedoxError:
            pass  # damaged or of another version: made anew
    drawn = drawn_systems(prepared, system, output)
    analysis = Analysis(samples, system, config.analysis, config.seed, prepared.vibrations, drawn)
    analysis.notes += pending
    if config.energy is not None and config.energy.electrons == "ground_state":
        analysis.notes.append(system.description)
    analysis.notes += cautions(prepared)
    groups = analysis.groups()
    if config.ground_states is not None:
        groups["ground_states"] = _ground_states(prepared, samples, analysis.notes, output)
    if correction is not None:
        from ..correction.group import CorrectedGroup

        groups["corrected"] = CorrectedGroup(correction, analysis.notes).build()
    if prepared.experiment is not None:
        groups["experiment"] = prepared.experiment.group()
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
    write_results(output.results, typed_results({**attributes(prepared.source), **extra}, groups))
    log.info("analyse: %.3g attempted moves measured; wrote %s", extra["attempted_moves"], os.path.relpath(output.results))
    if "canonical" in groups:
        canonical = groups["canonical"]
        for t, closure, error in zip(canonical["temperature_K"], canonical["closure_eV"], canonical["closure_eV_error"]):
            if np.isfinite(closure):  # where the other end is known too
                log.info("closure at %7.1f K: %+.3f +- %.3f meV/fu", t, 1e3 * closure, 1e3 * error)


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


def _titled(diagram: Group, **attributes: str) -> LooseGroup:
    return LooseGroup(diagram.variables, {**diagram.attributes, **attributes})


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
    for k in np.flatnonzero(group["on_hull"]):
        if not fits(group["supercell"][k], prepared.matrix, prepared.lattice):
            notes.append(does_not_fit(group["x"][k], group["supercell"][k], prepared.matrix))
    log.info("ground states: corners of the hull at x = %s", ", ".join(fraction(x) for x in group["x"][group["on_hull"]]))
    return group
