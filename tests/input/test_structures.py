"""Structure files with rounded numbers, in other settings of their space group, and with partial occupancies."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.spacegroup import crystal

from redoxmc.engine.crystal.symmetrise import symmetrised
from redoxmc.engine.crystal.symmetry import space_group
from redoxmc.engine.errors import InputError, RedoxError
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.runtime.storage import write_json
from redoxmc.engine.stages.prepare import prepare

KEYS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
LOOP = (
    "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
    "_atom_site_occupancy\n"
)
P2 = crystal(
    ["Na", "Na", "Mn", "O"],
    [(1 / 3, 2 / 3, 0.75), (0, 0, 0.25), (0, 0, 0), (1 / 3, 2 / 3, 0.0915)],
    spacegroup=194,
    cellpar=[2.93, 2.93, 11.1, 90, 90, 120],
)
SPINEL = crystal(
    ["Li", "Mn", "O"], [(1 / 8,) * 3, (0.5,) * 3, (0.263,) * 3], spacegroup=227, setting=2, cellpar=[8.24] * 3 + [90] * 3
)
SPINEL_PRIMITIVE = crystal(
    ["Li", "Mn", "O"],
    [(1 / 8,) * 3, (0.5,) * 3, (0.263,) * 3],
    spacegroup=227,
    setting=2,
    cellpar=[8.24] * 3 + [90] * 3,
    primitive_cell=True,
)
LAYERED = crystal(["Li", "Co", "O"], [(0, 0, 0), (0, 0, 0.5), (0, 0, 0.24)], spacegroup=166, cellpar=[2.8, 2.8, 14, 90, 90, 120])
OLIVINE = crystal(["Na", "Fe"], [(0, 0, 0), (0.281, 0.25, 0.975)], spacegroup=62, cellpar=[10.25, 6.02, 4.76, 90, 90, 90])


def cif(folder: Path, cell: tuple[float, ...], symmetry: str, sites: str) -> Atoms:
    rows = "\n".join(f"{row.split()[0]}{k} {row} 1.0" for k, row in enumerate(sites.split("; ")))
    head = "data_x\n" + "".join(f"_cell_{key} {value}\n" for key, value in zip(KEYS, cell))
    (folder / "x.cif").write_text(head + symmetry + "\n" + LOOP + rows + "\n")
    return read_structure(folder / "x.cif")


def distances(atoms: Atoms) -> np.ndarray:
    """All distances to the nearest images, ascending: the same for one structure in any setting with as many atoms."""
    return np.sort(atoms.get_all_distances(mic=True).ravel())


@pytest.mark.parametrize(
    ("third", "two_thirds"), [("0.333333333333", "0.666666666667"), ("0.3333", "0.6667"), ("0.333", "0.667")]
)
def test_thirds_of_few_digits_give_the_exact_structure(third: str, two_thirds: str, tmp_path: Path) -> None:
    sites = "Na X Y 0.75; Na 0 0 0.25; Mn 0 0 0; O X Y 0.0915".replace("X", third).replace("Y", two_thirds)
    symmetry = "_symmetry_space_group_name_H-M 'P 63/m m c'\n_symmetry_Int_Tables_number 194"
    found, note = symmetrised(cif(tmp_path, (2.93, 2.93, 11.1, 90, 90, 120), symmetry, sites))
    assert (found.symbols == P2.symbols).all() and np.abs(distances(found) - distances(P2)).max() < 1e-9
    assert (note != "") == (third == "0.3333")
    assert not note or "P6_3/mmc within 0.01 A, but its rounded numbers give Cmcm" in note


@pytest.mark.parametrize("perfect", [P2, SPINEL, LAYERED, OLIVINE], ids=["P2", "spinel", "layered", "olivine"])
def test_noise_is_taken_off_and_nothing_else(perfect: Atoms) -> None:
    """Order of the atoms, orientation and origin stay; a structure that is exact is not touched."""
    assert symmetrised(perfect) == (perfect, "") and symmetrised(perfect)[0] is perfect
    rng, noisy = np.random.default_rng(1), perfect.copy()
    noisy.positions += rng.uniform(-2e-3, 2e-3, noisy.positions.shape)
    noisy.rotate(33, (1, 2, 3), rotate_cell=True)
    noisy.set_cell(np.asarray(noisy.cell) @ (np.eye(3) + rng.uniform(-2e-4, 2e-4, (3, 3))), scale_atoms=True)
    found, note = symmetrised(noisy)
    assert note and (found.numbers == noisy.numbers).all() and np.abs(found.positions - noisy.positions).max() < 0.01
    assert np.abs(distances(found) - distances(perfect)).max() < 0.01
    assert len(space_group(found)[0]) == len(space_group(perfect)[0]) and symmetrised(found)[1] == ""


def test_the_setting_that_a_cif_names(tmp_path: Path) -> None:
    """Pbnm is Pnma with other axes, :R is the primitive cell of :H, and :2 is the spinel with the other origin."""
    symbol = "_symmetry_space_group_name_H-M '{}'\n_symmetry_Int_Tables_number {}"
    found = cif(tmp_path, (4.76, 10.25, 6.02, 90, 90, 90), symbol.format("P b n m", 62), "Na 0 0 0; Fe 0.975 0.281 0.25")
    assert np.abs(distances(found) - distances(OLIVINE)).max() < 1e-9
    edge, angle = np.sqrt(2.8**2 / 3 + 14**2 / 9), 2 * np.degrees(np.arcsin(1.5 / np.sqrt(3 + 5**2)))
    sites = "Li 0 0 0; Co 0.5 0.5 0.5; O 0.24 0.24 0.24"
    primitive = cif(tmp_path, (edge,) * 3 + (angle,) * 3, symbol.format("R -3 m :R", 166), sites)
    assert primitive.get_chemical_formula() == "CoLiO2" and abs(3 * primitive.get_volume() - LAYERED.get_volume()) < 0.01
    for choice, sites in (
        ("2", "Li 0.125 0.125 0.125; Mn 0.5 0.5 0.5; O 0.263 0.263 0.263"),
        ("1", "Li 0 0 0; Mn 0.625 0.625 0.625; O 0.388 0.388 0.388"),
    ):
        found = cif(tmp_path, (8.24,) * 3 + (90,) * 3, symbol.format(f"F d -3 m :{choice}", 227), sites)
        assert np.abs(distances(found) - distances(SPINEL)).max() < 1e-6


@pytest.mark.parametrize("symbol", ["P 21/c", "P 1 21/c 1", "P 21/n", "P 21/a", "P 1 1 21/b"])
def test_monoclinic_settings(symbol: str, tmp_path: Path) -> None:
    """The glide named is the glide of the structure, about the axis that the cell shows."""
    cell = (5.1, 5.4, 5.8, 90, 90, 99) if symbol == "P 1 1 21/b" else (5.1, 5.4, 5.8, 90, 99, 90)
    head = f"_symmetry_space_group_name_H-M '{symbol}'\n_symmetry_Int_Tables_number 14"
    found = cif(tmp_path, cell, head, "Mn 0.11 0.23 0.37")
    glide = {"c": (0, 0.5, 0.5), "n": (0.5, 0.5, 0.5), "a": (0.5, 0.5, 0)}.get(symbol.replace(" 1", "")[-1])
    image = (0, 0.5, 0.5) if glide is None else glide  # about c: x, y + 1/2, -z + 1/2
    place = np.array([0.11, 0.23, 0.37]) * ((1, 1, -1) if glide is None else (1, -1, 1)) + image
    apart = found.get_scaled_positions() - place
    assert len(found) == 4 and np.abs(apart - np.rint(apart)).max(axis=1).min() < 1e-9


def test_a_setting_that_cannot_be_known_is_asked_for(tmp_path: Path) -> None:
    cell, sites = (8.24,) * 3 + (90,) * 3, "Li 0.125 0.125 0.125; Mn 0.5 0.5 0.5"
    symbol = "_symmetry_space_group_name_H-M 'F d -3 m'\n_symmetry_Int_Tables_number 227"
    with pytest.raises(
        RedoxError, match=r"fits F 41/d -3 2/m \(setting 1\) and F 41/d -3 2/m \(setting 2\), and does not say which"
    ):
        cif(tmp_path, cell, symbol, sites)
    told = cif(tmp_path, cell, symbol + "\n_chemical_formula_sum 'Li1 Mn2'", sites)
    assert told.get_chemical_formula() == "Li8Mn16"
    with pytest.raises(RedoxError, match=r"fit no setting of the space group .*0.12 A apart.*list the symmetry operations"):
        cif(
            tmp_path,
            (8.3965,) * 3 + (90,) * 3,
            symbol.replace("d -3 m", "d -3 m :1"),
            "Fe 0.125 0.125 0.125; O 0.2549 0.2549 0.2549",
        )


def test_partial_occupancies_of_json_are_named(tmp_path: Path) -> None:
    def site(xyz: list[float], **occupancies: float) -> dict:
        return {
            "species": [{"element": e[:2], "oxidation_state": int(e[2:]), "occu": n} for e, n in occupancies.items()],
            "abc": xyz,
        }

    lattice = {"matrix": np.diag([3.0, 3, 5]).tolist()}
    for lithium in (0.5, 1.0):
        sites = [site([0, 0, 0], Li1=lithium), site([0.5, 0.5, 0.5], Ni3=0.5, Ni4=0.5)]
        (tmp_path / "x.json").write_text(json.dumps({"@class": "Structure", "charge": None, "lattice": lattice, "sites": sites}))
        if lithium == 1.0:
            assert read_structure(tmp_path / "x.json").get_chemical_formula() == "LiNi"
        else:
            with pytest.raises(
                RedoxError, match=r"x.json: found partially occupied sites \(Li:0.5\); allowed: the fully occupied"
            ):
                read_structure(tmp_path / "x.json")


def test_electrons_that_are_too_many_to_list_are_found_before_the_run(tmp_path: Path) -> None:
    """With the remedy: the primitive cell, which is accepted."""
    text = (
        "output: out\nlattice:\n  structure: x.vasp\n  sublattices: [{element: Li, species: {Li+: 1, Va: 0}}, "
        "{element: Mn, species: {Mn3+: 3, Mn4+: 4}}]\n  spectators: {O: -2}\n  supercell: [2, 2, 2]\n"
        "energy: {electrons: ground_state, points: [{species: Li+, energy_eV: -4}]}\nsampling: {temperature_K: [300]}\n"
    )
    (tmp_path / "in.yaml").write_text(text)
    write(tmp_path / "x.vasp", SPINEL, sort=True)
    with pytest.raises(InputError, match=r"24 sites .* too many to list; .* The primitive cell has 14 atoms instead of 56"):
        prepare(read_input(tmp_path / "in.yaml"))
    write(tmp_path / "x.vasp", SPINEL_PRIMITIVE, sort=True)
    run, _ = prepare(read_input(tmp_path / "in.yaml"))
    assert run.lattice.n_sites == 6


def test_a_start_that_failed_before_the_first_sample_blocks_no_other_input(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "samples")
    assert not store.begun
    write_json(store.identity, {"seed": 1})
    assert not store.begun
    store.ladder.touch()
    assert store.begun
