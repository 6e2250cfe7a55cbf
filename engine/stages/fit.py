"""The fit stage: cluster_expansion.ce and fit.json, from the data set."""

import logging
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write as write_frames
from numpy.typing import NDArray

from ..crystal.lattice import bare_copy
from ..errors import RedoxError
from ..hamiltonian.clusters import from_icet
from ..hamiltonian.fit import Fit, expansion, fit_expansion
from ..hamiltonian.terms import Hamiltonian
from ..input.schema import ClusterExpansionInput
from ..potentials.dataset import duplicate_spread_eV
from ..runtime.hashes import file_hash, fingerprint
from ..runtime.mpi import bcast_from_root
from ..runtime.storage import read_json, write_json, write_text, write_whole
from .shared.fit_record import fit_record
from .shared.frame_table import csv_text, table_rows
from .shared.identity import labelling, without_paths
from .shared.output import Output
from .shared.run import FitData, RootData, Run

log = logging.getLogger("redoxmc")
NEGLIGIBLE_EV = 1e-3  # per formula unit: energies that are all alike need not be predicted


def identity(run: Run) -> dict[str, Any]:
    """What the fit depends on."""
    config = run.config.model_dump(mode="json")
    expansion_input = without_paths(config["energy"]["cluster_expansion"] or {})
    expansion_input.pop("allow_left_out", None)  # it decides whether there is a fit, not what it is
    return {
        "lattice": without_paths(config["lattice"]),
        "cluster_expansion": expansion_input,
        "seed": config["seed"],
        "files": run.file_hashes,
        **labelling(run.config, config),
    }


def run(run: Run, data: RootData | None, comm: Any) -> Hamiltonian:
    """The Hamiltonian without point charges: user-specified terms and the cluster expansion, fitted if necessary. Collective."""

    def make() -> Hamiltonian:
        assert data is not None  # on rank 0
        if run.config.makes_labels and data.fit_data is None:
            raise RedoxError("there are no labelled configurations of this input yet; run without --only, or with --until label")
        return short_range(run, data, _parameters(run, data.fit_data) if data.fit_data else None)

    return bcast_from_root(comm, make)


def short_range(run: Run, data: RootData, parameters: NDArray[np.float64] | None) -> Hamiltonian:
    """Everything but point charges. parameters: of the fitted expansion, where there is one."""
    total = run.user_terms
    if data.model is not None:
        total = total + data.model.hamiltonian
    if data.fit_data is not None and parameters is not None:
        from icet import ClusterExpansion  # slow to import

        total = total + from_icet(ClusterExpansion(data.fit_data.space, parameters), run.lattice)
    return total


def compute(run: Run, data: FitData) -> Fit:
    """Nothing is written."""
    given = _given(run)
    return fit_expansion(
        data.space, data.vectors, data.data, data.null, data.ends, given.fit.method, given.fit.n_folds, run.config.seed
    )


def _parameters(run: Run, data: FitData) -> NDArray[np.float64]:
    """Of the fit that is there, if it was made from this input; else of a new one."""
    mark = fingerprint(identity(run))
    if (known := _kept(run.output)) and known["fingerprint"] == mark:
        if "parameters" in known:
            return np.array(known["parameters"])  # the .ce file is a pickle, written for others and not read back
        if run.output.store.ladder.exists():
            raise RedoxError(
                f"the samples in {run.output.folder} belong to a fit by an older version; "
                "continue with that version, or use --fresh"
            )
    if not run.options.includes("fit"):
        raise RedoxError("there is no fit of this data set yet; run without --only, or with --until fit")
    fit = compute(run, data)
    if problem := useless(fit, _given(run).fit.method):
        raise RedoxError(problem)
    errors_meV = [1e3 * e for e in (fit.rmse_eV, fit.validation_rmse_eV, fit.validation_spread_eV)]
    log.info(
        "fit: %d cells, %d parameters, error %.1f meV/fu, validation error %.1f +- %.1f meV/fu",
        len(data.data.cells), len(fit.parameters), *errors_meV,
    )  # fmt: skip
    write(run, data, fit, mark)
    return fit.parameters


def useless(fit: Fit, method: str) -> str | None:
    """Why a fit must not be used: it predicts held-out cells worse than their mean would."""
    n_cells = int((~fit.is_end).sum())
    chance = 1 + 2 / np.sqrt(2 * n_cells)  # two standard errors of a root mean square
    if fit.validation_rmse_eV < max(chance * fit.spread_eV, NEGLIGIBLE_EV):
        return None
    return (
        f"energy.cluster_expansion: the validation error of the fit, {1e3 * fit.validation_rmse_eV:.4g} meV/fu, is above the "
        f"spread of the energies at given composition, {1e3 * fit.spread_eV:.1f} meV/fu: it predicts worse than the mean. "
        f"{len(fit.parameters)} parameters are fitted to {n_cells} cells by {method}; shorten cutoffs_A, add cells"
        + (", or take a regularised fit: ardr, lasso or ridge" if method == "least-squares" else "")
    )


def write(run: Run, data: FitData, fit: Fit, mark: str) -> None:
    """The expansion, the cells that were fitted, the table of all frames, and fit.json last."""
    output, table = run.output, data.table
    write_whole(output.expansion, lambda p: expansion(data.space, fit).write(str(p)))
    if _given(run).dataset:
        frames = [_plain_frame(f) for f in table.relaxed]
        write_whole(output.labels, lambda p: write_frames(p, frames, format="extxyz", columns=["symbols", "positions"]))
    write_text(output.frame_table, csv_text(table_rows(table, run.source.path.parent, fit)))
    _log_frames(data, fit)
    record = fit_record(fit, data, run.lattice, run.ions)
    if run.config.makes_labels and output.learning.exists():
        record["learning"] = read_json(output.learning)
    write_json(output.fit, {"fingerprint": mark, "expansion": file_hash(output.expansion), **record})


def _log_frames(data: FitData, fit: Fit) -> None:
    """Frames that are left out, merged or far from the fit, and what is undetermined."""
    for text in data.warnings:
        log.info("fit: %s", text)
    if merged := sum(f.duplicate_of is not None for f in data.table.frames):
        spread_meV = 1e3 * duplicate_spread_eV(data.table)
        log.info(
            "fit: %d frames repeat an arrangement; the lowest energy is kept, others are up to %.2f meV/fu above",
            merged,
            spread_meV,
        )
    for k, ratio in fit.outliers().items():
        error_meV, name = 1e3 * fit.leave_one_out_eV[k], data.data.names[k]
        log.info("fit: %s is predicted %+.1f meV/fu off, %.1f times the error of the others", name, error_meV, ratio)


def _given(run: Run) -> ClusterExpansionInput:
    energy = run.config.energy
    assert energy is not None and energy.cluster_expansion is not None
    return energy.cluster_expansion


def _kept(output: Output) -> dict[str, Any] | None:
    """fit.json, if it and the expansion are there and intact: else the fit is made again, with the same result."""
    if not (output.fit.exists() and output.expansion.exists()):
        return None
    try:
        record = read_json(output.fit)
    except RedoxError as error:
        log.info("fit: %s", error)
        return None
    if record.get("expansion", intact := file_hash(output.expansion)) == intact:
        return record
    log.info("fit: %s is damaged and is made again", output.expansion)
    return None


def _plain_frame(frame: Atoms) -> Atoms:
    """Symbols, positions, cell, energy and the configuration's name."""
    plain = bare_copy(frame)
    plain.calc = SinglePointCalculator(plain, energy=frame.get_potential_energy())
    plain.info = {k: frame.info[k] for k in ("config",) if k in frame.info}
    return plain
