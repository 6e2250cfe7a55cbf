"""The cluster expansion of an input: its data set as cluster vectors, or a model from a file."""

from math import factorial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...crystal.lattice import Lattice, Supercell
from ...crystal.neutral_states import count_neutral_states, random_neutral_state
from ...crystal.neutrality import exchangeable_ions, neutral_exchanges
from ...crystal.shells import on_a_shell
from ...errors import RedoxError
from ...hamiltonian.clusters import cluster_space
from ...hamiltonian.fit import cluster_vectors, end_vectors, neutrality_null_vector, undetermined
from ...hamiltonian.imported import ImportedExpansion
from ...hamiltonian.importers.read import read_model
from ...hamiltonian.terms import nearest_A
from ...input.checks.checker import Checker
from ...input.checks.potentials import symbols_differ
from ...input.reader import InputFile, Location
from ...input.schema import ClusterExpansionInput, supercell_matrix
from ...potentials.dataset import DataSet, FrameTable, read_frame_table
from ...runtime.streams import ANY_SEED, Stream, generator
from ..shared.frame_table import left_out_text, table_warnings
from ..shared.output import Output
from ..shared.run import FitData
from .data_energies import energy_problems, unseen
from .terms import check_electrostatics, check_size
from .undetermined import clusters_in_words, what_is_open

if TYPE_CHECKING:
    from icet import ClusterSpace  # slow to import

MOST_NEIGHBOURS = 20_000  # of all atoms of the cell within the longest cutoff
MOST_CLUSTERS = 20_000
COUNTED_TWICE = (
    "the energies of a data set contain the electrostatic energy already, and it would be added to their fit a second time; "
    "leave electrostatics out, or give as energy.cluster_expansion.model an expansion that was fitted without it"
)
LARGEST_SHARE_LEFT_OUT = 0.2  # of the frames of a data set
DRAWN_PER_PARAMETER = 2  # arrangements of every supercell, to see which clusters they tell apart


def read_expansion(source: InputFile, lattice: Lattice, check: Checker) -> tuple[FitData | None, ImportedExpansion | None]:
    given = source.config.energy.cluster_expansion if source.config.energy else None
    if given is None:
        return None, None
    at: Location = ("energy", "cluster_expansion")
    if given.model is not None:
        try:
            model = read_model(tuple(source.resolve(path) for path in given.model_files), lattice)
            if model.charges and source.config.energy and source.config.energy.electrostatics:
                check.wrong(
                    ("energy", "electrostatics"), "the model has point charges of its own, which would count twice; leave it out"
                )
            if model.charges:
                check_electrostatics((*at, "model"), model.charges, source, lattice, check)
            return None, model
        except RedoxError as error:
            check.wrong((*at, "model"), str(error))
            return None, None
    symbols_differ(source, lattice, check)
    if source.config.energy is not None and source.config.energy.electrostatics is not None:
        check.wrong(("energy", "electrostatics"), COUNTED_TWICE)
    check.stop_if_wrong()
    if given.dataset is None:
        if (space := build_space(source, lattice, check)) is not None and not check.problems:
            _labels_suffice(space, source, lattice, check)
        return None, None
    try:
        return read_fit_data(source, lattice, source.files(given.dataset), check), None
    except RedoxError as error:
        check.wrong((*at, "dataset"), str(error))
        return None, None


def build_space(source: InputFile, lattice: Lattice, check: Checker) -> "ClusterSpace | None":
    given = source.config.energy.cluster_expansion if source.config.energy else None
    assert given is not None and given.cutoffs_A is not None
    if problem := _unfit_cutoffs(given.cutoffs_A, lattice):
        check.wrong(("energy", "cluster_expansion", "cutoffs_A"), problem)
        return None
    try:
        return cluster_space(lattice, given.cutoffs_A)
    except Exception as error:  # icet raises bare exceptions
        check.wrong(("energy", "cluster_expansion", "cutoffs_A"), f"icet cannot build the clusters: {error}")
        return None


def _unfit_cutoffs(cutoffs_A: tuple[float, ...], lattice: Lattice) -> str | None:
    """Why cutoffs are too short to hold a cluster, or too long for icet to finish."""
    names = [sp.name for sp in lattice.species]
    nearest = min(nearest_A(lattice, (a, b)) for a in names for b in names)
    if short := [r for r in cutoffs_A if r < nearest]:
        return f"found {short[0]:g} A; the nearest sites are {nearest:.2f} A apart (nm? multiply by 10)"
    atoms_within = [len(lattice.atoms) / lattice.atoms.get_volume() * 4 / 3 * np.pi * r**3 for r in cutoffs_A]
    share = lattice.n_sites / len(lattice.atoms)
    clusters = [lattice.n_sites * (share * n) ** k / factorial(k + 1) for k, n in enumerate(atoms_within, start=1)]
    if len(lattice.atoms) * max(atoms_within) > MOST_NEIGHBOURS or sum(clusters) > MOST_CLUSTERS:
        return (
            f"found {list(cutoffs_A)} A, about {sum(clusters):.0e} clusters in a cell; "
            "allowed: shorter ones, which data can tell apart"
        )
    free = [g for g, s in enumerate(lattice.sublattices) if len(s.species) > 1]
    return next((problem for r in cutoffs_A if (problem := on_a_shell(lattice, free, free, r))), None)


