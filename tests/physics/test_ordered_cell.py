"""The small cell of a phase and its plain name, from states whose order is known."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from pymatgen.core import Structure

from redoxmc.engine.crystal.cif import occupied_cif
from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.crystal.ordered_cell import OrderedCell, arms, cell_of_state, has_arms, ordered_cell
from redoxmc.engine.crystal.phase_names import cell_words, formula, phase_name, variable_formula

from ..helpers.cubic import cells_of, cubic_lattice, random_states, state

ALLOY = (Sublattice("Cu", (Species("Cu", 0), Species("Au", 0))),)
SQUARE = build_lattice(Atoms("Cu", cell=[2.5, 2.5, 12], pbc=True), ALLOY, {})
FCC, FCC_FILE = (build_lattice(bulk("Cu", "fcc", a=4, cubic=cubic), ALLOY, {}) for cubic in (False, True))
CUBIC = cubic_lattice()


def size(cell: OrderedCell) -> int:
    return cell.supercell.n_cells


def with_noise(states: np.ndarray, share: float, copies: int = 1) -> np.ndarray:
    """Copies in which a share of the sites holds the other one of two species."""
    rng = np.random.default_rng(4)
    return np.concatenate([np.where(rng.random(states.shape) < share, 1 - states, states) for _ in range(copies)]).astype(np.int8)


def checkerboard(n: int) -> tuple[Supercell, np.ndarray]:
    supercell = Supercell(SQUARE, np.diag([n, n, 1]))
    return supercell, (cells_of(supercell).sum(axis=1) % 2).astype(np.int8)[None]


def test_a_checkerboard_has_two_sites() -> None:
    supercell, states = checkerboard(8)
    for cell in (cell_of_state(supercell, states[0]), ordered_cell(supercell, states)):
        assert size(cell) == 2 and cell.whole and cell.ordered
        assert phase_name(cell) == "Cu₁/₂Au₁/₂, every second (110) layer of Cu"
    small, one = checkerboard(2)
    assert size(cell_of_state(small, one[0])) == 2 and phase_name(cell_of_state(small, one[0])) == phase_name(cell)


def test_noise_and_variants_do_not_change_the_cell() -> None:
    """Half of the states are the other variant: a mean without alignment would be half and half."""
    supercell, states = checkerboard(16)
    noisy = with_noise(np.concatenate([states, 1 - states]), 0.1, 3)
    cell = ordered_cell(supercell, noisy)
    assert size(cell) == 2 and cell.whole and phase_name(cell).startswith("Cu₁/₂Au₁/₂, every second")
    weak = ordered_cell(supercell, with_noise(np.concatenate([states, 1 - states]), 0.35, 3))
    assert size(weak) == 2 and not weak.whole and np.allclose(np.sort(weak.fractions[:, 0]), [0.35, 0.65], atol=0.05)


def test_layers_of_three() -> None:
    supercell = Supercell(CUBIC, np.diag([2, 6, 3]))
    b = cells_of(supercell)[:, 1] % 3
    one, two = (ordered_cell(supercell, state(supercell, held, held)) for held in (b == 0, b > 0))
    assert phase_name(one) == "Na₁/₃FeF₃, every third Na along b" and phase_name(two) == "Na₂/₃FeF₃, two of three Na along b"
    assert cell_words(one.supercell) == "1×3×1 cell" and one.whole


def test_order_of_the_electrons_alone() -> None:
    supercell, rng = Supercell(CUBIC, np.diag([6, 6, 6])), np.random.default_rng(0)
    thirds = cells_of(supercell)[:, 0] % 3 == 0
    states = np.concatenate([state(supercell, rng.permutation(thirds), thirds) for _ in range(4)])
    cell = ordered_cell(supercell, states)
    assert size(cell) == 3 and not cell.whole and phase_name(cell) == "Na₁/₃FeF₃, every third Fe²⁺ along a"


@pytest.mark.parametrize("lattice", [FCC, FCC_FILE])
def test_l1_0_and_l1_2_have_different_names(lattice: Lattice) -> None:
    """By the arms of the star of X: one or three, whatever cell the structure file has."""
    supercell = Supercell(lattice, np.diag([4, 4, 4]))
    places = supercell.to_atoms(np.zeros(supercell.n_sites, np.int8)).positions
    x, y, z = np.rint(places / 2).astype(int).T
    l1_0 = np.where(z % 2 == 0, 0, 1)
    l1_2 = np.where((x % 2 == 0) & (y % 2 == 0) & (z % 2 == 0), 0, 1)
    cells = [ordered_cell(supercell, with_noise(s[None].astype(np.int8), 0.03)) for s in (l1_0, l1_2)]
    atoms = [4, 4] if lattice is FCC_FILE else [2, 4]
    assert [c.supercell.n_sites for c in cells] == atoms and all(c.whole for c in cells)
    assert [arms(supercell, with_noise(s[None].astype(np.int8), 0.05, 3)) for s in (l1_0, l1_2)] == [1, 3]
    assert arms(supercell, random_states(supercell, 3, 0.5, 1)) == 0 and has_arms(lattice, np.array([0.5, 0.5, 0.0]))
    names = [phase_name(c) for c in cells]
    assert names[0].startswith("Cu₁/₂Au₁/₂, every second") and names[1].startswith("Cu₁/₄Au₃/₄, ordered, ")
    if lattice is FCC_FILE:
        assert names == ["Cu₁/₂Au₁/₂, every second Cu along c", "Cu₁/₄Au₃/₄, ordered, 1×1×1 cell"]


def test_disorder_has_no_order(tmp_path: Path) -> None:
    supercell = Supercell(FCC_FILE, np.diag([3, 3, 3]))
    cell = ordered_cell(supercell, random_states(supercell, 5, 0.25, 3))
    assert not cell.ordered and not cell.whole and cell.supercell.n_sites == 1
    assert np.allclose(cell.fractions, [[0.25, 0.75]]) and phase_name(cell) == "disordered CuₓAu₁₋ₓ"


def test_an_order_within_the_cell_of_olivine(olivine: Lattice) -> None:
    supercell = Supercell(olivine, np.diag([2, 3, 2]))
    heights = olivine.atoms.get_scaled_positions()[olivine.site_atom][:, 1]
    cell = np.where(np.isclose(heights % 1, 0.5), 1, 0).astype(np.int8)
    found = ordered_cell(supercell, np.tile(cell, (1, supercell.n_cells)))
    assert size(found) == 1 and phase_name(found).startswith("Na₁/₂FePO₄, every second Na along b")
    assert (
        variable_formula(olivine.formula_unit, olivine.sublattices) == "NaₓFePO₄"
        and formula({"Na": 0.352, "P": 1.0, "O": 4.0}) == "Na₀.₃₅PO₄"
    )


def test_files_are_neutral_and_hold_what_the_cell_holds(olivine: Lattice, tmp_path: Path) -> None:
    """Read back by pymatgen and ASE: a whole cell, and the disordered one with shares of ions and charges."""
    supercell = Supercell(olivine, np.diag([1, 3, 1]))
    whole = np.ones((3, olivine.n_sites), np.int8)
    whole[0] = 0
    states = random_states(Supercell(olivine, np.diag([2, 3, 2])), 3, 1 / 3, 5)
    for name, cell in (
        ("whole", cell_of_state(supercell, whole.reshape(-1))),
        ("disordered", ordered_cell(Supercell(olivine, np.diag([2, 3, 2])), states)),
    ):
        path = tmp_path / f"{name}.cif"
        path.write_text(occupied_cif(cell.supercell, cell.fractions))
        found = Structure.from_file(path)
        assert found.charge == pytest.approx(0, abs=1e-3) and found.is_ordered == cell.whole == (name == "whole")
        n_fu, count = cell.supercell.n_formula_units, found.composition.as_dict()
        assert [count[s] / n_fu for s in ("Na+", "Fe2+", "Fe3+", "O2-")] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 4], abs=1e-4)
        atoms = read(path)
        assert isinstance(atoms, Atoms) and len(atoms) >= n_fu * 6
