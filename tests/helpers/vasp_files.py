"""VASP results of given frames, in the field layout that ASE and pymatgen read. Atoms must be grouped by element."""

from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.io.formats import open_with_compression
from ase.units import GPa
from numpy.typing import NDArray

ENTROPY_EV = 0.01  # the free energy is lower by this than the energy for sigma → 0
Printed = Literal["every step", "at the end", "never"]
EDIFF_REACHED = "-" * 24 + " aborting loop because EDIFF is reached " + "-" * 40
EDIFF_NOT_REACHED = "-" * 24 + " aborting loop EDIFF was not reached (unconverged)  " + "-" * 28


@dataclass(frozen=True)
class VaspRun:
    """How a run went. electronic: steps before each ionic step ended, the last value for all others. finished: it says so."""

    nelm: int = 60
    nsw: int = 99
    ibrion: int = 2
    ediffg: float = -0.02
    ispin: int = 2
    electronic: tuple[int, ...] = (12,)
    stop: str = EDIFF_REACHED
    finished: bool = True
    hubbard_eV: dict[str, float] = field(default_factory=dict)
    encut_eV: float = 520.0

    def electronic_steps(self, k: int) -> int:
        return self.electronic[min(k, len(self.electronic) - 1)]


DONE = VaspRun()


def write_outcar(path: Path, frames: list[Atoms], moments: Printed = "every step", run: VaspRun = DONE) -> None:
    """The frames as the ionic steps of one relaxation; the moments of the last frame alone if printed at the end."""
    lines = _header(frames[0], run)
    for k, frame in enumerate(frames):
        for i in range(run.electronic_steps(k)):
            lines += ["", f"{'-' * 39} Iteration {k + 1:6d}({i + 1:4d})  {'-' * 39}", ""]
        lines += [run.stop if k == len(frames) - 1 else EDIFF_REACHED, ""]
        lines += _moments(frame) if moments == "every step" else []
        lines += _step(frame) + ["     LOOP+:  cpu time    1.0000: real time    1.0000"]
    lines += [" reached required accuracy - stopping structural energy minimisation", ""] if run.finished else []
    lines += _moments(frames[-1]) if moments == "at the end" else []
    lines += ["", " General timing and accounting informations for this job:", "   Total CPU time used (sec):        1.000", ""]
    with open_with_compression(str(path), "w") as out:
        out.write("\n".join(lines))


def write_vasprun(path: Path, frames: list[Atoms], run: VaspRun = DONE, cut: int | None = None) -> None:
    """The frames as the ionic steps of one relaxation. cut: number of characters after which the file ends."""
    root = ElementTree.Element("modeling")
    points = ElementTree.SubElement(root, "kpoints")
    _varray(points, "kpointlist", np.zeros((1, 3)))
    _varray(points, "weights", np.ones((1, 1)))
    parameters = ElementTree.SubElement(root, "parameters")
    elements = list(dict.fromkeys(frames[0].symbols))
    for kind, values in _parameters(elements, run).items():
        for name, value in values.items():
            ElementTree.SubElement(parameters, kind, name=name, type="string").text = f" {value}"
    info = ElementTree.SubElement(root, "atominfo")
    rows = ElementTree.SubElement(ElementTree.SubElement(info, "array", name="atoms"), "set")
    types = ElementTree.SubElement(ElementTree.SubElement(info, "array", name="atomtypes"), "set")
    for e in elements:
        row = ElementTree.SubElement(types, "rc")
        for text in (list(frames[0].symbols).count(e), e, 1.0, 1.0, f" PAW_PBE {e} 01Jan2000 "):
            ElementTree.SubElement(row, "c").text = str(text)
    for symbol in frames[0].symbols:
        ElementTree.SubElement(ElementTree.SubElement(rows, "rc"), "c").text = symbol
    _structure(root, frames[0], name="initialpos")
    for k, frame in enumerate(frames):
        step = ElementTree.SubElement(root, "calculation")
        for _ in range(run.electronic_steps(k)):
            _energy(ElementTree.SubElement(step, "scstep"), frame)
        _structure(step, frame)
        _varray(step, "forces", frame.get_forces())
        _varray(step, "stress", frame.get_stress(voigt=False) / (-0.1 * GPa))
        _energy(step, frame)
    with open_with_compression(str(path), "w") as out:
        out.write(ElementTree.tostring(root, encoding="unicode")[:cut])


def _parameters(elements: list[str], run: VaspRun) -> dict[str, dict[str, str]]:
    """Single values (i) and lists (v)."""
    single = {
        "NELM": run.nelm,
        "NSW": run.nsw,
        "IBRION": run.ibrion,
        "ISPIN": run.ispin,
        "EDIFFG": run.ediffg,
        "ENMAX": run.encut_eV,
    }
    lists = _hubbard(elements, run) if run.hubbard_eV else {}
    return {"i": {k: str(v) for k, v in single.items()}, "v": lists}


