"""Charge neutrality: the exchanges that keep it, and the number of states that obey it."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, product
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from ..errors import RedoxError
from .lattice import VACANCY, Lattice, Sublattice, Supercell

Vector = tuple[int, ...]
MOST_CHANGES = 250  # each way of an exchange counted


@dataclass(frozen=True)
class Flip:
    """One site of a sublattice changes species."""

    sublattice: int
    old: int
    new: int


@dataclass(frozen=True)
class Exchange:
    """A smallest set of species changes that keeps the cell neutral."""

    flips: tuple[Flip, ...]

    def reversed(self) -> "Exchange":
        return Exchange(tuple(Flip(f.sublattice, f.new, f.old) for f in self.flips))

    def describe(self, lattice: Lattice) -> str:
        """For people, e.g. 'Va→Na+ with Fe3+→Fe2+'."""
        name = [[sp.name for sp in s.species] for s in lattice.sublattices]
        return " with ".join(f"{name[f.sublattice][f.old]}→{name[f.sublattice][f.new]}" for f in self.flips)


def _kernel_of_row(coefficients: Vector) -> list[Vector]:
    """Basis of the integer vectors z with sum(c z) = 0, by column reduction."""
    n = len(coefficients)
    columns = [tuple(int(i == j) for i in range(n)) for j in range(n)]
    values = list(coefficients)
    while len(live := [j for j in range(n) if values[j]]) > 1:
        pivot = min(live, key=lambda j: abs(values[j]))
        for j in live:
            if j != pivot:
                times = values[j] // values[pivot]
                values[j] -= times * values[pivot]
                columns[j] = tuple(a - times * b for a, b in zip(columns[j], columns[pivot]))
    return [columns[j] for j in range(n) if not values[j]]


def _conforms(u: Vector, v: Vector) -> bool:
    """u lies between 0 and v in every component."""
    return all(a * b >= 0 and abs(a) <= abs(b) for a, b in zip(u, v))


def graver_basis(kernel: list[Vector]) -> list[Vector]:
    """Minimal (Graver) set of the lattice spanned by `kernel`, closed under sign; Pottier's algorithm.

    Every lattice vector is a sum of basis vectors none of which overshoots it, so steps along the basis connect all
    non-negative solutions (Sturmfels, Groebner Bases and Convex Polytopes, ch. 4). Raises RedoxError if it grows without measure.
    """

    def normal_form(v: Vector, basis: list[Vector]) -> Vector:
        reducing = True
        while reducing and any(v):
            reducing = False
            for b in basis:
                if _conforms(b, v):
                    v = tuple(x - y for x, y in zip(v, b))
                    reducing = True
                    break
        return v

    basis = sorted({tuple(s * a for a in v) for v in kernel for s in (1, -1)})
    pending = [(u, v) for u, v in product(basis, basis) if u < v]
    while pending:
        u, v = pending.pop()
        rest = normal_form(tuple(a + b for a, b in zip(u, v)), basis)
        if len(basis) > MOST_CHANGES:
            raise RedoxError(
                f"more than {MOST_CHANGES} ways to change species and stay neutral; allowed: fewer species, or charges nearer to one another"
            )
        for new in {rest, tuple(-a for a in rest)} if any(rest) else ():
            pending += [(new, b) for b in basis]
            basis.append(new)
    return [v for v in basis if not any(b != v and _conforms(b, v) for b in basis)]


def neutral_exchanges(lattice: Lattice) -> list[Exchange]:
    """All minimal neutral exchanges, one direction of each, in a fixed order."""
    rows = [(g, k) for g, s in enumerate(lattice.sublattices) for k in range(len(s.species))]
    free = [(g, k) for g, k in rows if k > 0]
    charge = {(g, k): lattice.sublattices[g].species[k].charge for g, k in rows}
    kernel = []
    for z in _kernel_of_row(tuple(charge[g, k] - charge[g, 0] for g, k in free)):
        change = dict(zip(free, z))
        for g in range(len(lattice.sublattices)):
            change[g, 0] = -sum(v for (h, _), v in change.items() if h == g)
        kernel.append(tuple(change[r] for r in rows))
    one_way = [v for v in graver_basis(kernel) if next(a for a in v if a) < 0]
    return [_as_exchange(dict(zip(rows, v)), lattice) for v in sorted(one_way, key=lambda v: (sum(map(abs, v)), v))]


def _as_exchange(change: dict[tuple[int, int], int], lattice: Lattice) -> Exchange:
    flips = []
    for g, sublattice in enumerate(lattice.sublattices):
        order = sorted(range(len(sublattice.species)), key=lambda k: (sublattice.species[k].charge, k))
        old = [k for k in order for _ in range(-change[g, k])]
        new = [k for k in order for _ in range(change[g, k])]
        flips += [Flip(g, a, b) for a, b in zip(old, new)]
    return Exchange(tuple(flips))


def count_change(exchange: Exchange, lattice: Lattice, name: str) -> int:
    """Change of the number of sites that hold the named species."""
    rows = set(lattice.rows(name))
    return sum(((f.sublattice, f.new) in rows) - ((f.sublattice, f.old) in rows) for f in exchange.flips)


def exchangeable_ions(lattice: Lattice, exchanges: list[Exchange]) -> list[str]:
    """Names of the species whose counts fix the ionic composition: one per independent change of the elements."""
    elements = sorted({sp.element for s in lattice.sublattices for sp in s.species} - {VACANCY})

    def element_change(e: Exchange) -> list[int]:
        name = [[sp.element for sp in s.species] for s in lattice.sublattices]
        return [sum((name[f.sublattice][f.new] == x) - (name[f.sublattice][f.old] == x) for f in e.flips) for x in elements]

    changes = np.array([element_change(e) for e in exchanges]).reshape(len(exchanges), len(elements))
    ions: list[str] = []
    for name in dict.fromkeys(sp.name for s in lattice.sublattices for sp in s.species if sp.name != VACANCY):
        element = lattice.species_named(name).element
        chosen = [elements.index(lattice.species_named(ion).element) for ion in ions]
        if element in [elements[c] for c in chosen]:
            continue
        columns = changes[:, [*chosen, elements.index(element)]]
        if np.linalg.matrix_rank(columns) == len(chosen) + 1:
            ions.append(name)
    return ions


class Group(NamedTuple):
    """Sites (k,) that may hold the species of `sublattice`; `codes` are these species' numbers in an occupation."""

    sublattice: Sublattice
    codes: NDArray[np.int64]
    sites: NDArray[np.int64]


