"""Exports against formulas: pymatgen's hull is ours, the CALPHAD database is the formula that the results were made of."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monty.serialization import loadfn
from scipy.optimize import brentq

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.report.exports.calphad import J_PER_MOL, fit_model
from redoxmc.engine.report.exports.deviation import deviation, gaps_of_model
from redoxmc.engine.report.exports.formula import formula_unit
from redoxmc.engine.report.exports.hull_entries import phase_diagrams
from redoxmc.engine.report.exports.redlich_kister import basis
from redoxmc.engine.report.exports.two_sublattices import two_sublattices
from redoxmc.engine.report.exports.write import write_exports
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.phases import Phases
from redoxmc.engine.thermodynamics.free_energy.hull import facets, hull_values, lower_hull
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.blank import blank
from ..helpers.made_up import NASICON, OLIVINE, SPINEL, Formula, Material, made_up_results

MATERIALS = {"olivine": OLIVINE, "spinel": SPINEL, "nasicon": NASICON}
GAP_EV = 0.4  # W of W x (1 - x), with 2 kT of ideal mixing: closes at W / 4k


def regular(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    return -40.0 - 4.0 * x + GAP_EV * x * (1 - x) + 0 * t


def binodal(temperature_K: float) -> float:
    """ln[x/(1-x)] = W (2x - 1) / 2kT."""
    kT = BOLTZMANN_EV_PER_K * temperature_K
    return brentq(lambda x: 2 * kT * np.log(x / (1 - x)) - GAP_EV * (2 * x - 1), 1e-12, 0.5 - 1e-6)


def asymmetric(material: Material) -> Formula:
    """Three Redlich-Kister terms of u with all three functions of T, odd ones too."""
    low, high = material.x

    def formula(t: np.ndarray, x: np.ndarray) -> np.ndarray:
        u = (x - low) / (high - low)
        heat = t * np.log(t)
        terms = (0.08 - 1e-4 * t + 1e-5 * heat, 0.05 + 2e-5 * t, -0.03 + 1e-4 * t - 2e-5 * heat)
        return -40.0 - 3.5 * x + u * (1 - u) * sum(c * (2 * u - 1) ** k for k, c in enumerate(terms))

    return formula


def regions(material: Material, formula: Formula, temperatures_K: tuple[float, ...]) -> tuple[tuple[float, float, int, int], ...]:
    """Boundaries of the exact two-phase regions: temperature, x, number of the region, side."""
    x, found = np.linspace(*material.x, 4001), []
    for t in temperatures_K:
        f = formula(np.full(len(x), t), x) - BOLTZMANN_EV_PER_K * t * material.entropy_kB(x, np.inf)
        f -= np.interp(x, x[[0, -1]], f[[0, -1]])
        found += [
            (t, x[k], n, side)
            for n, s in enumerate(facets(x, f, lower_hull(x, f), 0.005))
            for side, k in enumerate((s.left, s.right))
        ]
    return tuple(found)


TEMPERATURES_K = (300.0, 500.0, 700.0, 900.0)


def with_regions(
    material: Material, formula: Formula, temperatures_K: tuple[float, ...] = TEMPERATURES_K, **more: Any
) -> Results:
    return made_up_results(material, formula, temperatures_K, boundaries=regions(material, formula, temperatures_K), **more)


def infinite(material: Material, t: np.ndarray, x: np.ndarray) -> np.ndarray:
    return asymmetric(material)(t, x) - BOLTZMANN_EV_PER_K * t * material.entropy_kB(x, np.inf)


def test_pymatgen_finds_our_hull(tmp_path: Path) -> None:
    """Rough free energies: vertices, heights above the hull (1e-9 eV) and atoms, after writing and reading."""
    rng = np.random.default_rng(3)
    results = made_up_results(OLIVINE, lambda t, x: -42 - 4 * x + 0.02 * rng.normal(size=(t + x).shape), (300.0, 345.957))
    canonical = results.canonical
    assert canonical is not None
    canonical.trusted[0, 5] = False
    canonical.free_energy_eV[0, 5] -= 5.0  # which nothing may be derived from
    assert "pymatgen phase diagrams at 2 temperatures" in write_exports(results, tmp_path)
    for row, name in enumerate(("phase_diagram_300K.json", "phase_diagram_345.957K.json")):
        known, diagram = canonical.trusted[row], loadfn(tmp_path / name)
        x, f = canonical.x[known], canonical.free_energy_eV[row][known]
        vertices = lower_hull(x, f)
        assert 3 < len(vertices) < len(x) / 2
        assert sorted(e.attribute["x"] for e in diagram.stable_entries) == x[vertices].tolist()
        assert len(diagram.all_entries) == len(x)
        above = f - hull_values(x, f, vertices)
        for entry in diagram.all_entries:
            k = int(np.flatnonzero(x == entry.attribute["x"])[0])
            assert abs(diagram.get_e_above_hull(entry) - above[k]) < 1e-9
            assert entry.original_entry.composition.as_dict() == pytest.approx({"Na": x[k], "Fe": 1, "P": 1, "O": 4}) or k == 0
            assert entry.original_entry.energy == f[k] and entry.attribute["free_energy_error_eV"] == 1e-5
            assert entry.attribute["trusted"] is True


def test_metastable_phases_are_entries_above_the_hull() -> None:
    """At 400 K, between two temperatures of /phases, at mean heights. A stable phase has none, also within its error."""
    results = made_up_results(OLIVINE, regular, (400.0, 900.0))
    x, above = np.array([[[0.5, 0.6]] * 2, [[0.3, 0.4]] * 2]), np.array([[[0.010, 0.0], [0.020, 0.0]], [[1e-5, np.nan]] * 2])
    phases = blank(
        Phases, temperature_K=np.array([300.0, 500.0]), chemical_potential_eV=np.zeros(2), name=np.array(["A", "B"]), x=x,
        energy_above_hull_eV=above, energy_above_hull_eV_error=np.full((2, 2, 2), 1e-4),
    )  # fmt: skip
    diagrams = phase_diagrams(replace(results, phases=phases))
    (entry,) = [e for e in diagrams[400.0].all_entries if "phase" in e.attribute]
    assert entry.attribute["phase"] == "A" and entry.attribute["x"] == 0.5
    assert diagrams[400.0].get_e_above_hull(entry) == pytest.approx(0.015, abs=1e-9)
    assert not any("phase" in e.attribute for e in diagrams[900.0].all_entries)


def test_the_atoms_of_a_formula_unit() -> None:
    assert formula_unit(made_up_results(NASICON, regular)).composition(1.5) == {"Na": 1.5, "V": 2, "P": 3, "O": 12}
    mixed = Material(
        {**OLIVINE.formula_unit, "Na": 2},
        [{"element": "Na", "species": {"Na+": 1, "K+": 1}}],
        "K+",
        (0, 2),
        (2, 1),
        OLIVINE.filled,
    )
    unit = formula_unit(made_up_results(mixed, regular))
    assert unit.composition(0.5) == {"K": 0.5, "Na": 1.5, "Fe": 1, "P": 1, "O": 4} and unit.name == "Na2FePO4"


@pytest.mark.parametrize("material", MATERIALS.values(), ids=MATERIALS)
def test_neutral_line(material: Material) -> None:
    """Site fractions and both ideal entropies, against counts written down by hand for each material."""
    model = two_sublattices(formula_unit(made_up_results(material, regular)))
    x = np.linspace(*material.x, 7)
    for found, n, sites in zip(model.site_fractions(x), material.filled(x), material.sites):
        assert np.allclose(found, n / sites, atol=1e-12)
    assert np.allclose(model.ideal_entropy_kB(x), material.entropy_kB(x, np.inf), atol=1e-12)
    assert np.allclose(model.ideal_entropy_of_cell_kB(x, 60), material.entropy_kB(x, 60), atol=1e-9)


@pytest.mark.parametrize("material", MATERIALS.values(), ids=MATERIALS)
def test_a_known_model_is_recovered(material: Material) -> None:
    """From a small cell to the infinite crystal, at temperatures in between too; noise is averaged out, bad points count
    little.
    """
    results = made_up_results(material, asymmetric(material), n_fu=60, error_eV=1e-4)
    canonical, rng = results.canonical, np.random.default_rng(1)
    assert canonical is not None
    f = canonical.free_energy_eV
    f[:, 1:-1] += 1e-4 * rng.normal(size=f[:, 1:-1].shape)
    f[1, 20] += 0.2
    canonical.free_energy_eV_error[1, 20] = 0.2
    f[2, 30:] += 0.3
    canonical.trusted[2, 30:-1] = False
    f[2, -1] -= 0.3
    model = fit_model(results)
    assert model.polynomial.terms == 3 and 0.8e-4 < model.held_out_eV < 1.5e-4
    x, t = np.linspace(*material.x, 23), np.full(23, 611.0)
    wanted = infinite(material, t, x)
    assert np.abs(model.free_energy_eV(t, x) - wanted).max() < 1e-4
    y = x / material.sites[0]
    again = model.in_site_fractions()(t, y) - J_PER_MOL * BOLTZMANN_EV_PER_K * t * material.entropy_kB(x, np.inf)
    assert np.abs(again - model.gibbs_energy_J_per_mol(t, x)).max() < 1e-6


def test_zero_of_the_database() -> None:
    """Both ends at zero; or the metal of the ion: then -dG/dx is the voltage."""
    plain = fit_model(made_up_results(OLIVINE, regular))
    t, x = np.full(2, 400.0), np.array([0.0, 1.0])
    assert np.abs(plain.gibbs_energy_J_per_mol(t, x)).max() < 1e-6
    metal = fit_model(made_up_results(OLIVINE, regular, metal={"Na": -1.3}))
    assert np.allclose(metal.gibbs_energy_J_per_mol(t, x), [0, J_PER_MOL * (-4.0 + 1.3)], atol=1e-6)
    assert np.allclose(metal.free_energy_eV(t, x), plain.free_energy_eV(t, x), atol=1e-12)


def test_deviation_is_that_of_the_data() -> None:
    """Known errors of F and of a boundary come back, those not trusted apart; the finite cell's share is named."""
    low = binodal(700.0)
    points = ((700.0, low - 0.02, 0, 0), (700.0, 1 - low, 0, 1), (500.0, 0.30, 1, 0), (500.0, 0.31, 1, 1))
    results = made_up_results(OLIVINE, regular, (500.0, 700.0, 1300.0), n_fu=100_000, points=201, boundaries=points)
    model = fit_model(results)
    exact = deviation(model, results)
    assert exact.largest_eV < 2e-5 and 0 < exact.cell_eV < 2e-5
    ours, stray = exact.regions[1], exact.regions[0]
    assert len(exact.regions) == 2 and stray.temperature_K == 500 and ours.temperature_K == 700 and ours.trusted
    assert ours.shift == pytest.approx(0.02, abs=2e-3) and stray.model is not None
    canonical = results.canonical
    assert canonical is not None
    off = canonical.free_energy_eV
    off[0, 100] += 0.003
    off[2, 7] += 0.5
    canonical.trusted[2, 7] = False
    found = deviation(model, results)
    assert found.largest_eV == pytest.approx(0.003, abs=2e-5) and found.rows[2].largest_of_all_eV == pytest.approx(0.5, abs=1e-4)
    n = sum(row.trusted for row in found.rows)
    assert n == 3 * 201 - 1 and found.rms_eV == pytest.approx(0.003 / np.sqrt(n), rel=0.05)
    assert gaps_of_model(model, 1300.0, 0.005) == []


