"""Relaxation of labelled cells: the start, what is refused, one energy for equivalent cells; springs for a potential."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from redoxmc.engine.crystal.lattice import Lattice, Species, Sublattice, build_lattice
from redoxmc.engine.crystal.symmetry import site_permutations
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.schema import RelaxationInput
from redoxmc.engine.potentials.charges import bond_lengths_A
from redoxmc.engine.potentials.labelling.configurations import (
    Configuration,
    choose_configurations,
    enumerate_configurations,
    key,
)
from redoxmc.engine.potentials.labelling.relaxations import Relaxations
from redoxmc.engine.potentials.labels import Labels, labels_of
from redoxmc.engine.potentials.potential import LabelledCalculator
from redoxmc.engine.potentials.relax import FailureKind, RelaxationFailure, relax, start

from ..helpers.paths import STRUCTURE
from ..helpers.systems import HOST, SODIUM
from ..helpers.toy_calculator import Springs, Tether

UNIT = np.eye(3, dtype=int)
SETTINGS = RelaxationInput()


@pytest.fixture(scope="module")
def mixed(olivine: Lattice) -> Configuration:
    """Half full, both iron ions."""
    return next(c for c in choose_configurations(olivine, [UNIT], 12, 1) if c.composition(olivine) == 0.5)


def begin(configuration: Configuration, lattice: Lattice, settings: RelaxationInput = SETTINGS) -> Atoms:
    return start(configuration.supercell(lattice), configuration.occupation(), labels_of(lattice), settings)


def test_the_toy_is_a_potential(olivine: Lattice, springs: LabelledCalculator, mixed: Configuration) -> None:
    atoms = begin(mixed, olivine)
    atoms.calc = springs
    assert np.allclose(calculate_numerical_forces(atoms, 1e-5, iatoms=[0, 9]), atoms.get_forces()[[0, 9]], atol=1e-7)
    assert np.allclose(calculate_numerical_stress(atoms, 1e-5), atoms.get_stress(), atol=1e-8)


@pytest.mark.parametrize("lengths", [{}, {0.0: [9.8, 5.8, 4.8], 1.0: [10.5, 6.3, 5.0]}])
def test_start_is_distorted_by_charge(olivine: Lattice, labels: Labels, lengths: dict[float, list[float]]) -> None:
    """Out for Fe2+, in for Fe3+; the same every time."""
    settings = RelaxationInput(cell_lengths_A=lengths)
    for configuration in choose_configurations(olivine, [UNIT], 12, 1):
        atoms = begin(configuration, olivine, settings)
        assert atoms == begin(configuration, olivine, settings)
        assert "X" not in atoms.symbols and labels.charges(atoms).sum() == 0
        bare = configuration.supercell(olivine).to_atoms(configuration.occupation())
        bare.set_cell(atoms.cell, scale_atoms=True)
        del bare[bare.symbols == "X"]
        change = bond_lengths_A(atoms, labels) - bond_lengths_A(bare, labels)
        iron = atoms.symbols[labels.redox_atoms(atoms)]
        assert (change[iron == "Fe"] > 0.01).all() and (change[iron == "Ga"] < -0.01).all()


@pytest.mark.parametrize("matrix", [UNIT, np.diag([1, 2, 1]), np.array([[1, 0, 0], [0, 1, 1], [0, 0, 2]])])
def test_cell_lengths_between_the_ends(olivine: Lattice, matrix: Any) -> None:
    ends = np.array([[9.8, 5.8, 4.8], [10.6, 6.2, 5.0]])
    settings = RelaxationInput(cell_lengths_A={0.0: ends[0].tolist(), 1.0: ends[1].tolist()})
    seen = set()
    for configuration in choose_configurations(olivine, [matrix], 12, 1):
        x = configuration.composition(olivine)
        host = np.linalg.solve(matrix, np.asarray(begin(configuration, olivine, settings).cell))
        assert np.allclose(np.linalg.norm(host, axis=1), (1 - x) * ends[0] + x * ends[1])
        seen.add(x)
    assert {0.0, 1.0} < seen
    assert np.allclose(begin(configuration, olivine).cell, matrix @ np.asarray(olivine.atoms.cell))


@pytest.mark.runs
def test_relaxation_keeps_the_labels(olivine: Lattice, labels: Labels, springs: LabelledCalculator) -> None:
    for configuration in choose_configurations(olivine, [UNIT, [1, 2, 1] * UNIT], 10, 1):
        atoms = begin(configuration, olivine)
        found = relax(atoms, springs, SETTINGS)
        assert found.failure is None and 0 < found.steps < SETTINGS.steps
        assert str(found.cell.symbols) == str(atoms.symbols)
        assert (found.by_bond == labels.charges(atoms)).all() and found.by_moment is None
        springs.calculate(found.cell)
        assert springs.results["energy"] == found.energy_eV
        assert np.linalg.norm(springs.results["forces"], axis=1).max() <= SETTINGS.largest_force_eV_per_A
        virial = springs.results["stress"] * found.cell.get_volume() / len(found.cell)
        assert np.abs(virial).max() < SETTINGS.largest_force_eV_per_A


@pytest.mark.runs
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_same_start_same_energy(
    olivine: Lattice, labels: Labels, springs: LabelledCalculator, mixed: Configuration, tmp_path: Path
) -> None:
    """Also if the calculator has seen other structures since."""
    first = relax(begin(mixed, olivine), springs, SETTINGS)
    springs.calculate(begin(choose_configurations(olivine, [UNIT], 1, 1)[0], olivine))
    again = relax(begin(mixed, olivine), LabelledCalculator(Springs(STRUCTURE), labels, True), SETTINGS)
    assert first.energy_eV == again.energy_eV == relax(begin(mixed, olivine), springs, SETTINGS).energy_eV
    assert np.array_equal(first.cell.positions, again.cell.positions)


@pytest.mark.runs
def test_equivalent_configurations_share_a_representative(
    olivine: Lattice, springs: LabelledCalculator, mixed: Configuration, tmp_path: Path
) -> None:
    store = Relaxations(tmp_path, olivine, SETTINGS, "springs")
    images = {mixed.occupation()[p].tobytes() for p in site_permutations(mixed.supercell(olivine))}
    equivalent = [Configuration(mixed.matrix, image, "image") for image in sorted(images)]
    assert len(equivalent) > 1
    assert len({key(c, olivine) for c in equivalent}) == len({store.path(c) for c in equivalent}) == 1
    for configuration in equivalent:
        store.run(configuration, springs)
    assert len(list(tmp_path.iterdir())) == 1
    energies = [relax(begin(c, olivine), springs, SETTINGS.model_copy(update={"largest_force_eV_per_A": 1e-4})).energy_eV
                for c in equivalent[:3]]  # fmt: skip
    assert np.ptp(energies) < 1e-6
    others = enumerate_configurations(olivine, UNIT, 5000)
    assert others and len({store.path(c) for c in others}) == len(others)


def test_every_ingredient_makes_another_file(olivine: Lattice, mixed: Configuration, tmp_path: Path) -> None:
    def path(mark: str = "a", settings: RelaxationInput = SETTINGS, iron: Sublattice | None = None) -> Path:
        lattice = build_lattice(olivine.atoms, (SODIUM, iron), HOST) if iron else olivine
        return Relaxations(tmp_path, lattice, settings, mark).path(mixed)

    strained = build_lattice(olivine.atoms.copy(), olivine.sublattices, HOST)
    strained.atoms.set_cell(1.01 * np.asarray(strained.atoms.cell), scale_atoms=True)
    others = [
        path("b"),
        path(settings=RelaxationInput(steps=299)),
        path(settings=RelaxationInput(largest_force_eV_per_A=0.02)),
        path(settings=RelaxationInput(cell_lengths_A={0.0: [10.0, 6.0, 5.0]})),
        path(iron=Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3, "Al")))),
        path(iron=Sublattice("Fe", (Species("Fe2+", 2, None, 3.7), Species("Fe3+", 3, "Ga", 4.2)))),
        Relaxations(tmp_path, strained, SETTINGS, "a").path(mixed),
    ]
    assert len({path(), *others}) == 1 + len(others)
    assert path() == path()


def test_steps_run_out(olivine: Lattice, springs: LabelledCalculator, mixed: Configuration) -> None:
    found = relax(begin(mixed, olivine), springs, RelaxationInput(steps=2))
    assert (
        found.failure == RelaxationFailure(FailureKind.NOT_CONVERGED, "forces above 0.03 eV/A after 2 steps") and found.steps == 2
    )


@pytest.mark.parametrize("symbol", ["Na", "O"])
def test_an_ion_that_leaves_its_site(olivine: Lattice, labels: Labels, mixed: Configuration, symbol: str) -> None:
    atoms = begin(mixed, olivine)
    who = int(np.flatnonzero(atoms.symbols == symbol)[1])
    for push_A, left in ((0.6, False), (1.6, True)):
        places = atoms.positions.copy()
        places[who] += push_A * np.array([0.6, 0.8, 0.0])
        failure = relax(atoms, LabelledCalculator(Tether(places), labels, True), SETTINGS).failure
        assert (failure is not None and failure.kind is FailureKind.LEFT_SITE) == left, failure
        assert (f"{symbol} {who} moved" in str(failure) and "left its site" in str(failure)) == left, failure


def test_rigid_shifts_are_no_departure(olivine: Lattice, labels: Labels, mixed: Configuration) -> None:
    atoms = begin(mixed, olivine)
    assert relax(atoms, LabelledCalculator(Tether(atoms.positions + 2.0), labels, True), SETTINGS).failure is None


def test_a_scrambled_charge_order(olivine: Lattice, labels: Labels, mixed: Configuration) -> None:
    swapped = LabelledCalculator(Springs(STRUCTURE, swapped=True), labels, knows_proxies=True)
    found = relax(begin(mixed, olivine), swapped, SETTINGS)
    assert str(found.failure) == "charge order lost: 4 ions have the bond lengths of another charge"
    prepared = labels.charges(found.cell)
    assert sorted(found.by_bond) == sorted(prepared) and (found.by_bond != prepared).sum() == 4


def test_labels_reach_a_calculator_of_elements_as_moments(olivine: Lattice, mixed: Configuration) -> None:
    def of_moments(low_muB: float | None, high_muB: float | None) -> Lattice:
        iron = Sublattice("Fe", (Species("Fe2+", 2, None, low_muB), Species("Fe3+", 3, "Ga", high_muB)))
        return build_lattice(olivine.atoms, (SODIUM, iron), HOST)

    atoms = begin(mixed, olivine)
    aware, told, from_table, mistold = (
        LabelledCalculator(Springs(STRUCTURE), labels_of(given), knows)
        for given, knows in (
            (olivine, True),
            (of_moments(3.7, 4.2), False),
            (of_moments(None, None), False),
            (of_moments(3.7, 3.7), False),
        )
    )
    energies = [relax(atoms, calculator, SETTINGS).energy_eV for calculator in (aware, told, from_table)]
    assert energies[0] == energies[1] == energies[2]
    mistold.calculate(atoms)
    aware.calculate(atoms)
    assert abs(mistold.results["energy"] - aware.results["energy"]) > 0.1


class _Breaking(Calculator):
    """Forces that are no numbers, or an exception, from the third call on."""

    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self, error: bool) -> None:
        super().__init__()
        self.error, self.calls, self.springs = error, 0, Springs(STRUCTURE)

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        self.calls += 1
        self.springs.calculate(atoms, properties, system_changes)
        self.results = dict(self.springs.results)
        if self.calls > 2 and self.error:
            raise ValueError("out of range")
        if self.calls > 2:
            self.results |= {"energy": np.nan, "forces": np.full((len(atoms or []), 3), np.nan)}


@pytest.mark.parametrize("error", [False, True])
def test_a_relaxation_that_breaks_down(
    olivine: Lattice, labels: Labels, mixed: Configuration, error: bool, tmp_path: Path
) -> None:
    """It is refused, kept with its reason, and does not end the run."""
    store = Relaxations(tmp_path, olivine, RelaxationInput(steps=20), "breaking")
    store.run(mixed, LabelledCalculator(_Breaking(error), labels, True))
    failure = store.read(mixed).failure
    assert failure is not None and failure.kind in (FailureKind.CALCULATION_FAILED, FailureKind.NOT_CONVERGED)
    if error:
        assert str(failure) == "calculation failed: ValueError: out of range"


@pytest.mark.parametrize(
    "text, kind, detail",
    [
        ("charge order lost: 4 ions show another charge", "CHARGE_ORDER_LOST", "4 ions show another charge"),
        ("not converged in 300 steps", "NOT_CONVERGED", "in 300 steps"),
        ("the relaxation broke down: ValueError: out of range", "CALCULATION_FAILED", "ValueError: out of range"),
        ("Na 3 moved 1.20 A and left its site", "LEFT_SITE", "Na 3 moved 1.20 A and left its site"),
    ],
)  # fmt: skip
def test_failures_that_were_sentences_are_still_read(
    olivine: Lattice, springs: LabelledCalculator, mixed: Configuration, tmp_path: Path, text: str, kind: str, detail: str
) -> None:
    store = Relaxations(tmp_path, olivine, RelaxationInput(steps=0), "springs")
    store.run(mixed, springs)
    lines = store.path(mixed).read_text().split("\n")
    lines[1] = lines[1].split(" sha256=")[0] + f' problem="{text}"'
    store.path(mixed).write_text("\n".join(lines))
    done = store.read(mixed)
    assert done.failure == RelaxationFailure(FailureKind[kind], detail) and done.is_minimum == (kind == "CHARGE_ORDER_LOST")


def test_damaged_relaxations_are_named(
    olivine: Lattice, springs: LabelledCalculator, mixed: Configuration, tmp_path: Path
) -> None:
    store = Relaxations(tmp_path, olivine, SETTINGS, "springs")
    store.run(mixed, springs)
    done = store.read(mixed)
    assert done.failure is None and done.cell.info["config"] == mixed.name and done.steps > 0
    assert done.cell.arrays["by_bond"].shape == (len(done.cell),)
    path = store.path(mixed)
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[: len(whole) // 2], b"\0" * len(whole), whole.replace(b"steps=", b"stops=")):
        path.write_bytes(damaged)
        with pytest.raises(RedoxError, match=f"{path.name}: damaged .*delete it and run again"):
            store.read(mixed)