class Arrangements(NamedTuple):
    """ln of the number of arrangements (k,) by charge (k,) and ion count (k,), ascending."""

    charge: NDArray[np.int64]
    ions: NDArray[np.int64]
    log_number: NDArray[np.float64]


def _collected(charge: NDArray[np.int64], ions: NDArray[np.int64], log_number: NDArray[np.float64]) -> Arrangements:
    """Every charge and count once."""
    if not len(charge):
        return Arrangements(charge, ions, log_number)
    order = np.lexsort((ions, charge))
    q, n = charge[order], ions[order]
    first = np.flatnonzero(np.append(True, (np.diff(q) != 0) | (np.diff(n) != 0)))
    return Arrangements(q[first], n[first], np.logaddexp.reduceat(log_number[order], first))


def _together(one: Arrangements, other: Arrangements, neutral: bool) -> Arrangements:
    """Every arrangement of one with every of the other, or with those alone that make it neutral."""
    left = np.searchsorted(other.charge, -one.charge, "left") if neutral else np.zeros(len(one.charge), np.int64)
    right = np.searchsorted(other.charge, -one.charge, "right") if neutral else np.full(len(one.charge), len(other.charge))
    i = np.repeat(np.arange(len(left)), right - left)
    j = np.arange(len(i)) + np.repeat(left - (np.cumsum(right - left) - (right - left)), right - left)
    return _collected(one.charge[i] + other.charge[j], one.ions[i] + other.ions[j], one.log_number[i] + other.log_number[j])


def _looked_up(a: Arrangements, charge: NDArray[np.int64], ions: NDArray[np.int64]) -> NDArray[np.float64]:
    """log_number of charges and counts (k,); -inf where there is none."""
    found = np.full(len(charge), -np.inf)
    if len(a.charge):
        span = int(max(a.ions.max(), ions.max()) - min(a.ions.min(), ions.min())) + 1
        known, asked = a.charge * span + a.ions, charge * span + ions
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        hit = known[at] == asked
        found[hit] = a.log_number[at[hit]]
    return found


