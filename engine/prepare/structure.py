"""The lattice of an input: structure, sublattices, charges that can balance."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read as ase_read

from ..errors import RedoxError
from ..inputfile import InputFile, Location
from ..lattice import Lattice, Species, Sublattice, Supercell, build_lattice, hermite_form
from ..neutrality import count_neutral_states
from .checker import Checker


def read_structure(path: Path) -> Atoms:
    """Through ASE, else pymatgen. Raises RedoxError if neither can."""
    if not path.is_file():
        raise RedoxError(f"no such file: {path}")
    try:
        found = ase_read(path)
        atoms = found[-1] if isinstance(found, list) else found
    except Exception as first:  # parsers raise anything
        try:
            from pymatgen.core import Structure
            from pymatgen.io.ase import AseAtomsAdaptor

            atoms = AseAtomsAdaptor.get_atoms(Structure.from_file(path))
        except Exception:
            raise RedoxError(
                f"unreadable structure {path.name}: {type(first).__name__}: {str(first).splitlines()[0] if str(first) else ''}"
            ) from None
    if len(atoms) == 0 or atoms.cell.rank < 3:
        raise RedoxError(f"{path.name} holds no periodic structure")
    plain = Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell, pbc=True)
    if len(plain) > 1:
        distances = plain.get_all_distances(mic=True) + 10 * np.eye(len(plain))
        if distances.min() < 0.3:
            raise RedoxError(f"{path.name}: two atoms only {distances.min():.2f} A apart")
    return plain


def read_lattice(source: InputFile, check: Checker) -> Lattice:
    given = source.config.lattice
    atoms = None
    try:
        atoms = read_structure(source.resolve(given.structure))
    except RedoxError as error:
        check.wrong(("lattice", "structure"), str(error))
    sublattices: list[Sublattice] = []
    for k, s in enumerate(given.sublattices):
        at: Location = ("lattice", "sublattices", k)
        if s.element in [t.element for t in given.sublattices[:k]]:
            check.wrong((*at, "element"), f"{s.element} already has a sublattice")
        if s.element in given.spectators:
            check.wrong((*at, "element"), f"{s.element} is also a spectator; allowed: one or the other")
        if atoms is not None and s.element not in atoms.get_chemical_symbols():
            check.wrong(
                (*at, "element"),
                f"found {s.element}; allowed: the structure's {', '.join(sorted(set(atoms.get_chemical_symbols())))}",
            )
        species = tuple(Species(name, sp.charge, sp.proxy, sp.moment_muB) for name, sp in s.species.items())
        for sp in species:
            if sp.name == "Va" and sp.charge:
                check.wrong((*at, "species", sp.name), f"found charge {sp.charge}; a vacancy has charge 0")
            for other in (
                o for t in sublattices for o in t.species if o.name == sp.name and (o.charge, o.proxy) != (sp.charge, sp.proxy)
            ):
                check.wrong((*at, "species", sp.name), f"found charge {sp.charge}, but {other.charge} on another sublattice")
        sublattices.append(Sublattice(s.element, species))
    if atoms is not None:
        known = {s.element for s in given.sublattices} | set(given.spectators)
        if missing := sorted(set(atoms.get_chemical_symbols()) - known):
            check.wrong(
                ("lattice", "spectators"), f"{', '.join(missing)} of the structure is neither on a sublattice nor a spectator"
            )
        for element in sorted(set(given.spectators) - set(atoms.get_chemical_symbols())):
            check.wrong(("lattice", "spectators", element), "not in the structure")
    if source.config.sampling is not None and "supercell" not in given.model_fields_set:
        check.wrong(("lattice", "supercell"), "missing; this key is needed to sample")
    try:
        hermite_form(np.array(given.matrix))
    except ValueError as error:
        check.wrong(("lattice", "supercell"), f"found {given.supercell}; {error}")
    if any(isinstance(v, int) and v < 1 for v in given.supercell):
        check.wrong(("lattice", "supercell"), f"found {given.supercell}; allowed: repeats of at least 1")
    check.stop_if_wrong()
    assert atoms is not None
    lattice = build_lattice(atoms, tuple(sublattices), dict(given.spectators))
    if not len(count_neutral_states(Supercell(lattice, np.array(given.matrix)))[0]):
        low, high = (
            lattice.spectator_charge
            + sum(int(n) * pick(sp.charge for sp in s.species) for n, s in zip(lattice.sites_per_sublattice, sublattices))
            for pick in (min, max)
        )
        check.wrong(
            ("lattice", "sublattices"),
            f"the charges cannot balance: a cell's total can only be {low:+d} to {high:+d}, in steps that never give 0",
        )
        check.stop_if_wrong()
    return lattice
