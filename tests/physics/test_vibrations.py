"""Vibrational free energies: an Einstein crystal's exact shifts, a gap that they close, phonons of structures, and wrong
files.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import softmax

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import AnalysisInput
from redoxmc.engine.report import figures
from redoxmc.engine.runtime.results import Results, read_results
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.samples import Samples, read_samples
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.thermodynamics.analysis import analyse_samples
from redoxmc.engine.thermodynamics.phase_diagram.diagram import build_diagram
from redoxmc.engine.thermodynamics.phonons import KJ_PER_MOL_OF_EV
from redoxmc.engine.thermodynamics.vibrations import Vibrations, read_vibrations
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.command import run, write_input
from ..helpers.mean_field import Float, ideal, isotherms_of
from ..input.test_input import GOOD, problems

N_MODES, QUANTUM_EV, PER_X_EV = 18, 0.040, -0.006
TABLE_T = np.arange(0.0, 1001.0, 10.0)
TABLE_X = np.linspace(0, 1, 21)
HEADER = "temperature_K,x,free_energy_eV\n"


def einstein(t: Float, x: Float) -> tuple[Float, Float, Float]:
    """F and U (eV) and S (k_B) of N_MODES oscillators whose quantum is linear in x."""
    quantum, kT = QUANTUM_EV + PER_X_EV * x, BOLTZMANN_EV_PER_K * np.maximum(t, 1e-9)
    f = N_MODES * (quantum / 2 + kT * np.log1p(-np.exp(-quantum / kT)))
    u = N_MODES * quantum * (0.5 + 1 / np.expm1(np.minimum(quantum / kT, 700)))
    return f, u, (u - f) / kT


def csv(free_energy: Callable[[Float, Float], Float], t: Float, x: Float) -> str:
    return HEADER + "".join(f"{a},{b},{float(free_energy(np.array(a), np.array(b)))!r}\n" for a in t for b in x)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, System, Samples]:
    """The input and the samples of an ideal solution of 8 formula units."""
    path = write_input(tmp_path_factory.mktemp("vibrations"), 800)
    text = path.read_text().replace("-0.03}", "0.0}").replace("0.015}", "0.0}")
    path.write_text(
        text.replace("compositions: 9}", "compositions: 9, entropy_compositions: 2}").replace("equilibrate: 50, ", "")
    )
    assert run(path, 1, "--until", "sample").returncode == 0
    given, _ = prepare(read_input(path))
    system = build_system(given.user_terms, given.matrix, given.ions)
    return path, system, read_samples(SampleStore(path.parent / "out/samples"))


def mean_potential(free_energy_eV: Float, temperature_K: Float) -> Float:
    """Chemical potentials (temperatures, 7) at which the mean count of 8 formula units is 1 to 7."""
    n = np.arange(9)

    def found(f: Float, t: float, mean: int) -> float:
        beta = 1 / (BOLTZMANN_EV_PER_K * t)
        return float(brentq(lambda mu: softmax(beta * (mu * n - 8 * f)) @ n - mean, -50, 50, xtol=1e-12))

    return np.array([[found(f, t, m) for m in n[1:-1]] for f, t in zip(free_energy_eV, temperature_K.tolist())])


@pytest.mark.runs
def test_an_einstein_crystal_shifts_everything_exactly(sampled: tuple[Path, System, Samples]) -> None:
    """The same samples, analysed without and, by the real command, with it: F, U, S and V by all routes; the split stays."""
    path, system, samples = sampled
    settings = AnalysisInput(compositions=9, entropy_compositions=2, reference_energy_eV={"Na": -1.3})
    before = analyse_samples(samples, system, settings, 3).results
    (path.parent / "vib.csv").write_text(csv(lambda t, x: einstein(t, x)[0], TABLE_T, TABLE_X))
    with_key = path.with_name("with.yaml")
    with_key.write_text(path.read_text().replace("compositions: 9,", "compositions: 9, vibrations: vib.csv,"))
    done = run(with_key, 1, "--until", "analyse")
    assert done.returncode == 0, done.stderr
    after = read_results(path.parent / "out/results.h5")

    def values(results: Results, group: str, name: str) -> Float:
        return results.groups[group].datasets()[name].values

    def shift(group: str, name: str) -> Float:
        return values(after, group, name) - values(before, group, name)

    assert after.canonical is not None and after.semigrand is not None and before.canonical is not None
    t, x = after.canonical.temperature_K, after.canonical.x
    f, u, s = einstein(t[:, None], x)
    for route in ("", "beta_", "mbar_"):
        assert np.abs(shift("canonical", f"free_energy_{route}eV") - f).max() < 1e-7
        assert np.abs(shift("canonical", f"free_energy_{route}eV_error")).max() < 1e-12
    assert np.abs(shift("canonical", "energy_eV") - u).max() < 1e-7
    assert np.abs(shift("canonical", "entropy_kB") - s).max() < 1e-5
    for name, exact, largest in (("free_energy_eV", f, 1e-7), ("energy_eV", u, 1e-7), ("entropy_kB", s, 1e-5)):
        assert np.abs(values(after, "canonical", f"vibrational_{name}") - exact).max() < largest
    heat = (einstein(t[:, None] + 1, x)[1] - einstein(t[:, None] - 1, x)[1]) / 2 / BOLTZMANN_EV_PER_K
    assert np.abs(shift("canonical", "heat_capacity_x_kB") - heat).max() < 5e-3
    slope = (einstein(t[:, None], x[1:-1] + 1 / 8)[0] - einstein(t[:, None], x[1:-1] - 1 / 8)[0]) * 4
    means = [mean_potential(before.canonical.free_energy_eV + added, t) for added in (0 * f, f)]
    assert np.abs(shift("voltage", "voltage_V")[:, 1:-1] + means[1] - means[0]).max() < 1e-6
    assert np.abs(shift("canonical", "chemical_potential_eV")[:, 1:-1] - slope).max() < 1e-6
    for name in ("entropy_electron_given_ion_kB", "entropy_ion_kB", "mutual_information_kB"):
        assert np.nanmax(np.abs(shift("canonical", name))) < 1e-9, "ions and electrons keep their entropies"
    for group, name in (("semigrand", "x"), ("semigrand", "energy_eV"), ("vcsgc", "x"), ("exchange", "acceptance")):
        assert np.array_equal(values(after, group, name), values(before, group, name)), "what was sampled stays"
    grand, mu = after.semigrand.grand, after.semigrand.chemical_potential_eV
    assert grand is not None and mu is not None and "without them" in (grand.vibrations or "")
    kT = BOLTZMANN_EV_PER_K * t[:, None, None]
    weight = np.exp((mu[:, None] * x * 8 - 8 * (before.canonical.free_energy_eV + f)[:, None]) / kT)
    assert np.abs(grand.x_from_free_energy - (weight @ x) / weight.sum(axis=2)).max() < 1e-6
    assert all(draw(after, None) for draw in (figures.entropy, figures.entropy_split, figures.isotherms))


@pytest.mark.runs
def test_rungs_hotter_than_the_table_serve_the_others(sampled: tuple[Path, System, Samples]) -> None:
    """A table to 500 K: nothing is said at 900 K, but the route from beta = 0 still passes there."""
    _, system, samples = sampled
    t = np.arange(0.0, 501.0, 10.0)
    table = Vibrations(t, TABLE_X, einstein(t[:, None], TABLE_X)[0])
    before = analyse_samples(samples, system, AnalysisInput(compositions=9), 3).results
    analysis = analyse_samples(samples, system, AnalysisInput(compositions=9), 3, table)
    after = analysis.results
    cold, canonical = before.canonical, after.canonical
    assert cold is not None and canonical is not None and cold.checks is not None and canonical.checks is not None
    assert canonical.temperature_K.tolist() == [400.0] and any("above 500 K" in note for note in analysis.notes)
    by_beta = [group.checks.free_energy_beta_eV for group in (canonical, cold) if group.checks is not None]
    for with_table, without in ((canonical.free_energy_eV, cold.free_energy_eV), by_beta):
        assert with_table is not None and without is not None
        shift = with_table - without[:1]
        assert np.abs(shift - einstein(np.array([[400.0]]), canonical.x)[0]).max() < 1e-7
    assert after.semigrand is not None and after.semigrand.grand is not None
    x = after.semigrand.grand.x_from_free_energy
    assert np.isfinite(x[0]).all() and np.isnan(x[1:]).all() and len(x) == len(after.semigrand.temperature_K)


W_EV, EXCESS_EV_PER_K = 0.16, 8e-5


@pytest.mark.runs
def test_vibrations_close_a_miscibility_gap() -> None:
    """A regular solution with F_vib = -a T x (1 - x): W - a T = 4 k T at 377 K instead of 464 K; boundaries within 0.005 of
    exact ones.
    """
    plain = isotherms_of(lambda x, t: W_EV * x * (1 - x) + ideal(x, t), [250, 300, 350, 400], n_fu=4000, noise_eV=1e-6)
    t, x = np.linspace(200, 600, 9), np.linspace(0, 1, 11)
    vibrating = replace(plain, vibrations=Vibrations(t, x, -EXCESS_EV_PER_K * np.outer(t, x * (1 - x))))
    critical = W_EV / (4 * BOLTZMANN_EV_PER_K + EXCESS_EV_PER_K)
    checked = 0
    without, diagram = build_diagram(plain), build_diagram(vibrating)
    for t_k, row, before in zip(diagram.trace.temperature_K, diagram.rows, without.rows):
        assert (t_k < critical + 2 or not row) and before
        if t_k < critical - 10:
            kT, w = BOLTZMANN_EV_PER_K * t_k, W_EV - EXCESS_EV_PER_K * t_k
            exact = brentq(lambda v: 2 * kT * np.log(v / (1 - v)) + w * (1 - 2 * v), 1e-9, 0.5 - 1e-6)  # noqa: B023
            (gap,) = row
            assert abs(gap.x[0] - exact) < 5e-3 and abs(gap.x[1] - 1 + exact) < 5e-3
            checked += 1
    (point,) = diagram.invariants
    assert checked > 10 and point.kind == "critical" and abs(point.x[1] - 0.5) < 4 * point.x_error[1]
    assert abs(point.temperature_K - critical) < 2 * point.error_K and point.error_K < 5


def thermal_properties(
    n_atoms: int, n_fu: int, x: float, extra_eV: float = 0.0, unit: str = "kJ/mol", stop: float = 800.0
) -> str:
    """As phonopy writes it, for a cell of n_fu formula units; extra_eV: of this structure alone, per formula unit."""
    lines = [
        "unit:",
        "  temperature:   K",
        f"  free_energy:   {unit}",
        "",
        f"natom: {n_atoms}",
        "num_modes: 84",
        "num_integrated_modes: 81",
    ]
    lines += ["", "thermal_properties:"]
    for t in np.arange(0.0, stop + 1, 20.0):
        f = KJ_PER_MOL_OF_EV * n_fu * (float(einstein(np.array(t), np.array(x))[0]) + extra_eV * (0.5 + t / 1000))
        lines += [
            f"- temperature: {t:15.7f}",
            f"  free_energy: {f:15.7f}",
            f"  entropy: {0:15.7f}",
            f"  heat_capacity: {0:15.7f}",
        ]
    return "\n".join(lines) + "\n"


def write_structures(folder: Path, cells: list[tuple[float, int, float]]) -> Path:
    """cells: x, formula units and extra energy of each structure; olivine has 6 + x atoms per formula unit."""
    rows = ["x,file"]
    for k, (x, n_fu, extra) in enumerate(cells):
        (folder / str(k)).mkdir(parents=True)
        (folder / f"{k}/thermal_properties.yaml").write_text(thermal_properties(round(n_fu * (6 + x)), n_fu, x, extra))
        rows.append(f"{x},{k}/thermal_properties.yaml")
    (folder / "structures.csv").write_text("\n".join(rows) + "\n")
    return folder / "structures.csv"


def test_phonons_of_structures_are_fitted_over_x(tmp_path: Path, olivine: Lattice) -> None:
    """Cells of 4 and 8 formula units. Two orders at x = 1/2 that differ by +-e: the curve lies between, and e is what it
    leaves out.
    """
    smooth = [(0.0, 4, 0.0), (0.25, 4, 0.0), (0.5, 8, 0.0), (0.75, 4, 0.0), (1.0, 4, 0.0)]
    found = read_vibrations(write_structures(tmp_path / "smooth", smooth), olivine, "Na+")
    t, x = np.array([300.0, 600.0, 790.0]), np.linspace(0, 1, 9)
    f, u, s = einstein(t[:, None], x)
    values = found.at(t, x)
    assert np.abs(values.free_energy_eV - f).max() < 2e-4 and np.abs(values.energy_eV - u).max() < 2e-4
    assert np.abs(values.entropy_kB - s).max() < 5e-3
    assert found.fit is not None and found.fit.residual_eV.max() < 5e-4 and found.fit.imaginary == ()
    e = 0.01
    orders = [(v, n, 0.0) for v, n, _ in smooth if v != 0.5] + [(0.5, 8, e), (0.5, 4, -e)]
    split = read_vibrations(write_structures(tmp_path / "orders", orders), olivine, "Na+")
    assert split.fit is not None and np.abs(split.at(t, x).free_energy_eV - f).max() < split.fit.residual_eV.min()
    size = e * (0.5 + 0.3) * np.sqrt(2 / (len(orders) - split.fit.order - 1))
    assert abs(np.interp(300, split.temperature_K, split.fit.residual_eV) - size) < 2e-4
    assert f"rms meV/fu: {1e3 * size:.1f}" in split.fit.note(np.array([300.0]))


def test_the_order_follows_the_structures(tmp_path: Path, olivine: Lattice) -> None:
    """A straight line where scatter is all there is besides; more where the curve bends; no guess beyond the data."""
    rng = np.random.default_rng(2)
    xs = [0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0]
    noisy = read_vibrations(write_structures(tmp_path / "a", [(x, 4, rng.normal() * 0.02) for x in xs]), olivine, "Na+")
    bent = read_vibrations(write_structures(tmp_path / "b", [(x, 4, 0.3 * x * (1 - x)) for x in xs]), olivine, "Na+")
    ends = read_vibrations(write_structures(tmp_path / "c", [(0.0, 4, 0.0), (1.0, 4, 0.0)]), olivine, "Na+")
    assert [v.fit.order > 1 for v in (noisy, bent, ends) if v.fit] == [False, True, False]
    assert ends.fit is not None and "is not known" in ends.fit.note(np.array([300.0]))


WRONG = {
    "no such file": ("", ["cannot read", "vib.csv"]),
    "columns": ("T,x,F\n300,0,1\n", ["line 14, analysis.vibrations", "found the columns T, x, F",
        "temperature_K, x, free_energy_eV or x, file"]),
    "no number": (HEADER + "300,0,warm\n", ["line 2", "free_energy_eV", "'warm'", "a number"]),
    "a hole": (csv(lambda t, x: t + x, np.arange(0, 700, 100.0), TABLE_X[[0, -1]])[:-20], ["each of 7 temperatures once"]),
    "too few": (csv(lambda t, x: t + x, np.array([0.0, 900.0]), TABLE_X), ["found 2 temperatures", "at least 4"]),
    "too cold": (csv(lambda t, x: t + x, np.arange(0, 501, 50.0), TABLE_X), ["found K = 0 to 500; this run needs 300 to 600"]),
    "ends missing": (csv(lambda t, x: t + x, np.arange(0, 901, 50.0), TABLE_X[1:]),
        ["found x = 0.05 to 1; this run needs 0 to 1"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables(name: str, tmp_path: Path) -> None:
    content, words = WRONG[name]
    if content:
        (tmp_path / "vib.csv").write_text(content)
    message = problems(tmp_path, GOOD + "analysis: {vibrations: vib.csv}\n")
    for word in words:
        assert word in message, message


def test_wrong_phonons(tmp_path: Path) -> None:
    write_structures(tmp_path, [(0.0, 4, 0.0), (0.5, 4, 0.0), (1.0, 4, 0.0)])
    text, target = GOOD + "analysis: {vibrations: structures.csv}\n", tmp_path / "1/thermal_properties.yaml"
    for content, words in (
        (thermal_properties(27, 4, 0.5), "27 atoms (natom) are no whole number of formula units at x = 0.5"),
        (thermal_properties(26, 4, 0.5, unit="eV"), "found the units K and eV; allowed: K and kJ/mol"),
        (thermal_properties(26, 4, 0.5, stop=780.0), "the temperatures of 1/thermal_properties.yaml are not those of 0/"),
        ("natom: 3\n", "no thermal_properties.yaml of phonopy"),
    ):
        target.write_text(content)
        assert words in problems(tmp_path, text)
    canonical = text.replace("[300, 600]", "[300, 600]\n  ensemble: canonical")
    assert "in an ensemble that changes its number" in problems(tmp_path, canonical)
