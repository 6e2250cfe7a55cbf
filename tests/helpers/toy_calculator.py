"""Cheap potentials with known answers, as ASE calculators that an input names by import path."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.io import read
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

CUTOFF_A = 4.0
STIFFNESS_EV_PER_A2 = 3.0
BOND_A = 2.6  # Fe-O and Na-O up to here
STRETCH_A = {"Fe": 0.12, "Ga": -0.12}  # of the bonds to oxygen
CHARGES = {"Na": 1, "Fe": 2, "Ga": 3, "P": 5, "O": -2}
FE3_FROM_MU_B = 4.0


class Springs(Calculator):
    """Springs between the ions of a crystal as long as in its ideal structure, but those of iron as its charge has them.

    The charge of an iron ion is that of its symbol (Ga: Fe3+), or of its initial moment (from 4 Bohr magnetons: Fe3+). Every
    two ions in reach also have the energy of screened charges on ideal sites (strength_eV_A). swapped: Fe3+ has the longer
    bonds. shift_eV: added per atom.
    """

    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self, structure: str, swapped: bool = False, shift_eV: float = 0.0, strength_eV_A: float = 1.0) -> None:
        super().__init__()
        host = read(structure)
        assert isinstance(host, Atoms)
        self.host_cell, self.host_places = np.asarray(host.cell), host.get_scaled_positions()
        self.sign, self.shift_eV, self.strength_eV_A = -1 if swapped else 1, shift_eV, strength_eV_A

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        seen = np.array(
            [
                "Ga" if s == "Fe" and m > FE3_FROM_MU_B else s
                for s, m in zip(atoms.get_chemical_symbols(), atoms.get_initial_magnetic_moments())
            ]
        )
        i, j, images, ideal = neighbor_list("ijSd", self._ideal(atoms), CUTOFF_A)
        vectors = atoms.positions[j] + images @ np.asarray(atoms.cell) - atoms.positions[i]
        r = np.linalg.norm(vectors, axis=1)
        excess = r - ideal - self._stretch(seen[i], seen[j], ideal) - self._stretch(seen[j], seen[i], ideal)
        pulls = (STIFFNESS_EV_PER_A2 * excess / r)[:, None] * vectors  # every pair occurs twice
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pulls)
        charges = np.array([CHARGES[s] for s in seen])
        ionic = self.strength_eV_A * charges[i] * charges[j] * np.exp(-ideal) / ideal
        self.results = {
            "energy": 0.5 * float(np.sum(0.5 * STIFFNESS_EV_PER_A2 * excess**2 + ionic)) + self.shift_eV * len(atoms),
            "forces": forces,
            "stress": full_3x3_to_voigt_6_stress(0.5 * np.einsum("pa,pb->ab", vectors, pulls) / atoms.get_volume()),
        }

    def _stretch(self, metal: NDArray[Any], other: NDArray[Any], ideal: NDArray[np.float64]) -> NDArray[np.float64]:
        lengths = np.array([STRETCH_A.get(s, 0.0) for s in metal])
        return np.where((other == "O") & (ideal < BOND_A), self.sign * lengths, 0.0)

    def _ideal(self, atoms: Atoms) -> Atoms:
        """Every atom on the ideal site next to it, in the image where it is."""
        matrix = np.rint(np.asarray(atoms.cell) @ np.linalg.inv(self.host_cell))
        places = atoms.get_scaled_positions(wrap=False) @ matrix
        offsets = places[:, None] - self.host_places
        distances = np.linalg.norm((offsets - np.rint(offsets)) @ self.host_cell, axis=2)
        nearest = distances.argmin(axis=1)
        whole = np.rint(offsets[np.arange(len(atoms)), nearest])
        ideal = (self.host_places[nearest] + whole) @ self.host_cell
        return Atoms(numbers=np.ones(len(atoms), int), positions=ideal, cell=matrix @ self.host_cell, pbc=True)


class Tether(Calculator):
    """Every atom on a spring to a place of its own; the cell feels nothing."""

    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self, places: NDArray[np.float64]) -> None:
        super().__init__()
        self.places = places

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        away = atoms.positions - self.places
        self.results = {"energy": 0.5 * float(np.sum(away**2)), "forces": -away, "stress": np.zeros(6)}


def with_toy_calculator(folder: Path) -> Path:
    """The folder, from which this module can now be imported under its own name, and nothing else of the project."""
    package = folder / "tests/helpers"
    package.mkdir(parents=True)
    for parent in (package, package.parent):
        (parent / "__init__.py").touch()
    shutil.copy(__file__, package)
    return folder
