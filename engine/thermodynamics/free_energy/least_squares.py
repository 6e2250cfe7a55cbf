"""Least-squares F(T, n): all measured differences at once, between counts at one temperature and temperatures at one count.

The transition matrix gives ΔF between counts, the energies give beta ΔF between rungs. Both are differences on a grid whose
rim is known exactly (the ends of composition, beta = 0), and weighted least squares fits all of them together, as in networks
of free energy differences (Xu, J. Chem. Inf. Model. 59, 4720, 2019). Where ordered phases follow one another, the transition
matrix at low temperature rests on rare transitions between them. A step in temperature needs none, and is more precise the
closer the rungs are.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu

from ...runtime.streams import Stream, generator
from .transition_matrix import Curves, Ends, Isotherm

Float = NDArray[np.float64]
LEAST_VARIANCE = 1e-8  # of a step of beta F: one without scatter still has rounding errors
ANNEALING_VARIANCE = 16.0  # of a step taken from annealing
OUTLIER = 3.0  # a step this many standard errors off has an error that its own scatter does not show
ROUNDS = 2  # of finding them
ORDER = 5  # the error of the rule grows with this power of the step
SMOOTHER = 6.0  # least ratio of the errors of the rule with every second node and with every node: 15 for smooth energies


def least_squares(ladder: list[Curves], betas: Float, ends: Ends, log_states: Float, seed: int) -> list[Curves]:
    """The ladder with beta_f of every isotherm, and of every resample, from the fit; transition_matrix_beta_f stays.

    betas (rungs,) descending; log_states (n,): ln of the number of states at every count, -beta F at beta = 0. The error of
    the rule of integration, which resampling does not show, is drawn for each resample, the same for all counts. An outlier
    gets the variance of its own deviation.
    """
    picks = [[c.all for c in ladder], [c.up for c in ladder], [c.down for c in ladder]]
    picks += [[c.resampled[k] for c in ladder] for k in range(len(ladder[0].resampled))]
    line = betas[:, None] * np.linspace(*ends.energy_neV, len(log_states))  # what follows is above it: energies may be large
    along_n = np.array([[c.steps for c in pick] for pick in picks]) - np.diff(line)  # (picks, rungs, n-1)
    along_beta = np.array([energy_steps(pick, betas) for pick in picks]) - (line[:-1] - line[1:])  # (picks, rungs-1, n)
    rule = _rule_error(picks[0], picks[3:], betas)
    known = np.isfinite(along_beta[0]) & np.isfinite(along_beta[3:]).all(axis=0) & np.isfinite(rule)
    along_beta = np.where(np.isfinite(along_beta), along_beta, np.where(known, along_beta[0], 0.0))
    rule = np.where(known, rule, 0.0)
    variance = np.maximum(along_n[3:].var(axis=0, ddof=1), LEAST_VARIANCE)
    variance[[c.all.from_annealing[:-1] for c in ladder]] = ANNEALING_VARIANCE
    with np.errstate(invalid="ignore"):
        weight_beta = np.where(known, 1 / (np.maximum(along_beta[3:].var(axis=0, ddof=1), LEAST_VARIANCE) + rule**2), 0.0)
    rng = generator(seed, Stream.LEAST_SQUARES)
    along_beta[3:] += rng.normal(size=(len(picks) - 3, len(rule), 1)) * rule
    grid = _Grid(betas, ends, log_states)
    missed = np.zeros_like(variance)
    for _ in range(ROUNDS):
        weight_n = 1 / np.maximum(variance, missed**2)
        off = along_n[0] - np.diff(grid.solve(along_n[:1], along_beta[:1], weight_n, weight_beta)[0], axis=1)
        missed = np.where(off**2 > OUTLIER**2 * variance, off, 0.0)
    found = grid.solve(along_n, along_beta, 1 / np.maximum(variance, missed**2), weight_beta) + line
    from_annealing = _not_bypassed(picks[0], known)
    with_it = [
        [replace(c, beta_f=f, from_annealing=a) for c, f, a in zip(pick, row, from_annealing)] for pick, row in zip(picks, found)
    ]
    return [Curves(a, list(more), up, down, c.units) for c, (a, up, down, *more) in zip(ladder, zip(*with_it))]


def energy_steps(curves: list[Isotherm], betas: Float, stride: int = 1) -> Float:
    """beta F of every rung minus that `stride` rungs hotter, (rungs-stride, n), by Hermite's cubic rule; nan: not known."""
    mean, variance = (np.array([getattr(c, name) for c in curves]) for name in ("energy_neV", "energy_variance_neV2"))
    h = (betas[:-stride] - betas[stride:])[:, None]
    cold, hot = slice(None, -stride), slice(stride, None)
    return h * (mean[hot] + mean[cold]) / 2 + h**2 * (variance[cold] - variance[hot]) / 12