def test_a_cusp_is_not_hidden() -> None:
    """An ordered phase, a corner of F 20 meV deep: the deviation says so, and its two-phase regions count as lost or shifted."""

    def cusp(t: np.ndarray, x: np.ndarray) -> np.ndarray:
        return regular(t, x) - GAP_EV * x * (1 - x) - 0.02 * np.exp(-np.abs(x - 2 / 3) / 0.01)

    results = made_up_results(OLIVINE, cusp, points=97)
    assert deviation(fit_model(results), results).largest_eV > 0.01


def test_why_there_is_no_database(tmp_path: Path) -> None:
    three = [OLIVINE.sublattices[0], {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": 3, "Fe4+": 4}}]
    beside = [
        {
            "element": "Na",
            "species": {
                "Na+": 1,
                "K+": 1,
            },
        },
        OLIVINE.sublattices[1],
    ]
    untrusted = made_up_results(OLIVINE, regular)
    assert untrusted.canonical is not None
    untrusted.canonical.trusted[:] = False
    old = made_up_results(OLIVINE, regular)
    old = replace(old, attributes=replace(old.attributes, ion=None))
    cases = {
        "not exactly one redox pair": made_up_results(Material(**{**vars(OLIVINE), "sublattices": three}), regular),
        "more than it and vacancies": made_up_results(Material(**{**vars(OLIVINE), "sublattices": beside}), regular),
        "no mixing of electrons": made_up_results(OLIVINE, regular, electrons="ground_state"),
        "two temperatures": made_up_results(OLIVINE, regular, (400.0,)),
        "0 trusted points": untrusted,
        "run the analysis again": old,
        "no free energies": Results(Attributes()),
    }
    for why, results in cases.items():
        with pytest.raises(RedoxError, match=why):
            fit_model(results)
        assert "No TDB: " in write_exports(results, tmp_path) and not list(tmp_path.glob("*.tdb"))


def test_files_of_earlier_results_go(tmp_path: Path) -> None:
    """And rungs beyond the temperatures asked for are not exported."""
    write_exports(made_up_results(OLIVINE, regular, (300.0, 400.0)), tmp_path)
    results = made_up_results(SPINEL, asymmetric(SPINEL), (300.0, 500.0, 20_000.0))
    assert results.canonical is not None
    results.canonical.asked[2] = False
    said = write_exports(results, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ZnMn2O4.tdb", "phase_diagram_300K.json", "phase_diagram_500K.json"]
    assert "ZnMn2O4.tdb: RMS" in said
    text = (tmp_path / "ZnMn2O4.tdb").read_text()
    assert (
        max(map(len, text.splitlines())) < 79
        and "rounds off ordered phases" in " ".join(text.replace("$", "").split())
        and f"RMS {said.split('RMS ')[1][:4]}" in text
    )
    json.loads((tmp_path / "phase_diagram_300K.json").read_text())


def test_basis_is_zero_at_the_ends() -> None:
    assert np.allclose(basis(np.array([0.0, 1.0]), 4), [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]])
