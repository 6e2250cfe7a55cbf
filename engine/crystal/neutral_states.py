"""Neutral states of a supercell: counted, drawn uniformly, or listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from .generating_function import GeneratingFunction, Sites
from .lattice import Species, Sublattice, Supercell

MOST_COMBINED = 1_000_000  # compositions and pairs of them that are held at a time, about 100 MB


class SiteGroup(NamedTuple):
    """Sites (k,) that may hold the species of `sublattice`; `codes` are the indices of these species in an occupation."""

    sublattice: Sublattice
    codes: NDArray[np.int64]
    sites: NDArray[np.int64]


class ArrangementCounts(NamedTuple):
    """ln of the number of arrangements (k,) for every total charge (k,) and number of ions (k,), in ascending order."""

    charge: NDArray[np.int64]
    ions: NDArray[np.int64]
    log_number: NDArray[np.float64]


def _collected(charge: NDArray[np.int64], ions: NDArray[np.int64], log_number: NDArray[np.float64]) -> ArrangementCounts:
    """Sum over entries with the same charge and number of ions."""
    if not len(charge):
        return ArrangementCounts(charge, ions, log_number)
    order = np.lexsort((ions, charge))
    q, n = charge[order], ions[order]
    first = np.flatnonzero(np.append(True, (np.diff(q) != 0) | (np.diff(n) != 0)))
    return ArrangementCounts(q[first], n[first], np.logaddexp.reduceat(log_number[order], first))


def _together(one: ArrangementCounts, other: ArrangementCounts, neutral: bool) -> ArrangementCounts:
    """All combinations of an arrangement of one with an arrangement of the other; neutral: only those with total charge 0."""
    left = np.searchsorted(other.charge, -one.charge, "left") if neutral else np.zeros(len(one.charge), np.int64)
    right = np.searchsorted(other.charge, -one.charge, "right") if neutral else np.full(len(one.charge), len(other.charge))
    i = np.repeat(np.arange(len(left)), right - left)
    j = np.arange(len(i)) + np.repeat(left - (np.cumsum(right - left) - (right - left)), right - left)
    return _collected(one.charge[i] + other.charge[j], one.ions[i] + other.ions[j], one.log_number[i] + other.log_number[j])


def _looked_up(a: ArrangementCounts, charge: NDArray[np.int64], ions: NDArray[np.int64]) -> NDArray[np.float64]:
    """log_number at the given charges (k,) and numbers of ions (k,); -inf where there is no arrangement."""
    found = np.full(len(charge), -np.inf)
    if len(a.charge):
        span = int(max(a.ions.max(), ions.max()) - min(a.ions.min(), ions.min())) + 1
        known, asked = a.charge * span + a.ions, charge * span + ions
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        hit = known[at] == asked
        found[hit] = a.log_number[at[hit]]
    return found


@dataclass(frozen=True)
class FreeSites:
    """Sites that are free to change, and the charge of everything that stays fixed.

    ion: the species whose number n distinguishes the states; None if there is none.
    """

    groups: tuple[SiteGroup, ...]
    ion: str | None
    charge: int

    @cached_property
    def combines(self) -> bool:
        """Whether the compositions are few enough to be combined one by one; else a generating function counts them."""
        return _effort([(s.species, len(sites)) for s, _, sites in self.groups]) <= MOST_COMBINED

    @cached_property
    def totals(self) -> list[ArrangementCounts]:
        """Counts for the fixed part alone, then with one group of sites more each time; the last holds neutral states only."""
        steps = [ArrangementCounts(np.array([self.charge]), np.array([0]), np.zeros(1))]
        for g, (sublattice, _, sites) in enumerate(self.groups):
            _, *entries = _compositions(sublattice, self.ion, len(sites))
            steps.append(_together(steps[-1], _collected(*entries), neutral=g == len(self.groups) - 1))
        return steps

    @cached_property
    def generating_function(self) -> GeneratingFunction:
        """The same counts as coefficients."""
        kinds = [Sites(len(sites), tuple((sp.charge, sp.name == self.ion) for sp in s.species)) for s, _, sites in self.groups]
        return GeneratingFunction(tuple(kinds), self.charge)

    @cached_property
    def neutral_counts(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Numbers n (k,) of the ion that neutral arrangements can have, ascending, and ln of the number of each (k,)."""
        if not self.combines:
            return self.generating_function.neutral_counts()
        charge, n, log_number = self.totals[-1]
        return n[charge == 0], log_number[charge == 0]

    def log_states(self, n: int) -> float:
        """ln of the number of neutral arrangements with n of the ion; -inf if there is no such arrangement."""
        known, log_number = self.neutral_counts
        return float(next(iter(log_number[known == n]), -np.inf))

    def draw(self, species: NDArray[np.int8], n: int, rng: np.random.Generator) -> None:
        """Fill the free sites of `species` (n_sites,), in place, with a uniformly drawn neutral arrangement with n of the ion."""
        if not self.combines:
            for (_, codes, sites), drawn in zip(self.groups, self.generating_function.draw(n, rng)):
                species[sites] = rng.permutation(np.repeat(codes, drawn))
            return
        key = (0, n)
        for g in reversed(range(len(self.groups))):
            sublattice, codes, sites = self.groups[g]
            counts, charge, ions, log_states = _compositions(sublattice, self.ion, len(sites))
            before = _looked_up(self.totals[g], key[0] - charge, key[1] - ions)
            weight = np.exp(before + log_states - logsumexp(before + log_states))
            pick = int(rng.choice(len(weight), p=weight / weight.sum()))
            key = (key[0] - int(charge[pick]), key[1] - int(ions[pick]))
            species[sites] = rng.permutation(np.repeat(codes, counts[:, pick]))


