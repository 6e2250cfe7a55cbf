"""Makes the files beside it: expansions written by smol 0.5.7 and CLEASE 1.2.0, and energies that these codes give.

Run it where both are installed, with the engine on the path; the tests need only what it wrote. The interactions are random.
Energies are in eV, of a supercell whose sites hold the species, by index, in the order of redoxmc's Supercell.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from clease.calculator import attach_calculator
from clease.settings import CEBulk, CECrystal, Concentration
from pymatgen.core import Lattice as PymatgenLattice
from pymatgen.core import Structure
from smol.cofe import ClusterExpansion, ClusterSubspace
from smol.cofe.extern import EwaldTerm
from smol.io import save_work
from smol.moca import Ensemble

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice

HERE = Path(__file__).parent
warnings.simplefilter("ignore")
MATRICES = [np.eye(3, dtype=int), np.diag([1, 2, 1]), np.array([[1, 1, 0], [0, 2, 1], [0, 0, 2]]), np.diag([2, 2, 2])]
NA, VA = Species("Na+", 1), Species("Va", 0)
FE2, FE3 = Species("Fe2+", 2), Species("Fe3+", 3, "Ga")
OLIVINE = {
    "basis": [(0.0, 0.0, 0.0), (0.2823, 0.25, 0.9803), (0.1049, 0.25, 0.4368), (0.1212, 0.25, 0.7191),
              (0.4503, 0.25, 0.1633), (0.1786, 0.0545, 0.3140)],
    "cellpar": [10.3856, 6.2032, 4.9372, 90, 90, 90],
}  # fmt: skip


def occupations(lattice: Lattice, matrix: np.ndarray, n: int, seed: int, neutral: bool = False) -> list[np.ndarray]:
    supercell, rng, found = Supercell(lattice, matrix), np.random.default_rng(seed), []
    charges = [[sp.charge for sp in lattice.sublattices[g].species] for g in supercell.site_sublattice]
    while len(found) < n:
        species = np.array([rng.integers(len(q)) for q in charges])
        total = supercell.n_cells * lattice.spectator_charge + sum(q[k] for q, k in zip(charges, species))
        if not neutral or total == 0:
            found.append(species)
    return found


def write(name: str, lattice: Lattice, runs: list[dict]) -> None:
    document = {
        "cell": np.asarray(lattice.atoms.cell).tolist(),
        "symbols": lattice.atoms.get_chemical_symbols(),
        "positions": lattice.atoms.positions.tolist(),
        "sublattices": [
            {"element": s.element, "species": [[sp.name, sp.charge, sp.proxy] for sp in s.species]} for s in lattice.sublattices
        ],
        "spectators": lattice.spectators,
        "runs": runs,
    }
    (HERE / f"{name}.energies.json").write_text(json.dumps(document))


def site_positions(supercell: Supercell) -> np.ndarray:
    atoms = supercell.to_atoms(np.zeros(supercell.n_sites, np.int8))
    return atoms.positions.reshape(supercell.n_cells, -1, 3)[:, supercell.lattice.site_atom].reshape(-1, 3)


def nearest(positions: np.ndarray, others: np.ndarray, cell: np.ndarray) -> np.ndarray:
    delta = (positions[:, None] - others[None]) @ np.linalg.inv(cell)
    distance = np.linalg.norm((delta - np.rint(delta)) @ cell, axis=2)
    assert distance.min(axis=1).max() < 1e-3
    return distance.argmin(axis=1)


def smol_symbol(species: Species, charged: bool) -> str:
    return "vac" if species.name == "Va" else species.name if charged else species.symbol


def smol_runs(expansion: ClusterExpansion, lattice: Lattice, charged: bool, neutral: bool) -> list[dict]:
    runs = []
    for seed, matrix in enumerate(MATRICES):
        supercell = Supercell(lattice, matrix)
        cell = matrix @ np.asarray(lattice.atoms.cell)
        in_prim = np.rint(cell @ np.linalg.inv(expansion.structure.lattice.matrix)).astype(int)
        processor = Ensemble.from_cluster_expansion(expansion, in_prim).processor
        where = nearest(site_positions(supercell), processor.structure.cart_coords, cell)
        found = occupations(lattice, matrix, 6, seed, neutral)
        energies = []
        for species in found:
            occupancy = np.zeros(len(processor.structure), np.int32)
            for site, (place, k) in enumerate(zip(where, species)):
                wanted = smol_symbol(lattice.sublattices[supercell.site_sublattice[site]].species[k], charged)
                names = ["vac" if "vac" in str(sp).lower() else str(sp) for sp in processor.allowed_species[place]]
                occupancy[place] = names.index(wanted)
            energies.append(np.asarray(processor.compute_property(occupancy)).item())
        runs.append({"matrix": matrix.tolist(), "species": [s.tolist() for s in found], "energy_eV": energies})
    return runs


def random_expansion(subspace: ClusterSubspace, seed: int, ewald: float | None = None) -> ClusterExpansion:
    coefficients = np.random.default_rng(seed).normal(scale=0.05, size=len(subspace))
    coefficients[0] = -3.0  # smol cannot prune it
    if ewald is not None:
        coefficients[-1] = ewald
    return ClusterExpansion(subspace, coefficients)


def smol_layered() -> None:
    """Two binary sublattices, the primitive cell of three in our hexagonal one, sinusoids, an Ewald term."""
    atoms = crystal(
        ["Na", "Co", "O"], [(0, 0, 0.5), (0, 0, 0), (0, 0, 0.2611)], spacegroup=166, cellpar=[2.89, 2.89, 15.6, 90, 90, 120]
    )
    lattice = build_lattice(
        atoms, (Sublattice("Na", (NA, VA)), Sublattice("Co", (Species("Co3+", 3), Species("Co4+", 4)))), {"O": -2}
    )
    kinds = {"Na": {"Na+": 0.5}, "Co": {"Co3+": 0.5, "Co4+": 0.5}, "O": {"O2-": 1}}
    whole = Structure(np.asarray(atoms.cell), [kinds[s] for s in atoms.get_chemical_symbols()], atoms.get_scaled_positions())
    subspace = ClusterSubspace.from_cutoffs(whole.get_primitive_structure(), {2: 4.5, 3: 2.9}, basis="sinusoid")
    subspace.add_external_term(EwaldTerm())
    expansion = random_expansion(subspace, 1, ewald=0.12)
    save_work(HERE / "smol_layered.json", expansion)
    write("smol_layered", lattice, smol_runs(expansion, lattice, True, True))


def smol_rocksalt() -> None:
    """Four species and two, the indicator basis, quadruplets, pruned; alone as as_dict."""
    prim = Structure(
        PymatgenLattice([[0, 2.1, 2.1], [2.1, 0, 2.1], [2.1, 2.1, 0]]),
        [{"Li+": 0.25, "Mn3+": 0.25, "Mn4+": 0.25}, {"O2-": 0.5, "F-": 0.5}],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    atoms = Atoms("MnO", cell=prim.lattice.matrix, scaled_positions=prim.frac_coords, pbc=True)
    cations = (VA, Species("Mn4+", 4, "Ti"), Species("Li+", 1), Species("Mn3+", 3))
    lattice = build_lattice(atoms, (Sublattice("Mn", cations), Sublattice("O", (Species("O2-", -2), Species("F-", -1)))), {})
    expansion = random_expansion(ClusterSubspace.from_cutoffs(prim, {2: 4.3, 3: 3.0, 4: 3.0}, basis="indicator"), 2)
    expansion.prune(0.02)
    (HERE / "smol_rocksalt.json").write_text(json.dumps(expansion.as_dict()))
    write("smol_rocksalt", lattice, smol_runs(expansion, lattice, True, False))


def smol_olivine() -> None:
    """Elements without charges, Ga for Fe3+; Chebyshev polynomials orthonormal about the composition."""
    lattice = olivine()
    kinds = {"Na": {"Na": 0.6}, "Fe": {"Fe": 0.6, "Ga": 0.4}, "P": {"P": 1}, "O": {"O": 1}}
    atoms = lattice.atoms
    prim = Structure(np.asarray(atoms.cell), [kinds[s] for s in atoms.get_chemical_symbols()], atoms.get_scaled_positions())
    subspace = ClusterSubspace.from_cutoffs(prim, {2: 4.9, 3: 4.6}, basis="chebyshev", orthonormal=True, use_concentration=True)
    expansion = random_expansion(subspace, 3)
    save_work(HERE / "smol_olivine.json", expansion)
    write("smol_olivine", lattice, smol_runs(expansion, lattice, False, False))


def olivine() -> Lattice:
    atoms = crystal(["Na", "Fe", "P", "O", "O", "O"], spacegroup=62, **OLIVINE)
    return build_lattice(atoms, (Sublattice("Na", (NA, VA)), Sublattice("Fe", (FE2, FE3))), {"P": 5, "O": -2})


def clease_case(name: str, settings, lattice: Lattice, seed: int) -> None:
    names = settings.all_cf_names
    couplings = dict(zip(names, np.random.default_rng(seed).normal(scale=0.002, size=len(names)).tolist()))
    settings.save(str(HERE / f"{name}.settings.json"))
    (HERE / f"{name}.eci.json").write_text(json.dumps(couplings, indent=2))
    runs = []
    for k, matrix in enumerate(MATRICES[:3] if len(lattice.atoms) > 12 else MATRICES):
        supercell = Supercell(lattice, matrix)
        found = occupations(lattice, matrix, 7, seed + k)
        energies = []
        for species in found:
            atoms = attach_calculator(settings, supercell.to_atoms(species.astype(np.int8)), couplings)
            atoms.get_potential_energy()
            energies.append(float(atoms.calc.calculate_energy_from_scratch()))
        runs.append({"matrix": matrix.tolist(), "species": [s.tolist() for s in found], "energy_eV": energies})
    write(name, lattice, runs)


def database() -> str:
    path = Path("clease_trial.db")
    path.unlink(missing_ok=True)
    return str(path)


def clease_rocksalt() -> None:
    """Polynomials over five symbols, 4-body clusters, one with two kinds of equivalent sites; nothing in the background."""
    settings = CEBulk(
        Concentration(basis_elements=[["Li", "Mn", "X"], ["O", "F"]]), crystalstructure="rocksalt", a=4.21, size=[1, 1, 1],
        db_name=database(), max_cluster_dia=[4.3, 3.6, 3.7], basis_func_type="polynomial",
    )  # fmt: skip
    cations = (Species("Li+", 1), VA, Species("Mn3+", 3))
    anions = (Species("O2-", -2), Species("F-", -1))
    lattice = build_lattice(settings.prim_cell.copy(), (Sublattice("Li", cations), Sublattice("O", anions)), {})
    clease_case("clease_rocksalt", settings, lattice, 1)


def clease_olivine() -> None:
    """Trigonometric functions, P and O in the background."""
    basis = OLIVINE["basis"]
    settings = CECrystal(
        Concentration(basis_elements=[["Na", "X"], ["Fe", "Ga"], ["P"], ["O"], ["O"], ["O"]], grouped_basis=[[0], [1], [2], [3, 4,
            5]]),
        spacegroup=62, basis=basis, cellpar=OLIVINE["cellpar"], size=[1, 1, 1], db_name=database(),
        max_cluster_dia=[5.5, 4.5], basis_func_type="trigonometric",
    )  # fmt: skip
    clease_case("clease_olivine", settings, olivine(), 2)


def clease_layered() -> None:
    """Indicator functions with a redundant element, oxygen taking part as a background atom."""
    settings = CECrystal(
        Concentration(basis_elements=[["Na", "X"], ["Co", "Ni", "Mn"], ["O"]]), spacegroup=166,
        basis=[(0, 0, 0.5), (0, 0, 0), (0, 0, 0.2611)], cellpar=[2.89, 2.89, 15.6, 90, 90, 120], size=[1, 1, 1],
            db_name=database(),
        max_cluster_dia=[4.5, 3.2], basis_func_type="binary_linear", include_background_atoms=True,
    )  # fmt: skip
    metals = (Species("Mn4+", 4), Species("Co3+", 3), Species("Ni3+", 3))
    lattice = build_lattice(settings.prim_cell.copy(), (Sublattice("Na", (NA, VA)), Sublattice("Co", metals)), {"O": -2})
    clease_case("clease_layered", settings, lattice, 3)


if __name__ == "__main__":
    for make in (smol_layered, smol_rocksalt, smol_olivine, clease_rocksalt, clease_olivine, clease_layered):
        make()
        print(make.__name__)
    database()
