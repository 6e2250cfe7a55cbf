"""Assignment of charge states to the atoms of a calculation, from neutrality, magnetic moments and bond lengths."""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise, product
from math import inf, isfinite, nan

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..crystal.lattice import Species
from .labels import MOMENTS_MU_B, Labels
from .moments import ascending_charges, best_counts, deviation_muB, in_words, sizes_muB

LEAST_GAP_MU_B = 0.15  # between the moments of neighbouring states
LEAST_GAP_A = 0.02  # between the bond lengths of neighbouring states, if there are no moments
LARGEST_MISFIT_MU_B = 0.4  # of a moment from the reference moments of its state
ROUNDING_MU_B = 1e-6  # of printed moments
LEAST_MARGIN_MU_B2 = 0.2  # difference of the misfits of the best and the second-best neutral counts
LONGEST_BOND_A = 5.0
TIE_A = 1e-6

Counts = dict[str, dict[int, int]]  # element → charge → number of atoms


@dataclass(frozen=True)
class Assignment:
    """Charges assigned to a frame.

    charges (atoms,). gaps_muB: smallest gap between the moments of neighbouring states; inf if every element has a single
    state, nan without moments. problem: why the charges are uncertain and cannot be used, or None. evidence: what they were
    read from: "moments", "bond lengths", "moments and bond lengths", or "composition" if that alone fixes them.
    margin_muB2: difference of the summed squared deviations from the reference moments between the best and the second-best
    neutral counts; nan without moments, or if only one count is neutral. misfit_muB: largest deviation of a moment from the
    reference moment of its state; nan without moments.
    """

    charges: NDArray[np.int64]
    gaps_muB: float
    problem: str | None
    evidence: str = ""
    margin_muB2: float = nan
    misfit_muB: float = nan


def assign_charges(atoms: Atoms, labels: Labels, moments_muB: NDArray[np.float64] | None = None) -> Assignment:
    """Charges of a frame with real elements. moments_muB: (atoms,), (atoms, 3) if non-collinear, None if unknown.

    1. Neutrality gives the number of atoms in each state; if several numbers are neutral, the moments decide.
    2. The order of the moments gives the atoms in each state.
    3. The result is certain if every moment is that of its state, the gaps are wide and the order of the bond lengths gives the
       same atoms.

    Raises RedoxError if a reference moment is needed that neither the species nor the table has.
    """
    atoms = with_known_symbols(atoms, labels)
    if unknown := unknown_symbols(atoms, labels):
        return Assignment(np.zeros(len(atoms), np.int64), nan, unknown)
    moments = None if moments_muB is None else sizes_muB(moments_muB)
    found = _neutral_counts(atoms, labels, moments)
    if not found:
        return Assignment(labels.charges(atoms), nan, _imbalance(atoms, labels))
    (misfit, counts), others = found[0], found[1:]
    bonds = _bond_lengths(atoms, labels)
    by_moment = moments is not None
    charges = _split(atoms, labels, counts, bonds if moments is None else moments, by_moment)
    gap_muB = nan if moments is None else _least_gap_muB(atoms, labels, charges, moments)
    gap_A = _least_gap_A(atoms, labels, charges, bonds)
    largest = nan if moments is None else float(misfits_muB(atoms, labels, charges, moments).max(initial=0.0))
    problem = None
    if others and not (by_moment and others[0][0] - misfit > LEAST_MARGIN_MU_B2):
        problem = f"{_counted(counts)} and {_counted(others[0][1])} are both neutral, and the moments do not decide between them"
    elif moments is not None and largest > LARGEST_MISFIT_MU_B + ROUNDING_MU_B:
        problem = _misfit_in_words(atoms, labels, charges, moments)
    elif not by_moment and not gap_A > LEAST_GAP_A:
        problem = (
            f"no moments (LORBIT = 11 prints them), and the bond lengths of two states differ by {gap_A:.3f} A; "
            f"needed: more than {LEAST_GAP_A}"
        )
    elif by_moment and not gap_muB > LEAST_GAP_MU_B:
        problem = f"the moments of two states differ by {gap_muB:.3f} muB; needed: more than {LEAST_GAP_MU_B}"
    elif not gap_A > TIE_A:
        problem = "moments and bond lengths give different atoms"
    evidence = _sources(by_moment and len(labels.redox_atoms(atoms)) > 0, isfinite(gap_A))
    margin = others[0][0] - misfit if others and by_moment else nan
    return Assignment(
        charges, gap_muB, problem and f"{problem}; {_evidence(atoms, labels, moments, bonds)}", evidence, margin, largest
    )


def _sources(by_moment: bool, by_bonds: bool) -> str:
    """What the charges were read from, in words."""
    return " and ".join(["moments"] * by_moment + ["bond lengths"] * by_bonds) or "composition"


