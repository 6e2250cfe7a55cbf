"""Verdicts on two-phase regions by two sizes of the cell: barriers that grow, and layers."""

import numpy as np
import pytest

from redoxmc.engine.thermodynamics.phase_diagram.boundaries import Gap
from redoxmc.engine.thermodynamics.phase_diagram.diagram import Beside, build_diagram
from redoxmc.engine.thermodynamics.phase_diagram.sizes import Layers, verdict

from ..helpers.mean_field import Float, FreeEnergy, ideal, isotherms_of


def test_verdicts_on_a_gap_by_two_sizes() -> None:
    """The barrier must grow by more than its error; a gap twice as wide in half the cell is one of its layers."""
    small, kT = 1 / 10.0, 1.0  # formula units over kT

    def gap(barrier_kT: float, error_kT: float, per_kT: float, x: tuple[float, float] = (0.2, 0.6)) -> Gap:
        return Gap(x, (0.01, 0.01), barrier_kT / per_kT, error_kT / per_kT)

    def found(large: Gap, *others: Gap) -> str:
        return verdict(large, kT, list(others), small).value

    assert found(gap(8, 0.3, kT), gap(4, 0.2, small)) == "region"
    assert found(gap(4.5, 0.3, kT), gap(4, 0.2, small)) == "unresolved"
    assert found(gap(3, 0.3, kT), gap(4, 0.2, small)) == "none"
    assert found(gap(8, 0.3, kT), gap(4, 0.2, small, x=(0.2, 1.0))) == "layers"
    assert found(gap(8, 0.3, kT), gap(4, 0.2, small, x=(0.65, 0.9))) == "region", "the smaller cell has nothing there"


def test_a_gap_as_wide_as_one_layer() -> None:
    """No phase if the smaller cell has as many layers, or has no such gap; one if a cell with half as many has it, as wide."""
    wide, layers = Gap((0.41, 0.49), (0.01, 0.01), 8.0, 0.3), Layers(other=(1 / 6, 1 / 12))
    same, elsewhere = Gap((0.4, 0.5), (0.01, 0.01), 0.4, 0.02), Gap((0.0, 0.3), (0.01, 0.01), 0.4, 0.02)

    def found(gap: Gap, of_smaller: list[Gap], layers: Layers) -> str:
        return verdict(gap, 1.0, of_smaller, 10.0, layers).value

    assert found(wide, [elsewhere], layers) == "layers" and found(wide, [same], layers) == "region"
    assert found(wide, [same], Layers(same=(1 / 12,))) == "layers"
    assert found(Gap((0.3, 0.7), (0.01, 0.01), 8.0, 0.3), [elsewhere], layers) == "region", "five layers"


def layered(layers: int, area: float) -> FreeEnergy:
    def f(x: Float, t: float) -> Float:
        return 0.1 * x**2 + area / layers * 0.004 * (1 - np.cos(2 * np.pi * layers * x)) + ideal(x, t) / 50

    return f


@pytest.mark.runs
def test_layers_of_the_cell_are_no_phases() -> None:
    """A barrier between every two numbers of layers, proportional to their area: twelve layers, and six of half the area.

    Mutant: one size alone takes each of them for a region.
    """

    larger, smaller = (
        isotherms_of(layered(n, a), [300.0, 350.0], n_fu=m, layers=n) for n, a, m in ((12, 12.0, 960), (6, 6.0, 120))
    )
    alone, both = build_diagram(larger), build_diagram(larger, Beside(smaller))
    assert len(alone.rows[0]) == 12 and len(build_diagram(smaller).rows[0]) == 6
    assert not any(both.rows) and len(both.unresolved[0]) == 12 and not both.invariants


@pytest.mark.runs
@pytest.mark.parametrize("layers", [3, 6, 12])
def test_the_same_verdict_for_any_number_of_layers(layers: int) -> None:
    """By a cell of half the area, of half as many layers, and of both; a cell that does not know its layers takes them for
    phases."""
    half = max(layers // 2, 1)
    larger, *smaller = (
        isotherms_of(layered(n, a), [300.0, 350.0], n_fu=int(n * a * 7), layers=n)
        for n, a in ((layers, 12.0), (layers, 6.0), (half, 12.0), (half, 6.0))
    )
    for other in smaller:
        both = build_diagram(larger, Beside(other))
        assert not any(both.rows) and len(both.unresolved[0]) == layers
    two, half_two = (
        isotherms_of(layered(layers * 2, a), [300.0], n_fu=int(layers * a * 14), layers=layers) for a in (24.0, 12.0)
    )
    assert not any(build_diagram(two, Beside(half_two)).rows)
    one, half_one = (isotherms_of(layered(layers, a), [300.0], n_fu=int(layers * a * 7)) for a in (12.0, 6.0))
    unaware = build_diagram(one, Beside(half_one))
    assert len(unaware.rows[0]) == layers
