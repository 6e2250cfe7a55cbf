"""What a run will take: attempted moves, memory and minutes, as far as they can be known before it."""

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ...crystal.lattice import Lattice, Supercell
from ...hamiltonian.terms import Hamiltonian
from ...runtime.effort import Rate, known_rate
from ...runtime.hashes import fingerprint
from ...sampling.chains.moves import Mix
from ...sampling.chains.system import System, build_system
from ...sampling.ground_states.electron_ground_state import ions_lattice
from ...sampling.ground_states.ground_state_search import attempted_moves
from ...sampling.ground_states.ground_states import tasks
from ...sampling.ladder.ladder import Ladder
from ...sampling.preparation.place_temperatures import MOST_RUNGS, pilot_betas, pilot_energy_spread, place_temperatures
from ...sampling.work import ENTROPIES, Work, WorkOfCell
from ..fit import short_range
from ..shared.cells import hamiltonian_of
from ..shared.run import RootData, Run

MOST_PILOT_SITES = 1500  # of the cell in which the spread of the energy is measured; larger cells follow from a smaller one
SMALL_SITES = 400
MARGIN = 1.15  # of the number of temperatures, where it is an estimate
RIDGE = 1e-6  # of a quick fit, whose spread of the energy places the temperatures nearly as the fit of the run does
MIB_OF_LIBRARIES = 500.0  # with figures and report; a potential adds its own
BYTES_PER_SITE = 128  # geometry, moves and the arrays of a running chain; small cells have more images


@dataclass(frozen=True)
class Cost:
    """cells: the sampled ones, the main cell first. ground_states: of their search. rate: of an earlier run, if there is one.

    ladder_is: how well the temperatures are known, in words. exact: whether they are those of the run. rate_is_own: whether the
    earlier run had the same energy.
    """

    cells: tuple[WorkOfCell, ...]
    ground_states: Work
    ladder_is: str
    exact: bool
    rate: Rate | None
    rate_is_own: bool

    @cached_property
    def by_stage(self) -> dict[str, Work]:
        """All that is certain, by stage."""
        found = {**self.cells[0].by_stage, "ground states": self.ground_states}
        for cell in self.cells[1:]:
            for name, work in cell.by_stage.items():
                found[name] += work if name != ENTROPIES else Work()  # of the main cell only
        if len(self.cells) > 1:
            found["order over temperature"], _ = self.cells[0].order_scans
            found["phases"], _ = self._phases
        return found

    @cached_property
    def certain(self) -> Work:
        return sum(self.by_stage.values(), Work())

    @cached_property
    def at_most(self) -> Work:
        """With all that refinement, and the ends of orders and gaps, may add."""
        found = self.certain + self.cells[0].refinement
        for smaller in self.cells[1:]:
            found += self.cells[0].order_scans[1] + self.cells[0].gap_scans(smaller) + self._phases[1]
        return found

    @property
    def _phases(self) -> tuple[Work, Work]:
        """What is certain, and what may be added."""
        return self.cells[0].phases(self.cells[1].system) if len(self.cells) > 1 else (Work(), Work())

    @property
    def slots(self) -> int:
        """Replicas of the main cell."""
        return len(self.cells[0].ladder) * self.cells[0].slots_per_rung

    def seconds(self, work: Work, n_ranks: int) -> float | None:
        """None where no rate is known."""
        if self.rate is None:
            return None
        lanes, alone = self.rate.lanes_per_s, self.rate.alone_per_s
        fast, slow = lanes or alone, alone or lanes
        assert fast is not None and slow is not None
        return (work.lanes / fast + work.alone / slow) / n_ranks + self.rate.rest_s


def energy_key(run: Run) -> str:
    """Of the lattice and the energy, by which runs that take alike are known again."""
    config = run.config.model_dump(mode="json", include={"energy"})
    return fingerprint({"energy": config, "files": run.file_hashes})


def cost_of(run: Run, data: RootData) -> Cost:
    """For an input that samples. A quick pilot places the temperatures as the run will, if the kernels are compiled."""
    config = run.config
    lattice = ions_lattice(run.lattice) if _grounded(run) else run.lattice
    second = config.second_matrix
    cells, key = [], energy_key(run)
    for matrix in (run.matrix, *([] if second is None else [second])):
        supercell = Supercell(lattice, matrix)
        ladder, _ = _ladder(_pilot(run, data, matrix))
        cells.append(WorkOfCell(_without_tables(supercell, run.ions), _small(lattice, run.ions, supercell), config, ladder))
    _, known = _ladder(_pilot(run, data, run.matrix))
    rate = known_rate(key, cells[0].system.supercell.n_sites)
    exact = not known.startswith("at most")
    return Cost(tuple(cells), _ground_states(run), known, exact, rate, rate is not None and rate.energy == key)


def _ground_states(run: Run) -> Work:
    if (given := run.config.ground_states) is None:
        return Work()
    ion = run.ions[0] if run.ions else None
    return Work(alone=sum(attempted_moves(t.supercell, ion, given.searches, t.list_all) for t in tasks(given, run.lattice)))


def _compiled() -> bool:
    return any(Path(numba.config.CACHE_DIR).rglob("chain.run-*.nbi"))  # type: ignore[attr-defined]


def _hamiltonian(run: Run, data: RootData) -> Hamiltonian | None:
    """Without point charges; None if it needs labels that are not made yet. A fit is replaced by a quick one."""
    if run.config.energy is not None and run.config.energy.needs_labels and data.fit_data is None:
        return None
    if (fit := data.fit_data) is None:
        return short_range(run, data, None)
    mean = fit.data.energies_eV.mean()
    normal = fit.vectors.T @ fit.vectors + RIDGE * np.eye(fit.vectors.shape[1])
    return short_range(run, data, np.linalg.solve(normal, fit.vectors.T @ (fit.data.energies_eV - mean)))