@lru_cache(maxsize=16)
def whole_cell(supercell: Supercell, ion: str | None) -> FreeSites:
    """All active sites as free sites; the spectators are fixed."""
    groups = tuple(
        SiteGroup(s, np.arange(len(s.species)), np.flatnonzero(supercell.site_sublattice == g))
        for g, s in enumerate(supercell.lattice.sublattices)
    )
    return FreeSites(groups, ion, supercell.n_cells * supercell.lattice.spectator_charge)


def count_neutral_states(supercell: Supercell, ion: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers n of the ion that neutral states can have, and ln of the exact number of states at each n.

    Returns n (k,), ascending, and log_states (k,). Without an ion there is one entry for all neutral states.
    """
    return whole_cell(supercell, ion).neutral_counts


def _effort(groups: Sequence[tuple[Sequence[Species], int]]) -> float:
    """Number of compositions, and of pairs of them, that are combined one by one for (species, sites) of every group."""
    seen, effort = 1.0, 0.0
    for g, (species, n) in enumerate(groups):
        span = n * (max(sp.charge for sp in species) - min(sp.charge for sp in species)) + 1
        own = float(comb(n + len(species) - 1, len(species) - 1))
        kinds = min(own, float(span) * (n + 1))  # distinct charges and numbers of ions
        effort += own + seen * (max(kinds / span, 1.0) if g == len(groups) - 1 else kinds)
        seen = min(seen * kinds, 1e300)
    return effort


def random_neutral_state(supercell: Supercell, ion: str | None, n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """A state (n_sites,) drawn uniformly from the neutral states with n of the ion, as at infinite temperature."""
    species = np.zeros(supercell.n_sites, np.int8)
    whole_cell(supercell, ion).draw(species, n, rng)
    return species


def neutral_states(supercell: Supercell, ion: str | None, n: int) -> NDArray[np.int8]:
    """All neutral states (m, n_sites) with n of the ion; n is 0 if there is no ion.

    States are built site by site; partial states that can no longer become neutral are dropped.
    """
    kinds = [np.array([(sp.charge, sp.name == ion) for sp in s.species], np.int64) for s in supercell.lattice.sublattices]
    # sites of the ion first: once n is reached, only the charge constrains the other sites
    order = np.argsort([not kinds[g][:, 1].any() for g in supercell.site_sublattice], kind="stable")
    on_site = [kinds[g] for g in supercell.site_sublattice[order]]
    missing = np.array([[-supercell.n_cells * supercell.lattice.spectator_charge, n]])
    low = np.sum([kind.min(axis=0) for kind in on_site], axis=0)
    high = np.sum([kind.max(axis=0) for kind in on_site], axis=0)
    states = np.zeros((1, 0), np.int8)
    for kind in on_site:
        low, high = low - kind.min(axis=0), high - kind.max(axis=0)
        missing = (missing[:, None] - kind).reshape(-1, 2)
        added = np.tile(np.arange(len(kind), dtype=np.int8), len(states))
        states = np.column_stack([np.repeat(states, len(kind), axis=0), added])
        possible = ((missing >= low) & (missing <= high)).all(axis=1)
        states, missing = states[possible], missing[possible]
    return np.ascontiguousarray(states[:, np.argsort(order)])


def _compositions(sublattice: Sublattice, ion: str | None, size: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """All compositions of a sublattice: counts (species, k), charge (k,), ions (k,), ln of the number of arrangements (k,)."""
    counts = np.zeros((0, 1), np.int64)  # of all species but the first
    for _ in sublattice.species[1:]:
        left = size - counts.sum(axis=0)
        own = np.arange(int((left + 1).sum())) - np.repeat(np.cumsum(left + 1) - (left + 1), left + 1)
        counts = np.vstack([np.repeat(counts, left + 1, axis=1), own])
    counts = np.vstack([size - counts.sum(axis=0, keepdims=True), counts])
    log_states = gammaln(size + 1) - gammaln(counts + 1).sum(axis=0)
    charge = np.array([sp.charge for sp in sublattice.species]) @ counts
    ions = np.array([sp.name == ion for sp in sublattice.species], np.int64) @ counts
    return counts, charge, ions, log_states
