"""One walker of the potential over all counts of the ion at one temperature, and samples of the expansion for reweighting."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...kernels.layout import Ensemble
from ..errors import RedoxError
from ..sampling.chains.chain import advance, ensemble_by_count, start_chain
from ..sampling.chains.log_z import integrate_steps
from ..sampling.chains.system import System
from ..sampling.chains.tally import empty_tally
from ..units import NEV_PER_EV
from .corrected import Corrected, EnergyOf, advance_corrected, tuned_stretch

Float = NDArray[np.float64]
ROUNDS = 8  # of correcting the weights, before the length of proposals is tuned
LARGEST_CHANGE = 1.0  # kT; of a step from one count to the next in a round, which may be far from equilibrium
THIN_SWEEPS = 10  # between samples of the expansion
MOST_STARTS = 1000  # sweeps


@dataclass(frozen=True)
class Tuned:
    """What is found before the measurement.

    log_weight (n_max+1,): makes all counts equally likely for the potential; proposer_weight (n_max+1,): for the proposer.
    stretch: attempted moves in a proposal.
    """

    log_weight: Float
    proposer_weight: Float
    stretch: int

    @property
    def extra_weight(self) -> Float:
        return self.log_weight - self.proposer_weight


@dataclass(frozen=True)
class Walk:
    """The samples of one walker of exp[-beta E + log_weight[n]], E the energy of the potential (reweighting: of the expansion).

    potential_eV, expansion_eV (samples,): energies of the cell. n (samples,): count of the ion. before, proposed (samples,):
    counts before a proposal and in it; probability (samples,): of its acceptance. changed, asked (samples,): see `Record`.
    log_weight (n_max+1,). stretch: attempted moves in a proposal. sums (n_max+1, 6): tally of the expansion's moves if that is
    sampled, else 0.
    """

    potential_eV: Float
    expansion_eV: Float
    n: NDArray[np.int64]
    before: NDArray[np.int64]
    proposed: NDArray[np.int64]
    probability: Float
    changed: NDArray[np.int64]
    asked: NDArray[np.bool_]
    log_weight: Float
    stretch: int
    sums: NDArray[np.int64]

    @property
    def data(self) -> dict[str, NDArray]:
        """All fields as arrays, for a file."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    def at(self, pick: NDArray[np.int64]) -> "Walk":
        """The walk with the picked samples only."""
        series = [f.name for f in fields(self) if f.name not in ("log_weight", "stretch", "sums")]
        return replace(self, **{name: getattr(self, name)[pick] for name in series})


def walk_of(data: dict[str, NDArray]) -> Walk:
    """The inverse of `Walk.data`."""
    return Walk(**{**data, "stretch": int(data["stretch"])})  # type: ignore[arg-type]


def transitions(walk: Walk, counts: NDArray[np.int64]) -> Float:
    """Transitions between counts, (n, n). A proposal adds its probability of acceptance, whether it was accepted or not."""
    matrix, size = np.zeros((len(counts), len(counts))), len(counts)
    row, column = np.searchsorted(counts, walk.before), np.searchsorted(counts, walk.proposed)
    np.add.at(matrix, (row, column), walk.probability)
    matrix[np.diag_indices(size)] += np.bincount(row, 1 - walk.probability, size)
    return matrix


def begin(
    system: System, ensemble: Ensemble, energy_of: EnergyOf, species: NDArray[np.int8], stream: NDArray[np.uint64]
) -> Corrected:
    """A chain at `species` or, if the potential has no energy there, at the next state of the proposer's chain that has one.

    Raises RedoxError if there is none in MOST_STARTS sweeps.
    """
    chain = start_chain(system, species, stream)
    for _ in range(MOST_STARTS):
        if np.isfinite(energy := energy_of(chain.species)):
            return Corrected(chain, energy)
        advance(chain, system, system.moves, ensemble, empty_tally(system), 1)
    raise RedoxError(f"the potential has no energy for any of {MOST_STARTS} states of the small cell: their relaxations failed")


def first_weights(
    system: System, beta: float, reference: Float, energy_of: EnergyOf, species: NDArray[np.int8], stream: NDArray[np.uint64],
    samples: int,
) -> Float:  # fmt: skip
    """Estimate of -ln Z_n of the potential, (n_max+1,), by reweighting a few samples of the expansion.

    reference (n_max+1,): the expansion's ln Z_n - ln Z_(n+step).
    """
    counts, _ = system.neutral_counts
    found = expansion_samples(system, beta, reference, energy_of, species, stream, samples)
    work = beta * NEV_PER_EV * (found.potential_eV - found.expansion_eV)
    with np.errstate(divide="ignore"):
        shift = np.array([np.log(max(np.sum(found.n == n), 1)) - logsumexp(-work[found.n == n]) for n in counts])
    known = np.isfinite(shift)
    log_weight = found.log_weight.copy()
    if known.any():
        log_weight[counts] += np.interp(counts, counts[known], shift[known])
    return log_weight


