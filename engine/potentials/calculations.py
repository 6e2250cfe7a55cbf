"""Finished calculations as labelled frames: files read by ASE, magnetic moments of VASP, assignment of charge states."""

from collections import Counter
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from ..crystal.files import read_frames
from ..errors import RedoxError
from .charges import assign_charges, unknown_symbols, with_known_symbols
from .labels import Labels
from .readers.codes import NOTHING_SAID, check_settings, in_short, one_per_run, read_record
from .readers.keys import find_results, known_keys
from .readers.names import file_names, unique
from .readers.other_codes import cp2k_output
from .readers.record import Record
from .readers.steps import relaxations, unfinished


@dataclass(frozen=True)
class Calculation:
    """One frame of a file, used or not.

    file: path as given. index: number of the frame in the file, from 1; that of the last step of a relaxation of which not
    every step is wanted. name: of the configuration, the same for all steps of a relaxation. atoms: with results, and with
    `config` and `step` in info; None if the file cannot be read. left_out: why the frame must not be used, or None.
    energy_key: the name under which an extxyz or a database has the energy; "energy" for outputs of codes. settings,
    spin_polarised: see `Record`.
    """

    file: Path
    index: int
    name: str
    atoms: Atoms | None
    left_out: str | None
    energy_key: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    spin_polarised: bool | None = None

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
    """Calculations of several files; see `read_calculations`. Names differ between files.

    A run of VASP of which several outputs are given is read once. Raises RedoxError if settings differ on which energies depend.
    """
    paths = one_per_run(paths)
    names = file_names(paths)
    parts = [_read(path, every_step, name) for path, name in zip(paths, names)]
    calculations = [c for part in parts for c in part]
    owners = [name for part, name in zip(parts, names) for _ in part]
    if not every_step:
        calculations = _renamed(calculations, owners)
    check_settings([(c.file, c.settings) for c in calculations if c.left_out is None])
    return calculations


def read_calculations(path: Path, every_step: bool) -> list[Calculation]:
    """Frames of a file that ASE reads (extxyz, OUTCAR, vasprun.xml, ..., also .gz), or only the last step of each relaxation.

    - Energy, forces, stress and moments are kept if present. The energy of VASP is the one without entropy (sigma → 0).
    - Moments of VASP come from the tables of the OUTCAR (LORBIT = 11), also for vasprun.xml, which has none. VASP prints them
      at every ionic step or only after the last one; ASE does not read the latter.
    - Which frames are steps of one relaxation: see `relaxations`. The last step of one that has not finished is left out, and
      so is a step whose electrons did not converge.
    - The name is info["config"] or, if that is missing, that of the file, or of the folder of an OUTCAR or vasprun.xml. If not
      every step is wanted, cells of one file that would have the same name are NAME-1, NAME-2, ...

    A file that cannot be read is one calculation without atoms.
    """
    name = file_names([path])[0]
    found = _read(path, every_step, name)
    return found if every_step else _renamed(found, [name] * len(found))


def _read(path: Path, every_step: bool, name: str) -> list[Calculation]:
    try:
        kind, frames = read_frames(path)
        record = read_record(kind, path, frames)
        groups = relaxations(kind, path, frames)
    except RedoxError as error:
        return [Calculation(path, 1, name, None, str(error))]
    except Exception as error:  # ase raises whatever its parsers raise
        why = cp2k_output(path) or f"{type(error).__name__}: {error}"
        return [Calculation(path, 1, name, None, f"cannot be read: {why}")]
    if not frames:
        return [Calculation(path, 1, name, None, cp2k_output(path) or f"no structure with results in it, read as {kind}")]
    found = [find_results(f, f.calc.results if f.calc else {}) for f in frames]
    last = {group[-1]: len(group) > 1 for group in groups}
    keys = sorted({f.energy_key for f in found} - {""})
    mixed = f"frames of this file have energies of different keys: {', '.join(keys)}" if len(keys) > 1 else None
    calculations = []
    for k, frame in enumerate(frames):
        problem = record.electronic_problem(k) or found[k].problem or mixed
        if not every_step:
            if k not in last:
                continue
            problem = problem or record.unfinished or (unfinished(frame) if last[k] and record is NOTHING_SAID else None)
        plain = _with_results(frame, frame, found[k].results | _moments(record, k, len(frame)))
        kept = {key: value for key, value in frame.info.items() if key not in known_keys()}
        plain.info = {"config": name, "step": k} | kept
        own_name, key = str(plain.info["config"]), found[k].energy_key
        calculations.append(Calculation(path, k + 1, own_name, plain, problem, key, record.settings, record.spin_polarised))
    return calculations


