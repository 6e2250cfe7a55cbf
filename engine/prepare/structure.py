"""The structure of an input: a fully occupied cell."""

import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read as ase_read
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..errors import RedoxError

MOST_BYTES = 20_000_000
MOST_ATOMS = 2000
CLOSEST_A = 0.5
FULL = 0.99


def read_structure(path: Path) -> Atoms:
    """Through ASE, else pymatgen. Raises RedoxError if neither can."""
    if not path.is_file():
        raise RedoxError(f"no such file: {path}")
    if path.stat().st_size > MOST_BYTES:
        raise RedoxError(f"{path.name}: found {path.stat().st_size} bytes; allowed: up to {MOST_BYTES}")
    try:
        atoms = _by_ase(path)
    except RedoxError:
        raise
    except Exception as first:  # parsers raise anything
        try:
            from pymatgen.core import Structure
            from pymatgen.io.ase import AseAtomsAdaptor

            atoms = AseAtomsAdaptor.get_atoms(Structure.from_file(path))
        except Exception:
            raise RedoxError(
                f"unreadable structure {path.name}: {type(first).__name__}: {str(first).splitlines()[0] if str(first) else ''}"
            ) from None
    if not np.isfinite(atoms.cell).all() or not np.isfinite(atoms.positions).all():
        raise RedoxError(f"{path.name}: found lengths that are no finite numbers")
    if len(atoms) == 0 or atoms.cell.rank < 3 or _heights(atoms).min() < CLOSEST_A:
        raise RedoxError(f"{path.name} holds no periodic structure; allowed: a cell with three vectors, lengths in A")
    if len(atoms) > MOST_ATOMS:
        raise RedoxError(
            f"{path.name}: found {len(atoms)} atoms; allowed: up to {MOST_ATOMS}, of a cell to be repeated by lattice.supercell"
        )
    plain = Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell, pbc=True)
    if "X" in plain.get_chemical_symbols():
        raise RedoxError(
            f"{path.name}: found atoms of no element (X); allowed: the fully occupied cell, every site with its element"
        )
    if len(close := neighbor_list("d", plain, CLOSEST_A)):
        raise RedoxError(
            f"{path.name}: two atoms only {close.min():.2f} A apart; allowed: {CLOSEST_A} A and more (lengths are in A)"
        )
    return plain


def _heights(atoms: Atoms) -> NDArray[np.float64]:
    """Distances between opposite faces of the cell, (3,), A."""
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(np.asarray(atoms.cell)), axis=0))


def _by_ase(path: Path) -> Atoms:
    """The last step of a relaxation. Raises RedoxError where ASE would pass over what a fully occupied cell cannot be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ase_read(path, ":", do_not_split_by_at_sign=True)
    frames = [found] if isinstance(found, Atoms) else found
    if len({f.get_chemical_formula() for f in frames}) > 1:
        raise RedoxError(f"{path.name}: found {len(frames)} structures of different formulas; allowed: one")
    atoms = frames[-1]
    occupancy = atoms.info.get("occupancy", {})
    if partial := sorted(
        {e for site in occupancy.values() for e, n in site.items() if n < FULL}
        | {e for s in occupancy.values() if len(s) > 1 for e in s}
    ):
        raise RedoxError(
            f"{path.name}: found sites that {', '.join(partial)} fills in part; allowed: the fully occupied cell, one element to a site"
        )
    return atoms
