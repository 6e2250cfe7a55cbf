"""Charge-labelled data sets: every frame of the files, mapped to the lattice or left out with the reason."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..crystal.arrangements import Arrangements
from ..crystal.lattice import Lattice
from ..errors import RedoxError
from ..runtime.progress import Progress
from .calculations import Calculation, Labelled, label_calculation, read_all
from .labels import Labels, labels_of
from .mapping_cache import MappingCache
from .site_mapping import Mapped, SiteMapping

MANY_FRAMES = 100  # of which the progress is shown
COLLECTIONS = (".extxyz", ".xyz", ".db", ".json", ".traj")  # files of many cells: all are lost if one cannot be read


@dataclass(frozen=True)
class DataSet:
    """Labelled cells on ideal positions, with the symbols of the species and vacancies as X.

    energies_eV (cells,): energies per formula unit. n_formula_units (cells,).
    """

    cells: tuple[Atoms, ...]
    names: tuple[str, ...]
    energies_eV: NDArray[np.float64]
    n_formula_units: NDArray[np.int64]

    def fraction(self, symbol: str) -> NDArray[np.float64]:
        """Number (cells,) of atoms with this symbol per formula unit."""
        counts = [list(c.symbols).count(symbol) for c in self.cells]
        return np.array(counts) / self.n_formula_units


@dataclass(frozen=True)
class Frame:
    """One frame of a data set, used or left out.

    calculation: file, number, name. composition: with real elements instead of proxies. charges: number of ions in each charge
    state. evidence, margin_muB2, misfit_muB: how the charges were read, see `Labelled`. strain, expansion, shift_A: see `Mapped`.
    energy_eV: per formula unit. Numbers are nan if unknown. duplicate_of: name of the frame that shows the same arrangement at a
    lower energy, or None. left_out: why the frame is not used, or None. relaxed: the labelled frame; ideal: on the sites of the
    lattice; None if it cannot be mapped.
    """

    calculation: Calculation
    composition: str = ""
    charges: str = ""
    evidence: str = ""
    margin_muB2: float = nan
    misfit_muB: float = nan
    strain: float = nan
    expansion: float = nan
    shift_A: float = nan
    energy_eV: float = nan
    duplicate_of: str | None = None
    left_out: str | None = None
    relaxed: Atoms | None = None
    ideal: Atoms | None = None

    @property
    def is_used(self) -> bool:
        return self.left_out is None and self.duplicate_of is None


@dataclass(frozen=True)
class FrameTable:
    """All frames of a data set in the order of its files. formula_unit: atoms per formula unit of the lattice."""

    frames: tuple[Frame, ...]
    atoms_per_formula_unit: float

    @property
    def used(self) -> list[Frame]:
        """Frames of symmetry-distinct arrangements."""
        return [f for f in self.frames if f.is_used]

    @property
    def left_out(self) -> list[Frame]:
        return [f for f in self.frames if f.left_out is not None]

    @property
    def relaxed(self) -> list[Atoms]:
        """The labelled relaxed cells that are used."""
        return [f.relaxed for f in self.used if f.relaxed is not None]

    def data(self) -> DataSet:
        """The frames that are used, on ideal positions. Raises RedoxError if there are none."""
        used = self.used
        if not used:
            raise RedoxError("no frame of the data set can be used: " + "; ".join(described(f) for f in self.left_out[:3]))
        cells = tuple(f.ideal for f in used if f.ideal is not None)
        units = np.array([round(len(c) / self.atoms_per_formula_unit) for c in cells])
        return DataSet(cells, tuple(f.calculation.name for f in used), np.array([f.energy_eV for f in used]), units)


def described(frame: Frame) -> str:
    """File, name and the reason why a frame is left out."""
    return f"{frame.calculation.described}: {frame.left_out}"


def read_frame_table(paths: list[Path], lattice: Lattice, cache: Path | None = None) -> FrameTable:
    """Every frame of the files, the last step of each relaxation, labelled and mapped to the lattice.

    Charge states are those of the proxies, or are assigned from moments and bond lengths. Of frames that show the same
    arrangement of species only the one of lowest energy is used. cache: file that keeps the mappings of a large data set.
    Raises RedoxError if there is no frame, or if a file of many cells cannot be read.
    """
    found = read_all(list(dict.fromkeys(p.resolve() for p in paths)), every_step=False)
    if lost := next((c for c in found if c.atoms is None and c.file.suffix in COLLECTIONS), None):
        raise RedoxError(f"{lost.file.name}: {(lost.left_out or '').removeprefix('cannot be read: ')}")
    if not found:
        raise RedoxError("the data set is empty")
    labels, mapping = labels_of(lattice), SiteMapping(lattice)
    known, arrangements = MappingCache(cache, lattice), Arrangements(mapping.lattice)
    shown = Progress("mapping cells to the lattice", 0) if len(found) > MANY_FRAMES else nullcontext()
    frames, keys = [], []
    with shown as progress:
        for k, calculation in enumerate(found):
            frame, mapped = _frame(calculation, lattice, labels, mapping, known)
            frames.append(frame)
            keys.append(None if mapped is None else arrangements.canonical(mapped.supercell, mapped.species))
            if progress is not None:
                progress.update(k + 1, len(found))
    known.write()
    return FrameTable(tuple(_merged(frames, keys)), len(lattice.atoms) / lattice.n_formula_units)


def _frame(
    calculation: Calculation, lattice: Lattice, labels: Labels, mapping: SiteMapping, known: MappingCache
) -> tuple[Frame, Mapped | None]:
    """The frame, and its place on the lattice if it can be used."""
    atoms = calculation.atoms
    if problem := calculation.left_out or (atoms is not None and _problem(atoms, lattice)):
        return Frame(calculation, left_out=problem), None
    labelled = label_calculation(calculation, labels)
    frame = _with_charges(labelled, labels)
    if labelled.atoms is None:
        return frame, None
    try:
        mapped = known(labelled.atoms, mapping)
    except RedoxError as error:
        return replace(frame, left_out=str(error)), None
    units = mapped.supercell.n_cells * len(mapping.lattice.atoms) / (len(lattice.atoms) / lattice.n_formula_units)
    frame = replace(
        frame, strain=mapped.strain, expansion=mapped.expansion, shift_A=mapped.shift_A, left_out=mapped.problem,
        energy_eV=float(labelled.atoms.get_potential_energy()) / units, relaxed=labelled.atoms, ideal=mapped.cell,
    )  # fmt: skip
    return frame, mapped if mapped.problem is None else None


def _with_charges(labelled: Labelled, labels: Labels) -> Frame:
    text, atoms = "", labelled.atoms if labelled.atoms is not None else labelled.calculation.atoms
    elements = [labels.element(s) if s in labels.ions else s for s in atoms.get_chemical_symbols()] if atoms is not None else []
    if labelled.charges is not None:
        states = {(e, s.charge): s.name for e, found in labels.redox.items() for s in found}
        names = Counter(states[key] for key in zip(elements, labelled.charges.tolist()) if key in states)
        text = ", ".join(f"{n} {name}" for name, n in sorted(names.items()))
    composition = "".join(f"{e}{n}" for e, n in sorted(Counter(elements).items()))
    return Frame(
        labelled.calculation, composition, text, labelled.evidence, labelled.margin_muB2, labelled.misfit_muB,
        left_out=labelled.left_out,
    )  # fmt: skip


def _problem(frame: Atoms, lattice: Lattice) -> str | None:
    """Why a frame cannot be compared with the lattice at all."""
    allowed = set(lattice.spectators) | {s for sp in lattice.species for s in (sp.symbol, sp.element)} - {"X", "Va"}
    if unknown := sorted(set(frame.get_chemical_symbols()) - allowed):
        return f"found {', '.join(unknown)}; allowed: {', '.join(sorted(allowed))}"
    if frame.calc is None or not np.isfinite(frame.calc.results.get("energy", np.nan)):
        return "no energy"
    if not np.isfinite(frame.cell).all() or not np.isfinite(frame.positions).all():
        return "lengths that are not finite"
    if not frame.pbc.all() or frame.cell.rank < 3 or frame.get_volume() < len(frame):  # A^3
        return "not periodic in three directions"
    return None


def _merged(frames: list[Frame], keys: list[bytes | None]) -> list[Frame]:
    """Of the frames with the same key, all but the one of lowest energy as its duplicates."""
    lowest: dict[bytes, Frame] = {}
    for frame, key in zip(frames, keys):
        if key is not None and (key not in lowest or frame.energy_eV < lowest[key].energy_eV):
            lowest[key] = frame
    kept = [f if key is None else lowest[key] for f, key in zip(frames, keys)]
    return [f if f is k else replace(f, duplicate_of=k.calculation.name) for f, k in zip(frames, kept)]


def duplicate_spread_eV(table: FrameTable) -> float:
    """Largest difference, eV per formula unit, between frames of the same arrangement; 0 without duplicates."""
    lowest = {f.calculation.name: f.energy_eV for f in table.used}
    return max((f.energy_eV - lowest[f.duplicate_of] for f in table.frames if f.duplicate_of in lowest), default=0.0)
