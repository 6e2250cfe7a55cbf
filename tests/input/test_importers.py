"""Expansions of smol and CLEASE give the energies that these codes give; see data/importers/make_files.py for the files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from icet import ClusterExpansion

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.errors import InputError, RedoxError
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.electrostatics import electrostatic_clusters
from redoxmc.engine.hamiltonian.imported import ImportedExpansion
from redoxmc.engine.hamiltonian.importers import clease, clease_figures, smol
from redoxmc.engine.hamiltonian.importers.read import read_model
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.input.reader import InputFile, read_input
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.stages import sample
from redoxmc.engine.stages.check.check import plan_rows
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.units import NEV_PER_EV

DATA = Path(__file__).parents[1] / "data/importers"
SMOL = ("smol_layered", "smol_rocksalt", "smol_olivine")
CLEASE = ("clease_rocksalt", "clease_olivine", "clease_layered")


def files(name: str) -> tuple[Path, ...]:
    endings = (".json",) if name in SMOL else (".settings.json", ".eci.json")
    return tuple(DATA / (name + ending) for ending in endings)


def reference(name: str) -> dict:
    return json.loads((DATA / f"{name}.energies.json").read_text())


def lattice_of(document: dict) -> Lattice:
    atoms = Atoms(document["symbols"], positions=document["positions"], cell=document["cell"], pbc=True)
    sublattices = tuple(Sublattice(s["element"], tuple(Species(*sp) for sp in s["species"])) for s in document["sublattices"])
    return build_lattice(atoms, sublattices, document["spectators"])


def whole(model: ImportedExpansion, matrix: np.ndarray) -> Hamiltonian:
    supercell = Supercell(model.hamiltonian.lattice, matrix)
    charged = electrostatic_clusters(supercell, model.charges, model.dielectric) if model.charges else []
    return model.hamiltonian + Hamiltonian(model.hamiltonian.lattice, tuple(charged))


def energy_eV(hamiltonian: Hamiltonian, matrix: np.ndarray, species: np.ndarray) -> float:
    """The plain sum over clusters and cells, without the rounding of the table."""
    supercell = Supercell(hamiltonian.lattice, matrix)
    cells = np.array(np.unravel_index(np.arange(supercell.n_cells), supercell.shape)).T
    total = hamiltonian.constant_eV * supercell.n_cells
    for cluster in hamiltonian.clusters:
        sites = [supercell.cell_index(cells + np.array(c)) * supercell.lattice.n_sites + s for s, c in cluster.sites]
        total += float(cluster.energies_eV[tuple(species[k] for k in sites)].sum())
    return total


def largest_error_eV(name: str, model: ImportedExpansion, given: dict, runs: slice = slice(None)) -> float:
    """Per cell, beyond the 6.5e-10 by which CODATA 2022, smol's, changed Coulomb's constant."""
    errors = [0.0]
    for run in given["runs"][runs]:
        matrix = np.array(run["matrix"])
        hamiltonian = whole(model, matrix)
        for species, energy in zip(np.array(run["species"]), run["energy_eV"]):
            error = abs(energy_eV(hamiltonian, matrix, species) - energy) - 1e-9 * abs(energy) * bool(model.charges)
            errors.append(error / Supercell(hamiltonian.lattice, matrix).n_cells)
    return max(errors)


@pytest.mark.parametrize("name", SMOL + CLEASE)
def test_energies_are_those_of_the_code(name: str) -> None:
    """In cells that hold a cluster many times over, and in a larger one; 21 to 28 random occupations."""
    given = reference(name)
    assert all(np.ptp(run["energy_eV"]) > 0.01 for run in given["runs"])
    assert largest_error_eV(name, read_model(files(name), lattice_of(given)), given) < 1e-8


@pytest.mark.parametrize("name", ["smol_rocksalt", "smol_layered", "clease_rocksalt"])
def test_the_table_of_the_kernel_holds_them(name: str) -> None:
    """Rounded to neV per cluster."""
    given = reference(name)
    model = read_model(files(name), lattice_of(given))
    for run in given["runs"][:3]:
        matrix = np.array(run["matrix"])
        system = build_system(whole(model, matrix), matrix, ())
        for species, energy in zip(np.array(run["species"], np.int8), run["energy_eV"]):
            assert system.energy_neV(species) / NEV_PER_EV == pytest.approx(energy, abs=1e-7 * system.supercell.n_cells)


def turned(atoms: Atoms) -> Atoms:
    """The same crystal in another orientation, from another origin."""
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    moved = Atoms(atoms.get_chemical_symbols(), positions=atoms.positions @ turn, cell=np.asarray(atoms.cell) @ turn, pbc=True)
    moved.translate([0.7, -0.4, 1.3])
    return moved


@pytest.mark.parametrize("name", SMOL + CLEASE)
def test_our_cell_may_lie_elsewhere(name: str) -> None:
    given = reference(name)
    lattice = lattice_of(given)
    other = build_lattice(turned(lattice.atoms), lattice.sublattices, lattice.spectators)
    assert largest_error_eV(name, read_model(files(name), other), given, slice(0, 3)) < 1e-8


@pytest.mark.parametrize("name", ["smol_rocksalt", "smol_olivine", "clease_layered"])
def test_our_cell_may_hold_several(name: str) -> None:
    """The run in 1 x 2 x 1 cells again, in one cell of ours."""
    given = reference(name)
    lattice, run = lattice_of(given), given["runs"][1]
    matrix = np.array(run["matrix"])
    pair = Supercell(lattice, matrix)
    double = build_lattice(turned(lattice.atoms).repeat((1, 2, 1)), lattice.sublattices, lattice.spectators)
    hamiltonian = read_model(files(name), double).hamiltonian
    atom_of_site = (np.arange(2)[:, None] * len(lattice.atoms) + lattice.site_atom).ravel()
    order = [atom_of_site.tolist().index(atom) for atom in double.site_atom]
    assert pair.n_sites == double.n_sites
    for species, energy in zip(np.array(run["species"]), run["energy_eV"]):
        assert energy_eV(hamiltonian, np.eye(3, dtype=int), species[order]) == pytest.approx(energy, abs=1e-8)


compare = clease_figures._compare
MUTANTS = {
    "smol's species in our order": (smol, "columns", lambda ours, theirs: list(range(len(theirs))), "smol_rocksalt"),
    "spectators without charge": (smol, "fixed_charges", lambda lattice, *_: Hamiltonian(lattice), "smol_layered"),
    "decorations not averaged": (clease, "_equivalent", lambda decoration, alike: {decoration}, "clease_rocksalt"),
    "shapes ranked the other way": (clease_figures, "_compare", lambda a, b: compare(b, a), "clease_rocksalt"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_give_other_energies(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function, broken, name = MUTANTS[mutant]
    monkeypatch.setattr(module, function, broken)
    given = reference(name)
    assert largest_error_eV(name, read_model(files(name), lattice_of(given)), given) > 1e-4


def edited(tmp_path: Path, name: str, edit: Callable[[str], str]) -> Path:
    path = tmp_path / name
    path.write_text(edit((DATA / name).read_text()))
    return path


def document_with(**changes: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **changes})


def without_last_symmetry(text: str) -> str:
    document = json.loads(text)
    document["cluster_subspace"]["symops"].pop()
    return json.dumps(document)


BAD_SMOL = {
    "not JSON": ("smol_rocksalt", lambda text: text[:100], "found no JSON object; allowed: a .ce file of icet"),
    "no expansion": ("smol_rocksalt", document_with(**{"@class": "ClusterSubspace"}), "without a ClusterExpansion of smol"),
    "couplings of CLEASE": ("smol_rocksalt", lambda text: '{"c0": 1.0}', "without a ClusterExpansion of smol"),
    "no orbits": ("smol_rocksalt", document_with(cluster_subspace={}), "unreadable cluster expansion: KeyError: '@class'"),
    "Potts": ("smol_rocksalt", lambda text: text.replace('"ClusterSubspace"', '"PottsSubspace"'),
        "found a PottsSubspace; allowed"),
    "coefficients": ("smol_rocksalt", document_with(coefs=[1.0, 2.0]), "found 2 coefficients for"),
    "symmetry": ("smol_rocksalt", without_last_symmetry, "found 47 symmetry operations; allowed: all 48"),
    "species": ("smol_rocksalt", lambda text: text.replace("Mn", "Ti"), r"hold Li \(\+1\), Ti \(\+3\).* allowed.*Mn3\+ \(\+3;"),
    "charge": ("smol_layered", lambda text: text.replace('"oxidation_state": -2.0', '"oxidation_state": -1.0'), r"hold O \(-1\)"),
    "Ewald part": ("smol_layered", lambda text: text.replace('"use_term": "total"', '"use_term": "real"'), "EwaldTerm real"),
    "cell": ("smol_rocksalt", lambda text: text.replace("2.1", "2.2"), "do not match the structure's 2 in 2.970 x"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SMOL)
def test_bad_files_of_smol(case: str, tmp_path: Path) -> None:
    name, edit, message = BAD_SMOL[case]
    path = edited(tmp_path, f"{name}.json", edit)
    with pytest.raises(RedoxError, match=f"{name}.json.*{message}"):
        read_model((path,), lattice_of(reference(name)))


BAD_CLEASE = {
    "exchanged": (None, None, "found no settings of CLEASE"),
    "basis": ("settings", lambda text: text.replace('"polynomial"', '"cubic"'),
        "found the basis cubic; allowed: polynomial, trig"),
    "species": ("settings", lambda text: text.replace('"Mn"', '"Ti"'), "hold Li, Ti, X; allowed.*as an element Mn"),
    "cutoff on a distance": ("settings", lambda text: text.replace("4.3", "4.21"),
        "cutoff 4.21 A of 2-body clusters lies on a distance"),
    "shorter cutoffs": ("settings", lambda text: text.replace("4.3", "3.9"), "found ECIs of c2_d0003_0; allowed.*c2_d0002_0"),
    "unknown name": ("eci", document_with(c5_wrong=1.0), "found the ECI c5_wrong"),
    "no number": ("eci", document_with(c1_0="x"), "found the ECI c1_0: x"),
    "no such function": ("eci", document_with(c1_4=1.0), "found the ECI c1_4.*functions 0 to 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CLEASE)
def test_bad_files_of_clease(case: str, tmp_path: Path) -> None:
    which, edit, message = BAD_CLEASE[case]
    settings, eci = files("clease_rocksalt")
    paths = {"settings": settings, "eci": eci} if which else {"settings": eci, "eci": settings}
    if which:
        paths[which] = edited(tmp_path, paths[which].name, edit)
    with pytest.raises(RedoxError, match=f"clease_rocksalt.*{message}"):
        read_model((paths["settings"], paths["eci"]), lattice_of(reference("clease_rocksalt")))


def test_files_of_icet(tmp_path: Path, olivine: Lattice, olivine_expansion: ClusterExpansion) -> None:
    path = tmp_path / "fitted.ce"
    olivine_expansion.write(str(path))
    model, same = read_model((path,), olivine).hamiltonian, from_icet(olivine_expansion, olivine)
    species = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    assert energy_eV(model, np.eye(3, dtype=int), species) == energy_eV(same, np.eye(3, dtype=int), species)
    sodium, iron = olivine.sublattices
    no_proxy = Sublattice("Fe", (iron.species[0], Species("Fe3+", 3)))
    for sublattices, message in (
        ((sodium, no_proxy), "hold .*Ga.*; allowed: Fe2. as Fe, Fe3. as Fe"),
        ((sodium, iron, Sublattice("P", (Species("P5+", 5), Species("V5+", 5)))), "8 sites of several species.*all 12"),
    ):
        with pytest.raises(RedoxError, match=f"fitted.ce: found.*{message}"):
            read_model((path,), build_lattice(olivine.atoms, sublattices, {"O": -2}))


def input_text(folder: Path, name: str, model: str) -> str:
    given = reference(name)
    write(folder / "structure.extxyz", lattice_of(given).atoms)

    def species(sublattice: dict) -> str:
        return ", ".join(f"{n}: {{charge: {q}, proxy: {p}}}" if p else f"{n}: {q}" for n, q, p in sublattice["species"])

    rows = [f"{{element: {s['element']}, species: {{{species(s)}}}}}" for s in given["sublattices"]]
    sublattices = "".join(f"\n    - {row}" for row in rows)
    return f"""\
