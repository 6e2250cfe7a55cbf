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
from .lines import Crossing, crossings
from .melting import melting
from .surface import Surface, surface_of

Float = NDArray[np.float64]
SIGNIFICANT = 3.0  # standard errors by which another phase must be more stable
SAME_MU_EV = 1e-9


@dataclass(frozen=True)
class PhasesOfCell:
    """grand: of the disordered phase and of the ordered ones. lines: points where two of them coexist."""

    n_fu: int
    grand: tuple[GrandPotential, ...]
    lines: tuple[Crossing, ...]


@dataclass(frozen=True)
class Phases:
    """Of the larger and the smaller cell."""

    catalogue: Catalogue
    larger: PhasesOfCell
    smaller: PhasesOfCell


def find_all(catalogue: Catalogue, sheets: Sequence[Sheet], systems: tuple[System, System], seed: int) -> Phases:
    """systems: the larger and the smaller cell."""
    larger, smaller = (_of_cell(catalogue, sheets, systems[cell], cell, seed) for cell in (0, 1))
    return Phases(catalogue, larger, smaller)


def _of_cell(catalogue: Catalogue, sheets: Sequence[Sheet], system: System, cell: int, seed: int) -> PhasesOfCell:
    n_fu, found = system.n_formula_units, []
    for phase in catalogue.fitting(cell):
        surface = surface_of(catalogue, sheets, phase, cell, n_fu, seed)
        if surface is not None:
            found.append(grand_potential(surface, _anchors(catalogue, sheets, surface, system, cell, seed), n_fu))
    cold = next((g.surface.beta_per_eV for g in found if g.surface.phase != DISORDERED), np.zeros(0))
    lines = []
    for row in range(-len(cold), 0):
        temperature_K = 1 / (BOLTZMANN_EV_PER_K * cold[row])
        lines += [c for c in crossings(found, row, float(temperature_K), float(cold[row])) if c.is_region]
    lines += [c for c in melting(catalogue, sheets, found, cell, n_fu, seed) if _is_stable(c, found)]
    return PhasesOfCell(n_fu, tuple(found), tuple(lines))


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


def _is_stable(line: Crossing, found: Sequence[GrandPotential]) -> bool:
    """Whether no third phase has a lower grand potential at the nearest temperature of the surfaces."""
    temperature_K, mu_eV = float(line.temperature_K[0]), float(line.mu_eV[0])
    of_both = [v for g in found if g.surface.phase in line.phases and (v := value_at(g, temperature_K, mu_eV)) is not None]
    others = [v for g in found if g.surface.phase not in line.phases and (v := value_at(g, temperature_K, mu_eV)) is not None]
    if not of_both:
        return True
    own = min(of_both, key=lambda v: float(v[0]))
    return not any((own - v)[0] > SIGNIFICANT * (own - v)[1:].std(ddof=1) for v in others)


def value_at(g: GrandPotential, temperature_K: float, mu_eV: float) -> Float | None:
    """phi (1 + resamples,) at the point of the grid at this mu that is nearest in temperature; None where it is not known."""
    beta = g.surface.beta_per_eV
    at = np.flatnonzero(np.abs(g.surface.mu_eV - mu_eV) < SAME_MU_EV)
    if not len(at):
        return None
    row = int(np.abs(beta - 1 / (BOLTZMANN_EV_PER_K * temperature_K)).argmin())
    value = g.value_eV[:, row, at[0]]
    return np.asarray(value) if np.isfinite(value).all() else None
