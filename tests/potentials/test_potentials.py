"""Potentials behind one call: derivatives, labels, files of weights and what is refused."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.chgnet import CHGNetNetwork, adopt_proxies, published
from redoxmc.engine.potentials.potential import LabelledCalculator, calculator_of, load_potential, predict

from ..helpers.rock_salt import AWARE, LABELS, OURS, potential, rock_salt


@pytest.mark.parametrize(
    "model, step, tolerance, has_moments",
    [
        ("mace", 1e-4, 1e-6, False),
        ("cpainn", 1e-4, 1e-6, True),
        ("ase", 1e-4, 1e-6, False),
        pytest.param("chgnet", 4e-3, 2e-2, True, marks=pytest.mark.runs),
    ],
)
def test_forces_and_stress_are_slopes_of_the_energy(model: str, step: float, tolerance: float, has_moments: bool) -> None:
    calculator, atoms = potential(model), rock_salt()
    found = predict(calculator, atoms)
    assert (found.moments_muB is not None) == has_moments
    if found.moments_muB is not None:
        assert found.moments_muB.shape == (8,)
    assert found.forces_eV_per_A.shape == (8, 3) and np.array_equal(found.stress_eV_per_A3, found.stress_eV_per_A3.T)

    def slope(shift: NDArray[np.float64], strain: NDArray[np.float64]) -> float:
        total = 0.0
        for k, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):  # a central difference of fourth order
            moved = atoms.copy()
            moved.positions += k * step * shift
            moved.set_cell(moved.cell @ (np.eye(3) + k * step * strain), scale_atoms=True)
            total += weight * predict(calculator, moved).energy_eV
        return total / (12 * step)

    rng = np.random.default_rng(5)
    for _ in range(3):
        shift, strain = rng.normal(size=(8, 3)), rng.normal(size=(3, 3))
        expected = -float((found.forces_eV_per_A * shift).sum())
        size = float(np.linalg.norm(found.forces_eV_per_A))
        assert size > 0.01 and slope(shift, np.zeros((3, 3))) == pytest.approx(expected, abs=tolerance * size)
        strain += strain.T
        expected = float((found.stress_eV_per_A3 * strain).sum()) * atoms.get_volume()
        size = float(np.linalg.norm(found.stress_eV_per_A3)) * atoms.get_volume()
        assert size > 0.01 and slope(np.zeros((8, 3)), strain) == pytest.approx(expected, abs=tolerance * size)


@pytest.mark.parametrize("model", OURS)
def test_only_aware_potentials_see_the_labels(model: str) -> None:
    atoms, swapped = rock_salt(), rock_salt("Na Fe Ga Fe O O O O")
    aware, blind = potential(model), potential(model, charge_aware=False)
    assert abs(predict(aware, atoms).energy_eV - predict(aware, swapped).energy_eV) > 1e-4
    assert predict(blind, atoms).energy_eV == predict(blind, swapped).energy_eV


def test_proxies_adopted_by_chgnet_start_as_their_element() -> None:
    network: Any = published()
    adopt_proxies(network, LABELS)
    adopted = LabelledCalculator(calculator_of("chgnet", CHGNetNetwork(network).weights(AWARE, True, {})), LABELS, True)
    found, plain = predict(adopted, rock_salt()), predict(potential("chgnet", charge_aware=False), rock_salt())
    assert found.energy_eV == plain.energy_eV and np.array_equal(found.forces_eV_per_A, plain.forces_eV_per_A)
    assert abs(predict(potential("chgnet"), rock_salt()).energy_eV - plain.energy_eV) > 1, "gallium is no iron"


class Witness(Calculator):
    """Keeps what it is shown; gives no stress unless told to."""

    implemented_properties = ["energy", "forces", "magmoms"]

    def __init__(self, stress: bool = True, energy_eV: float = -1.5) -> None:
        if energy_eV > 0:
            raise ValueError("the energy must be negative")
        super().__init__()
        self.energy_eV, self.seen = energy_eV, Atoms()
        if stress:
            self.implemented_properties = [*self.implemented_properties, "stress"]

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        assert atoms is not None and properties is not None
        self.seen = atoms
        self.results = {"energy": self.energy_eV, "forces": np.zeros((len(atoms), 3)), "magmoms": np.arange(len(atoms))[:, None]}
        if "stress" in properties:
            self.results["stress"] = np.diag([1.0, 2.0, 3.0])


def witness(**options: Any) -> LabelledCalculator:
    return load_potential(f"{__name__}.Witness", None, LABELS, options=options)


def test_calculator_that_knows_elements_starts_from_the_moments_of_the_labels() -> None:
    calculator = witness(energy_eV=-2.5)
    atoms = rock_salt()
    found = predict(calculator, atoms)
    assert found.energy_eV == -2.5 and np.array_equal(found.stress_eV_per_A3, np.diag([1, 2, 3]))
    assert found.moments_muB is not None and found.moments_muB.tolist() == list(range(8))
    seen = getattr(calculator.inner, "seen")  # noqa: B009
    assert seen.get_chemical_symbols() == "Na Fe Fe Fe O O O O".split()
    assert seen.get_initial_magnetic_moments().tolist() == [0, 3.75, 3.75, 4.25, 0, 0, 0, 0]
    assert np.array_equal(seen.positions, atoms.positions) and np.array_equal(seen.cell, atoms.cell)
    assert atoms.get_chemical_symbols() == "Na Fe Fe Ga O O O O".split()
    predict(LabelledCalculator(calculator.inner, LABELS, knows_proxies=True), atoms)
    seen = getattr(calculator.inner, "seen")  # noqa: B009
    assert seen.get_chemical_symbols() == atoms.get_chemical_symbols() and not seen.get_initial_magnetic_moments().any()


def test_calculator_behaves_as_one_of_ase() -> None:
    atoms = rock_salt()
    atoms.calc = potential("cpainn")
    found = predict(potential("cpainn"), rock_salt())
    assert atoms.get_potential_energy() == found.energy_eV
    assert np.allclose(atoms.get_stress(voigt=False), found.stress_eV_per_A3, atol=1e-15)
    atoms.symbols[2], atoms.symbols[3] = "Ga", "Fe"
    assert atoms.get_potential_energy() != found.energy_eV, "changed labels must not answer from the last call"


@pytest.mark.parametrize(
    "path, options, message",
    [
        ("nowhere.to.Be", {}, "cannot import nowhere.to.Be: .*install it, or correct the path"),
        ("ase.calculators.lj.Lennard", {}, "cannot import ase.calculators.lj.Lennard"),
        (f"{__name__}.Witness", {"energy_eV": 1.0}, "Witness with .*energy_eV.*ValueError: the energy must be negative"),
        (f"{__name__}.Witness", {"colour": "red"}, "Witness with .*colour.*TypeError"),
        ("ase.data.chemical_symbols", {}, "chemical_symbols with .*TypeError"),
        ("os.getcwd", {}, "os.getcwd makes a str; allowed: an ASE calculator"),
    ],
)
def test_calculators_that_cannot_be_had(path: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RedoxError, match=message):
        load_potential(path, None, LABELS, options=options)


def test_calculator_without_stress() -> None:
    with pytest.raises(RedoxError, match="has no stress"):
        predict(witness(stress=False), rock_salt())


def test_labels_go_there_and_back() -> None:
    atoms = rock_salt()
    charges = LABELS.charges(atoms)
    assert charges.sum() == 0 and LABELS.redox_atoms(atoms).tolist() == [1, 2, 3]
    plain = LABELS.unlabelled(atoms)
    assert plain.get_chemical_symbols() == "Na Fe Fe Fe O O O O".split()
    assert LABELS.labelled(plain, charges).get_chemical_symbols() == atoms.get_chemical_symbols()
    charges[2] = 4
    with pytest.raises(ValueError, match=r"atom 2 \(Fe\) cannot have charge \+4"):
        LABELS.labelled(plain, charges)
