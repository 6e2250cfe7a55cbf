"""The sample stage, last part: electrons alone at frozen ions, and ions alone, for the parts of the entropy. It follows the refinement,
whose additional sweeps it takes into account."""

from typing import Any

from ..runtime.mpi import StopWatch
from ..sampling.split import run_split
from .cells import Cells
from .run import Run


def run(run: Run, cells: Cells, comm: Any, watch: StopWatch) -> None:
    """Collective; raises Interrupted: temperatures that are finished are kept."""
    if run.options.includes("sample"):
        compositions = run.config.analysis.entropy_compositions
        run_split(cells.main, compositions, run.config.seed, run.output.store, comm, watch)