def tune(
    system: System, beta: float, reference: Float, log_weight: Float, energy_of: EnergyOf, species: NDArray[np.int8],
    stream: NDArray[np.uint64], proposals: int, stretch: int | None = None,
) -> Tuned:  # fmt: skip
    """Correct the weights given, and choose the length of proposals unless `stretch` is given.

    reference (n_max+1,): ln Z_n - ln Z_(n+step) of the proposer. proposals: number of them that this takes.
    """
    log_weight, own = log_weight.copy(), integrate_steps(reference, system.step)
    counts, _ = system.neutral_counts
    state = begin(system, ensemble_by_count(system, beta, own), energy_of, species, stream)
    length, each = stretch or system.supercell.n_sites, max(1, proposals // (ROUNDS + ROUNDS // 2))
    prior = np.eye(len(counts)) + np.eye(len(counts), k=1) + np.eye(len(counts), k=-1)  # one of each: all counts are connected
    for _ in range(ROUNDS):
        found = _measure(state, system, beta, Tuned(log_weight, own, length), energy_of, each)
        steps = np.diff(np.log(stationary(transitions(found, counts) + prior)))
        log_weight[counts[1:]] -= np.cumsum(np.clip(steps, -LARGEST_CHANGE, LARGEST_CHANGE))
    if stretch is None:
        extra_weight = log_weight - own
        length = tuned_stretch(
            state, system, system.moves, ensemble_by_count(system, beta, own), energy_of, proposals // 3, extra_weight
        )
    return Tuned(log_weight, own, length)


def stationary(matrix: Float) -> Float:
    """Stationary distribution (n,) of transitions (n, n), whose rows are normalised here; nan if counts are not connected."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = matrix / matrix.sum(axis=1, keepdims=True)
    if not np.isfinite(rows).all():
        return np.full(len(matrix), np.nan)
    equations = np.vstack([(rows.T - np.eye(len(rows))), np.ones(len(rows))])
    found = np.linalg.lstsq(equations, np.append(np.zeros(len(rows)), 1.0), rcond=None)[0]
    return np.where(found > 0, found, np.nan)


def walk(
    system: System, beta: float, tuned: Tuned, energy_of: EnergyOf, species: NDArray[np.int8], stream: NDArray[np.uint64],
    equilibrate: int, proposals: int,
) -> Walk:  # fmt: skip
    """Sample with one walker: `equilibrate` proposals that are dropped, then `proposals` that are measured."""
    state = begin(system, ensemble_by_count(system, beta, tuned.proposer_weight), energy_of, species, stream)
    _measure(state, system, beta, tuned, energy_of, equilibrate)
    return _measure(state, system, beta, tuned, energy_of, proposals)


def _measure(state: Corrected, system: System, beta: float, tuned: Tuned, energy_of: EnergyOf, proposals: int) -> Walk:
    first = state.chain.ions[:1].copy()
    ensemble = ensemble_by_count(system, beta, tuned.proposer_weight)
    r = advance_corrected(state, system, system.moves, ensemble, energy_of, tuned.stretch, proposals, tuned.extra_weight)
    n = r.ions[:, 0]
    return Walk(
        r.potential_eV, r.expansion_eV, n, np.append(first, n[:-1]), r.proposed[:, 0], r.probability, r.changed, r.asked,
        tuned.log_weight.copy(), tuned.stretch, empty_tally(system).sums,
    )  # fmt: skip


def expansion_samples(
    system: System, beta: float, reference: Float, energy_of: EnergyOf, species: NDArray[np.int8], stream: NDArray[np.uint64],
    samples: int,
) -> Walk:  # fmt: skip
    """States of the expansion, THIN_SWEEPS apart, with the potential's energies, for reweighting."""
    log_weight = integrate_steps(reference, system.step)
    ensemble, chain, tally = (
        ensemble_by_count(system, beta, log_weight, reference),
        start_chain(system, species, stream),
        empty_tally(system),
    )
    advance(chain, system, system.moves, ensemble, empty_tally(system), 10 * THIN_SWEEPS)
    potential_eV, expansion_eV, n = np.zeros(samples), np.zeros(samples), np.zeros(samples, np.int64)
    for k in range(samples):
        advance(chain, system, system.moves, ensemble, tally, THIN_SWEEPS)
        potential_eV[k], expansion_eV[k], n[k] = energy_of(chain.species), chain.energy / NEV_PER_EV, chain.ions[0]
    return Walk(
        potential_eV=potential_eV,
        expansion_eV=expansion_eV,
        n=n,
        before=n,
        proposed=n,
        probability=np.ones(samples),
        changed=np.ones(samples, np.int64),
        asked=np.ones(samples, np.bool_),
        log_weight=log_weight,
        stretch=THIN_SWEEPS * system.supercell.n_sites,
        sums=tally.sums,
    )
