"""The rounds, each in a folder of its own: what it labelled, its expansion, its samples, its results, what it chose."""

import logging
import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from icet import ClusterExpansion, ClusterSpace
from numpy.typing import NDArray

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ...hamiltonian.clusters import cluster_space, from_icet
from ...hamiltonian.electrostatics import PointCharges, point_charges
from ...hamiltonian.fit import (
    Fit,
    cluster_vectors,
    end_vectors,
    expansion,
    fit_expansion,
    neutrality_null_vector,
)
from ...hamiltonian.terms import Hamiltonian
from ...input.schema import Config, LearningInput, supercell_matrix
from ...potentials.dataset import map_to_lattice, read_relaxed
from ...potentials.labelling.configurations import Configuration
from ...potentials.labelling.label import first_configurations, write_labels
from ...potentials.labelling.relaxations import Relaxations, relax_all
from ...potentials.labels import labels_of
from ...potentials.potential import load_potential
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.results import write_results
from ...runtime.results.transition import typed_results
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_json, write_json, write_text, write_whole
from ...sampling.run import run_sampling
from ...sampling.system import System, build_system
from ...thermodynamics.analysis import Analysis
from ...thermodynamics.fit_uncertainty import changes, widest_band
from ...thermodynamics.samples import read_samples
from .choose import choose, ensemble_errors
from .motion import motion
from .visited import Visited, visit

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
BIN = 1 / 12  # of x, in which errors are collected
SETTLED_ROUNDS = 2
PARAMETERS = "parameters.json"


@dataclass(frozen=True)
class Learning:
    """What every rank needs to know. typed, charges: the terms beside the expansion; weights, mark: file and hash of the potential;
    identity: of all that the rounds depend on."""

    config: Config
    lattice: Lattice
    ions: tuple[str, ...]
    typed: Hamiltonian
    charges: tuple[PointCharges, ...]
    weights: Path | None
    mark: str
    folder: Path
    identity: str

    @property
    def given(self) -> LearningInput:
        assert self.config.label.learning is not None
        return self.config.label.learning

    @cached_property
    def sampled(self) -> Config:
        """The input as the rounds sample it."""
        sampler = self.config.sampler
        measure = self.given.sweeps or sampler.sweeps.measure
        sweeps = sampler.sweeps.model_copy(update={"measure": measure})
        return self.config.model_copy(update={"sampling": sampler.model_copy(update={"sweeps": sweeps})})

    @property
    def matrix(self) -> NDArray[np.int64]:
        shape = self.given.supercell
        return supercell_matrix(shape) if shape else self.config.lattice.matrix

    def round(self, number: int) -> Path:
        return self.folder / "rounds" / f"round_{number:02d}"

    @cached_property
    def space(self) -> ClusterSpace:
        energy = self.config.energy
        assert energy is not None and energy.cluster_expansion is not None and energy.cluster_expansion.cutoffs_A is not None
        return cluster_space(self.lattice, energy.cluster_expansion.cutoffs_A)

    def expansion(self, number: int) -> ClusterExpansion:
        """Of a round; the .ce file, for others, is a pickle: it is not read back. Raises RedoxError for a round of an earlier version."""
        path = self.round(number) / PARAMETERS
        if not path.exists():
            raise RedoxError(
                f"there is no {path}; delete {path.parent.parent}: the rounds are done anew, with the labels that are there"
            )
        return ClusterExpansion(self.space, read_json(path)["parameters"])

    def hamiltonian(self, found: ClusterExpansion, matrix: NDArray[np.int64]) -> Hamiltonian:
        return self.typed + from_icet(found, self.lattice) + point_charges(self.lattice, self.charges, matrix)

    def system(self, found: ClusterExpansion) -> System:
        return build_system(self.hamiltonian(found, self.matrix), self.matrix, self.ions)


