"""All measurements of the potentials in one record, evaluation.json."""

from typing import Any

import torch

from ...potentials.labelling.relaxations import Relaxations, relax_all
from ...potentials.labels import labels_of
from ...potentials.potential import load_potential
from ...potentials.specification import PotentialSpec
from ...potentials.training.frames import Frames
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import write_json
from ..shared.run import Run
from .against_reference import against_reference, reference_record
from .held_out import held_out
from .reference import ReferenceCell
from .retention import moments_of, prepared_orders, retention


def run_evaluation(
    run: Run, candidates: list[PotentialSpec], frames: Frames | None, reference: list[ReferenceCell], comm: Any, watch: StopWatch
) -> dict[str, Any] | None:
    """The record, on rank 0. What is finished is kept in the output folder and not done again. Collective; raises Interrupted."""
    config, lattice, folder = run.config, run.lattice, run.output.folder
    given = config.evaluation
    assert given is not None
    torch.set_num_threads(1)
    labels = labels_of(lattice)
    judge = load_potential("chgnet", None, labels, charge_aware=False)  # first: it may not be installed
    calculators = {c.mark: c.load(labels) for c in candidates}
    stores = {c.name: Relaxations(run.output.relaxations, lattice, config.relaxation, c.mark) for c in candidates}
    orders = bcast_from_root(comm, lambda: prepared_orders(given, lattice, config.seed))
    wanted = orders + [r.configuration for r in reference]
    errors = held_out(candidates, calculators, frames, folder / "held_out", comm, watch)
    relax_all([(stores[c.name], o) for o in wanted for c in candidates], calculators, comm, watch, "relaxing prepared orders")
    judged = moments_of([(stores[c.name], o) for c in candidates for o in orders], judge, folder / "moments", comm, watch)
    if comm.rank != 0:
        return None
    record: dict[str, Any] = {"orders": len(orders), "potentials": {}}
    if reference:
        record["reference"] = reference_record(reference)
    for c in candidates:
        record["potentials"][c.name] = {
            "model": c.model,
            "charge_aware": c.charge_aware,
            "held_out": errors.get(c.name),
            "retention": retention(stores[c.name], orders, labels, judged),
            **({"reference": against_reference(stores[c.name], reference, lattice)} if reference else {}),
        }
    write_json(folder / "evaluation.json", record)
    return record
