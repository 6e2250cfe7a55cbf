"""Sampling with the potential, from the input to the report: on any number of ranks, stopped and continued."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI
from scipy.stats import chi2

from redoxmc.engine.cli import main
from redoxmc.engine.correction.correct import Correction, Task
from redoxmc.engine.correction.methods import Method
from redoxmc.engine.correction.run import run_correction
from redoxmc.engine.errors import Interrupted
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.stages.fit import short_range
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.shared.cells import correction_of, hamiltonian_of
from redoxmc.engine.stages.shared.output import Output

from ..helpers.command import LABELLED_LATTICE
from ..helpers.command import run as run_command
from ..helpers.paths import ROOT, STRUCTURE
from ..helpers.toy_calculator import with_toy_calculator

INPUT = f"""\
{LABELLED_LATTICE}  supercell: [1, 1, 1]
potential:
  model: tests.helpers.toy_calculator.Springs
  options: {{structure: {STRUCTURE}, strength_eV_A: 0.3}}
energy:
  points: [{{species: Na+, energy_eV: 0.4}}]
  pairs: [{{species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.05}}]
sampling:
  temperature_K: [600]
  sweeps: {{equilibrate: 20, measure: 40}}
  refine: {{temperatures: 0}}
correction:
  temperature_K: [600, 1200]
  methods: [corrected, reweighted, direct, enumerated]
  walkers: 2
  equilibrate: 400
  proposals: 3000