def run_learning(learning: Learning, comm: Any, watch: StopWatch) -> None:
    """Writes labelled.extxyz, label.json and learning.json; goes on where it was stopped. Collective, raises Interrupted."""
    torch.set_num_threads(1)
    config, lattice = learning.config, learning.lattice
    assert config.potential is not None
    labels = labels_of(lattice)
    store = Relaxations(learning.folder / "relaxations", lattice, config.relaxation, learning.mark)
    calculator = load_potential(
        config.potential.model, learning.weights, labels, config.potential.charge_aware, config.potential.options
    )
    if comm.rank == 0:
        _begin(learning)
    chosen = bcast_from_root(comm, lambda: first_configurations(config, lattice))
    records: list[dict[str, Any]] = []
    for number in range(learning.given.rounds):
        relax_all([(store, c) for c in chosen], {learning.mark: calculator}, comm, watch, f"round {number}: labelling")
        known = learning.round(number) / "round.json"
        if not bcast_from_root(comm, known.exists):
            if comm.rank == 0:
                write_labels(chosen, [store.read(c) for c in chosen], labels, learning.round(number))
            _round(learning, number, store, chosen, comm, watch)
        records.append(bcast_from_root(comm, partial(read_json, known)))
        if why := _finished(records, learning.given):
            break
        chosen = chosen + [_configuration(c) for c in records[-1]["next"]]
    if comm.rank == 0:
        log.info("learning: %s after %d rounds and %d labels", why, len(records), len(chosen))
        write_labels(chosen, [store.read(c) for c in chosen], labels, learning.folder)
        shown = [{k: v for k, v in r.items() if k != "next"} for r in records]
        write_json(learning.folder / "learning.json", {"finished": why, "rounds": shown})


def _begin(learning: Learning) -> None:
    """Rounds of another input are of no use; their relaxations, kept elsewhere, are."""
    folder = learning.folder / "rounds"
    mark = folder / "mark"
    if folder.exists() and not (mark.exists() and mark.read_text() == learning.identity):
        shutil.rmtree(folder)
    write_text(mark, learning.identity)


def _configuration(known: dict[str, Any]) -> Configuration:
    return Configuration(tuple(tuple(row) for row in known["matrix"]), bytes.fromhex(known["species"]), known["name"])


def _round(
    learning: Learning,
    number: int,
    store: Relaxations,
    chosen: list[Configuration],
    comm: Any,
    watch: StopWatch,
) -> None:
    """Fit, sample, look, choose; rank 0 writes round.json last. Collective."""
    config, folder = learning.config, learning.round(number)
    fitted = bcast_from_root(comm, lambda: _fitted(learning, folder))
    found = learning.expansion(number)
    system, samples = learning.system(found), SampleStore(folder / "samples")
    run_sampling(system, learning.sampled, samples, comm, watch)
    visited = visit(
        learning.lattice, learning.ions, lambda m: learning.hamiltonian(found, m), found.get_cluster_space_copy(),
        config.label.matrices, config.sampler.temperature_K, config.seed, number, comm,
    )  # fmt: skip
    if comm.rank == 0:
        done = [store.read(c) for c in chosen]
        cost = {"labels": len(chosen), "kept": fitted.n_cells, "hours": sum(d.seconds for d in done) / 3600}
        space = found.get_cluster_space_copy()
        drawn = [learning.system(ClusterExpansion(space, p)) for p in fitted.fit.draws]
        record = cost | _looked_at(learning, number, fitted, system, drawn, samples, visited, {c.name for c in chosen})
        write_json(folder / "round.json", record)
        log.info(
            "round %d: %d labels, validation %.1f meV/fu, in the ensemble up to %.1f; F ± %.1f meV/fu by the couplings; %s",
            number, record["labels"], 1e3 * record["validation_rmse_eV"], 1e3 * record["worst_error_eV"], 1e3 * record["band_eV"],
            f"F moved by up to {1e3 * record['moved_eV']:.1f}, boundaries by {record['moved_x']:.4f}" if number else "the first diagram",
        )  # fmt: skip
    comm.Barrier()


@dataclass(frozen=True)
class _Fitted:
    """fit: its draws as well; names, n_cells: of the cells; ends (2, p): cluster vectors at the lowest and the highest x."""

    fit: Fit
    names: tuple[str, ...]
    ends: Float

    @property
    def n_cells(self) -> int:
        return len(self.names)