output: out
lattice:
  structure: structure.extxyz
  sublattices:{sublattices}
  spectators: {json.dumps(given["spectators"])}
  supercell: [2, 2, 1]
energy:
  cluster_expansion:
    model: {model}
sampling: {{temperature_K: [600, 1200], sweeps: {{equilibrate: 20, measure: 20}}, walkers: 2}}
analysis: {{compositions: 5, entropy_compositions: 3}}
"""


def opened(folder: Path, text: str) -> InputFile:
    path = folder / "input.yaml"
    path.write_text(text)
    return read_input(path)


def test_input_file_with_either(tmp_path: Path) -> None:
    settings, eci = files("clease_olivine")
    for name, model in (("smol_layered", files("smol_layered")[0]), ("clease_olivine", f"{{settings: {settings}, eci: {eci}}}")):
        source = opened(tmp_path, input_text(tmp_path, name, str(model)))
        run, data = prepare(source)
        assert run.ions == ("Na+",)
        assert "parameters from a file" in dict(plan_rows(run, data, 1))["energy"]
        assert bool(run.point_charges) == (name == "smol_layered")
        assert str(DATA) not in json.dumps(sample.identity(run))  # moved files are still the same run


def test_input_file_says_what_is_wrong(tmp_path: Path) -> None:
    text = input_text(tmp_path, "smol_layered", "MODEL")
    for model, message in (
        ("none.json", "line 11, energy.cluster_expansion.model: none.json: no such file"),
        ("{settings: a.json}", "line 11, energy.cluster_expansion.model.eci: missing"),
        (str(files("smol_olivine")[0]), "smol_olivine.json: found sites that hold"),
    ):
        with pytest.raises(InputError) as caught:
            prepare(opened(tmp_path, text.replace("MODEL", model)))
        assert message in str(caught.value)
