"""From the input file to lattice and Hamiltonian: everything that can be wrong is found here, before anything runs."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import read as ase_read
from icet import ClusterSpace
from numpy.typing import NDArray

from .config import Config, Shape, matrix_of
from .dataset import DataSet, map_to_lattice, read_relaxed
from .errors import InputError, Problem, RedoxError
from .fit import cluster_vectors, neutrality_null_vector, undetermined
from .hamiltonian.clusters import cluster_space
from .hamiltonian.electrostatics import MOST_SITES, PointCharges
from .hamiltonian.model import Model, read_model
from .hamiltonian.terms import Hamiltonian, pair_clusters, pairs_within, point_clusters
from .inputfile import InputFile, Location
from .lattice import VACANCY, Lattice, Species, Sublattice, Supercell, build_lattice, hermite_form
from .moves import swaps
from .neutrality import Exchange, count_neutral_states, exchangeable_ions, neutral_exchanges, random_neutral_state
from .vibrations import ROUNDING, Vibrations, read_vibrations

DRAWN_PER_PARAMETER = 2  # arrangements of every supercell, to see which clusters they tell apart
MOST_ENUMERATED = 20_000  # neutral states of a small cell, whose classes are all relaxed
MOST_STATES = 10_000_000  # of a supercell, to be listed one by one: half a minute


@dataclass(frozen=True)
class Training:
    """What the fit needs: the cluster space and the data set as cluster vectors. vectors (cells, parameters).

    frames: the labelled relaxed cells; refusals: why others were left out.
    """

    space: ClusterSpace
    data: DataSet
    vectors: NDArray[np.float64]
    null: NDArray[np.float64]
    frames: list[Atoms]
    refusals: list[str]


@dataclass(frozen=True)
class Prepared:
    """A checked input. `typed` holds the typed-in terms; the expansion comes from `training` or from the file `model`."""

    source: InputFile
    lattice: Lattice
    exchanges: list[Exchange]
    ions: tuple[str, ...]
    typed: Hamiltonian
    training: Training | None
    model: Model | None
    vibrations: Vibrations | None

    @property
    def config(self) -> Config:
        return self.source.config

    @property
    def matrix(self) -> NDArray[np.int64]:
        return np.array(self.config.lattice.matrix, np.int64)

    @property
    def point_charges(self) -> tuple[PointCharges, ...]:
        """Typed in, and of the model."""
        given = (self.config.energy.electrostatics if self.config.energy else None, self.model)
        return tuple(PointCharges(dict(g.charges), g.dielectric) for g in given if g is not None and g.charges)


class _Checker:
    def __init__(self, source: InputFile) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def wrong(self, location: Location, message: str) -> None:
        self.problems.append(self.source.problem(location, message))

    def stop_if_wrong(self) -> None:
        if self.problems:
            raise InputError(self.problems, self.source.path.name)


def prepare(source: InputFile) -> Prepared:
    """Build and check; raises InputError with every problem that can be found together."""
    check = _Checker(source)
    lattice = _lattice(source, check)
    exchanges = neutral_exchanges(lattice)
    ions = _sampling(source, lattice, exchanges, check)
    typed = _typed_terms(source, lattice, check)
    _potentials(source, lattice, check)
    _ground_states(source, lattice, ions, check)
    _correction(source, lattice, ions, check)
    _learning(source, ions, check)
    vibrations = _vibrations(source, lattice, ions, check)
    check.stop_if_wrong()
    training, model = _expansion(source, lattice, check)
    check.stop_if_wrong()
    return Prepared(source, lattice, exchanges, ions, typed, training, model, vibrations)


def with_labels(prepared: Prepared, labelled: Path) -> Prepared:
    """The same, with the data set that the `label` stage made. Raises InputError if it cannot be fitted."""
    check = _Checker(prepared.source)
    training = _training(prepared.source, prepared.lattice, [labelled], check)
    check.stop_if_wrong()
    return replace(prepared, training=training)


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


def _lattice(source: InputFile, check: _Checker) -> Lattice:
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


def _sampling(source: InputFile, lattice: Lattice, exchanges: list[Exchange], check: _Checker) -> tuple[str, ...]:
    given = source.config.sampling
    if given is None:
        return ()
    if not exchanges and not swaps(lattice):
        check.wrong(("lattice", "sublattices"), "nothing can move: every sublattice holds one species only")
    keys = list(given.chemical_potential_eV)
    automatic = exchangeable_ions(lattice, exchanges)
    names = [sp.name for s in lattice.sublattices for sp in s.species]
    for key in keys:
        if key not in names:
            check.wrong(("sampling", "chemical_potential_eV", key), f"no such species; allowed: {', '.join(automatic) or 'none'}")
    ions = tuple(keys) if keys and set(keys) <= set(names) else tuple(automatic)
    if len(ions) != len(automatic):
        check.wrong(
            ("sampling", "chemical_potential_eV"),
            f"found {', '.join(ions)}; allowed: one key for each exchangeable ion ({', '.join(automatic) or 'there is none'})",
        )
    if not automatic and given.ensemble in ("semigrand", "vcsgc"):
        check.wrong(
            ("sampling", "ensemble"), f"found {given.ensemble}; no exchange changes the ions here: allowed are canonical and auto"
        )
    if len(automatic) > 1:
        if given.ensemble not in ("auto", "semigrand"):
            check.wrong(
                ("sampling", "ensemble"), f"found {given.ensemble}; with several ions ({', '.join(automatic)}) allowed: semigrand"
            )
        for key in automatic:
            if key not in given.chemical_potential_eV or given.chemical_potential_eV[key].automatic:
                check.wrong(
                    ("sampling", "chemical_potential_eV"), f"with several ions each needs its grid {{min, max, points}}: {key}"
                )
    elements = {sp.element for ion in automatic for s in lattice.sublattices for sp in s.species if sp.name == ion}
    for element in source.config.analysis.reference_energy_eV:
        if element not in elements:
            check.wrong(
                ("analysis", "reference_energy_eV", element),
                f"not an exchangeable ion's element; allowed: {', '.join(sorted(elements)) or 'none'}",
            )
    return ions


def _vibrations(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: _Checker) -> Vibrations | None:
    """Of the file, if it covers the temperatures asked for and the compositions of the cell."""
    config = source.config
    if config.analysis.vibrations is None or config.sampling is None:
        return None
    at: Location = ("analysis", "vibrations")
    if len(ions) != 1 or config.sampling.ensemble == "canonical":
        check.wrong(at, "allowed with one exchangeable ion, in an ensemble that changes its number")
        return None
    try:
        found = read_vibrations(source.resolve(config.analysis.vibrations), lattice, ions[0])
    except RedoxError as error:
        check.wrong(at, str(error))
        return None
    supercell = Supercell(lattice, np.array(config.lattice.matrix))
    x = count_neutral_states(supercell, ions[0])[0] / supercell.n_formula_units
    for name, known, wanted in (("K", found.temperature_K, np.array(config.sampling.temperature_K)), ("x", found.x, x)):
        if wanted.min() < known[0] - ROUNDING or wanted.max() > known[-1] + ROUNDING:
            check.wrong(at, f"found {name} = {known[0]:g} to {known[-1]:g}; this run needs {wanted.min():g} to {wanted.max():g}")
    return found


def _typed_terms(source: InputFile, lattice: Lattice, check: _Checker) -> Hamiltonian:
    energy = source.config.energy
    if energy is None:
        return Hamiltonian(lattice, (), 0.0, "")
    names = {sp.name for s in lattice.sublattices for sp in s.species}
    clusters = []
    for k, point in enumerate(energy.points):
        if point.species not in names:
            check.wrong(("energy", "points", k, "species"), f"found {point.species}; allowed: {', '.join(sorted(names))}")
        clusters += point_clusters(lattice, point.species, point.energy_eV)
    for k, pair in enumerate(energy.pairs):
        at: Location = ("energy", "pairs", k)
        if unknown := [s for s in pair.species if s not in names]:
            check.wrong((*at, "species"), f"found {', '.join(unknown)}; allowed: {', '.join(sorted(names))}")
        elif pair.r_A[1] > 50:
            check.wrong((*at, "r_A"), f"found {pair.r_A[1]} A; allowed: up to 50")
        elif not pairs_within(lattice, pair.species, pair.r_A):
            check.wrong(
                (*at, "r_A"),
                f"no two sites for {pair.species[0]} and {pair.species[1]} are {pair.r_A[0]} to {pair.r_A[1]} A apart",
            )
        else:
            clusters += pair_clusters(lattice, pair.species, pair.r_A, pair.energy_eV)
    if energy.electrostatics is not None:
        _electrostatics(("energy", "electrostatics", "charges"), energy.electrostatics.charges, source, lattice, check)
    parts = [f"{len(energy.points)} typed-in point terms"] * bool(energy.points)
    parts += [f"{len(energy.pairs)} typed-in pair terms"] * bool(energy.pairs)
    return Hamiltonian(lattice, tuple(clusters), 0.0, ", ".join(parts))


def _electrostatics(at: Location, charges: dict[str, float], source: InputFile, lattice: Lattice, check: _Checker) -> None:
    supercell = Supercell(lattice, np.array(source.config.lattice.matrix))
    names = sorted({sp.name for s in lattice.sublattices for sp in s.species})
    if unknown := [name for name in charges if name not in names]:
        check.wrong(at, f"found {', '.join(unknown)}; allowed: {', '.join(names)}")
    elif supercell.n_sites > MOST_SITES:
        check.wrong(at, f"every pair of sites interacts; found {supercell.n_sites} sites, allowed: up to {MOST_SITES}")


def _ground_states(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: _Checker) -> None:
    given = source.config.ground_states
    if given is None:
        return
    if len(ions) != 1:
        check.wrong(("ground_states",), f"found {len(ions)} exchangeable ions; allowed: one, along which the hull runs")
    for element in sorted({sp.element for s in lattice.sublattices for sp in s.species} - {VACANCY} - set(atomic_numbers)):
        check.wrong(("ground_states",), f"{element} is no chemical element; ground states are written as structures")
    _, log_states = count_neutral_states(Supercell(lattice, np.diag([given.enumerate_up_to, 1, 1])))
    if log_states.max(initial=0.0) > np.log(MOST_STATES):
        check.wrong(
            ("ground_states", "enumerate_up_to"),
            f"{given.enumerate_up_to} cells have 1e{log_states[0] / np.log(10):.0f} neutral states; allowed: up to {MOST_STATES:.0e}",
        )


def _correction(source: InputFile, lattice: Lattice, ions: tuple[str, ...], check: _Checker) -> None:
    given = source.config.correction
    if given is None:
        return
    if len(ions) != 1:
        check.wrong(("correction",), f"found {len(ions)} exchangeable ions; allowed: one, along which the walkers go")
    if source.config.energy is not None and source.config.energy.electrons == "ground_state":
        check.wrong(
            ("correction",), "electrons: ground_state has an expansion of the ions alone; the potential needs the electrons too"
        )
    try:
        _, log_states = count_neutral_states(Supercell(lattice, np.array(matrix_of(given.supercell))))
    except ValueError:
        return  # a supercell of no volume is reported elsewhere
    if "enumerated" in given.methods and log_states.max(initial=0.0) > np.log(MOST_ENUMERATED):
        check.wrong(
            ("correction", "methods"),
            f"found enumerated, and 1e{log_states[0] / np.log(10):.0f} neutral states; allowed: up to {MOST_ENUMERATED}",
        )


def _learning(source: InputFile, ions: tuple[str, ...], check: _Checker) -> None:
    energy, at = source.config.energy, ("label", "learning")
    if source.config.label.learning is None or energy is None:
        return
    if not energy.needs_labels:
        check.wrong(
            at, "found a data set or a model under energy.cluster_expansion; allowed: neither, as learning makes the data"
        )
    if len(ions) != 1:
        check.wrong(at, f"found {len(ions)} exchangeable ions; allowed: one, over whose composition phase diagrams are compared")
    if energy.electrons == "ground_state":
        check.wrong(at, "electrons: ground_state has an expansion of the ions alone; what is labelled has electrons too")


def _symbols_differ(source: InputFile, lattice: Lattice, check: _Checker) -> None:
    """Data sets tell species by their chemical symbol: each needs one of its own."""
    seen: dict[str, str] = {}
    for k, s in enumerate(lattice.sublattices):
        for sp in s.species:
            at: Location = ("lattice", "sublattices", k, "species", sp.name)
            if sp.symbol not in atomic_numbers:
                check.wrong(at, f"{sp.symbol} is no chemical element; give a proxy")
            elif sp.symbol in lattice.spectators:
                check.wrong(at, f"{sp.symbol} is a spectator; give another proxy")
            elif seen.get(sp.symbol, sp.name) != sp.name:
                check.wrong(
                    at,
                    f"{sp.name} and {seen[sp.symbol]} would both be {sp.symbol} in the data set; give one a proxy, e.g. {{charge: {sp.charge}, proxy: Ga}}",
                )
            seen.setdefault(sp.symbol, sp.name)


def _potentials(source: InputFile, lattice: Lattice, check: _Checker) -> None:
    """Files of potentials, frames and references exist; charge states can be told apart."""
    config = source.config
    makes_labels = config.energy is not None and config.energy.needs_labels
    if not (config.training or config.evaluation or config.correction or makes_labels):
        return
    _symbols_differ(source, lattice, check)
    named: list[tuple[Location, tuple[str, ...]]] = []
    if makes_labels and config.potential is None:
        check.wrong(
            ("energy", "cluster_expansion"),
            "found neither dataset nor model; allowed: either dataset or model, or potential, which makes the data set",
        )
    if config.potential is not None:
        at: Location = ("potential",)
        named += [((*at, "file"), (str(config.potential.file),))] if config.potential.file else []
        if config.potential.model in ("mace", "cpainn") and config.potential.file is None:
            check.wrong((*at, "file"), f"{config.potential.model} needs the file of its weights")
    if config.training is not None:
        named.append((("training", "dataset"), config.training.dataset))
        for k, entry in enumerate(config.training.potentials):
            for key in ("file", "start_from"):
                path = getattr(entry, key)
                named += [(("training", "potentials", k, key), (str(path),))] if path else []
    if config.evaluation is not None:
        named += [(("evaluation", "reference"), config.evaluation.reference)] if config.evaluation.reference else []
        if config.training is None and config.potential is None:
            check.wrong(("evaluation",), "there is nothing to evaluate: give potential, or training")
    for where, patterns in named:
        try:
            source.files(patterns)
        except RedoxError as error:
            check.wrong(where, str(error))
    shapes: list[tuple[Location, Shape]] = [(("label", "supercells", k), s) for k, s in enumerate(config.label.supercells)]
    if config.evaluation:
        shapes += [(("evaluation", "supercells", k), s) for k, s in enumerate(config.evaluation.supercells)]
    if config.correction:
        shapes.append((("correction", "supercell"), config.correction.supercell))
    if config.sampling and config.sampling.second_supercell:
        shapes.append((("sampling", "second_supercell"), config.sampling.second_supercell))
    for place, shape in shapes:
        try:
            hermite_form(np.array(matrix_of(shape)))
        except ValueError as error:
            check.wrong(place, f"found {shape}; {error}")


def _expansion(source: InputFile, lattice: Lattice, check: _Checker) -> tuple[Training | None, Model | None]:
    given = source.config.energy.cluster_expansion if source.config.energy else None
    if given is None:
        return None, None
    at: Location = ("energy", "cluster_expansion")
    if given.model is not None:
        try:
            model = read_model(tuple(source.resolve(path) for path in given.model_files), lattice)
            if model.charges:
                _electrostatics((*at, "model"), model.charges, source, lattice, check)
            return None, model
        except RedoxError as error:
            check.wrong((*at, "model"), str(error))
            return None, None
    _symbols_differ(source, lattice, check)
    check.stop_if_wrong()
    if given.dataset is None:
        if (space := _space(source, lattice, check)) is not None and not check.problems:
            _labels_suffice(space, source, lattice, check)
        return None, None
    try:
        return _training(source, lattice, source.files(given.dataset), check), None
    except RedoxError as error:
        check.wrong((*at, "dataset"), str(error))
        return None, None


def _space(source: InputFile, lattice: Lattice, check: _Checker) -> ClusterSpace | None:
    given = source.config.energy.cluster_expansion if source.config.energy else None
    assert given is not None and given.cutoffs_A is not None
    try:
        return cluster_space(lattice, given.cutoffs_A)
    except Exception as error:  # icet raises bare exceptions
        check.wrong(("energy", "cluster_expansion", "cutoffs_A"), f"icet cannot build the clusters: {error}")
        return None


def _labels_suffice(space: ClusterSpace, source: InputFile, lattice: Lattice, check: _Checker) -> None:
    """Whether arrangements of the supercells that will be labelled, however many, can tell the clusters apart."""
    ions, vectors = exchangeable_ions(lattice, neutral_exchanges(lattice)), []
    for shape in source.config.label.supercells:
        supercell, rng = Supercell(lattice, np.array(matrix_of(shape))), np.random.default_rng(0)
        counts, _ = count_neutral_states(supercell, ions[0] if ions else None)
        for k in range(DRAWN_PER_PARAMETER * len(space)):
            state = random_neutral_state(supercell, ions[0] if ions else None, int(counts[k % len(counts)]), rng)
            vectors.append(space.get_cluster_vector(supercell.to_atoms(state)))
    for group in undetermined(np.array(vectors), neutrality_null_vector(space, lattice)):
        check.wrong(
            ("label", "supercells"),
            f"no arrangement in these can tell apart {_clusters_in_words(space, group)}; add a supercell of another shape, or shorten cutoffs_A",
        )


def _training(source: InputFile, lattice: Lattice, paths: list[Path], check: _Checker) -> Training | None:
    """The data set as cluster vectors; None with the problems noted. Raises RedoxError if its files cannot be used."""
    given = source.config.energy.cluster_expansion if source.config.energy else None
    assert given is not None
    at: Location = ("energy", "cluster_expansion")
    space = _space(source, lattice, check)
    if space is None:
        return None
    frames, refusals = read_relaxed(paths, lattice)
    data = map_to_lattice(frames, lattice)
    if len(data.cells) < given.fit.n_folds:
        refused = f" ({len(refusals)} more were refused: {refusals[0]})" if refusals else ""
        check.wrong(
            (*at, "dataset"),
            f"{len(data.cells)} cells{refused}; allowed: at least {given.fit.n_folds} for {given.fit.validation} validation",
        )
        return None
    vectors = cluster_vectors(space, data)
    null = neutrality_null_vector(space, lattice)
    for group in undetermined(vectors, null):
        check.wrong(
            (*at, "cutoffs_A"),
            f"no data cell can tell apart {_clusters_in_words(space, group)}; shorten the cutoffs or add cells of other shapes",
        )
    return Training(space, data, vectors, null, frames, refusals)


def _clusters_in_words(space: ClusterSpace, group: list[int]) -> str:
    order = {0: "the constant", 1: "point", 2: "pair", 3: "triplet", 4: "quadruplet"}
    rows = [space.as_list[i] for i in group]
    words = [
        f"{order.get(r['order'], 'cluster')} {r['index']} of radius {r['radius']:.2f} A" if r["order"] else order[0]
        for r in rows[:6]
    ]
    return ", ".join(words) + (f" and {len(rows) - 6} more" if len(rows) > 6 else "")