def _moments(record: Record, k: int, n_atoms: int) -> dict[str, Any]:
    """Moments of a step as a record has them; None in place of those of ASE if it has none."""
    if not record.moments:
        return {}
    moments = record.moments[k] if k < len(record.moments) else ()
    return {"magmoms": moments if len(moments) == n_atoms else None}


def _renamed(calculations: list[Calculation], owners: list[str]) -> list[Calculation]:
    """The same with names of which none occurs twice. owners: names of the files."""
    count = Counter(owners)
    nameless = [f"{c.name}-{c.index}" if c.name == o and count[o] > 1 else c.name for c, o in zip(calculations, owners)]
    names = unique(nameless, owners, [c.index for c in calculations])
    for calculation, name in zip(calculations, names):
        if calculation.atoms is not None:
            calculation.atoms.info["config"] = name
    return [replace(c, name=n) for c, n in zip(calculations, names)]


def other_energy_keys(calculations: list[Calculation]) -> list[str]:
    """A sentence for every key other than `energy` from which energies were read."""
    files: dict[str, dict[Path, None]] = {}
    for c in calculations:
        files.setdefault(c.energy_key, {})[c.file] = None
    return [f"energies are those of the key {k} in {in_short(list(f))}" for k, f in files.items() if k not in ("", "energy")]


def label_calculation(calculation: Calculation, labels: Labels) -> Labelled:
    """The calculation with the symbols of its charge states, or why it is left out.

    A frame that contains a proxy is already labelled; it only has to be neutral.
    """
    frame = calculation.atoms
    if frame is None or calculation.left_out:
        return Labelled(calculation, None, calculation.left_out)
    if calculation.spin_polarised is False and (redox := sorted({e for e in labels.redox if e in set(frame.symbols)})):
        return Labelled(
            calculation, None, f"without spin polarisation (ISPIN or nspin = 1) charges of {', '.join(redox)} cannot localise"
        )
    if any(s in labels.ions and labels.element(s) != s for s in frame.symbols):
        return _proxied(calculation, frame, labels)
    results = frame.calc.results if frame.calc else {}
    found = assign_charges(frame, labels, results.get("magmoms"))
    atoms = None if found.problem else labels.labelled(with_known_symbols(frame, labels), found.charges)
    return Labelled(
        calculation, atoms and _with_results(atoms, frame, results), found.problem, found.charges, found.evidence,
        found.margin_muB2, found.misfit_muB,
    )  # fmt: skip


def _proxied(calculation: Calculation, frame: Atoms, labels: Labels) -> Labelled:
    if unknown := unknown_symbols(frame, labels):
        return Labelled(calculation, None, unknown)
    charges = labels.charges(frame)
    if total := int(charges.sum()):
        return Labelled(calculation, None, f"{frame.symbols} has charge {total:+d}, not 0", charges, "proxy")
    return Labelled(calculation, _with_results(frame, frame, frame.calc.results if frame.calc else {}), None, charges, "proxy")


def _with_results(atoms: Atoms, source: Atoms, results: dict[str, Any]) -> Atoms:
    """The symbols of `atoms` in the structure of `source`, without constraints, which would hide forces."""
    frame = Atoms(
        atoms.get_chemical_symbols(), positions=source.positions, cell=source.cell, pbc=source.pbc, info=dict(source.info)
    )
    frame.calc = SinglePointCalculator(frame, **{k: v for k, v in results.items() if v is not None})
    return frame
