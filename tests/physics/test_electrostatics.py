"""Ewald sums against pymatgen's and against Madelung's constant."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure

from redoxmc.engine.crystal.lattice import Lattice, Supercell
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.errors import InputError
from redoxmc.engine.hamiltonian.electrostatics import COULOMB_EV_A, electrostatic_clusters, ewald_potential
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.units import NEV_PER_EV

from ..helpers.command import write_input

CHARGES = {"Na+": 0.3113, "Fe2+": -0.3113}
MATRICES = [np.diag([1, 1, 1]), np.diag([1, 2, 2]), np.array([[1, 1, 0], [0, 2, 0], [0, 0, 2]])]


def charged_system(lattice: Lattice, matrix: np.ndarray, charges: dict[str, float], dielectric: float = 1.0) -> System:
    clusters = electrostatic_clusters(Supercell(lattice, matrix), charges, dielectric)
    return build_system(Hamiltonian(lattice, tuple(clusters)), matrix, ("Na+",))


def pymatgen_energy_eV(system: System, species: np.ndarray, charges: dict[str, float]) -> float:
    """Of the charged sites alone, in pymatgen's own cell and units."""
    cell, lattice = system.supercell, system.lattice
    names = [lattice.sublattices[g].species[k].name for g, k in zip(cell.site_sublattice, species)]
    cells = np.array(np.unravel_index(np.arange(cell.n_cells), cell.shape)).T
    unit = np.asarray(lattice.atoms.cell)
    positions = ((cells @ unit)[:, None] + lattice.atoms.positions[lattice.site_atom]).reshape(-1, 3)
    q = np.array([charges.get(n, 0.0) for n in names])
    structure = Structure(cell.hermite @ unit, ["H"] * int((q != 0).sum()), positions[q != 0], coords_are_cartesian=True)
    structure.add_site_property("charge", q[q != 0].tolist())
    structure.add_oxidation_state_by_site(q[q != 0].tolist())
    return float(EwaldSummation(structure, acc_factor=16).total_energy)


@pytest.mark.parametrize("matrix", MATRICES, ids=lambda m: str(m.tolist()))
def test_energies_are_those_of_pymatgen(matrix: np.ndarray, olivine: Lattice) -> None:
    """To 1e-8, whatever the cell and wherever ions and electrons are."""
    system = charged_system(olivine, matrix, CHARGES)
    for n in range(1, system.n_range[1], 3):
        species = random_neutral_state(system.supercell, "Na+", n, np.random.default_rng(n))
        wanted = pymatgen_energy_eV(system, species, CHARGES)
        assert system.energy_neV(species) / NEV_PER_EV == pytest.approx(wanted, rel=2e-8)


def test_rock_salt_has_madelungs_constant() -> None:
    """1.747564594633 (2.9 A between neighbours), from the potential of either kind of site."""
    a = 2 * 2.9
    cell = np.eye(3) * a
    corner = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) * a
    psi = ewald_potential(cell, corner).sum() - ewald_potential(cell, corner + [a / 2, 0, 0]).sum()
    assert -psi * 2.9 == pytest.approx(1.747564594633, abs=1e-10)


def test_background_is_neutralising_and_images_are_kept() -> None:
    """The mean of psi over the cell is zero; a lone charge has the energy of its lattice of images, -2.837297 k q^2 / (2 L)."""
    cell = np.diag([4.0, 4.0, 4.0])
    grid = (np.indices((8, 8, 8)).reshape(3, -1).T + 0.5) * 0.5
    assert abs(ewald_potential(cell, grid).mean()) < 0.02
    assert ewald_potential(cell, np.zeros((1, 3)))[0] * 4.0 == pytest.approx(-2.837297479, abs=1e-8)


def test_a_site_at_half_a_period_meets_itself_once() -> None:
    """Two cells in a row: each site's partner is its own neighbour on both sides; energies against the direct sum of pymatgen."""
    from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice

    atoms = Atoms("H", cell=[3.0, 4.0, 5.0], pbc=True)
    lattice = build_lattice(atoms, (Sublattice("H", (Species("Na+", 0), Species("Fe2+", 0))),), {})
    system = charged_system(lattice, np.diag([2, 1, 1]), {"Na+": 1.0, "Fe2+": -1.0})
    species = np.array([0, 1], np.int8)
    wanted = pymatgen_energy_eV(system, species, {"Na+": 1.0, "Fe2+": -1.0})
    assert system.energy_neV(species) / NEV_PER_EV == pytest.approx(wanted, rel=1e-8)


def test_dielectric_divides(olivine: Lattice) -> None:
    species = random_neutral_state(Supercell(olivine, np.eye(3, dtype=int)), "Na+", 2, np.random.default_rng(1))
    plain, screened = (charged_system(olivine, np.eye(3, dtype=int), CHARGES, d).energy_neV(species) for d in (1.0, 8.0))
    assert plain / 8 == pytest.approx(screened, abs=50) and abs(plain) > 1e6
    assert COULOMB_EV_A == pytest.approx(1.602176634e-19 / (4 * np.pi * 8.8541878128e-12) * 1e10, rel=1e-9)


def test_unknown_species_and_large_cells_are_refused(tmp_path: Path) -> None:
    path = write_input(tmp_path, 10)
    text = path.read_text()
    path.write_text(text.replace("  pairs:", "  electrostatics: {charges: {Fe4+: 1.0}}\n  pairs:"))
    with pytest.raises(InputError, match=r"found Fe4\+; allowed: Fe2\+, Fe3\+, Na\+, Va"):
        prepare(read_input(path))
    path.write_text(
        text.replace("  pairs:", "  electrostatics: {charges: {Na+: 1.0}}\n  pairs:").replace("[1, 2, 1]", "[12, 12, 12]")
    )
    with pytest.raises(InputError, match="found 13824 sites, allowed: up to 8000"):
        prepare(read_input(path))