def _hubbard(elements: list[str], run: VaspRun) -> dict[str, str]:
    return {
        "LDAUL": " ".join(f"{2 if e in run.hubbard_eV else -1:5d}" for e in elements),
        "LDAUU": " ".join(f"{run.hubbard_eV.get(e, 0.0):4.1f}" for e in elements),
        "LDAUJ": " ".join(" 0.0" for _ in elements),
    }


def _header(frame: Atoms, run: VaspRun) -> list[str]:
    words = dict(zip(("LDAUL", "LDAUU", "LDAUJ"), ("angular momentum", "U (eV)          ", "J (eV)          ")))
    species = [(symbol, len(list(group))) for symbol, group in groupby(frame.symbols)]
    return [
        *([f" POTCAR:    PAW_PBE {symbol} 01Jan2000" for symbol, _ in species] * 2),
        f"   NELM   =    {run.nelm:3d};   NELMIN=  2; NELMDL= -5     # of ELM steps",
        f"   EDIFFG = {run.ediffg:.1E}   stopping-criterion for IOM",
        f"   NSW    =     {run.nsw:2d}    number of steps for IOM",
        f"   IBRION =     {run.ibrion:2d}    ionic relax: 0-MD 1-quasi-New 2-CG",
        f"   ISPIN  =      {run.ispin}    spin polarized calculation?",
        "   LNONCOLLINEAR =      F non collinear calculations",
        f"   ENCUT  = {run.encut_eV:6.1f} eV  38.22 Ry    6.18 a.u.   7.33  9.77 12.21*2*pi/ulx,y,z",
        "   LEXCH   =     8    internal setting for exchange type",
        *(
            f"   {words[name]} for each species {name} = {values}"
            for name, values in (_hubbard([e for e, _ in species], run) if run.hubbard_eV else {}).items()
        ),
        "   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      8",
        "   ions per type =            " + "".join(f"{n:4d}" for _, n in species),
        "   total plane-waves  NPLWV =   1000",
        " k-points in reciprocal lattice and weights: Gamma",
        "   0.00000000  0.00000000  0.00000000       1.000",
    ]


def _step(frame: Atoms) -> list[str]:
    energy = frame.get_potential_energy()
    kilobar = frame.get_stress()[[0, 1, 2, 5, 3, 4]] / (-0.1 * GPa)
    inverse = np.linalg.inv(frame.cell.array).T
    return [
        f" number of electron     100.0000000 magnetization {np.sum(frame.get_magnetic_moments()):14.7f}",
        "",
        "  in kB  " + "".join(f"{p:12.5f}" for p in kilobar),
        "      direct lattice vectors                 reciprocal lattice vectors",
        *("".join(f"{v:13.9f}" for v in (*a, *b)) for a, b in zip(frame.cell.array, inverse)),
        "",
        " POSITION                                       TOTAL-FORCE (eV/Angst)",
        " " + "-" * 83,
        *(
            "".join(f"{v:13.5f}" for v in x) + "    " + "".join(f"{v:14.6f}" for v in f)
            for x, f in zip(frame.positions, frame.get_forces())
        ),
        " " + "-" * 83,
        "",
        "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
        "  ---------------------------------------------------",
        f"  free  energy   TOTEN  = {energy - ENTROPY_EV:18.8f} eV",
        "",
        f"  energy  without entropy= {energy + ENTROPY_EV:17.8f}  energy(sigma->0) = {energy:17.8f}",
        "",
    ]


def _moments(frame: Atoms) -> list[str]:
    columns = np.atleast_2d(np.transpose(frame.get_magnetic_moments()))
    return [line for axis, column in zip("xyz", columns) for line in _table(f" magnetization ({axis})", column)]


def _table(title: str, values: NDArray[np.float64]) -> list[str]:
    zeros = f"{0.0:8.3f}" * 2
    return [
        "",
        title,
        "",
        "# of ion       s       p       d       tot",
        "-" * 42,
        *(f"{i:5d}     {zeros}{v:8.3f}{v:8.3f}" for i, v in enumerate(values, 1)),
        "-" * 50,
        f"tot       {zeros}{sum(values):8.3f}{sum(values):8.3f}",
        "",
    ]


def _varray(parent: ElementTree.Element, name: str, values: NDArray[np.float64]) -> None:
    array = ElementTree.SubElement(parent, "varray", name=name)
    for row in values:
        ElementTree.SubElement(array, "v").text = " ".join(f"{v:.8f}" for v in row)


def _structure(parent: ElementTree.Element, frame: Atoms, **name: str) -> None:
    structure = ElementTree.SubElement(parent, "structure", name)
    _varray(ElementTree.SubElement(structure, "crystal"), "basis", frame.cell.array)
    _varray(structure, "positions", frame.get_scaled_positions(wrap=False))


def _energy(parent: ElementTree.Element, frame: Atoms) -> None:
    energy = ElementTree.SubElement(parent, "energy")
    for name, shift in (("e_fr_energy", -ENTROPY_EV), ("e_wo_entrp", ENTROPY_EV), ("e_0_energy", 0.0)):
        ElementTree.SubElement(energy, "i", name=name).text = f"{frame.get_potential_energy() + shift:.8f}"
