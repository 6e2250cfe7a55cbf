"""Order scans at all chemical potentials of the sampling, and scans of ends of gaps, shared among ranks, in one file each."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import Interrupted
from ...runtime.mpi import StopWatch, bcast_from_root, share
from ...runtime.progress import Progress
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from ..chains.system import System
from ..ladder.ladder_file import read_ladder
from .gap_scan import GapEnd, GapScan, scan_gap
from .scan import OrderScan, scan_order

CELL = "smaller_cell"  # its matrix


@dataclass(frozen=True)
class ScansAt:
    """The orders that end at one chemical potential."""

    mu_eV: float
    orders: list[OrderScan]


def applies(system: System) -> bool:
    """Whether one ion is exchanged, and the chains can share proposals: at most two species on a sublattice."""
    return len(system.ions) == 1 and system.lattice.n_species <= 2


def run_order_scans(
    systems: tuple[System, System], asked_K: tuple[float, ...], seed: int, store: SampleStore, comm: Any, watch: StopWatch
) -> None:
    """One file per chemical potential. systems: the larger and the smaller cell.

    Collective. Raises Interrupted when asked to stop; scans that are finished are kept.
    """
    plan, _ = read_ladder(store)
    if not plan.mu_eV or not applies(systems[0]):
        return
    both = systems[0].with_mix(plan.mix), systems[1].with_mix(plan.mix)

    def made(k: int) -> None:
        mu_eV = float(plan.mu_eV[0][k])
        _write(store, k, mu_eV, scan_order(both, mu_eV, asked_K, seed, k), systems[1])

    paths = [store.order_scan(k) for k in range(len(plan.mu_eV[0]))]
    _share("order over temperature", paths, systems[1], made, comm, watch)


def run_gap_scans(
    systems: tuple[System, System], ends: list[GapEnd], seed: int, store: SampleStore, comm: Any, watch: StopWatch
) -> None:
    """One file per end of a gap; otherwise as run_order_scans. ends: the same on all ranks."""
    if not ends or not applies(systems[0]):
        return
    plan, _ = read_ladder(store)
    both = systems[0].with_mix(plan.mix), systems[1].with_mix(plan.mix)

    def made(k: int) -> None:
        found = scan_gap(both, ends[k], seed, k)
        data = {f.name: getattr(found, f.name) for f in fields(GapScan)} if found is not None else {}
        write_h5(store.gap_scan(k), {**data, CELL: np.array(_mark(systems[1]))}, {})

    _share("ends of gaps", [store.gap_scan(k) for k in range(len(ends))], systems[1], made, comm, watch)


def _share(name: str, paths: list[Path], smaller: System, made: Callable[[int], None], comm: Any, watch: StopWatch) -> None:
    """Make the files that are missing. Raises Interrupted when asked to stop; those that are finished are kept."""
    missing = bcast_from_root(comm, lambda: [k for k, path in enumerate(paths) if not _is_made(path, smaller)])
    own = [missing[k] for k in share(len(missing), comm.rank, comm.size)]
    most = -(-len(missing) // comm.size)
    with Progress(name, comm.rank) as progress:
        for done in range(most):
            if done < len(own):
                made(own[done])
            progress.update(done + 1, most)
            if watch.any_should_stop() and done + 1 < most:
                raise Interrupted("committed; start the same command again to continue")


def _is_made(path: Path, smaller: System) -> bool:
    return path.exists() and _mark(smaller) == read_h5(path)[0].get(CELL, np.zeros(0)).tolist()


def _mark(smaller: System) -> list[int]:
    return [int(v) for v in smaller.supercell.matrix.ravel()]


def _write(store: SampleStore, number: int, mu_eV: float, scans: list[OrderScan], smaller: System) -> None:
    data = {
        f"{name}_{k}": np.asarray(getattr(s, name))
        for k, s in enumerate(scans)
        for name in ("q", "temperature_K", "share", "ions")
    }
    data[CELL] = np.array(_mark(smaller))
    names = {"species": [s.species for s in scans], "components": [s.components for s in scans]}
    write_h5(store.order_scan(number), data, {"chemical_potential_eV": mu_eV, **names})


def read_order_scans(store: SampleStore, smaller: System | None) -> list[ScansAt]:
    """Of all chemical potentials that are finished with this smaller cell; none without one."""
    if smaller is None:
        return []
    found = []
    for path in sorted(store.order_scans.glob("mu_*.h5")):
        data, a = read_h5(path)
        if data.get(CELL, np.zeros(0)).tolist() != _mark(smaller):
            continue
        scans = [
            OrderScan(str(s), data[f"q_{k}"], int(c), data[f"temperature_K_{k}"], data[f"share_{k}"], data[f"ions_{k}"])
            for k, (s, c) in enumerate(zip(a["species"], a["components"]))
        ]
        found.append(ScansAt(float(a["chemical_potential_eV"]), scans))
    return found


def read_gap_scans(store: SampleStore, smaller: System | None) -> list[GapScan]:
    """Of all gaps whose end was found with this smaller cell; none without one."""
    if smaller is None:
        return []
    found = []
    for path in sorted(store.order_scans.glob("gap_*.h5")):
        data, _ = read_h5(path)
        if data.pop(CELL).tolist() == _mark(smaller) and data:
            x, x_error = (float(data.pop(name)) for name in ("x", "x_error"))
            found.append(GapScan(x, x_error, **data))
    return found
