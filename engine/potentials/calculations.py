"""Finished calculations as labelled frames: files read by ASE, magnetic moments of VASP, assignment of charge states."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.formats import open_with_compression
from numpy.typing import NDArray

from ..crystal.files import read_frames
from ..errors import RedoxError
from .charges import assign_charges, unknown_symbols, with_known_symbols
from .labels import Labels

KEPT = ("energy", "forces", "stress", "magmoms")
COLLECTIONS = ("extxyz", "db", "json")  # formats whose frames need not be steps of one relaxation


def read_calculations(path: Path, every_step: bool) -> list[Atoms]:
    """Frames of a file that ASE reads (extxyz, OUTCAR, vasprun.xml, ..., also .gz), or only the last frame of each config.

    - Energy, forces, stress and moments are kept if present. The energy of VASP is the one without entropy (sigma → 0).
    - Moments of VASP come from the tables of the OUTCAR (LORBIT = 11), also for vasprun.xml, which has none. VASP prints them
      at every ionic step or only after the last one; ASE does not read the latter.
    - If info["config"] is missing, it is the folder of an OUTCAR or vasprun.xml, or the name of any other file, so that all
      frames of a relaxation share it. In an extxyz or a database of which not every step is wanted, the frames are then
      separate cells: NAME-1, NAME-2, ...

    Raises RedoxError if the file cannot be read.
    """
    try:
        kind, found = read_frames(path)
        frames = [_with_results(f, f) for f in found]
        if kind in ("vasp-out", "vasp-xml"):
            _add_moments(frames, path if kind == "vasp-out" else path.parent)
    except RedoxError as error:
        raise RedoxError(f"cannot read the calculation {path}: {error}") from None
    except Exception as error:  # ase raises whatever its parsers raise
        raise RedoxError(f"cannot read the calculation {path}: {type(error).__name__}: {error}") from None
    own_name = path.name.split(".")[0]
    name = path.resolve().parent.name if own_name in ("OUTCAR", "vasprun") else own_name
    apart = not every_step and kind in COLLECTIONS and len(frames) > 1
    for k, frame in enumerate(frames):
        frame.info.setdefault("config", f"{name}-{k + 1}" if apart else name)
        frame.info.setdefault("step", k)
    return frames if every_step else list({f.info["config"]: f for f in frames}.values())


def label_frames(frames: list[Atoms], labels: Labels) -> tuple[list[Atoms], list[str]]:
    """Frames with the symbols of their charge states and with their results and info, and messages why others are refused.

    Frames that contain a proxy are already labelled; they only have to be neutral.
    """
    labelled, refusals = [], []
    for k, frame in enumerate(frames):
        result, problem = _labelled(frame, labels)
        if problem:
            refusals.append(f"config {frame.info.get('config', k + 1)} step {frame.info.get('step', k)}: {problem}")
        else:
            labelled.append(_with_results(result, frame))
    return labelled, refusals


def _labelled(frame: Atoms, labels: Labels) -> tuple[Atoms, str | None]:
    if any(s in labels.ions and labels.element(s) != s for s in frame.symbols):
        unknown = unknown_symbols(frame, labels)
        charge = 0 if unknown else int(labels.charges(frame).sum())
        return frame, unknown or (f"{frame.symbols} has charge {charge:+d}, not 0" if charge else None)
    results = frame.calc.results if frame.calc else {}
    assigned = assign_charges(frame, labels, results.get("magmoms"))
    return frame if assigned.problem else labels.labelled(with_known_symbols(frame, labels), assigned.charges), assigned.problem


def _with_results(atoms: Atoms, source: Atoms) -> Atoms:
    """Structure and results of `source` without constraints, which would hide forces."""
    results = source.calc.results if source.calc else {}
    frame = Atoms(
        atoms.get_chemical_symbols(), positions=source.positions, cell=source.cell, pbc=source.pbc, info=dict(source.info)
    )
    frame.calc = SinglePointCalculator(frame, **{k: results[k] for k in KEPT if results.get(k) is not None})
    return frame


def _add_moments(frames: list[Atoms], source: Path) -> None:
    """Add moments of an OUTCAR, or of the one in a folder if it has the same number of steps."""
    outcar = next((p for p in (source / "OUTCAR", source / "OUTCAR.gz") if p.is_file()), None) if source.is_dir() else source
    steps = _outcar_moments(outcar) if outcar else []
    for frame, moments in zip(frames, steps if len(steps) == len(frames) else []):
        if len(moments) == len(frame):
            frame.calc.results["magmoms"] = moments


def _outcar_moments(path: Path) -> list[NDArray[np.float64]]:
    """Moments of every finished ionic step: (atoms,), (atoms, 3) if non-collinear, empty if not printed."""
    tables: dict[int, dict[str, list[float]]] = defaultdict(dict)
    step, finished, rows = 0, 0, None
    with open_with_compression(str(path)) as lines:
        for line in lines:
            if "FREE ENERGIE OF THE ION-ELECTRON SYSTEM" in line:
                finished += 1
            elif "- Iteration " in line:
                step = finished  # before this line, a table belongs to the previous step
            elif title := re.match(r" *magnetization \(([xyz])\)", line):
                rows = tables[step][title[1]] = []
            elif rows is not None and re.match(r" *\d+ ", line):
                rows.append(float(line.split()[-1]))
            elif rows:
                rows = None
    columns = [np.array(list(tables[k].values())).T for k in range(finished)]
    return [c[:, 0] if c.ndim == 2 and c.shape[1] == 1 else c for c in columns]
