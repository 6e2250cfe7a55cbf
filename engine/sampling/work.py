"""Attempted moves of a run, stage by stage, known before it: how many there will be of those in lanes and of those one by one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..input.schema import Config
from .chains.chains import EXCHANGES, LEAST_LANES, groups_of
from .chains.ions_and_electrons import FreeSubsystem, Subsystem, free_subsystems
from .chains.moves import MoveSet
from .chains.system import System
from .conditional_entropies.conditional_entropy import LAST, STEPS, THIN_SWEEPS
from .conditional_entropies.conditional_entropy_sampling import counts_sampled, effort
from .ladder.ladder import Ladder
from .ladder.planning import MU_POINTS, ensembles_of, window_targets
from .ladder.slots import EnsembleKind
from .order_scans import gap_scan
from .order_scans.order_scans import applies
from .order_scans.scan import attempted_moves
from .phases.phases import applies as with_phases
from .phases.tasks import attempted_moves as attempted_moves_of_phases
from .preparation.anneal import ROUNDS as ANNEALING_ROUNDS
from .preparation.anneal import cooling
from .preparation.cycle import COMPOSITIONS
from .preparation.equilibrate import ROUNDS as EQUILIBRATION_ROUNDS
from .preparation.place_temperatures import PILOT_SWEEPS, pilot_betas
from .preparation.prepare_ladder import LEAST_CYCLE_SWEEPS, equilibration_sweeps, round_sweeps
from .preparation.scan import STEPS_PER_WINDOW
from .preparation.tune import families, sweeps_of_family
from .replicas.segments import blocks_of

ENTROPIES = "conditional entropies"
PULLS = 10  # sweeps that draw a chain to a composition, at most in practice
PER_ROUND = 2  # temperatures that refinement adds at a time


@dataclass(frozen=True)
class Work:
    """Attempted moves of chains that share proposals, and of chains that advance one by one."""

    lanes: float = 0.0
    alone: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.lanes + other.lanes, self.alone + other.alone)

    def __mul__(self, times: float) -> "Work":
        return Work(self.lanes * times, self.alone * times)

    @property
    def moves(self) -> float:
        return self.lanes + self.alone


@dataclass(frozen=True)
class WorkOfCell:
    """What sampling one cell takes.

    system: its tables of energies and moves are not used. moves_of: a small cell of the same lattice, whose moves have as many
    flips. ladder: temperatures; those that refinement adds are not among them.
    """

    system: System
    moves_of: System
    config: Config
    ladder: Ladder

    @property
    def by_stage(self) -> dict[str, Work]:
        """All that is certain, by stage."""
        stages: dict[str, Callable[[], Work]] = {
            "temperatures": self._pilot,
            "annealing": self._annealing,
            "weights of the moves": self._tuning,
            "scans": self._scans,
            "cooling and heating": self._cycles,
            "equilibration": self._equilibration,
            "sampling": lambda: self._sampled(len(self.ladder)) * self._sweeps(self.config.sampler.sweeps.measure),
            ENTROPIES: self._entropies,
        }
        return {name: work() for name, work in stages.items()}

    @property
    def refinement(self) -> Work:
        """At most, if boundaries are uncertain: temperatures that are added, and longer sampling."""
        given = self.config.sampler
        if not self._has_windows:
            return Work()
        sweeps, rungs, total = self._sweeps(given.sweeps.measure), len(self.ladder), Work()
        for first in range(0, given.refine.temperatures, PER_ROUND):
            total += self._sampled(min(PER_ROUND, given.refine.temperatures - first)) * sweeps
        more = max((given.refine.sweeps or 0) - given.sweeps.measure, 0)
        return total + (self._sampled(rungs) + self._sampled(given.refine.temperatures)) * self._sweeps(more)

    @property
    def order_scans(self) -> tuple[Work, Work]:
        """Over temperature in this cell and the smaller one: what is certain, and what is added where orders end."""
        kinds = ensembles_of(self.system.ions, self.config)
        if not (EnsembleKind.SEMIGRAND in kinds and applies(self.system)):
            return Work(), Work()
        certain, more = (self._chemical_potentials * moves for moves in attempted_moves(self._n_sites))
        return Work(lanes=certain), Work(lanes=more)

    def gap_scans(self, smaller: "WorkOfCell") -> Work:
        """Of ends of gaps in this cell and the smaller one, at most."""
        if not (self._has_windows and applies(self.system)):
            return Work()
        return Work(lanes=gap_scan.MOST_GAPS * gap_scan.attempted_moves((self._n_sites, smaller._n_sites)))

    def phases(self, smaller: System) -> tuple[Work, Work]:
        """Of all phases in this cell and the smaller one: of the disordered phase, and at most of the ordered ones."""
        if EnsembleKind.SEMIGRAND not in ensembles_of(self.system.ions, self.config) or not with_phases(self.system, smaller):
            return Work(), Work()
        sites = self._n_sites, smaller.supercell.n_sites
        certain, more = attempted_moves_of_phases(sites, self.config.sampler.sweeps.measure)
        return Work(lanes=certain), Work(lanes=more)

    @property
    def slots_per_rung(self) -> int:
        kinds = ensembles_of(self.system.ions, self.config)
        windows = self._windows if self.system.ions else 1
        per = {
            EnsembleKind.VCSGC: windows,
            EnsembleKind.SEMIGRAND: self._chemical_potentials,
            EnsembleKind.FIXED_COMPOSITION: windows,
        }
        return sum(per[kind] for kind in kinds)

    @property
    def _chemical_potentials(self) -> int:
        """Points of the grid; of all ions, if there are several."""
        mu = 1
        for ion in self.system.ions:
            grid = self.config.sampler.chemical_potential_eV.get(ion)
            mu *= (grid.points or (MU_POINTS if grid.automatic else 41)) if grid else MU_POINTS
        return mu

    @property
    def _windows(self) -> int:
        return len(window_targets(self.system, self.config.sampler.vcsgc.points)[0])

    @property
    def _fixed(self) -> bool:
        return ensembles_of(self.system.ions, self.config) == [EnsembleKind.FIXED_COMPOSITION]

    @property
    def _has_windows(self) -> bool:
        """Whether windows are annealed, scanned and equilibrated, and free energies follow."""
        return len(self.system.ions) == 1 and not self._fixed

    @property
    def _n_sites(self) -> int:
        return self.system.supercell.n_sites

    def _sweeps(self, asked: int) -> int:
        block = blocks_of(self.config.sampler.exchange_every).sweeps
        return -(-asked // block) * block

    def _per_sweep(self, chains: int, moves: MoveSet | None, directed: bool = True) -> Work:
        """Of a group that advances together. moves: all moves of the system if None."""
        if self.system.lattice.n_species > 2 or not LEAST_LANES <= chains:
            return Work(alone=chains * self._n_sites)
        changing = (moves or self.moves_of.moves).arrays.ion_change.any()
        extra = chains * -(-self._n_sites // EXCHANGES) if directed and changing else 0
        return Work(chains * self._n_sites, extra)

    def _grouped(self, items: int, each: int, moves: MoveSet | None = None, directed: bool = True) -> Work:
        """Per sweep of `items` times `each` chains in the groups that the run forms."""
        groups = groups_of(items, each) if items else []
        return sum((self._per_sweep(len(g) * each, moves, directed) for g in groups), Work())

    def _sampled(self, rungs: int) -> Work:
        moves = self.moves_of.canonical_moves if self._fixed else None
        return self._grouped(rungs * self.slots_per_rung, self.config.sampler.walkers, moves)

    def _pilot(self) -> Work:
        given = self.config.sampler
        if given.exchange_every == 0:
            return Work()
        sweeps = max(PILOT_SWEEPS, 20_000 // self._n_sites)
        return Work(alone=3 * len(pilot_betas(given.temperature_K)) * sweeps * self._n_sites)

    def _annealing(self) -> Work:
        if not self._has_windows:
            return Work()
        sweeps = max(1, equilibration_sweeps(self.config, self._n_sites) // len(ANNEALING_ROUNDS)) * len(ANNEALING_ROUNDS)
        return self._grouped(self._windows * self.config.sampler.walkers, 1) * (sweeps * len(cooling(self.ladder.beta_per_neV)))

    def _tuning(self) -> Work:
        if not self._has_windows or self.config.sampler.moves != "auto":
            return Work()
        one = self._grouped(self._windows * self.config.sampler.walkers, 1, directed=False)
        return one * (len(self.ladder) * sum(sweeps_of_family(moves) for moves in families(self.moves_of).values()))

    def _scans(self) -> Work:
        if not self._has_windows:
            return Work()
        burst = max(1, equilibration_sweeps(self.config, self._n_sites) // STEPS_PER_WINDOW)
        path = (self._windows - 1) * STEPS_PER_WINDOW + 1
        return Work(alone=2 * len(self.ladder.rungs_asked) * path * burst * self._n_sites)

    def _cycles(self) -> Work:
        if not self._has_windows:
            return Work()
        counts, _ = self.system.neutral_counts
        inner = len(counts) - 2 if len(counts) > 2 else len(counts)
        n = len(np.unique(np.rint(np.linspace(0, inner - 1, COMPOSITIONS))))
        sweeps = max(equilibration_sweeps(self.config, self._n_sites), LEAST_CYCLE_SWEEPS)
        finite = int(np.isfinite(self.ladder.temperature_K).sum())
        return Work(alone=2 * n * finite * (max(1, sweeps // 3) + sweeps) * self._n_sites)

    def _equilibration(self) -> Work:
        if not self._has_windows:
            return Work()
        sweeps = self._sweeps(round_sweeps(self.config, self._n_sites))
        return self._sampled(len(self.ladder)) * (EQUILIBRATION_ROUNDS * sweeps)

    def _entropies(self) -> Work:
        system, walkers = self.system, self.config.sampler.walkers
        subsystems = free_subsystems(system.lattice)
        if not (self._has_windows and subsystems):
            return Work()
        points = counts_sampled(system, self.config.analysis.entropy_compositions)
        if not len(points):
            return Work()
        state = system.any_state(int(points[0]))
        free = {subsystem: FreeSubsystem(system, state, subsystem) for subsystem in subsystems}
        sweeps, snapshots = effort(system, free[Subsystem.ELECTRONS])
        total = Work(alone=len(points) * walkers * (PULLS + snapshots * THIN_SWEEPS) * self._n_sites)
        cooled = (STEPS + 1) * max(1, sweeps // 3) + sweeps * (STEPS + LAST)
        for subsystem in subsystems:
            moves = self.moves_of.electron_moves if subsystem is Subsystem.ELECTRONS else self.moves_of.ion_moves
            if not free[subsystem].few:
                total += self._grouped(len(points) * walkers * snapshots, 1, moves) * cooled
        return total * len(self.ladder.rungs_asked)
