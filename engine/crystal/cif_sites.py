"""Atoms of a CIF from its sites and its space group in the setting that it names.

ASE takes the standard setting whatever the Hermann-Mauguin symbol says, does not know R -3 m :R or F d -3 m :2, and lets the
images of a site at 0.333 2/3 lie beside each other.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.io.cif import CIFBlock, parse_cif
from ase.neighborlist import neighbor_list
from ase.spacegroup.spacegroup import parse_sitesym
from numpy.typing import NDArray

from ..errors import RedoxError

Float = NDArray[np.float64]
Operations = tuple[NDArray[np.int64], Float]  # rotations (k, 3, 3), translations (k, 3)
SAME_SITE_A = 0.05  # images of a site on a special position that its rounded coordinates miss
CLOSEST_A = 0.5
MONOCLINIC = range(3, 16)
METRIC = 0.01  # relative change of the cell by a rotation of its space group
LIST_THEM = "list the symmetry operations (_space_group_symop_operation_xyz) or give all atoms in P 1"


def read_cif(path: Path, formula: dict[str, float] | None) -> Atoms | None:
    """The last structure of a CIF; None if there is none, if the file names no symmetry, or if its listed operations do not fit.

    formula: elements and numbers in any proportion, which distinguish one of several possible settings from the others.
    Raises RedoxError if no setting, or more than one, gives a structure.
    """
    with path.open(encoding="utf-8", errors="replace") as handle:
        every = list(parse_cif(handle))
    blocks = [block for block in every if block.has_structure() and block.get_cellpar() is not None]
    if not blocks or blocks[-1].get("_atom_site_fract_x") is None:
        return None
    block = blocks[-1]
    found: dict[str, Atoms] = {}
    failed: list[str] = []
    for name, operations in _settings(block):
        atoms = _expanded(block, operations)
        if problem := _misfit(atoms, operations, formula):
            failed.append(f"{name}: {problem}")
        elif not any(same_atoms(atoms, other) for other in found.values()):
            found[name] = atoms
    if (
        len(found) == 1 or not (found or failed) or (not found and block._get_sitesym())
    ):  # others say what is wrong with listed operations
        return next(iter(found.values()), None)
    if found:
        raise RedoxError(f"the file fits {' and '.join(found)}, and does not say which; {LIST_THEM}")
    raise RedoxError(
        f"the sites fit no setting of the space group ({'; '.join(failed[:3])}); correct the setting, or {LIST_THEM}"
    )


def same_atoms(one: Atoms, other: Atoms) -> bool:
    """Whether two structures with the same cell have the same atoms, in any order."""
    if sorted(one.numbers) != sorted(other.numbers) or not np.allclose(one.cell.cellpar(), other.cell.cellpar(), rtol=1e-4):
        return False
    apart = one.get_scaled_positions()[:, None] - other.get_scaled_positions()
    near = np.linalg.norm((apart - np.rint(apart)) @ np.asarray(one.cell), axis=-1) < SAME_SITE_A
    return bool((near & (one.numbers[:, None] == other.numbers)).any(axis=1).all())


def _settings(block: CIFBlock) -> list[tuple[str, Operations]]:
    """Names and operations of the settings that the file may mean: the listed ones, or those that its symbol and number name."""
    if listed := block._get_sitesym():
        rotations, translations = parse_sitesym(listed)
        return [("its list of operations", (np.array(rotations), np.array(translations)))]
    symbol, number = str(block._get_spacegroup_name() or ""), block._get_spacegroup_number()
    name, _, choice = symbol.replace("_", "").partition(":")
    types = ((hall, spglib.get_spacegroup_type(hall)) for hall in range(1, 531))
    every = [(hall, t) for hall, t in types if t is not None and (number in (None, "?", ".") or t.number == int(number))]
    named = [(hall, t) for hall, t in every if _bare(name) in {_bare(n) for n in _names(t)}]
    if not named and number in (None, "?", "."):
        return []
    named = [(hall, t) for hall, t in named if not t.choice] or named  # Cmme is its standard setting, not that of other axes
    chosen = [(hall, t) for hall, t in named or every if not choice or t.choice.lower().startswith(choice.strip().lower())]
    return [(_said(t), _operations(hall)) for hall, t in chosen or named or every]


def _names(t: Any) -> tuple[str, ...]:
    """Symbols of a setting. The short one of spglib is that of the standard setting for all settings of a monoclinic group."""
    if t.number in MONOCLINIC:
        return t.international_full, t.international_full.replace(" 1", "")
    return t.international.split("=")[0], t.international_short, t.international_full


def _bare(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()


def _said(t: Any) -> str:
    return f"{t.international_full.replace('_', '')}" + (f" (setting {t.choice})" if t.choice else "")


def _operations(hall: int) -> Operations:
    found = spglib.get_symmetry_from_database(hall)
    assert found is not None
    return found["rotations"].astype(np.int64), found["translations"]


def _expanded(block: CIFBlock, operations: Operations) -> Atoms:
    """All images of the sites, site by site; those of one site that coincide are one atom, at their mean."""
    cell = np.asarray(block.get_cell())
    symbols, places = [], []
    for symbol, site in zip(block.get_symbols(), np.asarray(block._raw_scaled_positions(), float)):
        images = operations[0] @ site + operations[1]
        while len(images):
            apart = images - images[0]
            apart -= np.rint(apart)
            same = np.linalg.norm(apart @ cell, axis=1) < SAME_SITE_A
            symbols.append(symbol)
            places.append((images[0] + apart[same].mean(axis=0)) % 1.0)
            images = images[~same]
    return Atoms(symbols, scaled_positions=places, cell=cell, pbc=True)


def _misfit(atoms: Atoms, operations: Operations, formula: dict[str, float] | None) -> str | None:
    metric = np.asarray(atoms.cell) @ np.asarray(atoms.cell).T
    if any(np.abs(r.T @ metric @ r - metric).max() > METRIC * np.abs(metric).max() for r in operations[0]):
        return "its rotations change the cell"
    if formula is not None:
        symbols = atoms.get_chemical_symbols()
        ratios = {symbols.count(element) / n for element, n in formula.items() if n}
        if set(symbols) != set(formula) or max(ratios) > 1.01 * min(ratios):
            return f"its atoms are {atoms.get_chemical_formula()}"
    close = neighbor_list("d", atoms, CLOSEST_A)
    return f"two atoms would be {close.min():.2f} A apart" if len(close) else None
