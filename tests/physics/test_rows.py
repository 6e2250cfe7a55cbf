"""Phase diagrams of models with known answers, and mutants of the scheme that must fail the same bars.

Magnets on the square lattice: Onsager's temperature and Yang's magnetisation. What they take: docs/validation.md.
"""

from pathlib import Path

import numpy as np
import pytest

from redoxmc.engine.sampling.samples import read_samples
from redoxmc.engine.thermodynamics.analysis import isotherms_of
from redoxmc.engine.thermodynamics.phase_diagram.boundaries import Gap
from redoxmc.engine.thermodynamics.phase_diagram.diagram import Beside, Diagram, build_diagram
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.coverage import ising_levels, sampled
from ..helpers.coverage_diagram import exact_boundaries
from ..helpers.ising import COUPLING_EV, magnet

BAR_X = 0.002
ROW_K = (350.0, 400.0, 450.0, 480.0)  # at 500 K this cell is too small; 24 x 24 sites are not


def yang(temperature_K: float) -> float:
    """Composition of the poor phase (Yang, Phys. Rev. 85, 808, 1952)."""
    k = COUPLING_EV / (BOLTZMANN_EV_PER_K * temperature_K)
    return float((1 - (1 - np.sinh(2 * k) ** -4) ** 0.125) / 2)


def two_sizes(size: int, temperature_K: tuple[float, ...], sweeps: int, folder: Path, seed: int) -> Diagram:
    """Of the magnet, from F(T, n) of a cell and of one of half the size."""
    found = []
    for n in (size, size // 2):
        system = magnet(n)
        samples = read_samples(sampled(system, temperature_K, sweeps, 4, seed, folder / str(n)))
        found.append(isotherms_of(samples, system, min(n**2, 144) + 1, seed))
    assert found[0] is not None
    return build_diagram(found[0], Beside(found[1]))


def gaps_at(diagram: Diagram, temperature_K: float) -> list[Gap]:
    return diagram.rows[int(np.abs(diagram.trace.temperature_K - temperature_K).argmin())]


@pytest.mark.validate
def test_the_gap_of_the_square_magnet(tmp_path: Path) -> None:
    """16 x 16 and 8 x 8 sites: one region up to 480 K, its boundaries within 0.002 and three errors; none at 540 K."""
    diagram = two_sizes(16, (*ROW_K, 540.0), 500, tmp_path, seed=1)
    for t in ROW_K:
        (gap,) = gaps_at(diagram, t)
        for found, error, exact in zip(gap.x, gap.x_error, (yang(t), 1 - yang(t))):
            assert abs(found - exact) < min(BAR_X, 3 * error + 1e-5), (t, found, error, exact)
    assert not gaps_at(diagram, 540.0)


def test_means_of_peaks_not_their_positions() -> None:
    """6 x 6 sites, exactly counted: the means are those of the infinite crystal. Mutant: the positions of the peaks are not."""
    levels = ising_levels(6, COUPLING_EV)
    for t in (350.0, 400.0):
        means = exact_boundaries(levels, t)
        f = levels.canonical(t)["free_energy_eV"]
        positions = np.array([f[:18].argmin(), 18 + f[18:].argmin()]) / 36
        exact = np.array([yang(t), 1 - yang(t)])
        assert np.abs(means - exact).max() < BAR_X < np.abs(positions - exact).min(), t