def states_by_moment(
    atoms: Atoms, labels: Labels, charges: NDArray[np.int64], moments_muB: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Charges (atoms,) in the order of the moments, (atoms,) or (atoms, 3); as many atoms in each state as in `charges`."""
    return _split(atoms, labels, _counts(atoms, labels, charges), sizes_muB(moments_muB), True)


def states_by_bond_length(atoms: Atoms, labels: Labels, charges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Charges (atoms,) in the order of the bond lengths; as many atoms in each state as in `charges` (atoms,)."""
    return _split(atoms, labels, _counts(atoms, labels, charges), _bond_lengths(atoms, labels), False)


def bond_lengths_A(atoms: Atoms, labels: Labels) -> NDArray[np.float64]:
    """Mean distance (redox atoms,) of every redox atom to its nearest anions; nan with fewer than 4 within LONGEST_BOND_A."""
    return _bond_lengths(atoms, labels)[labels.redox_atoms(with_known_symbols(atoms, labels))]


def anion_bonds(atoms: Atoms, labels: Labels, index: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest anions of a redox atom: indices (bonds,) and vectors to them (bonds, 3) in A."""
    return _nearest_anions(atoms, labels)[index]


def with_known_symbols(atoms: Atoms, labels: Labels) -> Atoms:
    """A copy in which every redox atom has a symbol of the labels, also if all states of its element have a proxy."""
    atoms = atoms.copy()
    atoms.symbols = [labels.redox[s][0].symbol if s not in labels.ions and s in labels.redox else s for s in atoms.symbols]
    return atoms


def unknown_symbols(atoms: Atoms, labels: Labels) -> str | None:
    """A message if the structure contains symbols that are not among the labels, else None."""
    unknown = sorted(set(atoms.symbols) - set(labels.ions))
    return f"found {', '.join(unknown)}; allowed: {', '.join(sorted(labels.ions))}" if unknown else None


def _by_element(atoms: Atoms, labels: Labels) -> dict[str, NDArray[np.int64]]:
    """Indices of the redox atoms by element."""
    redox = labels.redox_atoms(atoms)
    elements = np.array([labels.element(atoms.symbols[i]) for i in redox])
    return {e: redox[elements == e] for e in labels.redox if e in elements}


def _nearest_anions(atoms: Atoms, labels: Labels) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Nearest anions, as in `anion_bonds`, of every redox atom, periodic images included.

    All atoms of an element have the same number of them, 4 to 8: those before the widest relative gap of the mean distances.
    """
    atoms = with_known_symbols(atoms, labels)
    anion = np.array([s in labels.ions and labels.ions[s].charge < 0 for s in atoms.symbols])
    first, second, distance, vector = neighbor_list("ijdD", atoms, LONGEST_BOND_A)
    nearest: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    for where in _by_element(atoms, labels).values():
        bonds = {int(i): np.flatnonzero((first == i) & anion[second]) for i in where}
        bonds = {i: b[np.argsort(distance[b], kind="stable")][:9] for i, b in bonds.items()}
        shells = np.array([np.append(distance[b], [LONGEST_BOND_A] * (9 - len(b))) for b in bonds.values()]).mean(axis=0)
        k = 4 + int(np.argmax(shells[4:] / shells[3:-1]))
        nearest |= {i: (second[b[:k]], vector[b[:k]]) for i, b in bonds.items()}
    return nearest


def _bond_lengths(atoms: Atoms, labels: Labels) -> NDArray[np.float64]:
    """Mean bond lengths (atoms,) as in `bond_lengths_A`; nan for other atoms."""
    lengths = np.full(len(atoms), nan)
    for i, (neighbours, vectors) in _nearest_anions(atoms, labels).items():
        if len(neighbours) >= 4:
            lengths[i] = np.linalg.norm(vectors, axis=1).mean()
    return lengths


def _counts(atoms: Atoms, labels: Labels, charges: NDArray[np.int64]) -> Counts:
    where = _by_element(with_known_symbols(atoms, labels), labels)
    return {e: {s.charge: int(np.sum(charges[w] == s.charge)) for s in labels.redox[e]} for e, w in where.items()}


def _neutral_counts(atoms: Atoms, labels: Labels, moments: NDArray[np.float64] | None) -> list[tuple[float, Counts]]:
    """The two neutral counts that fit the moments (atoms,) best, best first, with the sum of squared deviations (muB²)."""
    charges = labels.charges(atoms)
    charges[labels.redox_atoms(atoms)] = 0
    best: dict[int, list[tuple[float, Counts]]] = {int(charges.sum()): [(0.0, {})]}
    for element, where in _by_element(atoms, labels).items():
        options = best_counts(labels.redox[element], len(where), None if moments is None else moments[where])
        reached = defaultdict(list)
        for charge, found in best.items():
            for (misfit, counts), (more, extra) in product(found, options):
                total = charge + sum(q * n for q, n in extra.items())
                reached[total].append((misfit + more, counts | {element: extra}))
        # misfits add up, so the best two overall are among the best two at each charge
        best = {q: sorted(found, key=lambda f: f[0])[:2] for q, found in reached.items()}
    return best.get(0, [])


def _split(atoms: Atoms, labels: Labels, counts: Counts, values: NDArray[np.float64], by_moment: bool) -> NDArray[np.int64]:
    """Charges (atoms,) with the given number of atoms per state, in the order of the values (atoms,)."""
    atoms = with_known_symbols(atoms, labels)
    charges = labels.charges(atoms)
    for element, where in _by_element(atoms, labels).items():
        states, numbers = labels.redox[element], counts[element]
        if by_moment:
            ascending = ascending_charges(states, numbers, values[where])
        else:
            ascending = np.repeat(sorted(numbers, reverse=True), [numbers[q] for q in sorted(numbers, reverse=True)])
        charges[where[np.argsort(values[where], kind="stable")]] = ascending
    return charges


def _least_gap_muB(atoms: Atoms, labels: Labels, charges: NDArray[np.int64], moments: NDArray[np.float64]) -> float:
    """Smallest difference between moments, next to each other in ascending order, of atoms in different states."""
    gaps = [inf]
    for where in _by_element(atoms, labels).values():
        order = where[np.argsort(moments[where], kind="stable")]
        gaps += np.diff(moments[order])[np.diff(charges[order]) != 0].tolist()
    return float(np.min(gaps))


def _least_gap_A(atoms: Atoms, labels: Labels, charges: NDArray[np.int64], bonds: NDArray[np.float64]) -> float:
    """Smallest gap from the longest bonds of one state to the shortest of the next occupied one; negative if out of order."""
    gaps = [inf]
    for element, where in _by_element(atoms, labels).items():
        states = [bonds[where][charges[where] == s.charge] for s in reversed(labels.redox[element])]
        gaps += [high.min() - low.max() for low, high in pairwise(s for s in states if len(s))]
    return float(np.min(gaps))


def misfits_muB(
    atoms: Atoms, labels: Labels, charges: NDArray[np.int64], moments_muB: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Deviations (atoms,) of the moments from those of the assigned states; 0 for atoms whose states have no reference.

    atoms: with symbols of the labels. Elements with a single charge count if their moment is in the input or in the table.
    """
    found = np.zeros(len(atoms))
    for i, moment in enumerate(sizes_muB(moments_muB)):
        if states := _states(atoms, labels, i):
            found[i] = deviation_muB(next(s for s in states if s.charge == charges[i]), moment)
    return found


def _states(atoms: Atoms, labels: Labels, i: int) -> tuple[Species, ...]:
    """States of the element of an atom that have reference moments."""
    species = labels.ions[atoms.symbols[i]]
    if species.element in labels.redox:
        return labels.redox[species.element]
    named = species if species.name != species.element else replace(species, name=_ion_name(species))
    return (named,) if named.moment_muB is not None or named.name in MOMENTS_MU_B else ()


def _ion_name(species: Species) -> str:
    return f"{species.element}{species.charge if abs(species.charge) > 1 else ''}{'+' if species.charge > 0 else '-'}"


def _misfit_in_words(atoms: Atoms, labels: Labels, charges: NDArray[np.int64], moments: NDArray[np.float64]) -> str:
    """The atom whose moment is furthest from that of its state."""
    apart = misfits_muB(atoms, labels, charges, moments)
    i = int(np.argmax(apart))
    states = _states(atoms, labels, i)
    state = next(s for s in states if s.charge == charges[i])
    return (
        f"the moment of atom {i + 1} ({state.element}), {moments[i]:.2f} muB, is {apart[i]:.2f} muB from that of {state.name}, "
        f"its state in a neutral cell; allowed: {LARGEST_MISFIT_MU_B} (reference moments in muB, changed by moment_muB: "
        f"{in_words(states)})"
    )


def _imbalance(atoms: Atoms, labels: Labels) -> str:
    fixed = int(sum(labels.ions[s].charge for s in atoms.symbols if labels.element(s) not in labels.redox))
    where = _by_element(atoms, labels).items()
    wanted = ", ".join(f"{len(w)} {e} ({', '.join(s.name for s in labels.redox[e])})" for e, w in where) or "no redox ions"
    return f"{atoms.symbols} cannot be neutral: the fixed ions have charge {fixed:+d}, and there are {wanted}"


def _counted(counts: Counts) -> str:
    return ", ".join(f"{n} {e} of {q:+d}" for e, numbers in counts.items() for q, n in sorted(numbers.items()) if n)


def _evidence(atoms: Atoms, labels: Labels, moments: NDArray[np.float64] | None, bonds: NDArray[np.float64]) -> str:
    """Moments and bond lengths of every element as text, by ascending moment."""
    texts = []
    for element, where in _by_element(atoms, labels).items():
        order = where[np.argsort((bonds if moments is None else moments)[where], kind="stable")]
        if moments is not None:
            texts.append(f"{element} moments (muB) " + " ".join(f"{m:.2f}" for m in moments[order]))
        texts.append(f"{element} bond lengths (A) " + " ".join(f"{b:.3f}" for b in bonds[order]))
    return "; ".join(texts)
