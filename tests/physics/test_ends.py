"""Ends of gaps: where they are looked for, how they are found by semigrand chains, and how they enter the phase diagram."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI

from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.results.phase_diagram import Invariants, PhaseDiagram
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System
from redoxmc.engine.sampling.order_scans import gap_scan, order_scans
from redoxmc.engine.sampling.order_scans.gap_scan import GapEnd, GapScan, scan_gap
from redoxmc.engine.sampling.order_scans.order_scans import read_gap_scans, run_gap_scans
from redoxmc.engine.thermodynamics.phase_diagram.ends import ends_to_scan, with_scanned_ends
from redoxmc.engine.units import BOLTZMANN_EV_PER_K

from ..helpers.blank import blank
from ..helpers.ising import T_CRITICAL_K, magnet
from ..helpers.mean_field import Float, FreeEnergy, ideal

LADDER = np.array([250.0, 300.0, 350.0, 400.0, 450.0, 500.0, 550.0])
W_EV, BESIDE_EV = 0.14, 0.3  # of a solution that ends at W/4k = 406 K; change of the chemical potential over its gap
UNKNOWN = GapEnd(0.5, 0.01, (480.0, 580.0), np.array([400.0, 600.0]), np.zeros(2))


def solution(x: Float, t: float) -> Float:
    return W_EV * x * (1 - x) + BESIDE_EV * x + ideal(x, t)


def layered(layers: int) -> FreeEnergy:
    def f(x: Float, t: float) -> Float:
        return 0.1 * x**2 + 0.02 * (1 - np.cos(2 * np.pi * layers * x)) * (t < 420) + ideal(x, t) / 50

    return f


def cell(n_fu: int) -> System:
    counts = np.arange(n_fu + 1)
    return SimpleNamespace(neutral_counts=(counts, None), n_formula_units=n_fu, step=1)  # type: ignore[return-value]


def plan(f: FreeEnergy, n_fu: int) -> SimpleNamespace:
    x = np.arange(n_fu + 1) / n_fu
    beta_f = [n_fu * f(x, t) / (BOLTZMANN_EV_PER_K * t) for t in LADDER]
    rungs = np.append(LADDER, np.inf)
    return SimpleNamespace(ladder=SimpleNamespace(temperature_K=rungs), bias=lambda rung, step: beta_f[rung])


def ends(*of: tuple[FreeEnergy, int], to_K: float = 500.0) -> list[GapEnd]:
    cells, plans = tuple(cell(n) for _, n in of), tuple(plan(f, n) for f, n in of)
    return ends_to_scan(cells, plans, (250.0, to_K))  # type: ignore[arg-type]


def test_an_end_is_looked_for_where_both_cells_have_a_gap() -> None:
    """Around the end in the infinite crystal, on the line of equal weight below and above it; not beyond what is asked for."""
    (end,) = ends((solution, 400), (solution, 100))
    critical_K = W_EV / (4 * BOLTZMANN_EV_PER_K)
    assert end.x == pytest.approx(0.5, abs=0.01) and end.span_K[0] < critical_K < end.span_K[1] < critical_K + 150
    assert np.allclose(end.line_eV, BESIDE_EV, atol=1e-4) and end.line_K[0] < critical_K < end.line_K[-1]
    assert ends((solution, 400), (solution, 100), to_K=300.0)[0].span_K[0] < 300
    assert ends((solution, 400), (ideal, 100)) == [] == ends((ideal, 400), (solution, 100))


def test_the_ends_of_layers_are_not_looked_for() -> None:
    """Twelve layers and six: gaps at the same x whose width follows the cell; the same number of layers is not told apart."""
    assert ends((layered(12), 960), (layered(6), 120)) == []
    assert ends((layered(6), 960), (layered(6), 120)) != []


@pytest.mark.runs
def test_the_end_of_the_gap_of_small_magnets(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 x 12 and 6 x 6 sites: within three errors and 10 K; the same for any split among ranks, as each has its own streams."""
    for name in gap_scan.MOVES:
        monkeypatch.setitem(gap_scan.MOVES, name, (1e7, 4e6))
    found = [scan_gap((magnet(12), magnet(6)), UNKNOWN, 1, 0) for _ in range(2)]
    assert found[0] is not None and found[1] is not None and (found[0].of_larger == found[1].of_larger).all()
    at = found[0].crossing
    assert at is not None and abs(at.temperature_K - T_CRITICAL_K) < min(10.0, 3 * at.error_K) and not at.first_order


