"""The sample stage: the search for ground states, then the chains of each cell, in segments that are committed as they go."""

import json
from functools import partial
from typing import Any

from ..crystal.lattice import Supercell
from ..runtime.mpi import StopWatch, bcast_from_root
from ..runtime.sample_store import SampleStore
from ..runtime.storage import write_json
from ..sampling.chains.system import System
from ..sampling.ground_states.ground_state_search import Lowest
from ..sampling.ground_states.ground_states import read_ground_states, run_ground_states
from ..sampling.ladder.ladder_file import read_ladder
from ..sampling.order_scans.gap_scan import GapEnd
from ..sampling.order_scans.order_scans import run_gap_scans, run_order_scans
from ..sampling.phases.phases import run_phases
from ..sampling.phases.sheets import Sheet
from ..sampling.phases.tasks import Catalogue
from ..sampling.run import run_sampling
from ..thermodynamics.analysis import has_free_energies
from ..thermodynamics.phase_diagram.ends import ends_to_scan
from ..thermodynamics.phases.phases import of_cell
from ..thermodynamics.phases.uncertain import uncertain_eV
from .shared.cells import Cells
from .shared.identity import labelling, without_paths
from .shared.run import Run


def identity(run: Run, defaults: bool = True) -> dict[str, Any]:
    """What the samples depend on: not how long to sample, nor what is added afterwards.

    defaults: with the keys that have their default value.
    """
    config = run.config.model_dump(mode="json", exclude_defaults=not defaults)
    sampling = dict(config.get("sampling") or {})
    for name in ("walltime_s", "refine", "sizes", "second_supercell"):
        sampling.pop(name, None)
    sampling["sweeps"] = {k: v for k, v in sampling.get("sweeps", {}).items() if k != "measure"}
    return {
        "lattice": without_paths(config["lattice"]),
        "energy": without_paths(config.get("energy") or {}),
        "sampling": sampling,
        "seed": run.config.seed,
        "files": run.file_hashes,
        **labelling(run.config, config),
    }


def written_identity(run: Run) -> dict[str, Any]:
    """The identity as a file gives it back."""
    return dict(json.loads(json.dumps(identity(run))))


def run(run: Run, cells: Cells, comm: Any, watch: StopWatch) -> None:
    """Sample, or go on sampling, until every cell has its sweeps. Collective; raises Interrupted after a commit."""
    config, store = run.config, run.output.store
    if not run.options.includes("sample"):
        return
    if comm.rank == 0 and not store.begun:
        write_json(store.identity, written_identity(run))
    if config.ground_states:
        run_ground_states(config.ground_states, run.lattice, cells.hamiltonian_of, run.ions, config.seed, store, comm, watch)
    run_sampling(cells.main, config, store, comm, watch)
    if cells.second:
        run_sampling(cells.second, config, store.second(cells.second.supercell.matrix), comm, watch)
        both, asked_K = (cells.main, cells.second), config.sampler.temperature_K
        run_order_scans(both, asked_K, config.seed, store, comm, watch)
        ends = bcast_from_root(comm, lambda: _ends(both, asked_K, store))
        run_gap_scans(both, ends, config.seed, store, comm, watch)
        uncertain = partial(_uncertain_eV, both[0], config.seed)
        run_phases(both, config.sampler, lambda: known_ground_states(run), uncertain, config.seed, store, comm, watch)


def _ends(systems: tuple[System, System], asked_K: tuple[float, ...], store: SampleStore) -> list[GapEnd]:
    plans = read_ladder(store)[0], read_ladder(store.second(systems[1].supercell.matrix))[0]
    return ends_to_scan(systems, plans, asked_K) if has_free_energies(systems[0], plans[0]) else []


def _uncertain_eV(larger: System, seed: int, catalogue: Catalogue, sheets: list[Sheet]) -> list[float]:
    return uncertain_eV(of_cell(catalogue, sheets, larger, 0, seed), catalogue)


def known_ground_states(run: Run) -> list[tuple[Supercell, Lowest]]:
    """Lowest states of every small supercell of ions and electrons; none if they are not asked for, or of ions alone sampled."""
    given, energy = run.config.ground_states, run.config.energy
    if given is None or energy is None or energy.electrons != "equilibrium":
        return []
    return read_ground_states(given, run.lattice, run.output.store)
