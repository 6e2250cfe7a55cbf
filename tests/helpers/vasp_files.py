"""VASP results of given frames, in the field layout that ASE and pymatgen read. Atoms must be grouped by element."""

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


def write_outcar(path: Path, frames: list[Atoms], moments: Printed = "every step") -> None:
    """The frames as the ionic steps of one relaxation; the moments of the last frame alone if printed at the end."""
    lines = _header(frames[0])
    for k, frame in enumerate(frames):
        lines += ["", f"{'-' * 39} Iteration {k + 1:6d}(   1)  {'-' * 39}", ""]
        lines += _moments(frame) if moments == "every step" else []
        lines += _step(frame) + ["     LOOP+:  cpu time    1.0000: real time    1.0000"]
    lines += _moments(frames[-1]) if moments == "at the end" else []
    lines += ["", " General timing and accounting informations for this job:", "   Total CPU time used (sec):        1.000", ""]
    with open_with_compression(str(path), "w") as out:
        out.write("\n".join(lines))


def write_vasprun(path: Path, frames: list[Atoms]) -> None:
    root = ElementTree.Element("modeling")
    points = ElementTree.SubElement(root, "kpoints")
    _varray(points, "kpointlist", np.zeros((1, 3)))
    _varray(points, "weights", np.ones((1, 1)))
    ElementTree.SubElement(root, "parameters")
    atoms = ElementTree.SubElement(ElementTree.SubElement(root, "atominfo"), "array", name="atoms")
    rows = ElementTree.SubElement(atoms, "set")
    for symbol in frames[0].symbols:
        ElementTree.SubElement(ElementTree.SubElement(rows, "rc"), "c").text = symbol
    _structure(root, frames[0], name="initialpos")
    for frame in frames:
        step = ElementTree.SubElement(root, "calculation")
        _energy(ElementTree.SubElement(step, "scstep"), frame)
        _structure(step, frame)
        _varray(step, "forces", frame.get_forces())
        _varray(step, "stress", frame.get_stress(voigt=False) / (-0.1 * GPa))
        _energy(step, frame)
    with open_with_compression(str(path), "w") as out:
        out.write(ElementTree.tostring(root, encoding="unicode"))


def _header(frame: Atoms) -> list[str]:
    species = [(symbol, len(list(group))) for symbol, group in groupby(frame.symbols)]
    return [
        *([f" POTCAR:    PAW_PBE {symbol} 01Jan2000" for symbol, _ in species] * 2),
        "   IBRION =      2    ionic relaxation",
        "   ISPIN  =      2    spin polarized calculation?",
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