analysis: {{entropy_compositions: 0, compositions: 5}}
"""


@pytest.mark.runs
def test_the_whole_run_alike_on_any_number_of_ranks(tmp_path: Path) -> None:
    """From the input to the group of results and the report; free energies by every method, here for an expansion that is off
    by more than 1 eV/fu.
    """
    groups = []
    with_toy_calculator(tmp_path)
    for ranks in (1, 2):
        (tmp_path / str(ranks)).mkdir()
        path = tmp_path / str(ranks) / "input.yaml"
        path.write_text(
            INPUT if ranks == 1 else INPUT.replace(", enumerated", "")
        )  # what was not relaxed beforehand is when it is met
        done = run_command(path, ranks, *(("--until", "analyse") if ranks > 1 else ()), PYTHONPATH=str(tmp_path))
        assert done.returncode == 0, done.stderr
        groups.append(read_results(path.parent / "out/results.h5").corrected)
    one, two = groups
    assert one is not None and two is not None and one.enumerated is not None and one.reweighted is not None
    assert one.chain is not None and one.direct is not None
    values = {name: v.values for name, v in one.datasets().items()}
    for name, v in two.datasets().items():
        assert np.array_equal(v.values, values[name], equal_nan=v.values.dtype.kind == "f"), name
    exact = one.enumerated.enumerated_free_energy_eV
    assert one.enumerated.states == 70
    for name, trusted in (
        ("free_energy_eV", one.chain.trusted),
        ("bar_free_energy_eV", one.chain.trusted),
        ("direct_free_energy_eV", one.direct.trusted),
    ):
        error = values[f"{name}_error"][trusted, 1:-1]
        assert (np.abs(values[name] - exact)[trusted, 1:-1] <= 4.5 * error).all() and error.max() < 0.01, name
    assert one.chain.trusted.all() and one.direct.trusted[1]
    assert np.abs(one.reweighted.expansion_free_energy_eV - exact).min() > 1.0
    page = (tmp_path / "1/out/report.html").read_text()
    assert "Sampling with the potential, proposals by the cluster expansion (4 formula units)" in page
    assert "the expansion misses the potential&#39;s mixing free energy by up to" in page
    assert (tmp_path / "1/out/figures/correction.png").exists()
    (tmp_path / "2/input.yaml").write_text(INPUT.replace("proposals: 3000", "proposals: 2000"))
    early = run_command(tmp_path / "2/input.yaml", 1, "--only", "analyse", PYTHONPATH=str(tmp_path))
    assert early.returncode == 0, early.stderr
    results = read_results(tmp_path / "2/out/results.h5")
    assert results.corrected is None
    assert any("the potential has not been sampled yet" in note for note in results.attributes.notes or [])
    again = run_command(tmp_path / "1/input.yaml", 1, PYTHONPATH=str(tmp_path))
    assert again.returncode == 0 and "nothing has changed" in again.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("supercell: [1, 1, 1]\npot", "supercell: [1, 1, 1]\nold", "old"),
        (
            "  walkers: 2",
            "  supercell: [1, 2, 2]\n  walkers: 2",
            "found enumerated with 1e9 neutral states; allowed: up to 20000",
        ),
        ("  pairs:", "  electrons: ground_state\n  pairs:", "which samples ions only"),
    ],
)
def test_wrong_input_is_refused(tmp_path: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    assert old in INPUT
    path.write_text(INPUT.replace(old, new, 1))
    assert main([str(path), "--check"]) == 2 and message in capsys.readouterr().err


@pytest.mark.validate
def test_the_shipped_potential_by_every_way(tmp_path: Path) -> None:
    """inputs/nafepo4_correction.yaml: enumeration and corrected, direct and reweighted sampling give one F(T, x) of MACE, by
    joint chi2 and to 1 meV/fu from 300 to 1000 K; the errors are small enough to tell."""
    text = (ROOT / "inputs/nafepo4_correction.yaml").read_text()
    text = text.replace("structure: ", f"structure: {ROOT}/inputs/").replace("dataset: ", f"dataset: {ROOT}/inputs/")
    text = text.replace("file: ", f"file: {ROOT}/inputs/").replace("../outputs/nafepo4_correction", "out")
    (tmp_path / "input.yaml").write_text(text)
    done = run_command(tmp_path / "input.yaml", 2, timeout=2400)
    assert done.returncode == 0, done.stderr
    group = read_results(tmp_path / "out/results.h5").corrected
    assert group is not None and group.enumerated is not None
    values = {name: v.values for name, v in group.datasets().items()}
    exact = group.enumerated.enumerated_free_energy_eV
    assert group.enumerated.states == 70 and group.enumerated.states_without_energy == 0
    for name in ("free_energy_eV", "direct_free_energy_eV", "reweighted_exponential_free_energy_eV", "bar_free_energy_eV"):
        apart, error = (values[name] - exact)[:, 1:-1], values[f"{name}_error"][:, 1:-1]
        assert np.abs(apart).max() < 1e-3 and error.max() < 0.6e-3, name
        assert chi2.sf(np.sum((apart / error) ** 2), apart.size) > 1e-3, name
    assert np.abs(values["expansion_free_energy_eV"] - exact).max() > 5e-3


@dataclass
class StopsLater(StopWatch):
    """Asks to stop from the given call on."""

    quiet: int = 0

    def should_stop(self) -> bool:
        self.quiet -= 1
        return self.quiet < 0


@pytest.mark.runs
def test_a_stop_between_two_relaxations_loses_none(tmp_path: Path) -> None:
    """Relaxations are kept, no walk that was cut is; the rest, done later, gives what an undisturbed run does."""
    path = tmp_path / "input.yaml"
    path.write_text(INPUT.replace("[corrected, reweighted, direct, enumerated]", "[corrected]"))
    given, data = prepare(read_input(path))

    def correction(name: str) -> Correction:
        found = correction_of(
            replace(given, output=Output(tmp_path / name)), hamiltonian_of(given, short_range(given, data, None))
        )
        assert found is not None
        return found

    whole, cut = correction("whole"), correction("cut")
    run_correction(whole, MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None))
    with pytest.raises(Interrupted):
        run_correction(cut, MPI.COMM_SELF, StopsLater(MPI.COMM_SELF, None, quiet=5))
    kept = list(cut.relaxations.folder.glob("*.extxyz"))
    assert len(kept) == 5 and not cut.path(Task(Method.CORRECTED, 0, 0)).exists()
    run_correction(cut, MPI.COMM_SELF, StopWatch(MPI.COMM_SELF, None))
    for rung in (0, 1):
        for a, b in zip(whole.walks(Method.CORRECTED, rung), cut.walks(Method.CORRECTED, rung)):
            assert all(np.array_equal(x, y) for x, y in zip(a.data.values(), b.data.values()))
