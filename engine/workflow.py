"""The stages of a run, in order. Each is done only if what it depends on has changed."""

import time
from pathlib import Path
from typing import Any

from mpi4py import MPI

from .crystal.lattice import Supercell
from .runtime.effort import record_rate
from .runtime.mpi import StopWatch, wait_idly
from .stages import analyse, correct, evaluate, fit, label, refine, report, sample, split, train
from .stages.check.cost import energy_key
from .stages.prepare import prepare_on_root
from .stages.prepare.opening import opened
from .stages.shared.cells import build_cells
from .stages.shared.options import Options
from .stages.shared.run import RootData, Run


def run(path: Path, options: Options) -> None:
    """The whole command. Collective: rank 0 reads, fits, analyses and reports, all ranks sample."""
    comm = MPI.COMM_WORLD
    watch, began = StopWatch(comm), time.monotonic()
    with watch.listening():
        this, data = prepare_on_root(comm, path, options)
        watch.walltime_s = this.config.sampling.walltime_s if this.config.sampling else None
        with opened(this, comm):
            _run_stages(this, data, comm, watch)
            wait_idly(comm)
        if comm.rank == 0 and this.config.sampling is not None:
            record_rate(energy_key(this), Supercell(this.lattice, this.matrix).n_sites, time.monotonic() - began)


def _run_stages(run: Run, data: RootData | None, comm: Any, watch: StopWatch) -> None:
    """data: None on all ranks but 0. A stage does nothing where neither the input nor the command line asks for it."""
    train.run(run, comm, watch)
    evaluate.run(run, comm, watch)
    data = label.run(run, data, comm, watch)
    if run.config.energy is None or run.options.stops_before_fit:
        return
    hamiltonian = fit.run(run, data, comm)
    cells = build_cells(run, hamiltonian, comm) if run.options.needs_cells else None
    if cells is not None:
        correct.try_potential(run, cells.correction, comm)
        sample.run(run, cells, comm, watch)
        refine.run(run, data, cells.main, comm, watch)
        split.run(run, cells, comm, watch)
        correct.run(run, cells.correction, comm, watch)
    if data is not None:
        with run.output.analysing.held():
            if cells is not None:
                analyse.run(run, data, cells)
            report.run(run)
