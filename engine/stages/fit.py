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
from ..runtime.hashes import file_hash, fingerprint
from ..runtime.mpi import bcast_from_root
from ..runtime.storage import read_json, write_json, write_text, write_whole
from .fit_record import fit_record
from .identity import labelling, without_paths
from .output import Output
from .run import FitData, RootData, Run

log = logging.getLogger("redoxmc")


def identity(run: Run) -> dict[str, Any]:
    """What the fit depends on."""
    config = run.config.model_dump(mode="json")
    return {
        "lattice": without_paths(config["lattice"]),
        "cluster_expansion": without_paths(config["energy"]["cluster_expansion"] or {}),
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
    errors_meV = [1e3 * e for e in (fit.rmse_eV, fit.validation_rmse_eV, fit.validation_spread_eV)]
    log.info(
        "fit: %d cells, %d parameters, error %.1f meV/fu, validation error %.1f +- %.1f meV/fu",
        len(data.data.cells), len(fit.parameters), *errors_meV,
    )  # fmt: skip
    write(run, data, fit, mark)
    return fit.parameters


def write(run: Run, data: FitData, fit: Fit, mark: str) -> None:
    """The expansion, the cells that were fitted and those that were refused, and fit.json last."""
    output = run.output
    write_whole(output.expansion, lambda p: expansion(data.space, fit).write(str(p)))
    if _given(run).dataset:
        frames = [_plain_frame(f) for f in data.frames]
        write_whole(output.labels, lambda p: write_frames(p, frames, format="extxyz", columns=["symbols", "positions"]))
    if data.refusals:
        write_text(output.refused_cells, "\n".join(data.refusals) + "\n")
        log.info("fit: the charges of %d cells are uncertain; they are left out, see refused_cells.txt", len(data.refusals))
    record = fit_record(fit, data, run.lattice, run.ions)
    if run.config.makes_labels and output.learning.exists():
        record["learning"] = read_json(output.learning)
    write_json(output.fit, {"fingerprint": mark, "expansion": file_hash(output.expansion), **record})


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
