"""Order scans at all chemical potentials of the sampling, shared among ranks and kept in one file each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import Interrupted
from ...runtime.mpi import StopWatch, bcast_from_root, share
from ...runtime.progress import Progress
from ...runtime.sample_store import SampleStore
from ...runtime.storage import read_h5, write_h5
from ..chains.system import System
from ..ladder.ladder_file import read_ladder
from .scan import OrderScan, scan_order


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
    mixed = tuple(s.with_mix(plan.mix) for s in systems)
    missing = bcast_from_root(comm, lambda: [k for k in range(len(plan.mu_eV[0])) if not _is_made(store, k, systems[1])])
    own = [missing[k] for k in share(len(missing), comm.rank, comm.size)]
    most = -(-len(missing) // comm.size)
    with Progress("order over temperature", comm.rank) as progress:
        for done in range(most):
            if done < len(own):
                mu_eV = float(plan.mu_eV[0][own[done]])
                _write(store, own[done], mu_eV, scan_order((mixed[0], mixed[1]), mu_eV, asked_K, seed, own[done]), systems[1])
            progress.update(done + 1, most)
            if watch.any_should_stop() and done + 1 < most:
                raise Interrupted("committed; start the same command again to continue")


def _is_made(store: SampleStore, number: int, smaller: System) -> bool:
    path = store.order_scan(number)
    return path.exists() and _mark(smaller) == read_h5(path, ("smaller",))[0]["smaller"].tolist()


def _mark(smaller: System) -> list[int]:
    return [int(v) for v in smaller.supercell.matrix.ravel()]


def _write(store: SampleStore, number: int, mu_eV: float, scans: list[OrderScan], smaller: System) -> None:
    data = {
        f"{name}_{k}": np.asarray(getattr(s, name))
        for k, s in enumerate(scans)
        for name in ("q", "temperature_K", "share", "ions")
    }
    data["smaller"] = np.array(_mark(smaller))
    names = {"species": [s.species for s in scans], "components": [s.components for s in scans]}
    write_h5(store.order_scan(number), data, {"chemical_potential_eV": mu_eV, **names})


def read_order_scans(store: SampleStore, smaller: System | None) -> list[ScansAt]:
    """Of all chemical potentials that are finished with this smaller cell; none without one."""
    if smaller is None:
        return []
    found = []
    for path in sorted(store.order_scans.glob("mu_*.h5")):
        data, a = read_h5(path)
        if data["smaller"].tolist() != _mark(smaller):
            continue
        scans = [
            OrderScan(str(s), data[f"q_{k}"], int(c), data[f"temperature_K_{k}"], data[f"share_{k}"], data[f"ions_{k}"])
            for k, (s, c) in enumerate(zip(a["species"], a["components"]))
        ]
        found.append(ScansAt(float(a["chemical_potential_eV"]), scans))
    return found
