"""The CALPHAD database as pycalphad reads and redraws it, and when there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redoxmc.engine.report.exports import redraw
from redoxmc.engine.report.exports.calphad import J_PER_MOL, CalphadModel, fit_model
from redoxmc.engine.report.exports.readback import pycalphad_energy_J_per_mol
from redoxmc.engine.report.exports.tdb import phase_name
from redoxmc.engine.report.exports.write import write_exports, write_tdb
from redoxmc.engine.runtime.results import Results
from redoxmc.engine.runtime.results.phase_diagram import Boundaries
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.blank import blank
from ..helpers.made_up import OLIVINE, Material
from .test_exports import MATERIALS, asymmetric, binodal, regular, with_regions


def written(material: Material, results: Results, folder: Path) -> tuple[CalphadModel, Path]:
    write_tdb(results, folder)
    model = fit_model(results)
    return model, folder / f"{model.unit.name}.tdb"


@pytest.mark.parametrize("material", MATERIALS.values(), ids=MATERIALS)
def test_pycalphad_reads_our_energies(material: Material, tmp_path: Path) -> None:
    """To 1e-3 J/mol, at the ends of both ranges too, once its rounded gas constant is allowed for."""
    v = pytest.importorskip("pycalphad").variables
    model, path = written(material, with_regions(material, asymmetric(material), metal={"Na": -1.3}), tmp_path)
    x = np.linspace(*material.x, 17)
    for temperature in (300.0, 432.1, 900.0):
        t = np.full(len(x), temperature)
        rounding = (float(v.R) - BOLTZMANN_EV_PER_K * J_PER_MOL) * temperature * material.entropy_kB(x, np.inf)
        found = pycalphad_energy_J_per_mol(path, model, temperature, x) + rounding
        assert np.abs(found - model.gibbs_energy_J_per_mol(t, x)).max() < 1e-3
    assert "as pycalphad" in write_tdb(with_regions(material, asymmetric(material)), tmp_path)


@pytest.mark.runs
def test_pycalphad_finds_the_miscibility_gap_and_redraws_it(tmp_path: Path) -> None:
    pycalphad = pytest.importorskip("pycalphad")
    v = pycalphad.variables
    model, path = written(OLIVINE, with_regions(OLIVINE, regular, points=97), tmp_path)
    database, system = pycalphad.Database(str(path)), (["NA", "FE", "VA"], [phase_name(model)])
    for temperature in (500.0, 800.0, 1000.0):
        found = pycalphad.equilibrium(database, *system, {v.X("NA"): 0.25, v.T: temperature, v.P: 101325, v.N: 1})
        share = found.X.sel(component="NA").values.reshape(-1)
        both = np.sort(share[np.isfinite(share)])
        x = both / (1 - both)
        low = binodal(temperature)
        assert len(x) == 2 and abs(x[0] - low) < 1e-3 and abs(x[1] - 1 + low) < 1e-3
    above = pycalphad.equilibrium(database, *system, {v.X("NA"): 1 / 3, v.T: 1250.0, v.P: 101325, v.N: 1})
    assert np.isfinite(above.NP.values).sum() == 1, "one phase above the critical point, W/4k = 1160 K"

    from pycalphad.mapping import BinaryStrategy

    drawn = BinaryStrategy(database, *system, {v.X("NA"): (0, 0.5, 0.05), v.T: (500, 1100, 50), v.P: 101325, v.N: 1})
    drawn.do_map()
    lines = [(p.get_property(v.T), [float(c.X[1]) for c in p.stable_composition_sets]) for z in drawn.zpf_lines for p in z.points]
    assert len(lines) > 10
    for temperature, shares in lines:
        assert abs(min(s / (1 - s) for s in shares) - binodal(float(temperature))) < 2e-3


def test_a_database_of_another_diagram_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If its two-phase regions are not those of the run, if it has none of an ordered phase, or if pycalphad draws others."""
    pytest.importorskip("pycalphad")
    good = with_regions(OLIVINE, regular, points=97)
    assert "of 4 kept" in write_tdb(good, tmp_path) and list(tmp_path.glob("*.tdb"))
    assert good.phase_diagram is not None
    points = good.phase_diagram.boundary
    for change, why in (
        (
            dict(region=points.region[2:], side=points.side[2:], x=points.x[2:], temperature_K=points.temperature_K[2:]),
            "no region there in the run",
        ),
        (dict(x=np.where((points.temperature_K == 900) & (points.side == 1), points.x - 0.07, points.x)), "at 900 K"),
    ):
        lost = blank(Boundaries, **{**{n: getattr(points, n) for n in ("temperature_K", "x", "region", "side")}, **change})
        results = replace(good, phase_diagram=replace(good.phase_diagram, boundary=lost))
        assert why in write_exports(results, tmp_path) and not list(tmp_path.glob("*.tdb"))
    monkeypatch.setattr(redraw, "phases_at", lambda path, model, t, x: [None for _ in x])
    assert "No TDB: pycalphad redraws other regions" in write_exports(good, tmp_path) and not list(tmp_path.glob("*.tdb"))