@dataclass(frozen=True)
class _Pilot:
    """What places the temperatures. key: of all that they depend on. data: None where the energy is not known yet."""

    key: str
    run: Run = field(compare=False)
    matrix: NDArray[np.int64] = field(compare=False)
    data: RootData | None = field(compare=False)


def _pilot(run: Run, data: RootData, matrix: NDArray[np.int64]) -> _Pilot:
    given = run.config.sampler
    own = [given.temperature_K, given.rungs, given.exchange_every, run.config.seed, run.ions, matrix.tolist()]
    species = [[vars(sp) for sp in s.species] for s in run.lattice.sublattices]
    parts = {"energy": energy_key(run), "own": own, "species": species, "spectators": run.lattice.spectators}
    return _Pilot(fingerprint(parts), run, matrix, data if _compiled() else None)


@lru_cache(maxsize=16)
def _ladder(pilot: _Pilot) -> tuple[Ladder, str]:
    """The temperatures, and how well they are known."""
    run = pilot.run
    given = run.config.sampler
    if given.exchange_every == 0:
        return Ladder(np.array(given.temperature_K), np.ones(len(given.temperature_K), bool)), "as given"
    most = given.rungs if isinstance(given.rungs, int) else MOST_RUNGS
    if most <= len(given.temperature_K):
        return _filled(given.temperature_K, 0), "as given"
    whole = Supercell(run.lattice, pilot.matrix)
    exact = whole.n_sites <= MOST_PILOT_SITES and _is_final(run)
    small = fingerprint([energy_key(run), given.temperature_K, run.config.seed, run.ions])  # whatever the cell
    sampled = pilot if exact else replace(pilot, key=small, matrix=_small_matrix(run.lattice))
    if (spread := _spread_per_site(sampled)) is None:
        return _filled(given.temperature_K, most), f"at most {most}, which the run places"
    ladder, _ = place_temperatures(given.temperature_K, pilot_betas(given.temperature_K), spread * np.sqrt(whole.n_sites), most)
    if exact:
        return ladder, f"{len(ladder)}"
    margin = 1.0 if _grounded(run) else MARGIN  # free electrons spread the energy more
    number = min(int(np.ceil(margin * len(ladder))) + 1, max(most, len(given.temperature_K)))
    return _filled(given.temperature_K, number), f"at most {number} expected"


@lru_cache(maxsize=16)
def _spread_per_site(pilot: _Pilot) -> NDArray[np.float64] | None:
    """Spread of the energy at the betas of the pilot over the square root of the number of sites; None: it is not known yet."""
    run = pilot.run
    energy = None if pilot.data is None else _hamiltonian(run, pilot.data)
    if energy is None:
        return None
    system = build_system(hamiltonian_of(run, energy)(pilot.matrix), pilot.matrix, run.ions)
    spread = pilot_energy_spread(system, pilot_betas(run.config.sampler.temperature_K), run.config.seed)
    return np.asarray(spread / np.sqrt(system.supercell.n_sites))


def _grounded(run: Run) -> bool:
    return run.config.energy is not None and run.config.energy.electrons == "ground_state"


def _is_final(run: Run) -> bool:
    """Whether the energy is that of the run: no quick fit, and no electrons that the run puts into their ground state."""
    expansion = run.config.energy.cluster_expansion if run.config.energy else None
    return not _grounded(run) and (expansion is None or expansion.model is not None)


def _filled(asked_K: tuple[float, ...], number: int) -> Ladder:
    """The temperatures asked for, and others above and between them."""
    more = np.geomspace(asked_K[0], 100 * asked_K[-1], max(number - len(asked_K), 0) + 2)[1:-1]
    temperature_K = np.array(sorted({*asked_K, *more.tolist()}))
    return Ladder(temperature_K, np.isin(temperature_K, asked_K))


def _small_matrix(lattice: Lattice) -> NDArray[np.int64]:
    repeats = int(np.ceil((SMALL_SITES / lattice.n_sites) ** (1 / 3)))
    return np.diag([repeats] * 3)


def _without_tables(supercell: Supercell, ions: tuple[str, ...]) -> System:
    nothing: Any = None
    return System(supercell, nothing, nothing, Mix(), ions)


def _small(lattice: Lattice, ions: tuple[str, ...], supercell: Supercell) -> System:
    """A cell whose tables of moves are made at once."""
    return (
        _without_tables(Supercell(lattice, np.eye(3, dtype=np.int64)), ions)
        if supercell.n_sites > SMALL_SITES
        else (_without_tables(supercell, ions))
    )


def memory_MiB(cost: Cost, n_ranks: int) -> float:
    """Per rank: chains and tables, the samples that are held until they are committed, and the libraries."""
    main = cost.cells[0]
    walkers, n_sites = main.config.sampler.walkers, main.system.supercell.n_sites
    per_rank = -(-cost.slots // n_ranks)
    chains = per_rank * walkers * n_sites + n_sites * BYTES_PER_SITE
    tallies = len(main.ladder) * walkers * (main.system.n_range[1] + 1) * 6 * 8
    held = min(per_rank * walkers * main.config.sampler.sweeps.measure * 8 * (1 + len(main.system.ions)), 200_000_000)
    estimate = MIB_OF_LIBRARIES + (chains + tallies + held) / 2**20
    return max(estimate, cost.rate.peak_MiB) if cost.rate else estimate
