"""Finished calculations as labelled frames: files read by ASE, magnetic moments of VASP, assignment of charge states."""

import re
from collections import defaultdict
from dataclasses import dataclass
from math import nan
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


@dataclass(frozen=True)
class Calculation:
    """One frame of a file, used or not.

    file: path as given. index: number of the frame in the file, from 1; that of the last step of a relaxation of which not
    every step is wanted. name: of the configuration, the same for all steps of a relaxation. atoms: with results, and with
    `config` and `step` in info; None if the file cannot be read. left_out: why the frame must not be used, or None.
    """

    file: Path
    index: int
    name: str
    atoms: Atoms | None
    left_out: str | None

    @property
    def described(self) -> str:
        """Name, step and file, as messages begin."""
        step = "" if self.atoms is None else f" step {self.atoms.info['step']}"
        return f"config {self.name}{step} ({self.file}, frame {self.index})"


@dataclass(frozen=True)
class Labelled:
    """A calculation with the symbols of its charge states.

    atoms: labelled, with results and info; None if left out. left_out: why, or None. charges: (atoms,), None if unknown.
    evidence: "proxy", "moments", "bond lengths", "moments and bond lengths", "composition" where that alone fixes them, or "".
    margin_muB2, misfit_muB: see `Assignment`.
    """

    calculation: Calculation
    atoms: Atoms | None
    left_out: str | None
    charges: NDArray[np.int64] | None = None
    evidence: str = ""
    margin_muB2: float = nan
    misfit_muB: float = nan


def read_all(paths: list[Path], every_step: bool) -> list[Calculation]:
    """Calculations of several files, with names that differ between files."""
    return [c for path in paths for c in read_calculations(path, every_step)]


def read_calculations(path: Path, every_step: bool) -> list[Calculation]:
    """Frames of a file that ASE reads (extxyz, OUTCAR, vasprun.xml, ..., also .gz), or only the last step of each relaxation.

    - Energy, forces, stress and moments are kept if present. The energy of VASP is the one without entropy (sigma → 0).
    - Moments of VASP come from the tables of the OUTCAR (LORBIT = 11), also for vasprun.xml, which has none. VASP prints them
      at every ionic step or only after the last one; ASE does not read the latter.
    - If info["config"] is missing, it is the folder of an OUTCAR or vasprun.xml, or the name of any other file, so that all
      frames of a relaxation share it. In an extxyz or a database of which not every step is wanted, the frames are then
      separate cells: NAME-1, NAME-2, ...

    A file that cannot be read is one calculation without atoms.
    """
    own_name = path.name.split(".")[0]
    name = path.resolve().parent.name if own_name in ("OUTCAR", "vasprun") else own_name
    try:
        kind, found = read_frames(path)
        frames = [_with_results(f, f) for f in found]
        if kind in ("vasp-out", "vasp-xml"):
            _add_moments(frames, path if kind == "vasp-out" else path.parent)
    except RedoxError as error:
        return [Calculation(path, 1, name, None, f"cannot be read: {error}")]
    except Exception as error:  # ase raises whatever its parsers raise
        return [Calculation(path, 1, name, None, f"cannot be read: {type(error).__name__}: {error}")]
    apart = not every_step and kind in COLLECTIONS and len(frames) > 1
    for k, frame in enumerate(frames):
        frame.info.setdefault("config", f"{name}-{k + 1}" if apart else name)
        frame.info.setdefault("step", k)
    calculations = [Calculation(path, k, str(f.info["config"]), f, None) for k, f in enumerate(frames, 1)]
    return calculations if every_step else list({c.name: c for c in calculations}.values())


def label_calculation(calculation: Calculation, labels: Labels) -> Labelled:
    """The calculation with the symbols of its charge states, or why it is left out.

    A frame that contains a proxy is already labelled; it only has to be neutral.
    """
    frame = calculation.atoms
    if frame is None or calculation.left_out:
        return Labelled(calculation, None, calculation.left_out)
    if any(s in labels.ions and labels.element(s) != s for s in frame.symbols):
        return _proxied(calculation, frame, labels)
    results = frame.calc.results if frame.calc else {}
    found = assign_charges(frame, labels, results.get("magmoms"))
    atoms = None if found.problem else labels.labelled(with_known_symbols(frame, labels), found.charges)
    return Labelled(
        calculation, atoms and _with_results(atoms, frame), found.problem, found.charges, found.evidence, found.margin_muB2,
        found.misfit_muB,
    )  # fmt: skip


def _proxied(calculation: Calculation, frame: Atoms, labels: Labels) -> Labelled:
    if unknown := unknown_symbols(frame, labels):
        return Labelled(calculation, None, unknown)
    charges = labels.charges(frame)
    if total := int(charges.sum()):
        return Labelled(calculation, None, f"{frame.symbols} has charge {total:+d}, not 0", charges, "proxy")
    return Labelled(calculation, _with_results(frame, frame), None, charges, "proxy")


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
