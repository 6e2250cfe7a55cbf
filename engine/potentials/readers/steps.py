"""Which frames of a file are steps of one relaxation, and whether the relaxation has finished."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ...crystal.files import trajectory_maker

COLLECTIONS = ("extxyz", "xyz", "db", "json", "traj")  # formats whose frames need not be steps of one relaxation
STEP_KEYS = ("step", "ionic_step")
LONGEST_STEP_A = 0.5  # of an atom in one step of an optimiser of ASE, whose longest is 0.2 unless maxstep is given
LARGEST_FORCE_EV_PER_A = 0.2  # at the end of a relaxation whose file does not say whether it has finished


def relaxations(kind: str, path: Path, frames: list[Atoms]) -> list[list[int]]:
    """Indices of the frames of each relaxation, in the order of its steps; a frame that is no step is alone.

    - Output of a code: one relaxation.
    - .traj: a relaxation if an optimiser of ASE wrote it. A new one begins where the symbols change or an atom moves by more
      than LONGEST_STEP_A.
    - Other files of several frames: frames that share `config` and differ in `step` or `ionic_step`.
    """
    if kind not in COLLECTIONS:
        return [list(range(len(frames)))]
    if kind == "traj" and trajectory_maker(path) == "optimization":
        return _continuous(frames)
    groups: dict[str, list[int]] = defaultdict(list)
    for k, frame in enumerate(frames):
        groups[str(frame.info.get("config", f"\0{k}"))].append(k)
    return sorted(part for group in groups.values() for part in _by_step(group, frames))


def _by_step(group: list[int], frames: list[Atoms]) -> list[list[int]]:
    steps = [next((frames[k].info[s] for s in STEP_KEYS if s in frames[k].info), None) for k in group]
    if None in steps or len(set(steps)) < len(steps):
        return [[k] for k in group]
    return [[k for _, k in sorted(zip(steps, group))]]


def _continuous(frames: list[Atoms]) -> list[list[int]]:
    parts: list[list[int]] = []
    for k, frame in enumerate(frames):
        before = frames[k - 1] if k else None
        if before is None or list(before.numbers) != list(frame.numbers) or _largest_move_A(before, frame) > LONGEST_STEP_A:
            parts.append([])
        parts[-1].append(k)
    return parts


def _largest_move_A(before: Atoms, after: Atoms) -> float:
    """Of an atom, from one cell to the other; that of the cell itself does not count."""
    apart = after.get_scaled_positions(wrap=False) - before.get_scaled_positions(wrap=False)
    return float(find_mic(apart @ np.asarray(after.cell), after.cell, after.pbc)[1].max()) if after.cell.rank == 3 else 0.0


def unfinished(frame: Atoms) -> str | None:
    """Why the last step of a relaxation of which the file says no more is not a relaxed cell, or None."""
    forces = frame.calc.results.get("forces") if frame.calc else None
    largest = 0.0 if forces is None else float(np.linalg.norm(forces, axis=1).max())
    if largest <= LARGEST_FORCE_EV_PER_A:
        return None
    return f"the relaxation has not finished: the largest force is {largest:.2f} eV/A; allowed: {LARGEST_FORCE_EV_PER_A}"
