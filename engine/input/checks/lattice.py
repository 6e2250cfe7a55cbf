"""Checks of the lattice: sublattices, species, supercells, and charges that can add up to zero."""

import re
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ....kernels.layout import MOST_FLIPS
from ...crystal.lattice import VACANCY, Lattice, Species, Sublattice, Supercell, build_lattice, hermite_form
from ...crystal.neutral_states import count_neutral_states
from ...crystal.neutrality import Exchange, neutral_exchanges
from ...crystal.symmetrise import symmetrised
from ...errors import RedoxError, did_you_mean
from ..reader import InputFile, Location
from ..schema import Shape, SublatticeInput, supercell_matrix
from .checker import Checker
from .structure import read_structure

MOST_SITES = 10_000_000  # of a supercell
MOST_SPECIES = 10  # of a sublattice
MOST_STRAIN = 0.3
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}[+-]?")


def read_lattice(source: InputFile, check: Checker) -> Lattice:
    """The lattice of an input. Raises InputError with all problems of structure, sublattices and supercells."""
    given = source.config.lattice
    atoms, note = None, ""
    try:
        atoms, note = symmetrised(read_structure(source.resolve(given.structure)))
    except RedoxError as error:
        check.wrong(("lattice", "structure"), str(error))
    sublattices: list[Sublattice] = []
    for k, s in enumerate(given.sublattices):
        species = tuple(Species(name, sp.charge, sp.proxy, sp.moment_muB) for name, sp in s.species.items())
        _check_element(k, given.sublattices, source, atoms, check)
        for sp in species:
            _check_species(("lattice", "sublattices", k, "species", sp.name), sp, sublattices, atoms, check)
        if len(species) > MOST_SPECIES:
            check.wrong(("lattice", "sublattices", k, "species"), f"found {len(species)} species; allowed: up to {MOST_SPECIES}")
        sublattices.append(Sublattice(s.element, species))
    if atoms is not None:
        _check_spectators(source, atoms, check)
    if source.config.sampling is not None and "supercell" not in given.model_fields_set:
        check.wrong(("lattice", "supercell"), "missing; this key is required to sample")
    check.stop_if_wrong()
    assert atoms is not None
    lattice = replace(build_lattice(atoms, tuple(sublattices), dict(given.spectators)), symmetry_note=note)
    for at, shape in _supercells(source):
        _check_supercell(at, shape, lattice, check)
    check.stop_if_wrong()
    _check_second(source, lattice, check)
    _check_lengths(source, lattice, check)
    return lattice


def read_exchanges(lattice: Lattice, check: Checker) -> list[Exchange]:
    """The neutral exchanges of the lattice. Raises InputError if the kernel cannot make one of them."""
    found: list[Exchange] = []
    try:
        found = neutral_exchanges(lattice)
    except RedoxError as error:
        check.wrong(("lattice", "sublattices"), str(error))
    if (longest := max((len(e.flips) for e in found), default=0)) > MOST_FLIPS:
        check.wrong(
            ("lattice", "sublattices"), f"found a neutral exchange that changes {longest} sites; allowed: up to {MOST_FLIPS}"
        )
    check.stop_if_wrong()
    return found


def _check_element(k: int, given: tuple[SublatticeInput, ...], source: InputFile, atoms: Atoms | None, check: Checker) -> None:
    element, at = given[k].element, ("lattice", "sublattices", k, "element")
    if element in [t.element for t in given[:k]]:
        check.wrong(at, f"found {element} a second time; allowed: one sublattice for each element")
    if element in source.config.lattice.spectators:
        check.wrong(at, f"found {element}, which is also a spectator; allowed: one or the other")
    if atoms is not None and element not in atoms.get_chemical_symbols():
        present = sorted(set(atoms.get_chemical_symbols()))
        check.wrong(at, f"found {element}; allowed: {', '.join(present)} of the structure{did_you_mean(element, present)}")
    homes = {Species(name, 0).element: s.element for s in given for name in s.species}
    if homes.get(element, element) != element and element not in {Species(name, 0).element for name in given[k].species}:
        check.wrong(
            at,
            f"found the species of {element} on the sublattice of {homes[element]}; "
            "are the species of the two sublattices swapped?",
        )


