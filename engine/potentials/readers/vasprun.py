"""The record of a vasprun.xml of VASP. It has no moments, and no line that says that a relaxation has converged."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from ase.io.formats import open_with_compression
from numpy.typing import NDArray

from .record import Record, electronic_problem, kind_of_run, vasp_settings

ROUNDING = 1.01  # of printed forces


def vasprun_record(path: Path) -> Record:
    """The record of a vasprun.xml, plain or compressed, complete or not."""
    found = _Elements()
    with open_with_compression(str(path), "rb") as handle:
        try:
            for _, element in ElementTree.iterparse(handle, events=("end",)):
                found.add(element)
        except ElementTree.ParseError:
            found.complete = False
    return found.record()


class _Elements:
    """What was found in the elements so far. forces_eV_per_A: the largest that acts on a free coordinate, per step."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.tags: dict[str, str] = {}
        self.free: NDArray[np.bool_] | None = None
        self.electronic: list[int] = []
        self.energies_eV: list[float] = []
        self.forces_eV_per_A: list[float] = []
        self.complete = True

    def add(self, element: ElementTree.Element) -> None:
        if element.tag in ("incar", "parameters"):
            named = {e.attrib["name"]: (e.text or "").strip() for e in element.iter() if "name" in e.attrib}
            self.tags |= {name: value for name, value in named.items() if value}
        elif element.tag == "array" and element.attrib.get("name") == "atomtypes":
            self.titles = [" ".join((row[4].text or "").split()) for row in element.iter("rc")]
        elif element.tag == "structure" and element.attrib.get("name") == "initialpos":
            flags = [(row.text or "").split() for row in element.findall("varray[@name='selective']/v")]
            self.free = np.array(flags) == "T" if flags else None
        elif element.tag == "calculation":
            self._step(element)
            element.clear()

    def _step(self, element: ElementTree.Element) -> None:
        self.electronic.append(len(element.findall("scstep")))
        forces = [[float(v) for v in (row.text or "").split()] for row in element.findall("varray[@name='forces']/v")]
        acting = np.array(forces or [[0.0] * 3]) * (1 if self.free is None else self.free)
        self.forces_eV_per_A.append(float(np.linalg.norm(acting, axis=1).max()))
        self.energies_eV.append(float(element.findtext("energy/i[@name='e_fr_energy']") or "nan"))

    def record(self) -> Record:
        limit = int(self.tags["NELM"]) if "NELM" in self.tags else None
        settings = vasp_settings(self.titles, self.tags | ({"ENCUT": self.tags["ENMAX"]} if "ENMAX" in self.tags else {}))
        if self.tags.get("LNONCOLLINEAR", "F") == "T":
            spin_polarised: bool | None = True
        else:
            spin_polarised = self.tags["ISPIN"] == "2" if "ISPIN" in self.tags else None
        unconverged = tuple(electronic_problem(n, limit) for n in self.electronic)
        return Record(unconverged, self._unfinished(), (), settings, spin_polarised)

    def _unfinished(self) -> str | None:
        n_steps = len(self.electronic)
        relaxes, other = kind_of_run(self.tags, n_steps)
        if not relaxes or not n_steps:
            return other
        if not self.complete:
            return f"the file ends in the middle: the relaxation was killed after {n_steps} ionic steps"
        bound = float(self.tags.get("EDIFFG", "nan"))
        end = f"the relaxation did not converge in {n_steps} ionic steps"
        if bound < 0 and self.forces_eV_per_A[-1] > -bound * ROUNDING:
            return f"{end}: the largest force is {self.forces_eV_per_A[-1]:.3f} eV/A, and EDIFFG = {bound:g}"
        if bound > 0 and n_steps > 1 and (change := abs(self.energies_eV[-1] - self.energies_eV[-2])) > bound:
            return f"{end}: the energy changed by {change:.1e} eV in the last one, and EDIFFG = {bound:g}"
        if not abs(bound) > 0 and n_steps >= int(self.tags.get("NSW", n_steps + 1)):  # without a bound, it goes on to NSW
            return f"{end}: it ended at NSW = {self.tags['NSW']}"
        return None
