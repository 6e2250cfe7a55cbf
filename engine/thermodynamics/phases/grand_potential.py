"""Grand potentials of a phase: least squares over all differences in beta and mu, tied to what is known exactly.

Per formula unit d(beta phi) = (u - mu x) d beta - beta x d mu. The differences between neighbouring points of a surface follow
from the energy, the composition and their fluctuations at both (Hermite's rule). Anchors: at beta = 0 the number of states;
elsewhere the coupling of the chains to the pattern of the phase, whose energy is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from ...sampling.phases.sheets import Sheet, betas_of, strengths_eV
from ...units import NEV_PER_EV
from .surface import Surface, resampled

Float = NDArray[np.float64]
Int = NDArray[np.int64]
LEAST_VARIANCE = 1e-18
JUMP = 0.5  # share of a change between two points that fluctuations may leave unexplained
NOISE = 3.0  # standard errors of the change
STAYED = 0.5  # least correlation with the pattern over that of a chain that did not leave its variant
COUPLED = 9  # in the key of a random stream
LEFT = 0.05  # share of the deviation of the trapezoidal rule that is left after Hermite's


@dataclass(frozen=True)
class Anchor:
    """A known beta phi, (1 + resamples,), at one point (beta, mu) of the surface."""

    beta: int
    mu: int
    value: Float


@dataclass(frozen=True)
class GrandPotential:
    """Of one phase in one cell. value_eV (1 + resamples, beta, mu): eV/fu, nan where the phase does not exist or has no anchor.

    closure_kT, closure_kT_error: beta phi of the whole cell from one anchor to another, less the difference of the anchors; nan
    with one anchor.
    """

    surface: Surface
    value_eV: Float
    closure_kT: float
    closure_kT_error: float


def grand_potential(surface: Surface, anchors: Sequence[Anchor], n_fu: int) -> GrandPotential:
    """anchors: the first is that from which the closure is counted, to the last one."""
    known = [a for a in anchors if surface.exists[a.beta, a.mu]]
    beta_phi = _solved(surface, known)
    closure, error = float("nan"), float("nan")
    if len(known) > 1:
        first = _solved(surface, known[:1])[:, known[-1].beta, known[-1].mu] - known[-1].value
        closure, error = n_fu * float(first[0]), n_fu * float(first[1:].std(ddof=1))
    beta = np.where(surface.beta_per_eV > 0, surface.beta_per_eV, np.nan)[:, None]
    return GrandPotential(surface, beta_phi / beta, closure, error)


def states_anchors(surface: Surface, log_states: Float, n_fu: int) -> list[Anchor]:
    """At beta = 0, at every mu, where all states are equally likely. log_states (n,): ln of their number at every count."""
    value = -np.logaddexp.reduce(log_states) / n_fu
    return [Anchor(0, k, np.full(len(surface.x), value)) for k in range(len(surface.mu_eV))]


def coupling_anchors(
    surface: Surface, sheets: Sequence[Sheet], asked_K: tuple[float, ...], pattern: tuple[float, int], n_fu: int, seed: int
) -> list[Anchor]:
    """From chains coupled to a pattern at one mu, at all temperatures, the coldest first. pattern: energy (eV) of the cell, n.

    beta Phi = beta (E - mu n) - integral of beta <D> over the strength of the coupling. Temperatures are left out at which chains
    went over to another translation of the pattern: they would count some of its equivalent variants.
    """
    task, (energy_eV, n) = sheets[0].task, pattern
    beta = betas_of(task, asked_K) * NEV_PER_EV
    weights = strengths_eV(asked_K)[1]
    nodes = sorted(sheets, key=lambda s: s.task.node)
    off = [
        resampled(s.off, seed, (s.task.cell, s.task.phase + 1, COUPLED, round(abs(s.task.mu_eV) * 1e6), s.task.node))
        for s in nodes
    ]
    grand_eV = energy_eV - task.mu_eV * n - np.tensordot(weights, np.array(off), 1)
    at = int(np.flatnonzero(surface.mu_eV == task.mu_eV)[0])
    rows = [int(np.argmin(np.abs(surface.beta_per_eV - b))) for b in beta]
    to_order, _, to_state = nodes[0].likeness.swapaxes(0, 1)
    stayed = ~(to_state.min(axis=(0, -1)) < STAYED * np.sqrt(to_order.mean(axis=(0, -1))))  # nan: there are no other variants
    return [Anchor(row, at, b * g / n_fu) for row, b, g, stays in zip(rows, beta, grand_eV.T, stayed) if stays]


def _solved(surface: Surface, anchors: Sequence[Anchor]) -> Float:
    """beta phi (1 + resamples, beta, mu); nan at points without a path to an anchor."""
    shape = surface.exists.shape
    node = np.arange(surface.exists.size).reshape(shape)
    found = np.full((len(surface.x), surface.exists.size), np.nan)
    if not anchors:
        return found.reshape(-1, *shape)
    parts = [_along_beta(surface, node), _along_mu(surface, node)]
    start, end, steps, rule = (np.concatenate(p, axis=-1) for p in zip(*parts))
    ground = np.full(len(anchors), -1)  # an anchor is a difference from a point of its own, where beta phi = 0
    start = np.concatenate([start, ground])
    end = np.concatenate([end, [node[a.beta, a.mu] for a in anchors]])
    values = np.concatenate([steps, np.array([a.value for a in anchors]).T], axis=1)
    variance = values[1:].var(axis=0, ddof=1) + np.concatenate([rule, np.zeros(len(anchors))]) ** 2 + LEAST_VARIANCE
    size = surface.exists.size + 1
    links = coo_matrix((np.ones(len(start)), (start % size, end)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    tied = np.flatnonzero(component[:-1] == component[-1])
    tied = tied[surface.exists.ravel()[tied]]
    inside = np.isin(end, tied)
    row = np.arange(inside.sum())
    place = np.full(size, -1)
    place[tied] = np.arange(len(tied))
    first = place[start[inside] % size]
    entries = [(np.ones(len(row)), row, place[end[inside]]), (-np.ones(len(row))[first >= 0], row[first >= 0], first[first >= 0])]
    data, rows, columns = (np.concatenate(e) for e in zip(*entries))
    incidence = coo_matrix((data, (rows, columns)), shape=(len(row), len(tied))).tocsr()
    weighted = incidence.T.multiply(1 / variance[inside]).tocsr()
    found[:, tied] = splu((weighted @ incidence).tocsc()).solve(np.ascontiguousarray(weighted @ values[:, inside].T)).T
    return found.reshape(-1, *shape)


def _along_beta(surface: Surface, node: Int) -> tuple[Int, Int, Float, Float]:
    """Differences between neighbours in beta: start, end, values (1 + resamples, k), error of the rule (k,)."""
    h = np.diff(surface.beta_per_eV)[:, None]
    g, v = surface.grand_energy_eV, surface.grand_variance
    steps = h * (g[:, 1:] + g[:, :-1]) / 2 + h**2 * (v[1:] - v[:-1]) / 12
    off, smooth = deviation(g[:, 1:] - g[:, :-1], -h * (v[1:] + v[:-1]) / 2)
    both = surface.exists[1:] & surface.exists[:-1] & smooth
    return node[:-1][both], node[1:][both], steps[:, both], (h * LEFT * off)[both]


def _along_mu(surface: Surface, node: Int) -> tuple[Int, Int, Float, Float]:
    """Differences between neighbours in mu, likewise."""
    beta, h, x = surface.beta_per_eV[:, None], np.diff(surface.mu_eV), surface.x
    chi = beta * surface.variance[2]
    steps = -beta * (h * (x[:, :, 1:] + x[:, :, :-1]) / 2 + h**2 * (chi[:, :-1] - chi[:, 1:]) / 12)
    off, smooth = deviation(x[:, :, 1:] - x[:, :, :-1], h * (chi[:, 1:] + chi[:, :-1]) / 2)
    both = surface.exists[:, 1:] & surface.exists[:, :-1] & smooth
    return node[:, :-1][both], node[:, 1:][both], steps[:, both], (beta * h * LEFT * off)[both]


def deviation(change: Float, explained: Float) -> tuple[Float, NDArray[np.bool_]]:
    """Of a change (1 + resamples, ...) between two points from what the fluctuations at both explain, beyond the noise.

    And whether they explain most of it; else there is a jump, so a transition, somewhere between the points.
    """
    off = np.maximum(np.abs(change[0] - explained) - NOISE * change[1:].std(axis=0, ddof=1), 0.0)
    return off, off <= JUMP * np.abs(change[0])
