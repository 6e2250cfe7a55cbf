"""`import redoxmc`: results as xarray, a system typed in, chains against enumeration; the examples of its pages, run as they
stand.
"""

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr
from ase.io import read

import redoxmc
from redoxmc.engine.cli import main
from redoxmc.engine.sampling.chains.system import System

from ..helpers.command import environment, hashes, mpirun, run, write_input
from ..helpers.enumeration import enumerate_states
from ..helpers.paths import ROOT
from ..helpers.shared import made_once

BLOCK = re.compile(r"```python\n(.*?)```", re.S)
COMMAND = str(Path(sys.executable).parent / "redoxmc")
LATTICE = {
    "structure": ROOT / "inputs/structures/NaFePO4.cif",
    "sublattices": [{"element": "Na", "species": {"Na+": 1, "Va": 0}}, {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": 3}}],
    "spectators": {"P": 5, "O": -2},
    "supercell": [1, 1, 1],
}
ENERGY = {
    "points": [{"species": "Na+", "energy_eV": -4.0}],
    "pairs": [{"species": ["Na+", "Fe2+"], "r_A": [0, 3.9], "energy_eV": -0.05}],
}


@pytest.fixture(scope="module")
def system() -> System:
    """4 + 4 sites, 70 states."""
    return redoxmc.build_system(lattice=LATTICE, energy=ENERGY)


def first_run(folder: Path) -> None:
    """Of the tutorial, by the installed command, with its inputs."""
    for name in ("inputs/structures", "inputs/tutorial"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "inputs/small.yaml", folder / "inputs")
    subprocess.run([COMMAND, "inputs/tutorial/1_ising.yaml"], cwd=folder, check=True, timeout=1500, env=environment())


@pytest.fixture(scope="module")
def place(common: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the inputs and the outputs of the tutorial's first run, in which the examples may write."""
    folder = tmp_path_factory.mktemp("place") / "place"
    return Path(shutil.copytree(made_once(common, "tutorial", first_run), folder))


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.runs
@pytest.mark.parametrize("page", ["README.md", "docs/python_api.md", "docs/tutorial.md", "docs/exports.md"])
def test_examples_of_the_pages(page: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, as in a notebook; the run of the first page is too long for here."""
    monkeypatch.chdir(place)
    matplotlib.use("Agg")
    names: dict[str, object] = {}
    assert blocks(page)
    for block in blocks(page):
        exec(compile(block.replace("outputs/nafepo4", "outputs/tutorial/ising"), page, "exec"), names)


@pytest.mark.runs
@pytest.mark.parametrize("name", ["building", "opening", "plotting", "sampling"])
def test_examples_of_the_docstrings(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    module = importlib.import_module(f"redoxmc._{name}")
    found = doctest.testmod(module, extraglobs={"build_system": redoxmc.build_system})
    assert found.attempted and not found.failed


@pytest.mark.runs
def test_results_are_those_of_the_file(place: Path) -> None:
    """Node by node what xarray itself reads."""
    folder = place / "outputs/tutorial/ising"
    ours, theirs = redoxmc.open_results(folder), xr.open_datatree(folder / "results.h5", engine="h5netcdf", phony_dims="sort")
    assert list(ours.children) == list(theirs.children) and "canonical" in ours.children
    for name in ours.children:
        xr.testing.assert_identical(ours[name].to_dataset().drop_attrs(), theirs[name].to_dataset().drop_attrs())
    energy = ours["canonical"]["energy_eV"]
    assert energy.attrs == theirs["canonical"]["energy_eV"].attrs and energy.attrs["units"] == "eV/fu"
    assert ours.attrs["seed"] == 1 and "square.cif" in ours.attrs["input"]


def agrees(found: xr.Dataset, name: str, expected: np.ndarray) -> None:
    assert (np.abs(found[name] - expected) < 4.5 * found[f"{name}_error"] + 1e-12).all()
    assert (found[f"{name}_error"] < 0.02 * max(1, np.ptp(expected))).all()


@pytest.mark.validate
def test_chains_at_chemical_potentials_are_exact(system: System) -> None:
    mu = np.array([-4.3, -4.2, -4.1])
    found = redoxmc.sample(system, [400, 900], chemical_potential_eV=mu[::-1], sweeps=30_000, seed=4)
    states = enumerate_states(system)
    p = [[states.probability(t, m) for m in mu] for t in (400, 900)]
    assert found["trusted"].all() and (found["chemical_potential_eV"] == mu).all()
    agrees(found, "x", np.array([[q @ states.n / 4 for q in row] for row in p]))
    agrees(found, "energy_eV", np.array([[q @ states.energy_eV / 4 for q in row] for row in p]))


def test_chains_at_fixed_x_are_exact(system: System) -> None:
    found = redoxmc.sample(system, 600, x=[0.26, 0.5], sweeps=20_000, seed=2)
    expected = enumerate_states(system).canonical_energy_eV(600)[1:3] / 4
    assert found["x"].values.tolist() == [[0.25, 0.5]] and not found["x_error"].any()
    agrees(found, "energy_eV", expected[None])


def test_the_same_seed_gives_the_same_result(system: System) -> None:
    first, again, other = (redoxmc.sample(system, [400], chemical_potential_eV=-4.2, sweeps=50, seed=s) for s in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)


def test_a_structure_of_ase_is_that_of_the_file(system: System) -> None:
    found = redoxmc.build_system(lattice={**LATTICE, "structure": read(LATTICE["structure"])}, energy=ENERGY)
    assert all(np.array_equal(a, b) for a, b in zip(found.couplings, system.couplings))
    path = Path(str(LATTICE["structure"])).parent.parent / "small.yaml"
    assert redoxmc.build_system(path).n_formula_units == 16


BAD = {
    "a negative temperature": (lambda s: redoxmc.sample(s, -1, x=0.5), "temperature_K: found -1; allowed: above 0"),
    "no number": (lambda s: redoxmc.sample(s, np.nan, x=0.5), "temperature_K: found nan"),
    "no axis": (lambda s: redoxmc.sample(s, 300), "give either chemical_potential_eV or x"),
    "x beyond the ends": (lambda s: redoxmc.sample(s, 300, x=[0.5, 1.2]), "x: found 0.5 to 1.2; allowed: 0 to 1"),
    "another ion": (lambda s: redoxmc.sample(s, 300, chemical_potential_eV={"Li+": 0}),
        "found Li+; allowed: a grid for each of Na+"),
    "few sweeps": (lambda s: redoxmc.sample(s, 300, x=0.5, sweeps=3), "sweeps: found 3; allowed: at least 8"),
    "one walker": (lambda s: redoxmc.sample(s, 300, x=0.5, walkers=1), "walkers: found 1"),
    "no results": (lambda s: redoxmc.open_results("nowhere"), "no such file: nowhere"),
    "neither file nor sections": (lambda s: redoxmc.build_system(), "give either an input file, or lattice and energy"),
    "an unknown species": (
        lambda s: redoxmc.build_system(lattice=LATTICE, energy={"points": [{"species": "Na", "energy_eV": 1}]}),
        "energy.points[1].species: found Na; allowed: Fe2+, Fe3+, Na+, Va",
    ),
    "an unknown key": (lambda s: redoxmc.build_system(lattice=LATTICE, energy={"pair": []}), "energy.pair: unknown key; allowed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(case: str, system: System) -> None:
    call, words = BAD[case]
    with pytest.raises(redoxmc.RedoxError) as caught:
        call(system)
    assert words in str(caught.value) and "line" not in str(caught.value)


def test_several_ions_want_a_grid_each() -> None:
    nickel = {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": 3, "Ni2+": 2}}
    lattice = {**LATTICE, "sublattices": [LATTICE["sublattices"][0], nickel]}
    both = redoxmc.build_system(lattice=lattice, energy=ENERGY)
    assert len(both.ions) == 2
    found = redoxmc.sample(both, 500, chemical_potential_eV={ion: [-4.1, -4.0] for ion in both.ions}, sweeps=20)
    assert {f"x_{ion}" for ion in both.ions} <= set(found) and found["energy_eV"].shape == (1, 2, 2)
    with pytest.raises(redoxmc.RedoxError, match="2 exchangeable ions"):
        redoxmc.sample(both, 500, x=0.5)


@pytest.mark.runs
def test_the_installed_command_is_run_py(tmp_path: Path) -> None:
    """Same results bit for bit, here under mpirun; the same settings of the libraries; the same exit code and message."""
    here, there = write_input(tmp_path / "a", 40), write_input(tmp_path / "b", 40)
    for path in (here, there):  # no annealing in this ensemble
        path.write_text(path.read_text().replace("sampling:\n", "sampling:\n  ensemble: canonical\n"))
    whole = {"REDOXMC_COMMIT_S": "9999"}  # one segment, however long it takes
    assert run(here, 1, "--until", "sample", **whole).returncode == 0
    command = [*mpirun(), "-n", "2", COMMAND, str(there), "--until", "sample"]
    subprocess.run(command, check=True, timeout=1500, env=environment(**whole))
    first, second = (hashes(tmp_path / name / "out/samples/exchange/segment_0000.h5") for name in "ab")
    assert first == second and "tallies" in first
    here.write_text("sed: 3\n")
    ours = subprocess.run([COMMAND, str(here)], capture_output=True, text=True, timeout=600, check=False)
    assert (ours.returncode, ours.stderr) == ((same := run(here)).returncode, same.stderr) and ours.returncode == 2


def test_the_command_sets_one_thread_before_numpy_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = "import sys, redoxmc.engine.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    assert main([str(write_input(tmp_path, 40)), "--check"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == "1" and os.environ["MPLBACKEND"] == "Agg"


def test_help_names_stages_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for word in ("--check", "--fresh", "evaluate", "75", "walltime_s", "redoxmc init"):
        assert word in shown
    assert "inputs/" not in shown and ".md" not in shown  # a wheel has neither
    assert max(map(len, shown.splitlines())) <= 80
