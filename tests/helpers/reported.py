"""A small run with a phase diagram, a smaller cell and measured points beside it, as the real command reports it; for the
tests of report and figures.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redoxmc.engine.runtime.results import Results, read_results
from redoxmc.engine.runtime.results.phase_diagram import Boundaries, Invariants

from .command import run, write_input

POINTS = """\
x,temperature_K,label,kind,x_error,temperature_error_K,source
0.1,350,"Miller, $5 <b>",boundary,0.02,10,"J. Miller, J. Tests 1, 2 (2020)"
0.5,300,Jones 2021,two-phase,0.1,,"K. Jones & al., J. Tests 2, 3 (2021)"
0.5,950,Jones 2021,single-phase,,,"K. Jones & al., J. Tests 2, 3 (2021)"
"""
TITLE = "tiny <script>alert(1)</script> & $x_"


def reported(folder: Path) -> None:
    path = write_input(folder, 150, "label: {configurations: 40}  # <img src=x onerror=alert(2)>\n")
    (folder / "points.csv").write_text(POINTS)
    text = path.read_text().replace("title: tiny", f"title: {TITLE!r}").replace("[400, 900]", "[150, 400, 900]")
    text = text.replace("compositions: 9}", "compositions: 9, entropy_compositions: 5, experiment: points.csv}")
    few = "  walkers: 2\n  rungs: 3\n  refine: {temperatures: 0}\n  second_supercell: [1, 1, 1]"
    path.write_text(text.replace("  walkers: 2", few))
    done = run(path)
    assert done.returncode == 0, done.stderr


def with_fit_uncertainty(folder: Path) -> Results:
    """The results with a two-phase region, the uncertainty of a fit, and this run as the other run."""
    results = read_results(folder / "results.h5")
    canonical, diagram = results.canonical, results.phase_diagram
    assert canonical is not None and diagram is not None
    diagram = replace(
        diagram, boundary=_region(diagram.temperature_K[:50]), invariant=_closing(diagram.temperature_K[50]), title=TITLE
    )
    band = np.full_like(canonical.mixing_free_energy_eV, 1e-3)
    return replace(
        results,
        canonical=replace(canonical, mixing_free_energy_eV_fit_uncertainty=band),
        phase_diagram=diagram,
        phase_diagram_beside=diagram,
    )


def _region(temperature_K: NDArray[np.float64]) -> Boundaries:
    t = np.repeat(temperature_K, 2)
    side = np.arange(len(t)) % 2
    error = np.full(len(t), 0.01)
    return Boundaries(
        temperature_K=t, x=0.3 + 0.3 * side, x_error=error, x_fit_uncertainty=2 * error, x_finite_size=error, region=0 * side,
        side=side, height_eV=error, trusted=np.ones(len(t), bool),
    )  # fmt: skip


def _closing(temperature_K: float) -> Invariants:
    return Invariants(
        kind=np.array(["closing"]), temperature_K=np.array([temperature_K]), temperature_K_error=np.array([5.0]),
        temperature_K_fit_uncertainty=np.array([20.0]), x=np.array([[np.nan, 0.45, np.nan]]),
        x_error=np.array([[np.nan, 0.02, np.nan]]), found=np.ones(1), height_vanishes_K=np.array([[500.0, 600.0]]),
        trusted=np.ones(1, bool),
    )  # fmt: skip
