"""The learn stage, a way to label: label, fit, sample, choose what to label next, until the phase diagram no longer changes."""

from typing import Any

from ...runtime.mpi import StopWatch
from .. import sample
from ..shared.run import Run


def identity(run: Run) -> dict[str, Any]:
    """What the rounds depend on. When to stop is not part of it, so that a run with more rounds continues from the last."""
    samples, given = sample.identity(run), run.config.label.learning
    assert given is not None
    label = {**samples["label"], "learning": given.model_dump(mode="json", exclude={"rounds", "tolerance_eV", "settled"})}
    return {**samples, "label": label, "sweeps": given.sweeps or run.config.sampler.sweeps.measure}


def run(run: Run, comm: Any, watch: StopWatch) -> None:
    """Write labelled.extxyz, label.json and learning.json. Collective; raises Interrupted: what is finished is kept."""
    from .loop import run_learning  # torch comes with it
    from .rounds import Rounds

    run_learning(Rounds(run), identity(run), comm, watch)
