"""All phases of a run: their grand potentials in both cells, and the first-order lines between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...sampling.chains.system import System
from ...sampling.phases.sheets import Kind, Sheet
from ...sampling.phases.tasks import DISORDERED, Catalogue
from ...units import BOLTZMANN_EV_PER_K, NEV_PER_EV
from .grand_potential import Anchor, GrandPotential, coupling_anchors, grand_potential, states_anchors
from .lines import Crossing, Line, crossings, joined
from .melting import melting
from .surface import Surface, surface_of
from .triple_points import TriplePoint, extended, triple_points

Float = NDArray[np.float64]
ONE_STEP = 1.001  # of a grid, with room for rounding
SIGNIFICANT = 3.0  # standard errors by which another phase must be more stable


@dataclass(frozen=True)
class PhasesOfCell:
    """grand: of the disordered phase and of the ordered ones. lines: where two of them coexist. points: where three do."""

    n_fu: int
    grand: tuple[GrandPotential, ...]
    lines: tuple[Line, ...]
    points: tuple[TriplePoint, ...]


@dataclass(frozen=True)
class Phases:
    """Of the larger and the smaller cell."""

    catalogue: Catalogue
    larger: PhasesOfCell
    smaller: PhasesOfCell


def find_all(catalogue: Catalogue, sheets: Sequence[Sheet], systems: tuple[System, System], seed: int) -> Phases:
    """systems: the larger and the smaller cell."""
    larger, smaller = (of_cell(catalogue, sheets, systems[cell], cell, seed) for cell in (0, 1))
    return Phases(catalogue, larger, smaller)


def of_cell(catalogue: Catalogue, sheets: Sequence[Sheet], system: System, cell: int, seed: int) -> PhasesOfCell:
    """cell: 0 the larger, 1 the smaller."""
    n_fu, found = system.n_formula_units, []
    for phase in catalogue.fitting(cell):
        surface = surface_of(catalogue, sheets, phase, cell, n_fu, seed)
        if surface is not None:
            found.append(grand_potential(surface, _anchors(catalogue, sheets, surface, system, cell, seed), n_fu))
    cold = next((g.surface.beta_per_eV for g in found if g.surface.phase != DISORDERED), np.zeros(0))
    temperature_K = 1 / (BOLTZMANN_EV_PER_K * cold)
    coexisting, step_eV = [], float(np.diff(catalogue.mu_eV).max())
    for row in range(-len(cold), 0):
        coexisting += [c for c in crossings(found, row, float(temperature_K[row]), float(cold[row]), step_eV) if c.is_region]
    coexisting += [c for c in melting(catalogue, sheets, found, cell, n_fu, seed) if _is_stable(c, found)]
    lines = joined(coexisting, temperature_K, catalogue.mu_eV)
    points = [p for p in triple_points(lines) if _is_stable(p, found)]
    return PhasesOfCell(n_fu, tuple(found), tuple(extended(lines, points)), tuple(points))


def _anchors(
    catalogue: Catalogue, sheets: Sequence[Sheet], surface: Surface, system: System, cell: int, seed: int
) -> list[Anchor]:
    n_fu, phase = system.n_formula_units, surface.phase
    own = [s for s in sheets if (s.task.phase, s.task.cell, s.task.kind) == (phase, cell, Kind.COUPLED)]
    anchors: list[Anchor] = []
    if phase == DISORDERED:
        anchors += states_anchors(surface, system.neutral_counts[1], n_fu)
    for mu_eV in sorted({s.task.mu_eV for s in own}):
        nodes = [s for s in own if s.task.mu_eV == mu_eV]
        if phase == DISORDERED:
            low = mu_eV == catalogue.mu_eV[0]
            pattern = (system.end_energies_neV[0 if low else -1] / NEV_PER_EV, system.n_range[0 if low else -1])
        else:
            state = catalogue.pattern(phase, cell).species
            pattern = (system.energy_neV(state) / NEV_PER_EV, int(system.count_ions(state)[0]))
        anchors += coupling_anchors(surface, nodes, catalogue.asked_K, pattern, n_fu, seed)
    return anchors


def _is_stable(point: Crossing | TriplePoint, found: Sequence[GrandPotential]) -> bool:
    """Whether no other phase has a lower grand potential at the nearest point of the surfaces."""
    temperature_K, mu_eV = float(point.temperature_K[0]), float(point.mu_eV[0])
    values = [(g.surface.phase in point.phases, value_at(g, temperature_K, mu_eV)) for g in found]
    of_point, others = ([v for own, v in values if own is of and v is not None] for of in (True, False))
    if not of_point:
        return True
    own = min(of_point, key=lambda v: float(v[0]))
    return not any((own - v)[0] > SIGNIFICANT * (own - v)[1:].std(ddof=1) for v in others)


def value_at(g: GrandPotential, temperature_K: float, mu_eV: float) -> Float | None:
    """phi (1 + resamples,) by x at the point of the grid that is nearest in T, then in mu; None where it is not known."""
    s = g.surface
    row = int(np.abs(s.beta_per_eV - 1 / (BOLTZMANN_EV_PER_K * temperature_K)).argmin())
    at = int(np.abs(s.mu_eV - mu_eV).argmin())
    if abs(s.mu_eV[at] - mu_eV) > ONE_STEP * np.diff(s.mu_eV).max(initial=0.0) / 2:
        return None
    value = g.value_eV[:, row, at] - s.x[:, row, at] * (mu_eV - s.mu_eV[at])
    return np.asarray(value) if np.isfinite(value).all() else None
