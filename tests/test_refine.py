"""Temperatures that a run adds by itself: in the right place, right in value, and the same however the run came about."""

import json
from pathlib import Path

import h5py
import numpy as np

from redoxmc.engine.inputfile import read_input
from redoxmc.engine.prepare import prepare
from redoxmc.engine.system import BOLTZMANN_EV_PER_K, build_system

from .exact import enumerate_states
from .runs import TINY, hashes, run

ATTRACTIVE = (
    TINY.replace("equilibrate: 50, ", "")
    .replace("energy_eV: -0.03", "energy_eV: 0.0")
    .replace("r_A: [0, 4.0], energy_eV: 0.015", "r_A: [0, 6.5], energy_eV: -0.12")
    .replace("[400, 900]", "[600, 2400]")
    .replace("{Na+: {min: -4.3, max: -3.9, points: 4}}", "{Na+: auto}")
    .replace("walkers: 2", "walkers: 2\n  refine: {temperatures: 2}\n  rungs: 3")
)


def write(folder: Path, measure: int) -> Path:
    folder.mkdir()
    (folder / "input.yaml").write_text(ATTRACTIVE.replace("MEASURE", str(measure)))
    return folder / "input.yaml"


def test_temperatures_are_added_where_a_region_closes(tmp_path: Path) -> None:
    """On two ranks; and on one, stopped earlier and then extended: bit for bit alike. Free energies within 4 errors of enumeration."""
    path = write(tmp_path / "a", 1500)
    done = run(path, 2, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    rounds = json.loads((tmp_path / "a/out/samples/refinement.json").read_text())["rounds"]
    added = [t for r in rounds for t in r]
    prepared = prepare(read_input(path))
    exact = enumerate_states(build_system(prepared.typed, prepared.matrix, prepared.ions))
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
    other = write(tmp_path / "b", 700)
    assert run(other, 1, "--until", "analyse").returncode == 0
    other.write_text(other.read_text().replace("measure: 700", "measure: 1500"))
    assert run(other, 1, "--until", "analyse").returncode == 0
    assert hashes(tmp_path / "a/out/results.h5") == hashes(tmp_path / "b/out/results.h5")
