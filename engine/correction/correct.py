"""Sampling with the potential in a small cell: walkers over temperatures, each kept in a file when it is done."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.neutral_states import count_neutral_states, neutral_states
from ..errors import RedoxError
from ..hamiltonian.terms import Hamiltonian
from ..input.checks.sampling import MOST_ENUMERATED
from ..input.schema import CorrectionInput, RelaxationInput
from ..potentials.labelling.configurations import Configuration, enumerate_configurations
from ..potentials.labelling.relaxations import Relaxations, relax_all
from ..potentials.labels import labels_of
from ..potentials.potential import LabelledCalculator
from ..potentials.specification import PotentialSpec
from ..runtime.hashes import fingerprint
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.storage import read_h5, remove_partial, write_h5
from ..runtime.streams import Stream, chain_stream
from ..runtime.task_farm import run_tasks
from ..sampling.anneal import anneal
from ..sampling.system import System, build_system
from ..units import inverse_temperature
from .energies import Energies, Occupation, relaxed_energies
from .walker import Tuned, Walk, expansion_samples, first_weights, tune, walk, walk_of

log = logging.getLogger("redoxmc")
Float = NDArray[np.float64]
ANNEALING_SWEEPS = 2000  # of the expansion, per temperature: for the weights alone
CHAINS = ("corrected", "direct", "reweighted")


@dataclass(frozen=True)
class Correction:
    """The small cell in which the potential is sampled. The same on every rank.

    given: the section `correction` of the input. relaxation: the section of that name. folder: the output folder.
    system: the cluster expansion in the small cell.
    """

    given: CorrectionInput
    potential: PotentialSpec
    relaxation: RelaxationInput
    temperatures_K: tuple[float, ...]
    seed: int
    folder: Path
    system: System

    @property
    def relaxations(self) -> Relaxations:
        settings = self.relaxation if self.given.relaxed else self.relaxation.model_copy(update={"steps": 0})
        return Relaxations(self.folder / "relaxations", self.system.lattice, settings, self.potential.mark)

    @cached_property
    def identity(self) -> str:
        """Of the samples: all that they depend on."""
        table = [part.tobytes().hex() if isinstance(part, np.ndarray) else part for part in self.system.couplings]
        given = self.given.model_dump(mode="json", exclude={"methods"})
        store = self.relaxations
        return fingerprint(
            given,
            self.temperatures_K,
            self.seed,
            self.potential.mark,
            store.settings.model_dump(mode="json"),
            table,
            str(self.system.mix),
        )

    def path(self, method: str, rung: int, walker: int) -> Path:
        return self.folder / "correction" / self.identity / f"{method}_{rung:02d}_{walker:02d}.h5"

    def tuned(self, method: str, rung: int) -> Path:
        return self.folder / "correction" / self.identity / f"{method}_{rung:02d}_tuned.h5"

    @property
    def is_sampled(self) -> bool:
        """Whether all that its results are made of is there."""
        walks = [
            self.path(method, rung, walker)
            for method in set(CHAINS) & set(self.given.methods)
            for rung in range(len(self.temperatures_K))
            for walker in range(self.given.walkers)
        ]
        states = _all_states(self) if "enumerated" in self.given.methods else []
        return all(path.exists() for path in [*walks, *(store.path(c) for store, c in states)])

    def walks(self, method: str, rung: int) -> list[Walk]:
        """Raises RedoxError if a file is damaged, or not there yet."""
        if not all(self.path(method, rung, w).exists() for w in range(self.given.walkers)):
            raise RedoxError("the potential has not been sampled for this input yet; run without --only")
        return [walk_of(read_h5(self.path(method, rung, w))[0]) for w in range(self.given.walkers)]


@dataclass
class Lazy:
    """The potential, read when it is first asked: nothing is, where all energies are on disk."""

    correction: Correction
    loaded: list[LabelledCalculator] = field(default_factory=list)

    def __call__(self) -> LabelledCalculator:
        if not self.loaded:
            import torch

            torch.set_num_threads(1)
            self.loaded.append(self.correction.potential.load(labels_of(self.correction.system.lattice)))
        return self.loaded[0]


def try_potential(correction: Correction) -> None:
    """Read it before anything long is begun, unless all that it is needed for is there. Raises RedoxError."""
    if _missing(correction):
        Lazy(correction)()


def run_correction(correction: Correction, comm: Any, watch: StopWatch) -> None:
    """Collective. Raises Interrupted when asked to stop: relaxations and walkers that were finished are kept."""
    potential = Lazy(correction)
    if "enumerated" in correction.given.methods:
        jobs = _all_states(correction)
        if bcast_from_root(comm, lambda: not all(store.path(c).exists() for store, c in jobs)):
            relax_all(jobs, {correction.potential.mark: potential()}, comm, watch, "relaxing all states of the small cell")
    tasks = bcast_from_root(comm, lambda: _missing(correction))
    if not tasks:
        return
    walked = sorted({(method, rung) for method, rung, _ in tasks if method != "reweighted"})
    pilots = bcast_from_root(comm, lambda: [p for p in walked if not correction.tuned(*p).exists()])
    betas = np.array([inverse_temperature(t) for t in correction.temperatures_K])
    energies = relaxed_energies(correction.system.supercell, correction.relaxations, potential)
    energies.of = _unless_stopped(energies.of, watch)
    nothing = build_system(Hamiltonian(correction.system.lattice, ()), correction.system.supercell.matrix, correction.system.ions)
    proposers = {"corrected": correction.system, "reweighted": correction.system, "direct": nothing}
    of_expansion = _expansion_weights(correction, correction.system, betas, comm)
    weights = dict.fromkeys(proposers, of_expansion)
    if "direct" in correction.given.methods:
        weights["direct"] = _expansion_weights(correction, nothing, betas, comm)

    def stream(method: str, rung: int, *walker: int) -> NDArray[np.uint64]:
        return chain_stream(correction.seed, Stream.CORRECTION, CHAINS.index(method), rung, *walker)

    def tune_one(number: int) -> None:
        method, rung = pilots[number]
        (starts, references), (_, of_method) = of_expansion, weights[method]
        given, begin, beta = correction.given, (energies, starts[rung, 0, 0], stream(method, rung)), float(betas[rung])
        guess = first_weights(correction.system, beta, references[rung], *begin, given.equilibrate // 2)
        length = 1 if method == "direct" else None
        found = tune(proposers[method], beta, of_method[rung], guess, *begin, given.equilibrate, length)
        write_h5(correction.tuned(method, rung), vars(found), {})

    def walk_one(number: int) -> None:
        method, rung, walker = tasks[number]
        starts, references = weights[method]
        system, given, beta = proposers[method], correction.given, float(betas[rung])
        begin = starts[rung, -(walker % 2), walker], stream(method, rung, walker)
        if method == "reweighted":
            found = expansion_samples(system, beta, references[rung], energies, *begin, given.proposals)
        else:
            data, _ = read_h5(correction.tuned(method, rung))
            tuned = Tuned(data["log_weight"], data["proposer_weight"], int(data["stretch"]))
            found = walk(system, beta, tuned, energies, *begin, given.equilibrate // 4, given.proposals)
        write_h5(correction.path(method, rung, walker), found.data, {})

    run_tasks(len(pilots), _forsaken_if_stopped(tune_one), comm, watch, "tuning proposals to the potential")
    run_tasks(len(tasks), _forsaken_if_stopped(walk_one), comm, watch, "sampling with the potential")


class _Stopped(Exception):
    """A walk is given up: all ranks will stop together when their tasks are."""


def _unless_stopped(of: Callable[[Occupation], float], watch: StopWatch) -> Callable[[Occupation], float]:
    """A walk may hold hours of relaxations; they are kept, so that it can stop between any two and be repeated for nothing."""

    def energy(representative: Occupation) -> float:
        if watch.should_stop():
            raise _Stopped
        return of(representative)

    return energy


def _forsaken_if_stopped(work: Callable[[int], None]) -> Callable[[int], None]:
    def task(number: int) -> None:
        with suppress(_Stopped):
            work(number)

    return task


def _missing(correction: Correction) -> list[tuple[str, int, int]]:
    for folder in (correction.path("", 0, 0).parent, correction.relaxations.folder):
        remove_partial(folder)
    every = [
        (method, rung, walker)
        for method in CHAINS
        if method in correction.given.methods
        for rung in range(len(correction.temperatures_K))
        for walker in range(correction.given.walkers)
    ]
    return [task for task in every if not correction.path(*task).exists()]


def _all_states(correction: Correction) -> list[tuple[Relaxations, Configuration]]:
    matrix = correction.system.supercell.matrix
    found = enumerate_configurations(correction.system.lattice, matrix, MOST_ENUMERATED)
    assert found is not None
    return [(correction.relaxations, c) for c in found]


def _expansion_weights(correction: Correction, system: System, betas: Float, comm: Any) -> tuple[NDArray[np.int8], Float]:
    """States at the lowest and the highest window (rungs, windows, walkers, n_sites) and the
    expansion's ln Z_n - ln Z_(n+step) (rungs, n_max+1)."""
    low, high = system.n_range
    targets, order = np.array([low, high], float), np.argsort(betas)[::-1]
    annealed = anneal(
        system, betas[order], targets, float(high - low), correction.given.walkers, ANNEALING_SWEEPS, correction.seed, comm
    )
    back = np.argsort(order)
    return annealed.starts[back], annealed.reference[back]


def all_energies(correction: Correction, energies: Energies) -> list[Float]:
    """Of all neutral states, by the count of the ion, eV of the cell."""
    system = correction.system
    counts, _ = count_neutral_states(system.supercell, system.ion)
    return [np.array([energies(s) for s in neutral_states(system.supercell, system.ion, int(n))]) for n in counts]
