"""The potential: symmetries, derivatives, smoothness, storage. float64 throughout, random weights."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

pytest.importorskip("torch")

import torch

from redoxmc.engine.potentials import cpainn_network
from redoxmc.engine.potentials.cpainn_network import CPaiNN, Graph, collate, graph_of

SYMBOLS = ("Na", "Fe", "Ga", "O")
CUTOFF_A = 4.0
SMALL: dict[str, Any] = {"width": 16, "n_layers": 3, "cutoff_A": CUTOFF_A, "n_radial": 8, "bader": True}
Result = dict[str, NDArray[np.float64]]


@cache
def model() -> CPaiNN:
    """Random everywhere, biases too, and spread so that every term of every block counts."""
    generator = torch.Generator().manual_seed(3)
    net = CPaiNN(SYMBOLS, **SMALL).double().eval()
    with torch.no_grad():
        for weights in net.parameters():
            spread = 0.3 if weights.ndim == 1 else 1.2 / np.sqrt(weights.shape[1])
            weights.copy_(spread * torch.randn(weights.shape, generator=generator, dtype=torch.float64))
    net.reference_eV = torch.tensor([-1.0, -8.0, -7.5, -4.0], dtype=torch.float64)
    net.scale_eV = torch.tensor(0.7, dtype=torch.float64)
    return net


def cell(seed: int = 0, n_atoms: int = 8) -> Atoms:
    """A skewed random cell, edges about 5 A, no two atoms nearer than 1.5 A."""
    rng = np.random.default_rng(seed)
    vectors = 5.0 * np.eye(3) + rng.normal(scale=0.5, size=(3, 3))
    atoms = Atoms(cell=vectors, pbc=True)
    while len(atoms) < n_atoms:
        trial = atoms + Atoms(rng.choice(SYMBOLS), scaled_positions=rng.random((1, 3)), cell=vectors, pbc=True)
        if not len(neighbor_list("i", trial, 1.5)):
            atoms = trial
    return atoms


def graph(atoms: Atoms) -> Graph:
    return graph_of(atoms, SYMBOLS, CUTOFF_A, torch.float64)


def predict(atoms: Atoms) -> Result:
    """All results; energy and stress of the one structure without the batch axis."""
    result = {name: value.numpy() for name, value in model()(graph(atoms)).items()}
    return result | {"energy": result["energy"][0], "stress": result["stress"][0]}


def agree(a: Result, b: Result, rel: float = 1e-9) -> None:
    """Every result equal to a part in `rel` of its size, and none of them nearly zero."""
    assert set(a) == set(b) == {"energy", "forces", "stress", "moments", "bader"}
    for name in a:
        size = np.abs(a[name]).max()
        assert size > 1e-3, f"{name} is {size}: nothing is tested"
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=rel * size, err_msg=name)


def slope(energy: Callable[[float], float], step: float) -> float:
    """Central difference of fourth order."""
    return (8 * (energy(step) - energy(-step)) - energy(2 * step) + energy(-2 * step)) / (12 * step)


def energy_of(atoms: Atoms) -> float:
    with torch.no_grad():
        return float(model()(graph(atoms), with_forces=False)["energy"])


def numerical_forces(atoms: Atoms) -> NDArray[np.float64]:
    def moved(i: int, axis: int, by: float) -> float:
        other = atoms.copy()
        other.positions[i, axis] += by
        return energy_of(other)

    return np.array([[-slope(partial(moved, i, k), 1e-3) for k in range(3)] for i in range(len(atoms))])


def numerical_stress(atoms: Atoms) -> NDArray[np.float64]:
    def strained(i: int, j: int, by: float) -> float:
        strain = np.zeros((3, 3))
        strain[i, j] += by / 2
        strain[j, i] += by / 2
        other = atoms.copy()
        other.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
        return energy_of(other)

    slopes = [[slope(partial(strained, i, j), 2e-4) for j in range(3)] for i in range(3)]
    return np.array(slopes) / atoms.get_volume()


def check_derivatives(atoms: Atoms) -> None:
    """Forces and stress against differences of energies, to 1e-6 of their largest component."""
    result = predict(atoms)
    for name, reference in (("forces", numerical_forces(atoms)), ("stress", numerical_stress(atoms))):
        size = np.abs(reference).max()
        assert size > 0.01, f"{name} {size} are too small to test"
        np.testing.assert_allclose(result[name], reference, rtol=0, atol=1e-6 * size, err_msg=name)


@pytest.mark.parametrize("improper", [False, True])
def test_rotation(improper: bool) -> None:
    atoms, turned = cell(), cell()
    turn = Rotation.random(random_state=1).as_matrix() * (-1 if improper else 1)
    turned.set_cell(atoms.cell @ turn.T)
    turned.positions = atoms.positions @ turn.T
    expected = predict(atoms)
    agree(expected | {"forces": expected["forces"] @ turn.T, "stress": turn @ expected["stress"] @ turn.T}, predict(turned))


def test_translation_and_wrapping() -> None:
    atoms, moved, wrapped = cell(), cell(), cell()
    moved.positions += [3.1, -7.7, 12.4]
    wrapped.positions += [3.1, -7.7, 12.4]
    wrapped.wrap()
    assert np.abs(wrapped.positions - moved.positions).max() > 1
    agree(predict(atoms), predict(moved))
    agree(predict(atoms), predict(wrapped))


def test_permutation() -> None:
    atoms = cell()
    order = np.random.default_rng(2).permutation(len(atoms))
    expected = predict(atoms)
    agree(expected | {name: expected[name][order] for name in ("forces", "moments", "bader")}, predict(atoms[order]))


def test_size_consistency() -> None:
    expected, double = predict(cell()), predict(cell() * (1, 2, 1))
    tiled = {name: np.concatenate([expected[name]] * 2) for name in ("forces", "moments", "bader")}
    agree(expected | tiled | {"energy": 2 * expected["energy"]}, double)


def test_batch_equals_singles() -> None:
    cells = [cell(0, 8), cell(1, 5), cell(2, 12)]
    batch = {name: value.numpy() for name, value in model()(collate([graph(a) for a in cells])).items()}
    ends = np.cumsum([len(a) for a in cells])
    for k, (atoms, end) in enumerate(zip(cells, ends)):
        part = {name: batch[name][end - len(atoms) : end] for name in ("forces", "moments", "bader")}
        agree(predict(atoms), part | {"energy": batch["energy"][k], "stress": batch["stress"][k]})


@pytest.mark.parametrize("seed, n_atoms", [(0, 8), pytest.param(1, 5, marks=pytest.mark.runs)])
def test_forces_and_stress_are_derivatives(seed: int, n_atoms: int) -> None:
    check_derivatives(cell(seed, n_atoms))


def wrong_image(structure: Graph, positions: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Mutant: images with the wrong sign of the shift."""
    return intact(Graph(**(vars(structure) | {"shifts": -structure.shifts})), positions, cells)