def _labels_suffice(space: "ClusterSpace", source: InputFile, lattice: Lattice, check: Checker) -> None:
    """Check that arrangements of the supercells to be labelled can tell the clusters apart, however many there are."""
    ions, vectors = exchangeable_ions(lattice, neutral_exchanges(lattice)), []
    for shape in source.config.label.supercells:
        supercell = Supercell(lattice, supercell_matrix(shape))
        rng = generator(ANY_SEED, Stream.ANY_STATE)
        counts, _ = count_neutral_states(supercell, ions[0] if ions else None)
        for k in range(DRAWN_PER_PARAMETER * len(space)):
            state = random_neutral_state(supercell, ions[0] if ions else None, int(counts[k % len(counts)]), rng)
            vectors.append(space.get_cluster_vector(supercell.to_atoms(state)))
    for group in undetermined(np.array(vectors), neutrality_null_vector(space, lattice)):
        check.wrong(
            ("label", "supercells"),
            f"no arrangement in these can tell apart {clusters_in_words(space, group)}; "
            "add a supercell of another shape, or shorten cutoffs_A",
        )


def read_fit_data(source: InputFile, lattice: Lattice, paths: list[Path], check: Checker) -> FitData | None:
    """The data set as cluster vectors; None if problems were noted. Raises RedoxError if its files cannot be used."""
    given = source.config.energy.cluster_expansion if source.config.energy else None
    assert given is not None
    at: Location = ("energy", "cluster_expansion")
    space = build_space(source, lattice, check)
    if space is None:
        return None
    table = read_frame_table(paths, lattice, Output(source.resolve(source.config.output)).mapped_cells)
    if problem := _too_few(table, given):
        check.wrong((*at, "dataset"), problem)
        return None
    data = table.data()
    check_size((*at, "dataset"), float(np.abs(data.energies_eV).max()) * lattice.n_formula_units, source, lattice, check)
    for problem in energy_problems(data, lattice):
        check.wrong((*at, "dataset"), problem)
    if gap := _unseen(source, data, lattice):
        check.wrong((*at, "dataset"), f"no cell of the data is near {gap}, which lattice.supercell samples: add cells there")
    vectors = cluster_vectors(space, data)
    null = neutrality_null_vector(space, lattice)
    warnings = table_warnings(table)
    if left_open := what_is_open(space, vectors, null, data, lattice, max(given.cutoffs_A or (0.0,))):
        if given.fit.method == "least-squares":
            check.wrong(
                (*at, "cutoffs_A"), f"{left_open}; or shorten the cutoffs, or take a regularised fit (ardr, lasso, ridge)"
            )
        warnings += (f"{left_open}; {given.fit.method} sets what is undetermined, not the data",)
    return FitData(space, data, vectors, null, end_vectors(space, lattice), table, warnings)


def _too_few(table: FrameTable, given: ClusterExpansionInput) -> str | None:
    """Why so few frames can be used that nothing is fitted."""
    left_out, used, least = len(table.left_out), len(table.used), given.fit.n_folds
    said = f"{left_out} of {len(table.frames)} frames cannot be used: {left_out_text(table)}" if left_out else ""
    if left_out > LARGEST_SHARE_LEFT_OUT * len(table.frames) and not given.allow_left_out:
        return f"{said}; allowed: up to a fifth, or set allow_left_out: true; --data lists every frame"
    if used < least:
        merged = len(table.frames) - left_out - used
        copies = f"; {merged} show an arrangement that another frame shows at a lower energy" if merged else ""
        return f"{used} cells{copies}; allowed: at least {least} for {given.fit.validation} validation" + (said and f"; {said}")
    return None


def _unseen(source: InputFile, data: DataSet, lattice: Lattice) -> str | None:
    ions = exchangeable_ions(lattice, neutral_exchanges(lattice))
    if len(ions) != 1 or source.config.sampling is None:
        return None
    supercell = Supercell(lattice, source.config.lattice.matrix)
    symbol = lattice.species_named(ions[0]).symbol
    return unseen(data.fraction(symbol), count_neutral_states(supercell, ions[0])[0] / supercell.n_formula_units)
