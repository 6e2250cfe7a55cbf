"""The transition matrix of a small cell, built from the rules that the compiled chain follows."""

import numpy as np

from redoxmc.engine.sampling.chains.moves import Mix, MoveSet
from redoxmc.kernels.layout import Ensemble
from redoxmc.kernels.proposal import group_sites, hastings, hastings_shifts

from .enumeration import Enumeration

MIXES = [Mix(), Mix(0.5, 0.5, 0.0, 0.0, 0.0), Mix(0.1, 0.1, 0.8, 0.0), Mix(0.1, 0.1, 0.0, 0.8), Mix(0.1, 0.1, 0.0, 0.0, 0.8)]


def site_choices(moves: MoveSet, kind: int, members: np.ndarray, count: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """Every ordered choice of sites of a move and its probability, by the rule of pick_sites. What fails is left out."""
    a = moves.arrays
    found: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
    for f in range(a.flip_start[kind], a.flip_start[kind + 1]):
        row, grown = a.flip_from[f], []
        for sites, p in found:
            fitting = [s for s in members[row, : count[row]].tolist() if s not in sites]
            if a.flip_anchor[f] < 0:
                grown += [((*sites, s), p / len(fitting)) for s in fitting]
                continue
            start = a.near_start[f] + sites[a.flip_anchor[f]] * a.near_width[f]
            drawn = a.near[start : start + a.near_width[f]].tolist()
            grown += [((*sites, s), p * drawn.count(s) / len(drawn)) for s in fitting if s in drawn]
        found = grown
    return found


def transition_matrix(e: Enumeration, moves: MoveSet, ensemble: Ensemble, box: np.ndarray | None = None) -> np.ndarray:
    """(states, states), from the code's own kinds, flips, Hastings ratio and fixed-point energies. box: sites that alone may
    move.
    """
    system, arrays = e.system, moves.arrays
    matrix = np.zeros((len(e.states), len(e.states)))
    weights = np.diff(np.concatenate([[0.0], arrays.cumulative]))
    energies = [system.energy_neV(s) for s in e.states]
    shifts = hastings_shifts(arrays)
    every, per_cell, n_species = np.arange(system.supercell.n_sites), *system.couplings.point.shape
    for a, state in enumerate(e.states):
        rows = group_sites(every if box is None else box, state, every, system.geometry.sublattice, per_cell, n_species)
        for kind, weight in enumerate(weights):
            start, stop = arrays.flip_start[kind], arrays.flip_start[kind + 1]
            for sites, p in site_choices(moves, kind, rows.members, rows.number):
                new = state.copy()
                new[list(sites)] = arrays.flip_species[start:stop]
                b = e.index[new.tobytes()]
                q = 1.0 if arrays.conserves[kind] else hastings(kind, arrays, rows.number, shifts)
                n, m = e.n[a], e.n[b]
                log_ratio = (
                    -ensemble.beta * (energies[b] - energies[a])
                    + ensemble.beta_mu[0] * (m - n)
                    + ensemble.log_weight[m]
                    - ensemble.log_weight[n]
                )
                accept = min(1.0, q * np.exp(log_ratio))
                matrix[a, b] += weight * p * accept
    matrix[np.diag_indices(len(matrix))] += 1 - matrix.sum(axis=1)
    return matrix


def log_target(e: Enumeration, ensemble: Ensemble) -> np.ndarray:
    energies = np.array([e.system.energy_neV(s) for s in e.states], float)
    return -ensemble.beta * energies + ensemble.beta_mu[0] * e.n + ensemble.log_weight[e.n]
