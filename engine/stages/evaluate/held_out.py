"""Errors on frames of configurations that no training saw."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ...potentials.potential import LabelledCalculator, predict
from ...potentials.specification import PotentialSpec
from ...potentials.training.frames import Frames
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import read_json, write_json
from ...runtime.task_farm import run_tasks


def held_out(
    candidates: list[PotentialSpec], calculators: dict[str, LabelledCalculator], frames: Frames | None,
    folder: Path, comm: Any, watch: StopWatch,
) -> dict[str, Any]:  # fmt: skip
    """Mean absolute errors per potential on the test part of the frames; on rank 0. Collective.

    Errors of the same weights on the same frames are kept in `folder` and not computed again.
    """
    if frames is None or not frames.test:
        return {}
    files = {c.name: folder / f"{c.mark}_{frames.mark}.json" for c in candidates}
    todo = bcast_from_root(comm, lambda: [c for c in candidates if not files[c.name].exists()])

    def work(k: int) -> None:
        write_json(files[todo[k].name], held_out_errors(calculators[todo[k].mark], frames.test))

    run_tasks(len(todo), work, comm, watch, "held-out errors")
    return {name: read_json(path) for name, path in files.items()} if comm.rank == 0 else {}


def held_out_errors(calculator: LabelledCalculator, frames: list[Atoms]) -> dict[str, Any]:
    """MAE of energy (eV/atom), force components (eV/A) and stress components (eV/A^3) over labelled frames."""
    energy, forces, stress = [], [], []
    for frame in frames:
        found = predict(calculator, frame)
        energy.append(abs(found.energy_eV - frame.get_potential_energy()) / len(frame))
        forces.append(np.abs(found.forces_eV_per_A - frame.get_forces()).ravel())
        if "stress" in frame.calc.results:
            stress.append(np.abs(found.stress_eV_per_A3 - frame.get_stress(voigt=False)).ravel())
    return {
        "frames": len(frames),
        "configurations": len({f.info["config"] for f in frames}),
        "energy_mae_eV_per_atom": float(np.mean(energy)),
        "forces_mae_eV_per_A": float(np.concatenate(forces).mean()),
        "stress_mae_eV_per_A3": float(np.concatenate(stress).mean()) if stress else None,
    }