def scan(at_K: float) -> GapScan:
    """Counts of two phases that come nearer each other as a Gaussian of one phase takes their place."""
    rng, shape = np.random.default_rng(1), (400, 16, 4)
    t = np.linspace(0.96, 1.04, 16)[None, :, None] * at_K
    counts = []
    for n, steep in ((400, 0.02), (100, 0.01)):
        share = 1 / (1 + np.exp(steep * (t - at_K)))
        two = rng.random(shape) < share
        apart = np.where(rng.random(shape) < 0.5, -1, 1) * 0.2 * n
        counts.append(np.rint(n / 2 + np.where(two, apart, 0.15 * n * rng.normal(size=shape))).astype(np.int64))
    return GapScan(0.5, 0.01, t[0, :, 0], np.zeros(16), counts[0], counts[1], np.array([200.0, 50.0]))


def test_a_scanned_end_takes_the_place_of_that_of_the_windows() -> None:
    """Of the same composition; others stay. Where the windows have none it is added."""
    nan = np.nan
    x = np.array([[nan, 0.52, nan], [nan, 0.9, nan], [0.1, 0.5, 0.9]])
    kinds, t = np.array(["closing", "critical", "eutectoid"]), np.array([380.0, 350.0, 300.0])
    points = blank(Invariants, kind=kinds, temperature_K=t, x=x, x_error=np.full((3, 3), 0.01))
    diagram = blank(PhaseDiagram, invariant=points)
    new = with_scanned_ends(diagram, [scan(400.0)]).invariant
    assert new.kind.tolist() == ["critical", "eutectoid", "critical"] and new.x[2, 1] == 0.5
    assert abs(new.temperature_K[2] - 400) < 3 * new.temperature_K_error[2] < 30 and new.temperature_K[:2].tolist() == [350, 300]
    empty = blank(PhaseDiagram)
    assert with_scanned_ends(empty, [scan(400.0)]).invariant.kind.tolist() == ["critical"]
    assert with_scanned_ends(empty, []) is empty or with_scanned_ends(empty, []).invariant.kind.tolist() == []


def test_scans_of_ends_are_kept_and_belong_to_a_smaller_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, also where nothing was found; made again for another smaller cell."""
    cells, store, comm = (magnet(6), magnet(4), magnet(3)), SampleStore(tmp_path), MPI.COMM_SELF
    made: list[int] = []

    def found(systems: tuple[System, System], end: GapEnd, seed: int, number: int) -> GapScan | None:
        made.append(number)
        seen = scan(400.0)
        return seen if number and seen.crossing else None  # with its crossing, which is not written

    monkeypatch.setattr(order_scans, "read_ladder", lambda store: (SimpleNamespace(mix=cells[0].mix), None))
    monkeypatch.setattr(order_scans, "scan_gap", found)
    for smaller in (cells[1], cells[1], cells[2]):
        run_gap_scans((cells[0], smaller), [UNKNOWN, UNKNOWN], 1, store, comm, StopWatch(comm))
    assert made == [0, 1, 0, 1]
    (kept,) = read_gap_scans(store, cells[2])
    assert (kept.of_larger == scan(400.0).of_larger).all() and kept.x == 0.5 and kept.crossing == scan(400.0).crossing
    assert read_gap_scans(store, cells[1]) == [] == read_gap_scans(store, None)


@pytest.mark.validate
@pytest.mark.parametrize("seed", [1, 2])
def test_the_end_of_the_gap_of_the_square_magnet(seed: int) -> None:
    """24 x 24 and 12 x 12 sites: 526.7 K within 1.5 K and three errors of less than 1 K. A minute each.

    One size alone has no crossing: its cumulant is compared with itself.
    """
    found = scan_gap((magnet(24), magnet(12)), UNKNOWN, seed, 0)
    assert found is not None and found.crossing is not None
    at = found.crossing
    assert abs(at.temperature_K - T_CRITICAL_K) < min(1.5, 3 * at.error_K) and at.error_K < 1.0
    alone = GapScan(0.5, 0.01, found.temperature_K, found.mu_eV, found.of_larger, found.of_larger, found.middle[[0, 0]])
    assert alone.crossing is None
