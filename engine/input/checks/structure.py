"""Checks of the structure: a fully occupied periodic cell."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ...crystal.cif_sites import read_cif, same_atoms
from ...crystal.files import read_by_pymatgen, read_frames
from ...crystal.lattice import bare_copy
from ...errors import RedoxError

MOST_BYTES = 20_000_000
MOST_ATOMS = 2000
CLOSEST_A, LONGEST_A = 0.5, 1000.0
FULL = 0.99
TEXTS_OF_PYMATGEN = (".json", ".yaml", ".yml")
FORMULA = re.compile(r"^_chemical_formula_sum\s+(['\"]?)([A-Za-z0-9. ]+)\1\s*$", re.M)


def read_structure(path: Path) -> Atoms:
    """The structure of a file, read by ASE or else pymatgen.

    Raises RedoxError if neither can read it, or if it is not a fully occupied periodic cell.
    """
    if not path.is_file():
        raise RedoxError(f"no such file: {path}")
    if path.stat().st_size > MOST_BYTES:
        raise RedoxError(f"{path.name}: found {path.stat().st_size} bytes; allowed: up to {MOST_BYTES}")
    try:
        atoms = _with_setting(path, _by_any_reader(path))
        if problem := _problem(atoms) or _other_formula(path, atoms):
            raise RedoxError(problem)
    except RedoxError as error:
        raise RedoxError(f"{path.name}: {error}") from None
    return bare_copy(atoms)


def _by_any_reader(path: Path) -> Atoms:
    """By ASE or else pymatgen."""
    try:
        return _last_frame(path)
    except RedoxError:
        raise
    except Exception as first:  # parsers raise anything
        try:
            return read_by_pymatgen(path)
        except RedoxError:
            raise
        except Exception as second:
            error = second if path.suffix.lower() in TEXTS_OF_PYMATGEN else first
            said = str(error).splitlines()[0] if str(error) else ""
            raise RedoxError(f"unreadable structure: {type(error).__name__}: {said}") from None


def _with_setting(path: Path, atoms: Atoms) -> Atoms:
    """The atoms of a CIF in the setting of its space group that the file names, where ASE takes another one."""
    if path.suffix.lower() != ".cif":
        return atoms
    try:
        found = read_cif(path, _stated_formula(path))
    except RedoxError:
        raise
    except Exception:  # what ASE's parser does not understand
        return atoms
    return atoms if found is None or same_atoms(found, atoms) else found


def _last_frame(path: Path) -> Atoms:
    """The last frame of a file. Raises RedoxError for different formulas or partial occupancies, which ASE accepts."""
    _, frames = read_frames(path)
    if len({f.get_chemical_formula() for f in frames}) > 1:
        raise RedoxError(f"found {len(frames)} structures of different formulas; allowed: one")
    sites = frames[-1].info.get("occupancy", {}).values()
    if partly := sorted({element for site in sites for element, n in site.items() if n < FULL or len(site) > 1}):
        raise RedoxError(
            f"found sites partially occupied by {', '.join(partly)}; allowed: the fully occupied cell, one element on each site"
        )
    return frames[-1]


def _problem(atoms: Atoms) -> str | None:
    if not np.isfinite(atoms.cell).all() or not np.isfinite(atoms.positions).all():
        return "found lengths that are not finite"
    if len(atoms) == 0 or atoms.cell.rank < 3 or _heights_A(atoms).min() < CLOSEST_A or atoms.cell.lengths().max() > LONGEST_A:
        return f"found no periodic structure; allowed: a cell of three vectors, {CLOSEST_A} to {LONGEST_A:g} A"
    if len(atoms) > MOST_ATOMS:
        return f"found {len(atoms)} atoms; allowed: up to {MOST_ATOMS}, in a cell that lattice.supercell repeats"
    if "X" in atoms.get_chemical_symbols():
        return "found atoms without an element (X); allowed: the fully occupied cell, an element on every site"
    periodic = bare_copy(atoms)
    if len(close := neighbor_list("d", periodic, CLOSEST_A)):
        return (
            f"found two atoms {close.min():.2f} A apart; allowed: at least {CLOSEST_A} A "
            "(are the lengths in nm, or is a site given twice?)"
        )
    return None


def _heights_A(atoms: Atoms) -> NDArray[np.float64]:
    """Distances (3,) between opposite faces of the cell."""
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(np.asarray(atoms.cell)), axis=0))


def _stated_formula(path: Path) -> dict[str, float] | None:
    """The formula that a CIF states."""
    if not (said := FORMULA.search(path.read_text(errors="replace"))):
        return None
    return {e: float(n or 1) for e, n in re.findall(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?", said[2])}


def _other_formula(path: Path, atoms: Atoms) -> str | None:
    """A problem if the atoms do not have the formula that the CIF states: a site or a symmetry operation is wrong."""
    given = _stated_formula(path) if path.suffix.lower() == ".cif" else None
    if given is None:
        return None
    found = Counter(atoms.get_chemical_symbols())
    ratios = {round(found[e] / n, 2) if n else 0.0 for e, n in given.items()}
    if given.keys() == found.keys() and len(ratios) == 1:
        return None
    stated, atoms_are = " ".join(f"{e}{n:g}" for e, n in given.items()), atoms.get_chemical_formula()
    return f"its _chemical_formula_sum is {stated}, but its atoms are {atoms_are}; correct the sites or the formula"
