"""Potentials behind one call: derivatives, labels, files of weights and what is refused."""

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import mace.modules as modules  # before e3nn, which needs what it sets
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from e3nn import o3
from numpy.typing import NDArray

from redoxmc.engine.crystal.lattice import Species
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.chgnet import CHGNetNetwork, adopt_proxies, published
from redoxmc.engine.potentials.cpainn import CPaiNN
from redoxmc.engine.potentials.labels import Labels
from redoxmc.engine.potentials.mace import weights_of
from redoxmc.engine.potentials.network import CPaiNNNetwork
from redoxmc.engine.potentials.potential import LabelledCalculator, calculator_of, load_potential, predict
from redoxmc.engine.potentials.weights import FORMAT, Weights, read_weights, write_weights

IRON = (Species("Fe2+", 2, moment_muB=3.75), Species("Fe3+", 3, "Ga", 4.25))
LABELS = Labels({s.symbol: s for s in (*IRON, Species("Na+", 1), Species("O", -2))}, {"Fe": IRON})
AWARE, BLIND = ["Fe", "Ga", "Na", "O"], ["Fe", "Na", "O"]
OURS = ("mace", "cpainn", "chgnet")


def rock_salt(symbols: str = "Na Fe Fe Ga O O O O", seed: int = 0) -> Atoms:
    """Neutral, strained, every atom off its site; both charge states of iron, no two of them alike."""
    rng = np.random.default_rng(seed)
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]]
    atoms = Atoms(symbols.split(), scaled_positions=sites, cell=4.3 * np.eye(3) + rng.normal(scale=0.1, size=(3, 3)), pbc=True)
    atoms.positions += rng.normal(scale=0.08, size=(8, 3))
    return atoms


def weights(model: str, symbols: list[str], charge_aware: bool = True) -> Weights:
    """Untrained MACE and cPaiNN, CHGNet as published."""
    torch.manual_seed(1)
    card = {"made": "by the tests"}
    if model == "chgnet":
        return CHGNetNetwork(published()).weights(symbols, charge_aware, card)
    if model == "cpainn":
        network = CPaiNN(symbols, width=16, n_layers=2, cutoff_A=3.5, n_radial=6)
        return CPaiNNNetwork(network).weights(symbols, charge_aware, card)
    numbers = sorted(Atoms(symbols).numbers.tolist())
    return weights_of(tiny_mace(numbers), charge_aware, card)


def tiny_mace(numbers: list[int]) -> torch.nn.Module:
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=3.5, num_bessel=4, num_polynomial_cutoff=5, max_ell=2, interaction_cls=block, interaction_cls_first=block,
        num_interactions=2, num_elements=len(numbers), hidden_irreps=o3.Irreps("8x0e + 8x1o"), MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=-np.arange(1.0, len(numbers) + 1), avg_num_neighbors=10.0, atomic_numbers=numbers, correlation=2,
        gate=torch.nn.functional.silu, atomic_inter_scale=1.3, atomic_inter_shift=0.2,
    )  # fmt: skip


@cache
def potential(model: str, charge_aware: bool = True) -> LabelledCalculator:
    if model == "ase":
        return load_potential("ase.calculators.lj.LennardJones", None, LABELS, options={"sigma": 1.9, "rc": 4.0, "smooth": True})
    if model == "chgnet" and not charge_aware:
        return load_potential(model, None, LABELS, charge_aware=False)
    symbols = AWARE if charge_aware else BLIND
    return LabelledCalculator(calculator_of(model, weights(model, symbols, charge_aware)), LABELS, charge_aware)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_weights(tmp_path / "aware.model", weights("cpainn", AWARE))
    return tmp_path / "aware.model"