def _fitted(learning: Learning, folder: Path) -> _Fitted:
    """Of the round's labels; clusters that these few do not tell apart are left to the method's prior."""
    energy = learning.config.energy
    assert energy is not None and energy.cluster_expansion is not None
    given, lattice, space = energy.cluster_expansion, learning.lattice, learning.space
    frames, _ = read_relaxed([folder / "labelled.extxyz"], lattice)
    data = map_to_lattice(frames, lattice)
    vectors, null = cluster_vectors(space, data), neutrality_null_vector(space, lattice)
    folds = min(given.fit.n_folds, len(data.cells))
    fit = fit_expansion(space, vectors, data, null, end_vectors(space, lattice), given.fit.method, folds, learning.config.seed)
    write_whole(folder / "cluster_expansion.ce", lambda p: expansion(space, fit).write(str(p)))
    write_json(folder / PARAMETERS, {"parameters": fit.parameters.tolist()})
    x = data.fraction(lattice.species_named(learning.ions[0]).symbol)
    return _Fitted(fit, data.names, vectors[[int(np.argmin(x)), int(np.argmax(x))]])


def _looked_at(
    learning: Learning,
    number: int,
    fitted: _Fitted,
    system: System,
    drawn: list[System],
    store: SampleStore,
    visited: Visited,
    labelled: set[str],
) -> dict[str, Any]:
    """The diagram, the errors and what to label next; labelled: names of what has a label, or cannot have one."""
    config, fit, samples = learning.config, fitted.fit, read_samples(store)
    analysis = Analysis(samples, system, config.analysis, config.seed, drawn=drawn)
    groups = analysis.groups()
    write_results(learning.round(number) / "results.h5", typed_results({"title": f"{config.title}, round {number}"}, groups))
    assert analysis.bands is not None
    diagram, isotherms, _ = analysis.bands
    moved_x, moved_eV = None, None
    if number:
        before = learning.system(learning.expansion(number - 1))
        moved_x, moved_eV = motion(diagram, isotherms, changes(samples, isotherms, system, [before]))
    line = visited.x[:, None] * fitted.ends[1] + (1 - visited.x[:, None]) * fitted.ends[0]
    mixing = (visited.vectors - line) @ fit.draws.T
    known = dict(zip(fitted.names, (fit.left_out_eV - fit.reference_eV) ** 2))
    expected = mixing.var(axis=1, ddof=1) + fit.validation_rmse_eV**2
    squared = np.array([known.get(c.name, e) for c, e in zip(visited.configurations, expected)])
    x, errors = ensemble_errors(visited, squared, BIN)
    picked = choose(visited, labelled, mixing, widest_band(*analysis.bands), fit.validation_rmse_eV, learning.given.labels)
    by_couplings = groups["phase_diagram"]["boundary_x_fit_uncertainty"]
    return {
        "rmse_eV": fit.rmse_eV,
        "validation_rmse_eV": fit.validation_rmse_eV,
        "worst_error_eV": float(np.nanmax(errors)),
        "error_temperature_K": visited.temperature_K.tolist(),
        "error_x": x.tolist(),
        "error_eV": [[float(v) if np.isfinite(v) else None for v in row] for row in errors],
        "band_x": float(by_couplings.mean()) if len(by_couplings) else None,
        "band_eV": float(groups["canonical"]["mixing_free_energy_eV_fit_uncertainty"].max()),
        "visited": int(visited.distinct.sum()),
        "moved_x": moved_x,
        "moved_eV": moved_eV,
        "why": {why: list(picked.values()).count(why) for why in sorted(set(picked.values()))},
        "next": [
            {"matrix": c.matrix, "species": c.species.hex(), "name": c.name}
            for c in (visited.configurations[k] for k in sorted(picked))
        ],
    }


def _finished(records: list[dict[str, Any]], given: LearningInput) -> str | None:
    last = records[-1]
    if last["worst_error_eV"] < given.tolerance_eV:
        return "accurate enough everywhere"
    later = records[1:][-SETTLED_ROUNDS:]
    if len(later) == SETTLED_ROUNDS and all(r["moved_x"] < given.settled and r["moved_eV"] < given.tolerance_eV for r in later):
        return "the diagram no longer moves"
    if not last["next"]:
        return "every arrangement that was visited has a label"
    return "all rounds are done" if len(records) == given.rounds else None
