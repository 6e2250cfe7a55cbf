"""Plain names of phases: a formula with subscripts, and what is ordered in which way."""

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from math import gcd

import numpy as np
from numpy.typing import NDArray

from .lattice import VACANCY, Lattice, Species, Sublattice, Supercell
from .ordered_cell import MAJORITY, OrderedCell, order_fields
from .structure_factor import Field
from .subsystems import has_electrons

Float = NDArray[np.float64]
LARGEST_DENOMINATOR = 6  # of a composition that is written as a fraction
SAME_COMPOSITION = 0.005
ORDINALS = ("", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")
NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
LOW, HIGH = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋"), str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋ₓᵤᵥ⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789-xuv0123456789+-")
UNKNOWNS = "ₓᵤᵥ"


def phase_name(cell: OrderedCell) -> str:
    """Such as "Na₁/₂FePO₄, every second Na along b", "ordered ..., 3×1×2 cell", "disordered NaₓFePO₄"."""
    if not cell.ordered:
        return disordered_name(cell.supercell.lattice)
    return f"{formula(_ideal(cell))}, {sentence(cell)}"


def _ideal(cell: OrderedCell) -> dict[str, float]:
    """Atoms per formula unit of the perfect order: clear species alone on their sites, whole atoms in the cell if near."""
    fractions, sublattice = cell.fractions.copy(), cell.supercell.site_sublattice
    for g in np.unique(sublattice):
        mine = sublattice == g
        if fractions[mine].max(axis=1).min() >= MAJORITY:
            fractions[mine] = np.eye(fractions.shape[1])[fractions[mine].argmax(axis=1)]
    n_fu = cell.supercell.n_formula_units
    found = amounts(cell.supercell, fractions)
    near = all(abs(n * n_fu - round(n * n_fu)) <= 1 - MAJORITY for n in found.values())
    return {element: round(n * n_fu) / n_fu if near else n for element, n in found.items()}


def disordered_name(lattice: Lattice) -> str:
    return f"disordered {variable_formula(lattice.formula_unit, lattice.sublattices)}"


def ascii_name(name: str) -> str:
    """The name without subscripts and other characters beyond ASCII, for files that may hold no others."""
    plain = name.translate(PLAIN).replace("×", "x").replace("−", "-")
    return plain.encode("ascii", "ignore").decode()