def stiff_cell(structure: Graph, positions: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Mutant: the strain moves the atoms but not the cell."""
    return intact(structure, positions, structure.cells)


def one_sided(structure: Graph, positions: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Mutant: pairs pull on their target only."""
    return intact(structure, positions, cells) + (positions - positions.detach()).index_select(0, structure.source)


intact = cpainn_network.displacements


@pytest.mark.parametrize("mutant, quantity", [(stiff_cell, "stress"), (one_sided, "forces")])
def test_mutants_of_derivatives(mutant: Callable[..., torch.Tensor], quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpainn_network, "displacements", mutant)
    with pytest.raises(AssertionError, match=quantity):
        check_derivatives(cell())


def test_mutant_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong shift still gives consistent derivatives; the wrapping test is what sees it."""
    monkeypatch.setattr(cpainn_network, "displacements", wrong_image)
    with pytest.raises(AssertionError, match="energy"):
        test_translation_and_wrapping()


@pytest.mark.parametrize("name", ["moments", "bader"])
def test_heads_depend_on_charge_symbols(name: str) -> None:
    atoms = cell()
    atoms.symbols[0] = "Fe"
    other = atoms.copy()
    other.symbols[0] = "Ga"
    assert np.abs(predict(atoms)[name] - predict(other)[name]).max() > 0.1


def test_pairs_against_brute_force() -> None:
    """Cutoff longer than the cell: an atom sees its own images; left-handed cells and atoms outside the cell too."""
    cell_A, places = [[2.6, 0.3, 0], [0, 0, 3.0], [0.4, 2.8, 0.2]], [[0, 0, 0], [1.4, -0.6, 0.5]]
    atoms = Atoms("NaFe", cell=cell_A, scaled_positions=places, pbc=True)
    assert atoms.cell.handedness == -1
    pairs = graph(atoms)
    shifts = np.array(np.meshgrid(*[range(-5, 6)] * 3)).reshape(3, -1).T
    apart = atoms.positions[None, :, None] - atoms.positions[:, None, None] + shifts @ np.asarray(atoms.cell)
    distances = np.sort(np.linalg.norm(apart, axis=-1).ravel())
    inside = distances[(distances > 0) & (distances < CUTOFF_A)]
    found = cpainn_network.displacements(pairs, pairs.positions, pairs.cells).norm(dim=1).sort().values.numpy()
    assert len(inside) > 30 and (pairs.source == pairs.target).any()
    np.testing.assert_allclose(found, inside, atol=1e-12)
    check_derivatives(atoms)
    tripled, single = predict(atoms * (3, 3, 3)), predict(atoms)
    assert tripled["energy"] == pytest.approx(27 * single["energy"], rel=1e-10)


def test_smooth_at_the_cutoff() -> None:
    """A third atom crosses the cutoff of a pair: energy, force and curvature go on; beyond it nothing is felt."""

    def force(distance: float) -> tuple[float, float]:
        atoms = Atoms("FeGaO", positions=[[0, 0, 0], [1.8, 0, 0], [0, distance, 0]], cell=[20, 20, 20], pbc=True)
        result = predict(atoms)
        return float(result["energy"]), float(result["forces"][2, 1])

    inner, outer = force(3.0), force(CUTOFF_A + 1)
    assert abs(inner[1]) > 0.01 and outer[1] == 0.0
    step = 1e-3
    near, past = force(CUTOFF_A - step), force(CUTOFF_A + step)
    assert abs(near[0] - past[0]) < 1e-6 and abs(near[1]) < 1e-4
    nearer = force(CUTOFF_A - step / 2)
    assert 3 < near[1] / nearer[1] < 5, "the force must vanish with the square of the distance to the cutoff"


def test_no_neighbours() -> None:
    result = predict(Atoms("Fe", cell=[20, 20, 20], pbc=True))
    assert np.isfinite(result["energy"]) and not result["forces"].any() and not result["stress"].any()