def _not_bypassed(curves: list[Isotherm], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rungs, n): steps up from a count that are taken from annealing, and that no measured path over hotter rungs avoids."""
    taken = np.array([c.from_annealing for c in curves])
    both = known & np.append(known[:, 1:], np.zeros((len(known), 1), bool), axis=1)
    for k in range(len(known) - 1, -1, -1):
        taken[k] &= taken[k + 1] | ~both[k]
    return taken


def _rule_error(curves: list[Isotherm], resampled: list[list[Isotherm]], betas: Float) -> Float:
    """(rungs-1, n): from the change if every second node is left out; with two rungs, if the variances are left out.

    Of two steps the longer one has the error, the shorter one less by the power of the rule.
    The variance of the change over the resamples is taken off its square: energies that scatter change it without such an error.
    """
    change, smoother = (_without_second_nodes, SMOOTHER) if len(betas) > 2 else (_without_variances, 1.0)
    scatter = np.array([change(pick, betas) for pick in resampled]).var(axis=0, ddof=1)
    moved = np.sqrt(np.maximum(change(curves, betas) ** 2 - np.nan_to_num(scatter), 0.0)) / smoother
    if len(betas) < 3:
        return moved
    h, none = (betas[:-1] - betas[1:])[:, None], np.zeros_like(moved[:1])
    colder, hotter = (moved * np.minimum(1.0, ratio) ** ORDER for ratio in (h[:-1] / h[1:], h[1:] / h[:-1]))
    return np.fmax(np.concatenate([colder, none]), np.concatenate([none, hotter]))


def _without_second_nodes(curves: list[Isotherm], betas: Float) -> Float:
    steps = energy_steps(curves, betas)
    return energy_steps(curves, betas, 2) - steps[:-1] - steps[1:]


def _without_variances(curves: list[Isotherm], betas: Float) -> Float:
    mean = np.array([c.energy_neV for c in curves])
    return (betas[:-1] - betas[1:])[:, None] * (mean[1:] + mean[:-1]) / 2 - energy_steps(curves, betas)


class _Grid:
    """Nodes (rung, count) in one row, those with a known beta F apart, and the differences between neighbours.

    All are above the line between the energies of the ends.
    """

    def __init__(self, betas: Float, ends: Ends, log_states: Float) -> None:
        self.shape = len(betas), len(log_states)
        node = np.arange(len(betas) * len(log_states)).reshape(self.shape)
        value = np.full(self.shape, np.nan)
        for side in (0, -1):
            if ends.exact[side]:
                value[:, side] = 0.0
        value[betas == 0] = -log_states
        self.known = np.isfinite(value).ravel()
        self.value = np.nan_to_num(value).ravel()
        # a row per difference: +1 at its end, -1 at its start
        self.differences = _incidence(
            np.concatenate([node[:, 1:].ravel(), node[:-1].ravel()]),
            np.concatenate([node[:, :-1].ravel(), node[1:].ravel()]),
            node.size,
        )

    def solve(self, along_n: Float, along_beta: Float, weight_n: Float, weight_beta: Float) -> Float:
        """beta F (picks, rungs, n) of least squares."""
        measured = np.concatenate([along_n.reshape(len(along_n), -1), along_beta.reshape(len(along_beta), -1)], axis=1)
        weighted = self.differences.T @ diags(np.concatenate([weight_n.ravel(), weight_beta.ravel()]))
        free = ~self.known
        found = np.tile(self.value, (len(measured), 1))
        if free.any():
            right = weighted @ (measured - self.differences @ self.value).T
            normal = (weighted @ self.differences)[free][:, free]
            found[:, free] = splu(normal.tocsc()).solve(np.ascontiguousarray(right[free])).T
        return found.reshape(-1, *self.shape)


def _incidence(end: NDArray[np.int64], start: NDArray[np.int64], n_nodes: int) -> csr_matrix:
    row = np.arange(len(end))
    data = np.repeat([1.0, -1.0], len(end))
    return coo_matrix((data, (np.tile(row, 2), np.concatenate([end, start]))), shape=(len(end), n_nodes)).tocsr()