def file_name(name: str) -> str:
    """The name as that of a file, such as Na1_2FePO4_every_second_Na_along_b."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", ascii_name(name)).strip("_")


def sentence(cell: OrderedCell) -> str:
    """How a cell is ordered: by layers along one axis, which are full or empty; else by its size."""
    lattice = cell.supercell.lattice
    fields = order_fields(lattice)
    for field in fields:
        values = _values(cell, field)
        if _ordered(values, field):
            of_electrons = has_electrons(lattice) and field is fields[-1]
            name = ion_words(field.name) if of_electrons else Species(field.name, 0).element
            of = f"{name} " if of_electrons else ""
            return _layers(cell.supercell, field, values, name) or f"{of}ordered, {cell_words(cell.supercell)}"
    return f"ordered, {cell_words(cell.supercell)}"


def formula(amounts: dict[str, float]) -> str:
    """Formula with unicode subscripts from atoms per formula unit, such as Na₁/₂FePO₄."""
    return "".join(element + subscript(n) for element, n in amounts.items() if subscript(n) != "₀")


def subscript(number: float) -> str:
    """Nothing for 1; a simple fraction if one is near, else two decimals."""
    near = Fraction(number).limit_denominator(LARGEST_DENOMINATOR)
    text = str(near) if abs(float(near) - number) < SAME_COMPOSITION else f"{number:.2f}"
    return "" if text == "1" else text.translate(LOW)


def amounts(supercell: Supercell, fractions: Float) -> dict[str, float]:
    """Atoms per formula unit by element, in the order of the structure file."""
    lattice = supercell.lattice
    active, unit = {s.element for s in lattice.sublattices}, lattice.formula_unit
    found = {s: 0.0 if s in active else float(n * supercell.n_formula_units) for s, n in unit.items()}
    for g, row in zip(supercell.site_sublattice, fractions):
        for sp, share in zip(lattice.sublattices[g].species, row):
            if sp.name != VACANCY:
                found[sp.element] = found.get(sp.element, 0.0) + share
    return {element: n / supercell.n_formula_units for element, n in found.items() if n > 0}


def variable_formula(unit: dict[str, int], sublattices: Sequence[Sublattice]) -> str:
    """Formula in which one element of each sublattice with several has an unknown amount, such as NaₓFePO₄, CuₓAu₁₋ₓ.

    unit: atoms of the fully occupied formula unit.
    """
    text, unknowns = "", iter(UNKNOWNS)
    places = {s.element: s for s in sublattices if len({sp.element for sp in s.species}) > 1}
    for own, n in unit.items():
        if own not in places:
            text += own + subscript(n)
            continue
        x = next(unknowns, "ₓ")
        elements = [e for e in dict.fromkeys(sp.element for sp in places[own].species) if e != VACANCY]
        rest = f"{n}₋".translate(LOW) + x
        text += "".join(e + (x if k == 0 else rest) for k, e in enumerate(elements[:2])) + "".join(elements[2:])
    return text


def cell_words(supercell: Supercell) -> str:
    """Such as "3×1×2 cell", or "cell (a+b, −a+b, c)"."""
    matrix = supercell.matrix
    if (matrix == np.diag(np.diag(matrix))).all():
        return "×".join(str(int(n)) for n in np.diag(matrix)) + " cell"
    return f"cell ({', '.join(_vector(row) for row in matrix.tolist())})"


def _vector(row: list[int]) -> str:
    terms = [("−" if n < 0 else "+") + (str(abs(n)) if abs(n) > 1 else "") + axis for n, axis in zip(row, "abc") if n]
    return "".join(terms).removeprefix("+")


def ion_words(name: str) -> str:
    """Fe2+ as Fe²⁺."""
    element = name.rstrip("0123456789+-")
    return element + name[len(element) :].translate(HIGH)


def _values(cell: OrderedCell, field: Field) -> Float:
    """The field on its sites (n_cells, sites), as a share of its largest value."""
    supercell = cell.supercell
    rows = field.table[supercell.lattice.site_sublattice] / field.table.max()
    return (cell.fractions.reshape(supercell.n_cells, supercell.lattice.n_sites, -1) * rows).sum(axis=-1)[:, field.sites]


def _ordered(values: Float, field: Field) -> bool:
    """Whether equivalent sites differ by more than sites of one species may."""
    return any(np.ptp(values[:, field.orbit == orbit]) > 2 * MAJORITY - 1 for orbit in np.unique(field.orbit))


def _layers(supercell: Supercell, field: Field, values: Float, name: str) -> str:
    """The order as full and empty layers that are equally far apart, if it is one; the simplest direction that shows it."""
    lattice = supercell.lattice
    places = lattice.atoms.get_scaled_positions(wrap=False)[lattice.site_atom[field.sites]] + supercell.cells[:, None]
    for direction in _directions():
        repeat = gcd(*(supercell.matrix @ direction).tolist())
        height = np.round((places @ direction) % repeat, 4) % repeat
        heights = np.unique(height)
        level = [values[np.isclose(height, h)] for h in heights]
        spacing = np.diff([*heights, repeat + heights[0]])
        clear = all((v >= MAJORITY).all() or (v <= 1 - MAJORITY).all() for v in level)
        if len(level) > 1 and clear and np.ptp(spacing) < 0.05 * spacing.mean():
            return _count([bool(v.mean() > 0.5) for v in level], name, direction)
    return ""


def _directions() -> list[NDArray[np.int64]]:
    """Coprime Miller indices up to 2: a, b and c first, then the smallest; of each and its opposite one."""
    found = [v for v in product((0, 1, -1, 2, -2), repeat=3) if gcd(*v) == 1 and next(n for n in v if n) > 0]
    return [np.array(v) for v in sorted(found, key=lambda v: (sum(map(abs, v)), sum(n < 0 for n in v), [-n for n in v]))]


def _count(full: list[bool], ion: str, direction: NDArray[np.int64]) -> str:
    period = next(p for p in range(1, len(full) + 1) if len(full) % p == 0 and full == full[:p] * (len(full) // p))
    n, indices = sum(full[:period]), direction.tolist()
    axis = sum(map(abs, indices)) == 1
    if max(n, period) > 12:
        which = f"{n} of {period}"
    else:
        which = f"every {ORDINALS[period]}" if n == 1 else f"{NUMBERS[n]} of {NUMBERS[period]}"
    return (
        f"{which} {ion} along {'abc'[indices.index(1)]}" if axis else f"{which} {_miller(indices)} layer{'s' * (n > 1)} of {ion}"
    )


def _miller(indices: list[int]) -> str:
    return "(" + "".join(f"{abs(n)}" + ("\u0305" if n < 0 else "") for n in indices) + ")"
