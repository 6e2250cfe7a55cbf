"""The chains that the phases of a run need: each phase over its chemical potentials, in both cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....kernels.simd import LANES
from ...units import BOLTZMANN_EV_PER_K
from ..chains.system import System
from .catalogue import MOST_PHASES, Phase
from .existence import existence
from .pattern import Pattern
from .sheets import EQUILIBRATION, STRENGTHS, Kind, Sheet, Task, sheet_temperatures_K, sweeps_of

Float = NDArray[np.float64]
DISORDERED = -1
MU_POINTS = 33  # of the grid of the sheets
BELOW, ABOVE = 0.98, 1.02  # range of the chains around the end of an order, times the last and first temperatures
ADDED = (4, 3, 3)  # chemical potentials that each round adds at most
MARGIN_KT = 1.0  # beyond the interval of mu in which a phase is the ground state, at the highest temperature


@dataclass(frozen=True)
class Catalogue:
    """phases: ordered ones. mu_eV (k,): evenly spaced. asked_K: temperatures.

    added_eV: chemical potentials at which lines were uncertain, in the order in which they were added, in so many rounds.
    """

    phases: tuple[Phase, ...]
    mu_eV: Float
    asked_K: tuple[float, ...]
    added_eV: tuple[float, ...] = ()
    rounds: int = 0

    @property
    def grid_eV(self) -> Float:
        """All chemical potentials, ascending."""
        return np.sort(np.concatenate([self.mu_eV, self.added_eV]))

    def number(self, mu_eV: float) -> int:
        """Of a chemical potential; it does not change when others are added."""
        return int(np.flatnonzero(np.concatenate([self.mu_eV, self.added_eV]) == mu_eV)[0])

    def with_more(self, mu_eV: Sequence[float]) -> "Catalogue":
        """After one more round; the last one if nothing was added."""
        rounds = self.rounds + 1 if mu_eV else len(ADDED)
        return replace(self, added_eV=(*self.added_eV, *mu_eV), rounds=rounds)

    def fitting(self, cell: int) -> list[int]:
        """Numbers of the phases that fit into the larger (0) or the smaller cell (1), the disordered one first."""
        return [DISORDERED, *(k for k, p in enumerate(self.phases) if cell == 0 or p.small is not None)]

    def pattern(self, phase: int, cell: int) -> Pattern:
        """Of an ordered phase that fits into this cell."""
        found = self.phases[phase].small if cell else self.phases[phase].pattern
        assert found is not None
        return found

    def mu_of(self, phase: int) -> Float:
        """Chemical potentials of the grid at which chains of a phase run: those where it can be stable, and some beyond."""
        grid = self.grid_eV
        if phase == DISORDERED:
            return grid
        low, high = self.phases[phase].mu_eV
        margin = MARGIN_KT * BOLTZMANN_EV_PER_K * max(self.asked_K)
        return grid[(grid >= low - margin) & (grid <= high + margin) | (grid == self.reference_mu_eV(phase))]

    def reference_mu_eV(self, phase: int) -> float:
        """Where the phase is coupled to its pattern: in the middle of its interval."""
        low, high = np.clip(self.phases[phase].mu_eV, self.mu_eV[0], self.mu_eV[-1])
        return float(self.mu_eV[np.abs(self.mu_eV - (low + high) / 2).argmin()])


def tasks_of(catalogue: Catalogue) -> list[Task]:
    """All chains of all phases, in both cells."""
    found: list[Task] = []
    for cell in (0, 1):
        for phase in catalogue.fitting(cell):
            mu_eV = catalogue.mu_of(phase).tolist()
            found += [Task(phase, Kind.COLD, mu, cell) for mu in mu_eV]
            if phase == DISORDERED:
                found += [Task(phase, Kind.HOT, mu, cell) for mu in mu_eV]
                couplings = catalogue.mu_eV[[0, -1]].tolist()
            else:
                couplings = [catalogue.reference_mu_eV(phase)]
            found += [Task(phase, Kind.COUPLED, mu, cell, node) for mu in couplings for node in range(STRENGTHS)]
    return found


def fine_tasks(catalogue: Catalogue, sheets: Sequence[Sheet]) -> list[Task]:
    """Chains around the temperatures at which an order ends: of the ordered phase and of the disordered one, in both cells.

    sheets: of the larger cell.
    """
    cold = {(s.task.phase, s.task.mu_eV): existence(s)[1] for s in sheets if s.task.kind is Kind.COLD and s.task.cell == 0}
    t, found = sheet_temperatures_K(catalogue.asked_K), []
    for (phase, mu_eV), exists in sorted(cold.items()):
        disordered = cold.get((DISORDERED, mu_eV))
        if phase == DISORDERED or disordered is None or exists.all() or not exists[0] or not disordered[-1]:
            continue
        last, first = int(np.argmin(exists)) - 1, len(t) - int(np.argmin(disordered[::-1])) if not disordered.all() else 0
        span_K = (BELOW * float(t[min(last, first)]), ABOVE * float(t[max(last, first)]))
        for cell in (0, 1) if phase in catalogue.fitting(1) else (0,):
            found += [Task(which, Kind.FINE, mu_eV, cell, phase, span_K) for which in (phase, DISORDERED)]
    return found


def pattern_of(catalogue: Catalogue, task: Task, system: System) -> Pattern | None:
    """In the cell of the system. The disordered phase has none, but is coupled to the states at the ends of composition."""
    if task.phase != DISORDERED:
        return catalogue.pattern(task.phase, task.cell)
    if task.kind is not Kind.COUPLED:
        return None
    end = system.n_range[0 if task.mu_eV == catalogue.mu_eV[0] else -1]
    return Pattern(system.supercell, str(system.ion), system.any_state(end))


def others_of(catalogue: Catalogue, task: Task) -> list[Pattern]:
    """Of the other ordered phases that fit into the cell; for chains of an ordered phase that are not coupled to it."""
    if task.phase == DISORDERED or task.kind is Kind.COUPLED:
        return []
    return [catalogue.pattern(k, task.cell) for k in catalogue.fitting(task.cell) if k not in (DISORDERED, task.phase)]


def attempted_moves(n_sites: tuple[int, int], sweeps: int) -> tuple[float, float]:
    """Of the disordered phase, and at most of all ordered ones that there can be and of what the rounds add.

    n_sites: of the larger and the smaller cell. sweeps: of the sampling.
    """
    number = MU_POINTS
    each = {kind: (1 + EQUILIBRATION[kind]) * sweeps_of(kind, sweeps) * LANES * sum(n_sites) for kind in Kind}
    coupled, grid = STRENGTHS * each[Kind.COUPLED], each[Kind.COLD] + each[Kind.HOT]
    ordered = MOST_PHASES * (coupled + (number + sum(ADDED)) * (each[Kind.COLD] + 2 * each[Kind.FINE]))
    return number * grid + 2 * coupled, ordered + sum(ADDED) * grid