@pytest.mark.parametrize(
    "model, step, tolerance, has_moments",
    [("mace", 1e-4, 1e-6, False), ("cpainn", 1e-4, 1e-6, True), ("ase", 1e-4, 1e-6, False), ("chgnet", 4e-3, 2e-2, True)],
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


@pytest.mark.parametrize("model", OURS)
def test_weights_give_the_same_energy_when_read_again(model: str, tmp_path: Path) -> None:
    path, given = tmp_path / "some.model", weights(model, AWARE)
    write_weights(path, given)
    assert torch.load(path, weights_only=True)["format"] == FORMAT
    again = read_weights(path, model)
    assert again is not None
    assert (again.model, again.charge_aware, again.card) == (model, True, given.card)
    assert set(again.symbols) == set(AWARE)
    before, after = predict(potential(model), rock_salt()), predict(load_potential(model, path, LABELS), rock_salt())
    assert after.energy_eV == before.energy_eV
    assert np.array_equal(after.forces_eV_per_A, before.forces_eV_per_A)


def test_checkpoint_of_mace_torch_itself(tmp_path: Path) -> None:
    path = tmp_path / "mace.model"
    network = tiny_mace(sorted(Atoms(AWARE).numbers.tolist()))
    torch.save(network, path)
    assert read_weights(path, "mace") is None
    found = predict(load_potential("mace", path, LABELS), rock_salt())
    own = LabelledCalculator(calculator_of("mace", weights_of(network, True, {})), LABELS, True)
    assert found.energy_eV == predict(own, rock_salt()).energy_eV
    for other, message in (("chgnet", "not a CHGNet model"), ("cpainn", "mace.model: not weights of cpainn")):
        with pytest.raises(RedoxError, match=message):
            load_potential(other, path, LABELS)


class Payload:
    """Pickled code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_reading_weights_runs_no_code(tmp_path: Path, zipped: bool) -> None:
    path, touched = tmp_path / "evil.model", tmp_path / "touched"
    content = {"format": FORMAT, "model": "cpainn", "charge_aware": True, "symbols": AWARE, "settings": Payload(touched)}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    assert read_weights(path, "cpainn") is None
    with pytest.raises(RedoxError, match="not weights of cpainn"):
        load_potential("cpainn", path, LABELS)
    assert not touched.exists()
    if zipped:
        torch.load(path, weights_only=False)
        assert touched.exists(), "the payload does nothing: nothing is tested"


def test_damaged_weights(stored: Path) -> None:
    whole = stored.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-100], b"", b"energy: -3\n"):
        stored.write_bytes(content)
        for model in ("cpainn", "mace"):
            with pytest.raises(RedoxError, match="aware.model: "):
                load_potential(model, stored, LABELS)
    stored.unlink()
    with pytest.raises(RedoxError, match="no such file: .*aware.model"):
        load_potential("cpainn", stored, LABELS)


def test_weights_that_do_not_fit_the_input(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(RedoxError, match="aware.model: found weights of cpainn, but the input says mace"):
        load_potential("mace", stored, LABELS)
    with pytest.raises(RedoxError, match="found charge-aware weights, but the input says charge-blind"):
        load_potential("cpainn", stored, LABELS, charge_aware=False)
    few = tmp_path / "few.model"
    write_weights(few, weights("cpainn", ["Fe", "O"]))
    with pytest.raises(RedoxError, match="few.model: needs Ga, Na, but was trained only on Fe, O"):
        load_potential("cpainn", few, LABELS)
    write_weights(few, weights("cpainn", BLIND, charge_aware=False))
    with pytest.raises(RedoxError, match="found charge-blind weights, but the input says charge-aware"):
        load_potential("cpainn", few, LABELS)
    load_potential("cpainn", few, LABELS, charge_aware=False)


@pytest.mark.parametrize("model", ["mace", "cpainn"])
def test_no_weights_at_all(model: str) -> None:
    with pytest.raises(RedoxError, match=f"{model} needs file"):
        load_potential(model, None, LABELS)


def test_published_weights_know_no_charges() -> None:
    with pytest.raises(RedoxError, match="charge_aware: false"):
        load_potential("chgnet", None, LABELS)


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
