"""Entropy of one subsystem with the other one frozen: S(electrons | ions) and S(ions | electrons).

A state is drawn at (T, n). Its ions are frozen, and the electrons alone are integrated from beta = 0, where the number of their
arrangements is known, to T. Then the electrons are frozen and the ions are integrated. The averages over the states drawn are the
conditional entropies.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ....kernels.energy import total_energies
from ....kernels.layout import Ensemble
from ...errors import RedoxError
from ...runtime.streams import Stream, chain_stream, generator
from ..chains.chain import Chain, advance, start_chain
from ..chains.chains import advance_together, ensembles_by_count, start_chains
from ..chains.ions_and_electrons import FreeSubsystem, Subsystem
from ..chains.log_z import integrate_steps, mixed_ends
from ..chains.system import System
from ..chains.tally import empty_tally

Float = NDArray[np.float64]
Key = tuple[int, ...]
STEPS = 24  # of beta, from 0 to the temperature of the states
LAST = 8  # times the sweeps at the last step: its energy is multiplied by all of beta, the others by one step of it
THIN_SWEEPS = 20  # of the whole state, between the states drawn
PULL = 8.0  # log weight per ion by which a chain is drawn to the count wanted
MOST_PULLS = 1000


def free_entropies(
    system: System, frees: Sequence[FreeSubsystem], beta: float, sweeps: int, seed: int, keys: Sequence[Key]
) -> Float:
    """Entropy (k_B) and mean energy (neV) of each free subsystem, (frees, 2), at beta (1/neV).

    All its states are listed if they are few; else it is integrated over beta. keys: of the random streams, one each.
    """
    if not frees[0].few:
        return annealed(system, frees, beta, sweeps, seed, keys)
    known: dict[bytes, tuple[float, float]] = {}
    for free in frees:
        if free.frozen not in known:
            known[free.frozen] = listed(total_energies(free.states, system.geometry, system.couplings), beta)
    return np.array([known[free.frozen] for free in frees])


def annealed(system: System, frees: Sequence[FreeSubsystem], beta: float, sweeps: int, seed: int, keys: Sequence[Key]) -> Float:
    """As `free_entropies`, by chains that are cooled from beta = 0 in STEPS steps. sweeps: at each step."""
    moves = system.electron_moves if frees[0].subsystem is Subsystem.ELECTRONS else system.ion_moves
    use = Stream.CONDITIONAL_ENTROPY
    species = np.array([free.draw(generator(seed, use, Stream.START, *key)) for free, key in zip(frees, keys)])
    streams = [chain_stream(seed, use, Stream.CHAIN, *key) for key in keys]
    chains = start_chains(system, species, streams, chain_stream(seed, use, Stream.PROPOSALS, *keys[0]))
    tally = empty_tally(system)
    tally, rows = tally._replace(sums=tally.sums[None]), np.zeros(len(frees), np.int64)
    weights = np.zeros((len(frees), tally.sums.shape[1]))
    betas = np.linspace(0.0, beta, STEPS + 1)
    mean, variance = np.empty((STEPS + 1, len(frees))), np.empty((STEPS + 1, len(frees)))
    for k, b in enumerate(betas):
        ensembles = ensembles_by_count(system, float(b), weights)
        advance_together(chains, system, moves, ensembles, tally, rows, max(1, sweeps // 3))
        record = advance_together(chains, system, moves, ensembles, tally, rows, sweeps * (LAST if k == STEPS else 1))
        mean[k], variance[k] = record.energy.mean(axis=1), record.energy.astype(float).var(axis=1)
    log_z = np.array([free.log_states - integrated(betas, *pair) for free, *pair in zip(frees, mean.T, variance.T)])
    return np.column_stack([log_z + beta * mean[-1], mean[-1]])


def integrated(betas: Float, mean: Float, variance: Float) -> float:
    """Integral of U over beta, with dU/dbeta = -variance known at the nodes (cubic Hermite rule)."""
    h = np.diff(betas)
    return float(np.sum(h * (mean[1:] + mean[:-1]) / 2 + h**2 * (variance[1:] - variance[:-1]) / 12))


def listed(energy_neV: NDArray[np.int64], beta: float) -> tuple[float, float]:
    """Entropy (k_B) and mean energy (neV) from the energies (k,) of all states."""
    lowest = int(energy_neV.min())
    excess = (energy_neV - lowest).astype(float)
    log_z = float(logsumexp(-beta * excess))
    mean = float(np.exp(-beta * excess - log_z) @ excess)
    return log_z + beta * mean, lowest + mean


def draw_states(system: System, chain: Chain, beta: float, n: int, snapshots: int) -> list[NDArray[np.int8]]:
    """States at (beta, n), THIN_SWEEPS apart, from a chain that is first drawn to n. Raises RedoxError if it does not reach n.

    It is drawn against the line between the energies of the ends: energies per ion may be thousands of eV.
    """
    tally = empty_tally(system)
    counts = np.arange(len(tally.sums))
    zeros, beta_mu = np.zeros(len(counts)), np.zeros(len(chain.ions))
    ends, distance = integrate_steps(mixed_ends(system, len(counts), beta), system.step), np.abs(counts - n)
    fixed = Ensemble(beta, beta_mu, zeros, zeros, system.step)
    tries = 0
    while chain.ions[0] != n:
        pull = fixed._replace(log_weight=ends - PULL * (1 + tries) * distance)
        advance(chain, system, system.moves, pull, tally, 1)
        tries += 1
        if tries > MOST_PULLS:
            raise RedoxError(f"conditional entropies: no chain reached {n} {system.ion} at beta = {beta:.3g}/neV")
    found = []
    for _ in range(snapshots):
        advance(chain, system, system.canonical_moves, fixed, tally, THIN_SWEEPS)
        found.append(chain.species.copy())
    return found


def drawn_states(
    system: System, start: NDArray[np.int8], beta: float, n: int, snapshots: int, key: Key, seed: int
) -> NDArray[np.int8]:
    """States (snapshots, n_sites) at (beta, n) of one walker, from its last state."""
    chain = start_chain(system, start, chain_stream(seed, Stream.CONDITIONAL_ENTROPY, Stream.WHOLE_STATE, *key))
    return np.array(draw_states(system, chain, beta, n, snapshots))
