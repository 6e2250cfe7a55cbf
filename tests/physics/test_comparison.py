"""With and without electronic entropy, by the real command, against enumeration of the same cell."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import logsumexp

from redoxmc.engine.input.reader import read_input
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..exact.test_ground_state import lowest
from ..helpers.command import run, write_input
from ..helpers.enumeration import enumerate_states


@pytest.mark.parametrize("sweeps", [pytest.param(1000, marks=pytest.mark.runs), pytest.param(4000, marks=pytest.mark.validate)])
def test_two_runs_side_by_side(sweeps: int, tmp_path: Path) -> None:
    """8 formula units. Both free energies, by three routes, within 4 standard errors of their enumeration; drawn together. The
    errors are at most 1 meV/fu, 2 meV/fu for MBAR, at 4000 sweeps.
    """
    ground, full = (write_input(tmp_path / name, sweeps) for name in ("ground", "full"))
    widest = np.sqrt(4000 / sweeps)
    ground.write_text(ground.read_text().replace("energy:", "energy:\n  electrons: ground_state", 1))
    full.write_text(full.read_text().replace("compositions: 9}", "compositions: 9, beside: ../ground/out}"))
    for path in (ground, full):
        path.write_text(path.read_text().replace("equilibrate: 50, ", ""))
    early = run(full, 1, "--until", "analyse")
    assert early.returncode == 0, early.stderr
    with h5py.File(tmp_path / "full/out/results.h5") as file:
        assert "phase_diagram_beside" not in file and "has no phase diagram yet" in file.attrs["notes"]
    for path, options in ((ground, ("--until", "analyse")), (full, ())):
        done = run(path, 1, *options)
        assert done.returncode == 0, done.stderr
    given, _ = prepare(read_input(full))
    e = enumerate_states(build_system(given.user_terms, given.matrix, given.ions))
    minima = lowest(e)
    n = np.array([(np.frombuffer(s, np.int8) == 0).sum() for s in minima])
    values = np.array(list(minima.values()))
    for name in ("ground", "full"):
        with h5py.File(tmp_path / name / "out/results.h5") as file:
            group = file["canonical"]
            for row, t in enumerate(group["temperature_K"][()]):
                kT = BOLTZMANN_EV_PER_K * t
                log_z = e.log_z(t)
                if name == "ground":
                    log_z = np.array([logsumexp(-values[n == m] / kT) for m in range(9)])
                for route in ("", "ratios_", "beta_", "mbar_"):
                    error = group[f"free_energy_{route}eV_error"][row]
                    difference = np.abs(group[f"free_energy_{route}eV"][row] + kT * log_z / 8)
                    assert (
                        error.max() < widest * (2e-3 if route == "mbar_" else 1e-3) and (difference < 4 * error + 1e-6).all()
                    ), (
                        name,
                        route,
                        t,
                        difference,
                        error,
                    )
                assert group["routes_agree"][row].all()
            assert ("entropy_electron_kB" in group) == (name == "full")
            assert ("phase_diagram_beside" in file) == (name == "full") and "voltage" in file
            if name == "ground":
                assert "electrons are in their ground state" in file.attrs["notes"]
    assert (tmp_path / "full/out/figures/phase_diagrams.svg").exists()
