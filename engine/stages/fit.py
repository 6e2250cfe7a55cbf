"""The energy that a run samples: typed-in terms, the expansion fitted to labelled cells, point charges; its best electrons."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from icet import ClusterExpansion
from numpy.typing import NDArray

from ..errors import RedoxError
from ..hamiltonian.clusters import from_icet
from ..hamiltonian.electrostatics import PointCharges, point_charges
from ..hamiltonian.fit import expansion, fit_expansion
from ..hamiltonian.terms import Hamiltonian
from ..runtime.hashes import file_hash, fingerprint
from ..runtime.storage import read_json, write_json, write_text, write_whole
from ..sampling.electron_ground_state import HamiltonianOf, ground_states
from ..sampling.system import System, build_system
from .fit_record import fit_record
from .identity import fit_identity
from .output import Output
from .prepare import Prepared

log = logging.getLogger("redoxmc")


def short_range_terms(prepared: Prepared, output: Output, may_fit: bool) -> Hamiltonian:
    """Typed-in terms and the expansion, which is fitted unless this fit is there already."""
    total = prepared.typed
    if prepared.model is not None:
        total = total + prepared.model.hamiltonian
    if prepared.config.energy is not None and prepared.config.energy.needs_labels and prepared.training is None:
        raise RedoxError("there are no labelled configurations of this input yet; run without --only, or with --until label")
    if prepared.training is not None:
        total = total + from_icet(_fitted(prepared, output, may_fit), prepared.lattice)
    return total


def _fitted(prepared: Prepared, output: Output, may_fit: bool) -> ClusterExpansion:
    energy = prepared.config.energy
    assert prepared.training is not None and energy is not None and energy.cluster_expansion is not None
    mark = fingerprint(fit_identity(prepared.source))
    if (known := _kept_fit(output)) and known["fingerprint"] == mark:
        if "parameters" in known:
            return ClusterExpansion(
                prepared.training.space, known["parameters"]
            )  # the .ce file, for others, is a pickle: not read back
        if output.store.ladder.exists():
            raise RedoxError(
                f"the samples in {output.folder} belong to a fit by an older version; go on with that version, or --fresh"
            )
    if not may_fit:
        raise RedoxError("there is no fit of this data set yet; run without --only, or with --until fit")
    given, training = energy.cluster_expansion, prepared.training
    fit = fit_expansion(
        training.space, training.vectors, training.data, training.null, training.ends,
        given.fit.method, given.fit.n_folds, prepared.config.seed,
    )  # fmt: skip
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
        record["learning"] = read_json(output.learning)
    write_json(output.fit, {"fingerprint": mark, "expansion": file_hash(output.expansion), **record})
    return result


def _kept_fit(output: Output) -> dict[str, Any] | None:
    """fit.json, where it is there with its expansion and neither is damaged: else the fit is made anew, with the same result."""
    if not (output.fit.exists() and output.expansion.exists()):
        return None
    try:
        record = read_json(output.fit)
    except RedoxError as error:
        log.info("fit: %s", error)
        return None
    if record.get("expansion", intact := file_hash(output.expansion)) == intact:
        return record
    log.info("fit: %s is damaged and is made anew", output.expansion)
    return None


def _plain_frame(frame: Atoms) -> Atoms:
    """Symbols, positions, cell, energy and the configuration's name."""
    plain = Atoms(frame.get_chemical_symbols(), positions=frame.positions, cell=frame.cell, pbc=True)
    plain.calc = SinglePointCalculator(plain, energy=frame.get_potential_energy())
    plain.info = {k: frame.info[k] for k in ("config",) if k in frame.info}
    return plain


def with_point_charges(short_range: Hamiltonian, charges: tuple[PointCharges, ...], matrix: NDArray[np.int64]) -> Hamiltonian:
    return short_range + point_charges(short_range.lattice, charges, matrix)


def hamiltonian_of(prepared: Prepared, matrix: NDArray[np.int64], of_supercell: HamiltonianOf) -> Hamiltonian:
    """Of ions and electrons; or of the ions alone with their best electrons."""
    energy = prepared.config.energy
    if energy is None or energy.electrons == "equilibrium":
        return of_supercell(matrix)
    temperatures = prepared.config.sampler.temperature_K
    found = ground_states(prepared.lattice, matrix, prepared.ions[0], of_supercell, temperatures, prepared.config.seed)
    log.info("energy: %s", found.note)
    return replace(found.hamiltonian, description=found.note)


def drawn_systems(prepared: Prepared, system: System, output: Output) -> list[System]:
    """The same cell with each draw of the couplings; none where they were not fitted to the energy that is sampled, or by an older version."""
    energy, training = prepared.config.energy, prepared.training
    if training is None or energy is None or energy.electrons != "equilibrium":
        return []
    expansions = [ClusterExpansion(training.space, p) for p in read_json(output.fit).get("draws", [])]
    found = (prepared.typed + from_icet(e, prepared.lattice) for e in expansions)
    matrix = prepared.matrix
    return [build_system(with_point_charges(h, prepared.point_charges, matrix), matrix, system.ions) for h in found]