@dataclass(frozen=True)
class Pool:
    """Groups of sites that change together, and the charge of all that stays as it is."""

    groups: tuple[Group, ...]
    ion: str | None
    charge: int

    @cached_property
    def totals(self) -> list[Arrangements]:
        """Of what stays, with the first group, ..., with all; the last entry holds neutral states only."""
        steps = [Arrangements(np.array([self.charge]), np.array([0]), np.zeros(1))]
        for g, (sublattice, _, sites) in enumerate(self.groups):
            _, *entries = _compositions(sublattice, self.ion, len(sites))
            steps.append(_together(steps[-1], _collected(*entries), neutral=g == len(self.groups) - 1))
        return steps

    def log_states(self, n: int) -> float:
        """ln of the number of neutral arrangements with n of the ion; -inf if there is none."""
        return float(_looked_up(self.totals[-1], np.array([0]), np.array([n]))[0])

    def draw(self, species: NDArray[np.int8], n: int, rng: np.random.Generator) -> None:
        """Fill the pool's sites of `species` (n_sites,) with an arrangement drawn uniformly from the neutral ones with n."""
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
def whole_cell(supercell: Supercell, ion: str | None) -> Pool:
    """Every active site may change; the spectators stay."""
    groups = tuple(
        Group(s, np.arange(len(s.species)), np.flatnonzero(supercell.site_sublattice == g))
        for g, s in enumerate(supercell.lattice.sublattices)
    )
    return Pool(groups, ion, supercell.n_cells * supercell.lattice.spectator_charge)


def count_neutral_states(supercell: Supercell, ion: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Counts n of the ion that neutral states can have, and ln of the number of states at each, exactly.

    Returns n (k,) ascending and log_states (k,). Without an ion, one entry for all neutral states.
    """
    charge, n, log_states = whole_cell(supercell, ion).totals[-1]
    return n[charge == 0], log_states[charge == 0]


def effort_of_counting(supercell: Supercell) -> float:
    """About how many pairs of compositions `count_neutral_states` looks at, sublattice by sublattice; of the last, neutral ones only."""
    met, effort, sublattices = 1.0, 0.0, supercell.lattice.sublattices
    for g, (s, n) in enumerate(zip(sublattices, supercell.sites_per_sublattice.tolist())):
        span = n * (max(sp.charge for sp in s.species) - min(sp.charge for sp in s.species)) + 1
        own = float(comb(n + len(s.species) - 1, len(s.species) - 1))
        kinds = min(own, float(span) * (n + 1))  # with their charge and their number of ions
        effort += own + met * (max(kinds / span, 1.0) if g == len(sublattices) - 1 else kinds)
        met = min(met * kinds, 1e300)
    return effort


def random_neutral_state(supercell: Supercell, ion: str | None, n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """A state (n_sites,) drawn uniformly from the neutral states with n of the ion: exact sampling at infinite temperature."""
    species = np.zeros(supercell.n_sites, np.int8)
    whole_cell(supercell, ion).draw(species, n, rng)
    return species


def _compositions(sublattice: Sublattice, ion: str | None, size: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """All compositions of a sublattice: counts (species, k), charge (k,), ions (k,), ln of the arrangements (k,)."""
    n_species = len(sublattice.species)
    grids = np.meshgrid(*[np.arange(size + 1)] * (n_species - 1), indexing="ij")
    free = np.array([g.ravel() for g in grids], np.int64) if n_species > 1 else np.zeros((0, 1), np.int64)
    free = free[:, free.sum(axis=0) <= size]
    counts = np.vstack([size - free.sum(axis=0, keepdims=True), free])
    log_states = gammaln(size + 1) - gammaln(counts + 1).sum(axis=0)
    charge = np.array([sp.charge for sp in sublattice.species]) @ counts
    ions = np.array([sp.name == ion for sp in sublattice.species], np.int64) @ counts
    return counts, charge, ions, log_states


def swaps(lattice: Lattice) -> list[Exchange]:
    """Two unlike species of one sublattice trade places, every pair of species."""
    return [
        Exchange((Flip(g, a, b), Flip(g, b, a)))
        for g, s in enumerate(lattice.sublattices)
        for a, b in combinations(range(len(s.species)), 2)
    ]
