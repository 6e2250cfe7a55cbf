"""cPaiNN: weights, scales, heads, training by a loss of forces."""

import io

import pytest
from ase import Atoms

pytest.importorskip("torch")

import torch

from redoxmc.engine.potentials.cpainn_network import CPaiNN, graph_of

from .test_cpainn import SMALL, SYMBOLS, cell, graph, model, slope


def test_weights_round_trip() -> None:
    file = io.BytesIO()
    torch.save({"settings": model().settings, "state": model().state_dict()}, file)
    file.seek(0)
    stored = torch.load(file, weights_only=True)
    again = CPaiNN(**stored["settings"]).double().eval()
    again.load_state_dict(stored["state"])
    first, second = model()(graph(cell())), again(graph(cell()))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_energy_is_reference_plus_scale() -> None:
    atoms, net = cell(), CPaiNN(SYMBOLS, **SMALL).double().eval()
    bare = net(graph(atoms))
    net.reference_eV = torch.tensor([-1.0, -8.0, -7.5, -4.0], dtype=torch.float64)
    net.scale_eV = torch.tensor(2.0, dtype=torch.float64)
    scaled = net(graph(atoms))
    reference = sum(dict(zip(SYMBOLS, (-1.0, -8.0, -7.5, -4.0)))[s] for s in atoms.get_chemical_symbols())
    assert float(scaled["energy"]) == pytest.approx(2 * float(bare["energy"]) + reference, rel=1e-12)
    torch.testing.assert_close(scaled["forces"], 2 * bare["forces"])


def test_heads_are_optional() -> None:
    plain = CPaiNN(SYMBOLS, width=8, moments=False)
    assert set(plain(graph_of(cell(), SYMBOLS, 5.0), with_forces=False)) == {"energy"}


def test_force_loss_trains() -> None:
    """The gradient of a loss of forces and stress with respect to a weight, against differences; none when evaluating."""
    net = CPaiNN(SYMBOLS, **SMALL).double().train()
    structure = graph(cell())
    weight = net.get_parameter("messages.0.filters.weight")

    def loss() -> torch.Tensor:
        result = net(structure)
        return (result["forces"] ** 2).sum() + (result["stress"] ** 2).sum()

    def changed(by: float) -> float:
        with torch.no_grad():
            weight[5, 1] += by
            value = loss().item()
            weight[5, 1] -= by
        return value

    loss().backward()
    assert weight.grad is not None
    gradient = weight.grad[5, 1].item()
    assert abs(gradient) > 1e-6
    assert slope(changed, 1e-3) == pytest.approx(gradient, rel=1e-5)
    assert not any(value.requires_grad for value in net.eval()(structure).values())


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no species Mn in a potential for Na, Fe, Ga, O"):
        graph(Atoms("NaMn", positions=[[0, 0, 0], [2, 0, 0]], cell=[6, 6, 6], pbc=True))
    with pytest.raises(ValueError, match="periodic"):
        graph(Atoms("Na", cell=[6, 6, 6], pbc=False))
    with pytest.raises(ValueError, match="twice"):
        CPaiNN(("Na", "Na"))
