"""Charge neutrality: the species changes that preserve it, and the ions whose number they change."""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from ..errors import RedoxError
from .lattice import VACANCY, Lattice

Vector = tuple[int, ...]
MOST_CHANGES = 250  # exchanges, both directions counted


@dataclass(frozen=True)
class Flip:
    """One site of a sublattice changes species."""

    sublattice: int
    old: int
    new: int


@dataclass(frozen=True)
class Exchange:
    """A minimal set of species changes that keeps the cell neutral."""

    flips: tuple[Flip, ...]

    def reversed(self) -> "Exchange":
        """The same exchange in the other direction."""
        return Exchange(tuple(Flip(f.sublattice, f.new, f.old) for f in self.flips))

    def describe(self, lattice: Lattice) -> str:
        """Text for messages, e.g. 'Va→Na+ with Fe3+→Fe2+'."""
        name = [[sp.name for sp in s.species] for s in lattice.sublattices]
        return " with ".join(f"{name[f.sublattice][f.old]}→{name[f.sublattice][f.new]}" for f in self.flips)


def _kernel_of_row(coefficients: Vector) -> list[Vector]:
    """Basis of the integer vectors z with sum(c z) = 0, found by column reduction."""
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
    """Whether every component of u lies between 0 and that of v."""
    return all(a * b >= 0 and abs(a) <= abs(b) for a, b in zip(u, v))


def graver_basis(kernel: list[Vector]) -> list[Vector]:
    """Graver basis of the lattice spanned by `kernel`, closed under change of sign, by Pottier's algorithm.

    Every lattice vector is a sum of basis vectors that conform to it, so steps along the basis connect all non-negative
    solutions (Sturmfels, Groebner Bases and Convex Polytopes, ch. 4). Raises RedoxError if the basis exceeds MOST_CHANGES.
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
                f"found more than {MOST_CHANGES} minimal species changes that keep the cell neutral; "
                "allowed: fewer species, or charges closer to each other"
            )
        for new in {rest, tuple(-a for a in rest)} if any(rest) else ():
            pending += [(new, b) for b in basis]
            basis.append(new)
    return [v for v in basis if not any(b != v and _conforms(b, v) for b in basis)]


def neutral_exchanges(lattice: Lattice) -> list[Exchange]:
    """All minimal neutral exchanges in a fixed order, one direction of each. Raises RedoxError as `graver_basis`."""
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
    """Change in the number of sites that hold the named species."""
    rows = set(lattice.rows(name))
    return sum(((f.sublattice, f.new) in rows) - ((f.sublattice, f.old) in rows) for f in exchange.flips)


def exchangeable_ions(lattice: Lattice, exchanges: list[Exchange]) -> list[str]:
    """Species whose numbers determine the ionic composition: one for each independent change of the elements."""
    elements = sorted({sp.element for sp in lattice.species} - {VACANCY})

    def element_change(e: Exchange) -> list[int]:
        name = [[sp.element for sp in s.species] for s in lattice.sublattices]
        return [sum((name[f.sublattice][f.new] == x) - (name[f.sublattice][f.old] == x) for f in e.flips) for x in elements]

    changes = np.array([element_change(e) for e in exchanges]).reshape(len(exchanges), len(elements))
    ions: list[str] = []
    for name in dict.fromkeys(sp.name for sp in lattice.species if sp.name != VACANCY):
        element = lattice.species_named(name).element
        chosen = [elements.index(lattice.species_named(ion).element) for ion in ions]
        if element in [elements[c] for c in chosen]:
            continue
        columns = changes[:, [*chosen, elements.index(element)]]
        if np.linalg.matrix_rank(columns) == len(chosen) + 1:
            ions.append(name)
    return ions


def swaps(lattice: Lattice) -> list[Exchange]:
    """All swaps: two different species of one sublattice exchange their sites."""
    return [
        Exchange((Flip(g, a, b), Flip(g, b, a)))
        for g, s in enumerate(lattice.sublattices)
        for a, b in combinations(range(len(s.species)), 2)
    ]
