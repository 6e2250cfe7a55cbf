"""One round of learning: fit, sample, estimate the errors, choose what to label next."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from icet import ClusterExpansion
from numpy.typing import NDArray

from ...hamiltonian.fit import Fit, cluster_vectors, end_vectors, expansion, fit_expansion, neutrality_null_vector
from ...potentials.dataset import read_frame_table
from ...potentials.labelling.configurations import Configuration
from ...potentials.labelling.relaxations import Relaxations
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.results import Attributes, write_results
from ...runtime.storage import write_json, write_whole
from ...sampling.chains.system import System
from ...sampling.run import run_sampling
from ...sampling.samples import Samples, read_samples
from ...thermodynamics.analysis import analyse_samples
from ...thermodynamics.fit_uncertainty import FitUncertainty, changes, widest_band
from .choose import choose, ensemble_errors
from .motion import motion
from .rounds import Rounds
from .visited import Visited, visit

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
BIN = 1 / 12  # width in x of the bins of errors


def make_round(rounds: Rounds, number: int, store: Relaxations, chosen: list[Configuration], comm: Any, watch: StopWatch) -> None:
    """Make round `number` with the labels of `chosen`. Rank 0 writes its record last. Collective, raises Interrupted."""
    run = rounds.run
    fitted = bcast_from_root(comm, lambda: _fitted(rounds, number))
    found = rounds.expansion(number)
    system = rounds.system(found)
    run_sampling(system, rounds.sampled, rounds.samples(number), comm, watch)
    visited = visit(
        run.lattice, run.ions, rounds.hamiltonian_of(found), found.get_cluster_space_copy(),
        run.config.label.matrices, run.config.sampler.temperature_K, run.config.seed, number, comm,
    )  # fmt: skip
    if comm.rank == 0:
        done = [store.read(c) for c in chosen]
        cost = {"labels": len(chosen), "kept": fitted.n_cells, "hours": sum(d.seconds for d in done) / 3600}
        record = cost | _record(rounds, number, fitted, system, visited, {c.name for c in chosen})
        write_json(rounds.record(number), record)
        _log(number, record)
    comm.Barrier()


def _log(number: int, record: dict[str, Any]) -> None:
    moved = (
        f"F changed by up to {1e3 * record['moved_eV']:.1f} meV/fu, boundaries by {record['moved_x']:.4f} in x"
        if number
        else "first diagram"
    )
    errors_meV = [1e3 * record[key] for key in ("validation_rmse_eV", "worst_error_eV", "band_eV")]
    log.info(
        "round %d: %d labels, errors in meV/fu: validation %.1f, in the ensemble up to %.1f, F from the fit %.1f; %s",
        number, record["labels"], *errors_meV, moved,
    )  # fmt: skip


@dataclass(frozen=True)
class _Fitted:
    """The fit of a round. names: of its cells; ends (2, p): cluster vectors at the lowest and the highest x."""

    fit: Fit
    names: tuple[str, ...]
    ends: Float

    @property
    def n_cells(self) -> int:
        return len(self.names)


def _fitted(rounds: Rounds, number: int) -> _Fitted:
    """Fit the labels of the round. Clusters that these few cannot tell apart are left to the prior of the method."""
    given, lattice, space, folder = rounds.expansion_input, rounds.run.lattice, rounds.space, rounds.round(number)
    data = read_frame_table([folder / "labelled.extxyz"], lattice).data()
    vectors, null = cluster_vectors(space, data), neutrality_null_vector(space, lattice)
    folds = min(given.fit.n_folds, len(data.cells))
    fit = fit_expansion(space, vectors, data, null, end_vectors(space, lattice), given.fit.method, folds, rounds.run.config.seed)
    write_whole(folder / "cluster_expansion.ce", lambda p: expansion(space, fit).write(str(p)))
    write_json(rounds.parameters(number), {"parameters": fit.parameters.tolist()})
    x = data.fraction(lattice.species_named(rounds.run.ions[0]).symbol)
    return _Fitted(fit, data.names, vectors[[int(np.argmin(x)), int(np.argmax(x))]])


def _record(rounds: Rounds, number: int, fitted: _Fitted, system: System, visited: Visited, labelled: set[str]) -> dict[str, Any]:
    """Errors, changes of the diagram, and what to label next. labelled: names of configurations that need no label."""
    config, fit, samples = rounds.run.config, fitted.fit, read_samples(rounds.samples(number))
    drawn = [rounds.system(ClusterExpansion(rounds.space, p)) for p in fit.draws]
    analysis = analyse_samples(samples, system, config.analysis, config.seed, drawn=drawn)
    results, uncertainty = analysis.results, analysis.fit_uncertainty
    title = f"{config.title}, round {number}"
    write_results(rounds.round(number) / "results.h5", replace(results, attributes=Attributes(title=title)))
    assert uncertainty is not None and results.phase_diagram is not None and results.canonical is not None
    moved_x, moved_eV = _motion(rounds, number, uncertainty, samples, system)
    line = visited.x[:, None] * fitted.ends[1] + (1 - visited.x[:, None]) * fitted.ends[0]
    mixing = (visited.vectors - line) @ fit.draws.T
    x, errors = ensemble_errors(visited, _squared_errors(fitted, visited, mixing), BIN)
    picked = choose(visited, labelled, mixing, widest_band(uncertainty), fit.validation_rmse_eV, rounds.given.labels)
    x_error, f_error = results.phase_diagram.boundary.x_fit_uncertainty, results.canonical.mixing_free_energy_eV_fit_uncertainty
    assert x_error is not None and f_error is not None
    return {
        "rmse_eV": fit.rmse_eV,
        "validation_rmse_eV": fit.validation_rmse_eV,
        "worst_error_eV": float(np.nanmax(errors)),
        "error_temperature_K": visited.temperature_K.tolist(),
        "error_x": x.tolist(),
        "error_eV": [[float(v) if np.isfinite(v) else None for v in row] for row in errors],
        "band_x": float(x_error.mean()) if len(x_error) else None,
        "band_eV": float(f_error.max()),
        "visited": int(visited.distinct.sum()),
        "moved_x": moved_x,
        "moved_eV": moved_eV,
        "why": {why: list(picked.values()).count(why) for why in sorted(set(picked.values()))},
        "next": [
            {"matrix": c.matrix, "species": c.species.hex(), "name": c.name}
            for c in (visited.configurations[k] for k in sorted(picked))
        ],
    }


def _motion(
    rounds: Rounds, number: int, now: FitUncertainty, samples: Samples, system: System
) -> tuple[float, float] | tuple[None, None]:
    """Changes of boundaries, in x, and of F, eV/fu, from the interactions of the last round to those of this one."""
    if number == 0:
        return None, None
    before = rounds.system(rounds.expansion(number - 1))
    return motion(now.diagram, now.isotherms, changes(samples, now.isotherms, system, [before]))


def _squared_errors(fitted: _Fitted, visited: Visited, mixing: Float) -> Float:
    """Expected squared error of every arrangement, eV^2/fu^2: from cross-validation if it has a label, else from the draws."""
    fit = fitted.fit
    known = dict(zip(fitted.names, (fit.left_out_eV - fit.reference_eV) ** 2))
    expected = mixing.var(axis=1, ddof=1) + fit.validation_rmse_eV**2
    return np.array([known.get(c.name, e) for c, e in zip(visited.configurations, expected)])
