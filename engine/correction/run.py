"""Sampling with the potential in the small cell: walkers over temperatures as tasks, each with a file of its own."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hamiltonian.terms import Hamiltonian
from ..potentials.labelling.relaxations import relax_all
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.storage import read_h5, write_h5
from ..runtime.streams import Stream, chain_stream
from ..runtime.task_farm import run_tasks
from ..sampling.chains.system import System, build_system
from ..sampling.preparation.anneal import anneal
from .correct import Correction, LazyPotential, Task
from .energies import Energies, Occupation, relaxed_energies
from .methods import SAMPLED, Method
from .walker import Tuned, Walk, expansion_samples, first_weights, tune, walk

Float = NDArray[np.float64]
ANNEALING_SWEEPS = 2000  # of the proposer, at each temperature; for first weights alone


def try_potential(correction: Correction) -> None:
    """Load the potential before anything long begins, unless nothing is left to do with it. Raises RedoxError."""
    if correction.missing():
        LazyPotential(correction)()


def run_correction(correction: Correction, comm: Any, watch: StopWatch) -> None:
    """Collective. Raises Interrupted when asked to stop: finished relaxations and walkers are kept."""
    potential = LazyPotential(correction)
    if Method.ENUMERATED in correction.given.methods:
        _relax_all_states(correction, potential, comm, watch)
    tasks = bcast_from_root(comm, correction.missing)
    if not tasks:
        return
    chains = sorted({(task.method, task.rung) for task in tasks if task.method is not Method.REWEIGHTED})
    untuned = bcast_from_root(comm, lambda: [c for c in chains if not correction.tuned(*c).exists()])
    energies = relaxed_energies(correction.system.supercell, correction.relaxations, potential)
    energies.of = _unless_stopped(energies.of, watch)
    walkers = _prepare(correction, energies, comm)
    run_tasks(len(untuned), _until_stopped(lambda k: walkers.tune(*untuned[k])), comm, watch, "tuning proposals to the potential")
    run_tasks(len(tasks), _until_stopped(lambda k: walkers.walk(tasks[k])), comm, watch, "sampling with the potential")


def _relax_all_states(correction: Correction, potential: LazyPotential, comm: Any, watch: StopWatch) -> None:
    store = correction.relaxations
    jobs = [(store, c) for c in correction.all_states]
    if bcast_from_root(comm, lambda: not all(store.path(c).exists() for _, c in jobs)):
        relax_all(jobs, {correction.potential.mark: potential()}, comm, watch, "relaxing all states of the small cell")


@dataclass(frozen=True)
class Proposer:
    """The Hamiltonian whose moves propose, and its annealed chains.

    starts (rungs, windows, walkers, n_sites): states at the lowest and at the highest count of the ion.
    reference (rungs, n_max+1): its ln Z_n - ln Z_(n+step).
    """

    system: System
    starts: NDArray[np.int8]
    reference: Float


@dataclass(frozen=True)
class Walkers:
    """What the tasks have in common: the potential's energies, and for each method what proposes."""

    correction: Correction
    energies: Energies
    proposers: dict[Method, Proposer]

    def _stream(self, method: Method, rung: int, *walker: int) -> NDArray[np.uint64]:
        return chain_stream(self.correction.seed, Stream.CORRECTION, SAMPLED.index(method), rung, *walker)

    def tune(self, method: Method, rung: int) -> None:
        """Find the weights and the length of proposals for a temperature, and write them."""
        given, proposer, expansion = self.correction.given, self.proposers[method], self.proposers[Method.REWEIGHTED]
        beta = float(self.correction.beta_per_neV[rung])
        begin = self.energies, expansion.starts[rung, 0, 0], self._stream(method, rung)
        guess = first_weights(expansion.system, beta, expansion.reference[rung], *begin, given.equilibrate // 2)
        length = 1 if method is Method.DIRECT else None
        found = tune(proposer.system, beta, proposer.reference[rung], guess, *begin, given.equilibrate, length)
        write_h5(self.correction.tuned(method, rung), vars(found), {})

    def walk(self, task: Task) -> None:
        """Sample with one walker, and write its walk. Even and odd walkers start at different ends of composition."""
        write_h5(self.correction.path(task), self._sampled(task).data, {})

    def _sampled(self, task: Task) -> Walk:
        given, proposer, rung = self.correction.given, self.proposers[task.method], task.rung
        beta = float(self.correction.beta_per_neV[rung])
        start = proposer.starts[rung, -(task.walker % 2), task.walker]
        begin = self.energies, start, self._stream(task.method, rung, task.walker)
        if task.method is Method.REWEIGHTED:
            return expansion_samples(proposer.system, beta, proposer.reference[rung], *begin, given.proposals)
        data, _ = read_h5(self.correction.tuned(task.method, rung))
        tuned = Tuned(data["log_weight"], data["proposer_weight"], int(data["stretch"]))
        return walk(proposer.system, beta, tuned, *begin, given.equilibrate // 4, given.proposals)


def _prepare(correction: Correction, energies: Energies, comm: Any) -> Walkers:
    """Collective."""
    expansion = _annealed(correction, correction.system, comm)
    proposers = {Method.CORRECTED: expansion, Method.REWEIGHTED: expansion}
    if Method.DIRECT in correction.given.methods:
        supercell = correction.system.supercell
        no_energy = build_system(Hamiltonian(supercell.lattice, ()), supercell.matrix, correction.system.ions)
        proposers[Method.DIRECT] = _annealed(correction, no_energy, comm)
    return Walkers(correction, energies, proposers)


def _annealed(correction: Correction, system: System, comm: Any) -> Proposer:
    """Anneal with windows at the lowest and the highest count of the ion. Collective; the same on all ranks."""
    low, high = system.n_range
    targets, betas = np.array([low, high], float), correction.beta_per_neV
    order = np.argsort(betas)[::-1]
    annealed = anneal(
        system, betas[order], targets, float(high - low), correction.given.walkers, ANNEALING_SWEEPS, correction.seed, comm
    )
    back = np.argsort(order)
    return Proposer(system, annealed.starts[back], annealed.reference[back])


class _Stopped(Exception):
    """The run was asked to stop in the middle of a walk."""


def _unless_stopped(of: Callable[[Occupation], float], watch: StopWatch) -> Callable[[Occupation], float]:
    """`of`, but it raises _Stopped if the run is asked to stop. Relaxations are kept, so a repeated walk costs little."""

    def energy(representative: Occupation) -> float:
        if watch.should_stop():
            raise _Stopped
        return of(representative)

    return energy


def _until_stopped(work: Callable[[int], None]) -> Callable[[int], None]:
    """A task that ends without a result when the run is asked to stop; all ranks stop together after their tasks."""

    def task(number: int) -> None:
        with suppress(_Stopped):
            work(number)

    return task
