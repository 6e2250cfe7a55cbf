"""Last part of the sample stage: electrons at frozen ions, and ions at frozen electrons, for the entropy decomposition.

It comes after the refinement, because it depends on how many sweeps the ladder has.
"""

from typing import Any

from ..runtime.mpi import StopWatch
from ..sampling.conditional_entropies.conditional_entropy_sampling import run_conditional_entropies
from .shared.cells import Cells
from .shared.run import Run


def run(run: Run, cells: Cells, comm: Any, watch: StopWatch) -> None:
    """Collective; raises Interrupted: temperatures that are finished are kept."""
    if run.options.includes("sample"):
        compositions = run.config.analysis.entropy_compositions
        run_conditional_entropies(cells.main, compositions, run.config.seed, run.output.store, comm, watch)
