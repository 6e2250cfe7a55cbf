"""The correct stage: sampling with the potential itself in a small cell, for corrected free energies."""

from typing import TYPE_CHECKING, Any

from ..runtime.mpi import StopWatch
from .shared.run import Run

if TYPE_CHECKING:
    from ..correction.correct import Correction


def try_potential(run: Run, correction: "Correction | None", comm: Any) -> None:
    """Load it on rank 0, unless its samples are complete: it should fail before anything long begins. Raises RedoxError."""
    if correction is not None and run.options.includes("sample") and comm.rank == 0:
        from ..correction.run import try_potential as load

        load(correction)


def run(run: Run, correction: "Correction | None", comm: Any, watch: StopWatch) -> None:
    """Collective; raises Interrupted: finished relaxations and walks are kept."""
    if correction is not None and run.options.includes("sample"):
        from ..correction.run import run_correction

        run_correction(correction, comm, watch)
