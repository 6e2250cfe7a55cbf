"""Temperatures that a run adds by itself: in the right place, right in value, and the same however the run came about."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.sampling.samples import read_samples
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.command import TINY, hashes, run
from ..helpers.enumeration import enumerate_states

ATTRACTIVE = (
    TINY.replace("equilibrate: 50, ", "")
    .replace("energy_eV: -0.03", "energy_eV: 0.0")
    .replace("r_A: [0, 4.0], energy_eV: 0.015", "r_A: [0, 6.5], energy_eV: -0.12")
    .replace("[400, 900]", "[600, 2400]")
    .replace("{Na+: {min: -4.3, max: -3.9, points: 4}}", "{Na+: auto}")
    .replace("walkers: 2", "walkers: 2\n  refine: {temperatures: 2}\n  rungs: 3")
)


def write(folder: Path, measure: int, walkers: int = 2) -> Path:
    folder.mkdir()
    text = ATTRACTIVE.replace("MEASURE", str(measure)).replace("walkers: 2", f"walkers: {walkers}")
    (folder / "input.yaml").write_text(text)
    return folder / "input.yaml"


@pytest.mark.runs
def test_temperatures_are_added_where_a_region_closes(tmp_path: Path) -> None:
    """On two ranks; and on one, stopped earlier and then extended: bit for bit alike. Free energies within 4 errors of
    enumeration.
    """
    path = write(tmp_path / "a", 1500, walkers=4)  # with fewer it is by chance that both rungs beside the end are trusted
    done = run(path, 2, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    rounds = json.loads((tmp_path / "a/out/samples/refinement.json").read_text())["rounds"]
    added = [t for r in rounds for t in r]
    given, _ = prepare(read_input(path))
    exact = enumerate_states(build_system(given.user_terms, given.matrix, given.ions))
    with h5py.File(tmp_path / "a/out/results.h5") as file:
        group, diagram = file["canonical"], file["phase_diagram"]
        t = group["temperature_K"][()]
        assert added and set(added) < set(t) and not group["asked"][np.isin(t, added)].any()
        close = diagram["invariant_temperature_K"][()]
        assert min(np.abs(np.subtract.outer(close, added)).min(axis=1)) < 100
        for row in np.flatnonzero(np.isin(t, added)):
            error = group["free_energy_eV_error"][row]
            difference = np.abs(group["free_energy_eV"][row] + BOLTZMANN_EV_PER_K * t[row] * exact.log_z(t[row]) / 8)
            assert error.max() < 2e-3 and (difference < 4 * error + 1e-6).all(), (t[row], difference, error)
    other = write(tmp_path / "b", 700, walkers=4)
    assert run(other, 1, "--until", "analyse").returncode == 0
    other.write_text(other.read_text().replace("measure: 700", "measure: 1500"))
    assert run(other, 1, "--until", "analyse").returncode == 0
    assert hashes(tmp_path / "a/out/results.h5") == hashes(tmp_path / "b/out/results.h5")


@pytest.mark.validate
def test_sweeps_are_added_while_errors_are_too_large(tmp_path: Path) -> None:
    """Four times as many at most, within the budget, at every temperature; a budget raised later comes to the same, bit for
    bit.
    """
    path, other = write(tmp_path / "a", 100), write(tmp_path / "b", 100)

    def sample(file: Path, n_ranks: int, budget: int) -> list[list[int]]:
        text = ATTRACTIVE.replace("MEASURE", "100").replace(
            "refine: {temperatures: 2}", f"refine: {{temperatures: 1, sweeps: {budget}, tolerance_K: 0.01, tolerance_x: 0.0001}}"
        )
        file.write_text(text)
        done = run(file, n_ranks, "--until", "analyse")
        assert done.returncode == 0, done.stderr
        return json.loads((file.parent / "out/samples/refinement.json").read_text())["longer"]

    assert sample(path, 2, 900) == [[900, 400], [900, 900], [900, 0]]
    assert sample(other, 1, 400) == [[400, 400], [400, 0]]
    assert sample(other, 1, 900) == [[400, 400], [900, 900], [900, 0]]
    assert hashes(path.parent / "out/results.h5") == hashes(other.parent / "out/results.h5")
    samples = read_samples(SampleStore(path.parent / "out/samples"))
    assert samples.n_sweeps == 900 and not samples.plan.ladder.asked.all()


SEPARATING = (
    ATTRACTIVE[: ATTRACTIVE.index("energy:")].replace("[1, 2, 1]", "[3, 4, 5]")
    + """\
energy:
  pairs:
    - {species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.030}
    - {species: [Na+, Na+], r_A: [0, 6.5], energy_eV: -0.012}
sampling:
  temperature_K: [350, 500, 600]
  walkers: 2
  sweeps: {measure: 3000}
  refine: {temperatures: 6}
analysis: {compositions: 61, entropy_compositions: 0}
"""
)


@pytest.mark.validate
def test_a_sampled_gap_is_traced(tmp_path: Path) -> None:
    """240 formula units, two seeds: errors of at most 0.005 in x and 2 K, all trusted, and honest: the gap is symmetric about 1/2
    (all sites of a sublattice have the same neighbours, so that 1 - x differs from x by a line in n), and the seeds agree."""
    tops = []
    for seed in (3, 4):
        path = tmp_path / str(seed) / "input.yaml"
        path.parent.mkdir()
        path.write_text(SEPARATING.replace("seed: 3", f"seed: {seed}"))
        done = run(path, 2, "--until", "analyse", timeout=1200)
        assert done.returncode == 0, done.stderr
        diagram = read_results(path.parent / "out/results.h5").phase_diagram
        assert diagram is not None
        boundary, invariant = diagram.boundary, diagram.invariant
        x, error, side = boundary.x, boundary.x_error, boundary.side
        assert boundary.trusted.all() and error.max() <= 0.005
        assert (boundary.region == 0).all() and (side[::2] == 0).all() and (side[1::2] == 1).all()
        assert (np.abs(x[::2] + x[1::2] - 1) <= 4 * np.hypot(error[::2], error[1::2])).all()
        assert invariant.trusted.tolist() == [True]
        tops.append((invariant.temperature_K[0], invariant.temperature_K_error[0]))
    (a, error_a), (b, error_b) = tops
    assert max(error_a, error_b) <= 2.0 and abs(a - b) <= 4 * np.hypot(error_a, error_b)