def _check_species(at: Location, sp: Species, before: list[Sublattice], atoms: Atoms | None, check: Checker) -> None:
    if not NAME.fullmatch(sp.name):
        check.wrong(
            at,
            f"found the name {sp.name!r}; allowed: letters, digits and _, followed by the charge, such as Na+, Fe2+, Va",
        )
    if sp.name == VACANCY and sp.charge:
        check.wrong(at, f"found charge {sp.charge}; allowed: 0, since Va is the vacancy")
    if (said := re.search(r"(\d*)([+-])$", sp.name)) and sp.charge != (named := int(f"{said[2]}{said[1] or 1}")):
        check.wrong(at, f"found charge {sp.charge:+d}, but the name says {named:+d}; correct one of them")
    for other in (o for t in before for o in t.species if o.name == sp.name and (o.charge, o.proxy) != (sp.charge, sp.proxy)):
        check.wrong(
            at, f"found charge {sp.charge} and proxy {sp.proxy}, but {other.charge} and {other.proxy} on another sublattice"
        )
    if sp.proxy is not None:
        if sp.proxy not in atomic_numbers or sp.proxy == "X":
            check.wrong((*at, "proxy"), f"found {sp.proxy}; allowed: a chemical symbol, e.g. Ga")
        elif atoms is not None and sp.proxy in atoms.get_chemical_symbols() and sp.proxy != sp.element:
            check.wrong((*at, "proxy"), f"found {sp.proxy}, which is in the structure; allowed: an element that is not, e.g. Ga")


def _check_spectators(source: InputFile, atoms: Atoms, check: Checker) -> None:
    given, present = source.config.lattice, set(atoms.get_chemical_symbols())
    if missing := sorted(present - {s.element for s in given.sublattices} - set(given.spectators)):
        check.wrong(
            ("lattice", "spectators"),
            f"{', '.join(missing)} of the structure is neither on a sublattice nor a spectator; allowed: one of them",
        )
    for element in sorted(set(given.spectators) - present):
        check.wrong(("lattice", "spectators", element), f"found {element}, which is not in the structure")


def _supercells(source: InputFile) -> list[tuple[Location, Shape]]:
    """Every supercell in the input, with its key."""
    config = source.config
    shapes: list[tuple[Location, Shape]] = [(("lattice", "supercell"), config.lattice.supercell)]
    if "label" in config.model_fields_set or (config.energy and config.energy.needs_labels):
        shapes += [(("label", "supercells", k), s) for k, s in enumerate(config.label.supercells)]
    if config.evaluation:
        shapes += [(("evaluation", "supercells", k), s) for k, s in enumerate(config.evaluation.supercells)]
    if config.correction:
        shapes.append((("correction", "supercell"), config.correction.supercell))
    if config.label.learning and config.label.learning.supercell:
        shapes.append((("label", "learning", "supercell"), config.label.learning.supercell))
    if config.sampling and config.sampling.second_supercell:
        shapes.append((("sampling", "second_supercell"), config.sampling.second_supercell))
    return shapes


def _check_second(source: InputFile, lattice: Lattice, check: Checker) -> None:
    given = source.config.sampling
    if given is None or given.second_supercell is None:
        return
    if given.sizes == "off":
        check.wrong(("sampling", "second_supercell"), "found beside sizes: off; allowed: one of them")
    first, second = (
        Supercell(lattice, supercell_matrix(s)).n_cells for s in (source.config.lattice.supercell, given.second_supercell)
    )
    if second >= first:
        check.wrong(
            ("sampling", "second_supercell"),
            f"found {second} cells; allowed: fewer than the {first} of lattice.supercell, to show the finite-size shift",
        )


def _check_lengths(source: InputFile, lattice: Lattice, check: Checker) -> None:
    """Starting cells of relaxations have lengths close to those of the structure."""
    lengths = lattice.atoms.cell.lengths()
    for x, given in source.config.relaxation.cell_lengths_A.items():
        if not np.all(np.abs(np.array(given) / lengths - 1) < MOST_STRAIN):
            check.wrong(
                ("relaxation", "cell_lengths_A", x),
                f"found {given}; allowed: lengths in A within {MOST_STRAIN:.0%} of {lengths.round(3).tolist()} of the structure",
            )


def _check_supercell(at: Location, shape: Shape, lattice: Lattice, check: Checker) -> None:
    """A supercell has a volume, is not too large, and has neutral states."""
    if any(isinstance(v, int) and v < 1 for v in shape):
        return check.wrong(at, f"found {shape}; allowed: repeats of at least 1")
    try:
        supercell = Supercell(lattice, supercell_matrix(shape))
        n_cells = int(np.prod(np.diag(hermite_form(supercell.matrix)).astype(object)))
    except ValueError as error:
        return check.wrong(at, f"found {shape}; allowed: three independent vectors, but {error}")
    if n_cells * lattice.n_sites > MOST_SITES:
        return check.wrong(
            at, f"found {shape} with {n_cells * lattice.n_sites:.2g} active sites; allowed: up to {MOST_SITES:.0e}"
        )
    if not len(count_neutral_states(supercell)[0]):
        parts = [f"spectators {lattice.spectator_charge:+d}"]
        for n, s in zip(lattice.sites_per_sublattice, lattice.sublattices):
            low, high = (int(n) * pick(sp.charge for sp in s.species) for pick in (min, max))
            parts.append(f"{'/'.join(sp.name for sp in s.species)} {low:+d} to {high:+d}")
        check.wrong(
            ("lattice", "sublattices") if at == ("lattice", "supercell") else at,
            f"the charges of a cell cannot add up to 0: {', '.join(parts)}; correct the charge of a species or a spectator",
        )
