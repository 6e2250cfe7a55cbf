"""Cells that the springs have relaxed: as a reference, and as a user's calculations leave them."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.input.schema import RelaxationInput
from redoxmc.engine.potentials.labelling.configurations import charge_orders, choose_configurations
from redoxmc.engine.potentials.labels import Labels

if TYPE_CHECKING:  # torch comes with them, and every worker reads this file
    from redoxmc.engine.potentials.potential import LabelledCalculator
    from redoxmc.engine.stages.evaluate.reference import ReferenceCell

MOMENTS_MU_B = {"Fe": 3.7, "Ga": 4.3}


@pytest.fixture(scope="module")
def reference(olivine: Lattice, labels: Labels, springs: "LabelledCalculator") -> "list[ReferenceCell]":
    """The springs' own relaxed energies, twelve orders at one ion arrangement among them."""
    from redoxmc.engine.potentials.relax import relax, start
    from redoxmc.engine.stages.evaluate.reference import ReferenceCell

    half = np.array([0, 1, 0, 1, 0, 0, 1, 1], np.int8)
    cells = choose_configurations(olivine, [np.eye(3, dtype=int)], 6, 2) + charge_orders(
        olivine, np.diag([1, 2, 1]), np.tile(half, 2), 12, 1
    )
    found = []
    for c in cells:
        relaxed = relax(start(c.supercell(olivine), c.occupation(), labels, RelaxationInput()), springs, RelaxationInput())
        found.append(ReferenceCell(c, c.composition(olivine), relaxed.energy_eV / c.supercell(olivine).n_formula_units))
    return found


@pytest.fixture(scope="module")
def relaxed(olivine: Lattice, springs: "LabelledCalculator") -> list[Atoms]:
    """As calculations leave them: elements and moments, atoms grouped; info["labelled"] is what they stand for."""
    from redoxmc.engine.potentials.relax import relax, start

    found = []
    for configuration in choose_configurations(olivine, [np.eye(3, dtype=int), np.diag([1, 1, 2])], 24, 5):
        begin = start(configuration.supercell(olivine), configuration.occupation(), springs.labels, RelaxationInput())
        done = relax(begin, springs, RelaxationInput())
        assert done.failure is None
        springs.calculate(done.cell)
        order = np.argsort([("Na", "Fe", "Ga", "P", "O").index(s) for s in done.cell.symbols], kind="stable")
        frame = springs.labels.unlabelled(done.cell[order])
        frame.calc = SinglePointCalculator(
            frame,
            energy=springs.results["energy"],
            forces=springs.results["forces"][order],
            stress=springs.results["stress"],
            magmoms=np.array([MOMENTS_MU_B.get(s, 0.0) for s in done.cell[order].symbols]),
        )
        frame.info["labelled"] = done.cell[order]
        found.append(frame)
    return found
