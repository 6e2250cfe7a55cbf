"""The correct stage: sampling with the potential itself in a small cell, for corrected free energies."""

from typing import TYPE_CHECKING, Any

from ..runtime.mpi import StopWatch
from ..sampling.chains.system import build_system
from ..sampling.ground_states.electron_ground_state import HamiltonianOf
from .run import Run

if TYPE_CHECKING:
    from ..correction.correct import Correction


def correction_of(run: Run, of: HamiltonianOf) -> "Correction | None":
    """The small cell with its cluster expansion and the potential; its `identity` is what the samples depend on.

    None if the input has no correction, and then torch is not imported.
    """
    given, potential = run.config.correction, run.potential
    if given is None:
        return None
    from ..correction.correct import Correction

    assert potential is not None
    system = build_system(of(given.matrix), given.matrix, run.ions)
    temperatures_K = given.temperature_K or run.config.sampler.temperature_K
    return Correction(given, potential, run.config.relaxation, temperatures_K, run.config.seed, run.output.folder, system)


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
