"""A small run with a phase diagram, a smaller cell and measured points beside it, as the real command reports it; for the
tests of report and figures.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from redoxmc.engine.runtime.results import Results, read_results

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
    """The results with the uncertainty of a fit added, and with this run as the other run."""
    results = read_results(folder / "results.h5")
    canonical, diagram = results.canonical, results.phase_diagram
    assert canonical is not None and diagram is not None
    diagram = replace(
        diagram,
        boundary=replace(diagram.boundary, x_fit_uncertainty=np.full_like(diagram.boundary.x, 0.02)),
        invariant=replace(diagram.invariant, temperature_K_fit_uncertainty=np.full_like(diagram.invariant.temperature_K, 20.0)),
        title=TITLE,
    )
    band = np.full_like(canonical.mixing_free_energy_eV, 1e-3)
    return replace(
        results,
        canonical=replace(canonical, mixing_free_energy_eV_fit_uncertainty=band),
        phase_diagram=diagram,
        phase_diagram_beside=diagram,
    )
