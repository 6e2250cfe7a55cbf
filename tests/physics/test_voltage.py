"""Voltage of the ideal solution, from a run of the real command."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import gammaln, softmax

from redoxmc.engine.report.exports.calphad import fit_model
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.command import run, write_input

pytestmark = pytest.mark.runs


def test_voltage_of_the_ideal_solution(tmp_path: Path) -> None:
    """8 formula units, no energy but 4 eV per Na: P(n) ~ C(8, n)^2 exp(y n) with y = (mu + 4 eV)/kT, whose mean is 8 x at V."""
    path = write_input(tmp_path, 800)
    text = path.read_text().replace("energy_eV: -0.03}", "energy_eV: 0.0}").replace("energy_eV: 0.015}", "energy_eV: 0.0}")
    free = "  moves: {swap: 1, neutral_exchange: 1}\n  sweeps: {measure"  # their acceptances know C(N, n) exactly
    path.write_text(text.replace("  sweeps: {equilibrate: 50, measure", free))
    done = run(path)
    assert done.returncode == 0, done.stderr
    n = np.arange(9)
    log_states = 2 * (gammaln(9) - gammaln(n + 1) - gammaln(9 - n))
    with h5py.File(tmp_path / "out/results.h5") as file:
        group = file["voltage"]
        t = group["temperature_K"][()]
        y = np.array([brentq(lambda y, m=m: softmax(log_states + y * n) @ n - m, -40, 40) for m in range(1, 8)])
        wanted = -1.3 + 4.0 - BOLTZMANN_EV_PER_K * t[:, None] * y
        error = group["voltage_V_error"][:, 1:-1]
        assert error.max() < 2e-4 and (np.abs(group["voltage_V"][:, 1:-1] - wanted) < 4 * error + 1e-6).all()
        slope, slope_error = (group[f"entropy_coefficient_V_per_K{e}"][:, 1:-1] for e in ("", "_error"))
        assert slope_error.max() < 1e-6 and (np.abs(slope + BOLTZMANN_EV_PER_K * y) < 4 * slope_error + 1e-8).all()
        assert abs(group["capacity_mAh_per_g"][-1] - 154.2) < 0.1, "NaFePO4 holds 154 mAh/g"
        group = file["differential_capacity"]
        per_volt, step = group["differential_capacity_mAh_per_g_per_V"][()], np.diff(group["voltage_V"][:2])
        assert np.abs(per_volt.sum(axis=1) * step - 154.2).max() < 0.1, "-dQ/dV adds up to the capacity"
    assert all((tmp_path / f"out/figures/{name}.png").exists() for name in ("entropy_coefficient", "differential_capacity"))
    model, x = fit_model(read_results(tmp_path / "out/results.h5")), np.linspace(0.1, 0.9, 9)
    ideal = 2 * BOLTZMANN_EV_PER_K * 600 * (x * np.log(x) + (1 - x) * np.log(1 - x)) - 4 * x
    assert np.abs(model.free_energy_eV(np.full(9, 600.0), x) - ideal).max() < 1e-4, "the database of an infinite crystal"
    assert (tmp_path / "out/exports/NaFePO4.tdb").exists() and "NaFePO4.tdb: RMS" in (tmp_path / "out/report.html").read_text()
