"""The hull at T = 0: against what is known exactly, against listing, against icet's own enumeration; and searches that must
fail.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from ase import Atoms
from icet import ClusterExpansion
from icet.tools import ConvexHull, enumerate_structures
from pymatgen.core import Structure

from redoxmc.engine.crystal.cif import charged_cif
from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, Supercell, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.crystal.supercells import hermite_forms, supercells_of
from redoxmc.engine.errors import InputError
from redoxmc.engine.hamiltonian.clusters import cluster_space, from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian, pair_clusters, point_clusters
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import GroundStatesInput
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.ground_states import ground_state_search as search
from redoxmc.engine.sampling.ground_states.ground_state_search import Lowest, listed_lowest, lowest_states, searched_lowest
from redoxmc.engine.sampling.ground_states.ground_states import tasks
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.thermodynamics.ground_states import corners, ground_state_group, ground_state_notes
from redoxmc.engine.units import NEV_PER_EV

from ..helpers.command import hashes, run, write_input
from ..helpers.enumeration import enumerate_states
from ..helpers.systems import SODIUM

FIRST_EV, SECOND_EV = 0.1, 0.03


@pytest.fixture(scope="module")
def gas() -> Hamiltonian:
    """Square lattice, first and second neighbours repel."""
    atoms = Atoms("Li", cell=[3.0, 3.0, 10.0], pbc=True)
    lattice = build_lattice(atoms, (Sublattice("Li", (Species("Li", 0), Species("Va", 0))),), {})
    pair = ("Li", "Li")
    clusters = pair_clusters(lattice, pair, (2.9, 3.1), FIRST_EV) + pair_clusters(lattice, pair, (4.2, 4.3), SECOND_EV)
    return Hamiltonian(lattice, tuple(clusters))


def least_energy_eV(x: Any) -> Any:
    """Of the gas per site. A square of m atoms costs at least 0, 0, V2, V1 + V2, 2 V1 + 2 V2: a pair of first neighbours belongs
    to two squares. This is convex in m: no state lies below, and those whose squares all hold the same m attain it."""
    return np.interp(x, np.arange(5) / 4, [0, 0, SECOND_EV, FIRST_EV + SECOND_EV, 2 * (FIRST_EV + SECOND_EV)])


def search_all(hamiltonian: Hamiltonian, ion: str, **given: Any) -> list[tuple[Supercell, Lowest]]:
    settings, found = GroundStatesInput(**given), []
    for task in tasks(settings, hamiltonian.lattice):
        system = build_system(hamiltonian, task.supercell.matrix, (ion,))
        found.append((task.supercell, lowest_states(system, settings.searches, 1, task.list_all)))
    return found


def test_hull_of_the_lattice_gas(gas: Hamiltonian) -> None:
    """Corners at 0, 1/4, 1/2, 3/4 and 1 and nowhere else, though whole stretches of states lie on the lines between them."""
    group = ground_state_group(search_all(gas, "Li", enumerate_up_to=4, anneal_up_to=4))
    corner = group.on_hull
    assert group.x[corner].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert group.energy_eV[corner] == pytest.approx(least_energy_eV(group.x[corner]), abs=1e-9)
    assert group.formation_energy_eV[corner] == pytest.approx([0, -0.065, -0.1, -0.065, 0], abs=1e-9)
    assert (group.energy_eV > least_energy_eV(group.x) - 1e-9).all()
    assert group.energy_above_hull_eV == pytest.approx(group.energy_eV - least_energy_eV(group.x), abs=1e-9)
    assert [abs(round(np.linalg.det(m))) for m in group.supercell[corner]] == [1, 4, 2, 4, 1]


def test_searches_attain_the_bound_in_a_cell_too_large_to_list(gas: Hamiltonian) -> None:
    """8x8 sites, up to 1.8e18 states; between the corners the bound is attained too, by a mixture of squares, or nearly."""
    system = build_system(gas, np.diag([8, 8, 1]), ("Li",))
    for n in (16, 32, 48):
        energy, state, agree = searched_lowest(system, n, 3, 1)
        assert energy / NEV_PER_EV == pytest.approx(64 * least_energy_eV(n / 64), abs=1e-9) and agree == 3
        assert system.energy_neV(state) == energy and system.count_ions(state)[0] == n
    for n in (7, 24, 29):
        assert searched_lowest(system, n, 1, 1)[0] / NEV_PER_EV > 64 * least_energy_eV(n / 64) - 1e-9


def round_numbers(lattice: Lattice) -> Hamiltonian:
    """That of inputs/small.yaml."""
    clusters = point_clusters(lattice, "Na+", -4.0) + pair_clusters(lattice, ("Na+", "Fe2+"), (0, 3.9), -0.030)
    clusters += pair_clusters(lattice, ("Na+", "Na+"), (0, 4.0), 0.015) + pair_clusters(
        lattice, ("Fe2+", "Fe2+"), (0, 4.2), 0.010
    )
    return Hamiltonian(lattice, tuple(clusters))


@pytest.mark.parametrize("cell", ["small", "medium"])
def test_listing_finds_the_lowest_of_all_states(cell: str, request: pytest.FixtureRequest) -> None:
    system: System = request.getfixturevalue(cell)
    e, found = enumerate_states(system), lowest_states(system, 1, 1, list_all=True)
    assert found.n.tolist() == list(range(system.n_formula_units + 1)) and found.listed.all()
    for n, energy, state in zip(found.n, found.energy_neV, found.states):
        assert energy / NEV_PER_EV == pytest.approx(e.energy_eV[e.n == n].min(), abs=1e-9)
        assert e.n[e.index[state.tobytes()]] == n and system.energy_neV(state) == energy


@pytest.mark.runs
@pytest.mark.parametrize("kind", ["round numbers", "pairs and triplets"])
def test_one_search_finds_what_listing_finds(kind: str, olivine: Lattice, olivine_hamiltonian: Hamiltonian) -> None:
    """In all eight supercells of one and of two cells, at every count, to the last neV."""
    hamiltonian = round_numbers(olivine) if kind == "round numbers" else olivine_hamiltonian
    cells = supercells_of(olivine, 1) + supercells_of(olivine, 2)
    assert len(cells) == 8
    for cell in cells:
        system = build_system(hamiltonian, cell.matrix, ("Na+",))
        for n in range(1, system.n_formula_units):
            assert searched_lowest(system, n, 1, 1)[0] == listed_lowest(system, n)[0]


@pytest.fixture(scope="module")
def salt() -> Lattice:
    """Na and Fe on the corner and in the centre of a skewed cell, a spectator between them."""
    cell = [[3.0, 0.0, 0.0], [0.3, 3.1, 0.0], [0.2, 0.1, 3.3]]
    atoms = Atoms("NaFeN", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]], cell=cell, pbc=True)
    iron = Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3, "Ga")))
    return build_lattice(atoms, (SODIUM, iron), {"N": -3})


def test_hull_is_that_of_icets_enumeration(salt: Lattice) -> None:
    """Structures, energies and hull by icet; only neutrality is asked of them here. Up to four cells, 1 + 7 + 13 + 35
    supercells.
    """
    expansion = ClusterExpansion(
        space := cluster_space(salt, (5.0, 3.5)), np.random.default_rng(4).normal(scale=0.02, size=len(space))
    )
    x, energy = [], []
    for structure in enumerate_structures(salt.atoms, range(1, 5), salt.allowed_symbols()):
        symbols = structure.get_chemical_symbols()
        if symbols.count("Na") == symbols.count("Fe"):
            x.append(symbols.count("Na") / symbols.count("N"))
            energy.append(expansion.predict(structure))
    wanted = ConvexHull(x, energy)
    group = ground_state_group(search_all(from_icet(expansion, salt), "Na+", enumerate_up_to=4, anneal_up_to=4))
    corner = group.on_hull
    assert corner.sum() > 3
    assert group.x[corner] == pytest.approx(wanted.concentrations)
    assert group.energy_eV[corner] == pytest.approx(wanted.energies, abs=1e-6)


def test_no_lattice_is_missed(salt: Lattice) -> None:
    """As many Hermite forms as the sum over divisors says; all of them distinct where only inversion is left, few in a cube."""
    assert [len(list(hermite_forms(n))) for n in range(1, 9)] == [1, 7, 13, 35, 31, 91, 57, 155]
    assert [len(supercells_of(salt, n)) for n in range(1, 5)] == [1, 7, 13, 35]
    cube = build_lattice(Atoms("Na", cell=np.eye(3) * 3, pbc=True), (SODIUM,), {})
    assert [len(supercells_of(cube, n)) for n in range(1, 9)] == [1, 3, 3, 9, 5, 13, 7, 24]  # Hart and Forcade, table IV
    assert all(round(np.linalg.det(s.matrix)) == 6 for s in supercells_of(cube, 6))


def test_cooling_that_stops_hot_misses_the_order(gas: Hamiltonian, monkeypatch: pytest.MonkeyPatch) -> None:
    system = build_system(gas, np.diag([8, 8, 1]), ("Li",))
    monkeypatch.setattr(search, "COLDEST", 0.4)
    monkeypatch.setattr(search, "FROZEN", 0.0)
    assert searched_lowest(system, 32, 3, 1)[0] / NEV_PER_EV > 64 * least_energy_eV(0.5) + FIRST_EV


def test_moves_without_neutral_exchanges_miss_the_state(olivine: Lattice) -> None:
    """Three valences: with swaps alone, no search leaves the numbers of Mn2+, Mn3+ and Mn4+ that it began with."""
    manganese = Sublattice("Fe", (Species("Mn2+", 2), Species("Mn3+", 3), Species("Mn4+", 4)))
    lattice = build_lattice(olivine.atoms, (SODIUM, manganese), {"P": 5, "O": -2})
    hamiltonian = Hamiltonian(lattice, tuple(point_clusters(lattice, "Mn4+", 0.5)))
    whole, swaps_alone = (
        build_system(hamiltonian, np.diag([1, 2, 2]), ("Na+",), mix) for mix in (Mix(), Mix(1.0, 0.0, 0.0, 0.0))
    )
    assert searched_lowest(whole, 8, 1, 1)[0] == 0, "eight Mn2+ and eight Mn3+"
    assert searched_lowest(swaps_alone, 8, 3, 1)[0] > 0


def test_points_on_a_line_are_no_corners() -> None:
    x = np.array([0, 1 / 6, 1 / 3, 0.5, 2 / 3, 1])
    f = np.array([0.0, -1 / 60, -1 / 30, -0.05, 0.02, 0.0])
    assert corners(x, f).tolist() == [0, 3, 5]
    assert corners(x, f + 1e-9 * np.array([0, -1, 1, -1, 1, 0])).tolist() == [0, 3, 5]
    assert corners(x, np.zeros(6)).tolist() == [0, 5]


def samples_of(system: System) -> Any:
    """The lowest state of every count, as the analysis would be given it."""
    states = [listed_lowest(system, n)[1] for n in range(system.n_range[1] + 1)]
    energy = np.array([[[system.energy_neV(s) for s in states]]])
    ions = np.array([[[system.count_ions(s)] for s in states]]).reshape(1, 1, -1, 1)
    return SimpleNamespace(
        energy_neV=energy,
        ions=ions,
        plan=SimpleNamespace(slots=[SimpleNamespace(rung=0)], ladder=SimpleNamespace(temperature_K=[300.0])),
    )


def test_a_sample_below_the_hull_is_told(olivine_hamiltonian: Hamiltonian) -> None:
    """A search that misses the state at a corner, by 2 microeV/fu, is seen through the samples; of a whole search nothing is
    said.
    """
    system = build_system(olivine_hamiltonian, np.diag([1, 2, 1]), ("Na+",))
    found = [(system.supercell, lowest_states(system, 1, 1, list_all=True))]
    group = ground_state_group(found)
    n = round(8 * group.x[np.flatnonzero(group.on_hull)[1]])
    assert 0 < n < 8 and ground_state_notes(group, samples_of(system), 8) == []
    lowest = found[0][1]
    missed = replace(lowest, energy_neV=lowest.energy_neV + 16_000 * (lowest.n == n))
    (note,) = ground_state_notes(ground_state_group([(system.supercell, missed)]), samples_of(system), 8)
    assert f"meV/fu below the hull, at 300 K and x = {n / 8:.4f}" in note


def test_a_corner_met_once_is_told(gas: Hamiltonian) -> None:
    found = search_all(gas, "Li", enumerate_up_to=4, anneal_up_to=4)
    alone = [(s, replace(l, listed=np.zeros_like(l.listed), agree=np.where(2 * l.n == s.n_cells, 1, 2))) for s, l in found]
    (note,) = ground_state_notes(ground_state_group(alone), None, 1)
    assert "at x = 1/2 were found by one annealing only" in note


def test_structures_bear_their_charges(olivine: Lattice, tmp_path: Path) -> None:
    """Read back: sites and oxidation states are those of the structure with proxies."""
    supercell = supercells_of(olivine, 3)[0]
    species = random_neutral_state(supercell, "Na+", 5, np.random.default_rng(3))
    (tmp_path / "state.cif").write_text(charged_cif(supercell, species))
    found, wanted = Structure.from_file(tmp_path / "state.cif"), supercell.to_atoms(species)
    del wanted[[s == "X" for s in wanted.symbols]]
    names = {"Na": "Na+", "Fe": "Fe2+", "Ga": "Fe3+", "P": "P5+", "O": "O2-"}
    assert len(found) == len(wanted) and found.charge == 0
    apart = wanted.get_scaled_positions()[:, None] - found.frac_coords
    assert (np.abs(apart - np.rint(apart)).max(axis=2).min(axis=1) < 1e-4).all()
    nearest = np.abs(apart - np.rint(apart)).max(axis=2).argmin(axis=1)
    assert [found[k].species_string for k in nearest] == [names[s] for s in wanted.symbols]


SECTION = "ground_states: {enumerate_up_to: 1, anneal_up_to: 3, supercells: 1, searches: 2}\n"


def write_charged(folder: Path, section: str = "") -> Path:
    path = write_input(folder, 40, section)
    path.write_text(path.read_text().replace("  pairs:", "  electrostatics: {charges: {Na+: 0.3, Fe2+: -0.3}}\n  pairs:"))
    return path


def files_of(folder: Path) -> dict[str, dict[str, str]]:
    """Hashes of what was found in each supercell."""
    return {p.name: hashes(p) for p in (folder / "out/samples/ground_states").glob("*.h5")}


@pytest.mark.runs
def test_a_run_on_one_rank_on_two_and_resumed(tmp_path: Path) -> None:
    """The same to the last bit; what is there is not made again; a section added to a finished run does not touch its samples."""
    path = write_charged(tmp_path / "1")
    assert run(path, 1, "--until", "sample").returncode == 0
    shutil.copytree(tmp_path / "1", tmp_path / "2")
    ladder = (tmp_path / "1/out/samples/ladder.h5").stat().st_mtime_ns
    done = run(write_charged(tmp_path / "1", SECTION))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "1/out/samples/ladder.h5").stat().st_mtime_ns == ladder
    with h5py.File(tmp_path / "1/out/results.h5") as file:
        x, energy, listed, corner = (file[f"ground_states/{k}"][()] for k in ("x", "energy_eV", "listed", "on_hull"))
    assert np.ptp(energy[x == 1]) < 1e-7, "every supercell has point charges of its own"
    assert x[corner][[0, -1]].tolist() == [0, 1] and 0 < listed.sum() < len(listed)
    assert len(list((tmp_path / "1/out/ground_states").glob("*.cif"))) == corner.sum()
    assert "Ground states: corners of the hull" in (tmp_path / "1/out/report.html").read_text()

    path = write_charged(tmp_path / "2", SECTION)
    done = run(path, 2, "--until", "sample")
    assert done.returncode == 0, done.stderr
    assert len(files_of(tmp_path / "1")) == 3 and files_of(tmp_path / "2") == files_of(tmp_path / "1")
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "2/out/samples/ground_states").glob("*.h5")}
    lost = kept.popitem()[0]
    lost.unlink()
    assert run(path, 1, "--until", "sample").returncode == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept and files_of(tmp_path / "2") == files_of(tmp_path / "1")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "ground_states: {enumerate_up_to: 4}\n", "found 4 cells with 1e9 neutral states; allowed: up to 1e+07"),
        ("", "ground_states: {anneal_up_to: 0}\n", "ground_states.anneal_up_to"),
        ("Na+", "Qq+", "found Qq, which is not a chemical element; ground states are written as structures"),
    ],
)
def test_wrong_sections_are_answered(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = write_input(tmp_path, 10, SECTION)
    text = path.read_text()
    path.write_text(text.replace(old, new) if old else text.replace(SECTION, new))
    with pytest.raises(InputError) as caught:
        prepare(read_input(path))
    assert words in str(caught.value) and "line" in str(caught.value)
