"""Training: split, best epoch, interruption, and the stage from an input file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.stress import full_3x3_to_voigt_6_stress

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.schema import LossWeightsInput, TrainedPotentialInput
from redoxmc.engine.potentials.cpainn import CPaiNNNetwork
from redoxmc.engine.potentials.potential import load_potential, predict
from redoxmc.engine.potentials.training.curve import CURVE_COLUMNS, read_curve
from redoxmc.engine.potentials.training.loop import _epoch, train_network, weights_at
from redoxmc.engine.potentials.training.loss import target
from redoxmc.engine.potentials.weights import read_weights

from ..helpers.rock_salt import AWARE, LABELS, rock_salt
from ..helpers.training import TRAINING, VALIDATION, entry, fit, frame, network


def trained(
    folder: Path, settings: TrainedPotentialInput, stopped: Callable[[], bool] = lambda: False
) -> tuple[CPaiNNNetwork, bool]:
    net = network()
    return net, train_network(net, TRAINING, VALIDATION, settings, 4, folder, stopped)


@pytest.mark.runs
def test_training_learns(tmp_path: Path) -> None:
    settings = entry(epochs=40, learning_rate=0.01, weights=LossWeightsInput(moments=1.0))

    def moment_error(net: CPaiNNNetwork) -> float:
        net.train(False)
        found = net(net.collate([net.graph(f) for f in VALIDATION]))["moments"].abs().numpy()
        return float(np.abs(found - np.concatenate([f.get_magnetic_moments() for f in VALIDATION])).mean())

    net, finished = trained(tmp_path, settings)
    rows = read_curve(tmp_path / "curve.csv")
    assert finished and tuple(rows) == CURVE_COLUMNS and rows["epoch"].tolist() == list(range(1, 41))
    assert all(np.isfinite(column).all() for column in rows.values())
    assert rows["loss_training"][-1] < 0.1 * rows["loss_training"][0]
    assert rows["energy_mae_eV_per_atom"][-1] < 0.3 * rows["energy_mae_eV_per_atom"][0]
    assert moment_error(net) < 0.3 * moment_error(network())


@pytest.mark.runs
def test_best_epoch_is_kept(tmp_path: Path) -> None:
    settings, net = entry(epochs=5), network()
    net.train(False)
    believed = []  # what the network says before it is trained, so that every epoch makes it worse
    for f in VALIDATION:
        found = {k: v.numpy() for k, v in net(net.graph(f)).items()}
        believed.append(f.copy())
        believed[-1].calc = SinglePointCalculator(
            f, energy=float(found["energy"][0]), forces=found["forces"], stress=full_3x3_to_voigt_6_stress(found["stress"][0])
        )
    train_network(net, TRAINING, believed, settings, 4, tmp_path, lambda: False)
    losses = read_curve(tmp_path / "curve.csv")["loss_validation"]
    assert losses.argmin() == 0 and losses[-1] > 2 * losses[0]
    items = [(net.graph(f), target(f)) for f in believed]
    assert _epoch(net, items, 4, settings.weights)[0] == pytest.approx(losses.min(), rel=1e-5)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["best_loss"] == pytest.approx(losses.min(), rel=1e-5)


@pytest.mark.runs
def test_what_is_kept_is_the_running_average(tmp_path: Path) -> None:
    """Epochs of one step each: the average can be done again by hand from the weights after every step."""
    raw, best = [], []
    for epochs in (1, 2, 3):
        net, _ = trained(
            tmp_path / str(epochs), entry(epochs=3, batch_size=len(TRAINING)), iter([False] * epochs + [True]).__next__
        )
        state = torch.load(tmp_path / str(epochs) / "checkpoint.pt", weights_only=True)
        raw.append(state["network"]["network.embedding.weight"])
        best.append(state["average"]["module.network.embedding.weight"])
    by_hand = raw[0]
    for n, now in enumerate(raw[1:], 1):
        memory = (1 + n) / (10 + n)
        by_hand = memory * by_hand + (1 - memory) * now
    assert torch.allclose(best[-1], by_hand, atol=1e-6) and not torch.allclose(best[-1], raw[-1], atol=1e-6)


def test_weights_of_the_loss_go_to_the_last_ones() -> None:
    settings = entry(weights={"energy": 100, "stress": 10}, last_weights={"energy": 300, "stress": 0})
    assert [weights_at(p, settings).energy for p in (0.0, 0.5, 1.0)] == [100, 112.5, 300]
    assert [weights_at(p, settings).stress for p in (0.0, 0.5, 1.0)] == [10, 9.375, 0]
    assert weights_at(0.7, entry()) == entry().weights


@pytest.mark.runs
def test_last_weights_choose_the_best_epoch(tmp_path: Path) -> None:
    """With no weight at the end there is nothing left to lose: the validation loss is zero in every epoch."""
    nothing = {"energy": 0, "forces": 0, "stress": 0, "moments": 0}
    trained(tmp_path, entry(epochs=3, last_weights=nothing))
    rows = read_curve(tmp_path / "curve.csv")
    assert (rows["loss_validation"] == 0).all() and (rows["loss_training"] > 0).all()
    assert rows["loss_training"][2] < rows["loss_training"][0]


@pytest.mark.runs
def test_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", entry())
    asked = iter([False, False, True])
    _, finished = trained(tmp_path / "broken", entry(), lambda: next(asked))
    assert not finished and len(read_curve(tmp_path / "broken/curve.csv")["epoch"]) == 2
    broken, finished = trained(tmp_path / "broken", entry())
    assert finished
    for name, value in whole.state_dict().items():
        assert torch.equal(value, broken.state_dict()[name]), name
    assert (tmp_path / "whole/curve.csv").read_bytes() == (tmp_path / "broken/curve.csv").read_bytes()
    again, finished = trained(tmp_path / "broken", entry(), lambda: True)  # nothing is left to be stopped
    assert finished and torch.equal(again.network.embedding.weight, whole.network.embedding.weight)


@pytest.mark.runs
def test_minutes_end_a_training(tmp_path: Path) -> None:
    _, finished = trained(tmp_path, entry(epochs=10_000, minutes=0.02))
    assert finished and 1 <= len(read_curve(tmp_path / "curve.csv")["epoch"]) < 500


@pytest.mark.runs
def test_training_that_never_learns_is_an_error(tmp_path: Path) -> None:
    bad = frame(0)
    bad.calc.results["energy"] = np.nan
    with pytest.raises(RedoxError, match="some: the loss was never finite; lower learning_rate"):
        train_network(network(), [bad], [frame(1)], entry(epochs=2), 0, tmp_path, lambda: False)


@pytest.mark.runs
def test_potential_starts_near_its_data_and_is_sealed(tmp_path: Path) -> None:
    path = fit(tmp_path, epochs=2)
    weights = read_weights(path, "cpainn")
    assert weights is not None and weights.charge_aware and weights.symbols == AWARE
    assert (weights.card["frames"], weights.card["configurations"], weights.card["seed"]) == (10, 10, 4)
    found = predict(load_potential("cpainn", path, LABELS), VALIDATION[0])
    assert abs(found.energy_eV - VALIDATION[0].get_potential_energy()) / 8 < 0.5
    written = path.stat().st_mtime_ns
    fit(tmp_path, epochs=2)
    assert path.stat().st_mtime_ns == written
    with pytest.raises(RedoxError, match="another input; remove that folder, or give the potential another name"):
        fit(tmp_path, epochs=3)
    path.unlink()  # as if interrupted
    with pytest.raises(RedoxError, match="another input"):
        fit(tmp_path, epochs=2, learning_rate=0.1)
    (tmp_path / "train.mark").unlink()  # a checkpoint that nothing vouches for
    with pytest.raises(RedoxError, match="another input"):
        fit(tmp_path, epochs=2)


@pytest.mark.runs
def test_start_from_weights_that_know_more(tmp_path: Path) -> None:
    first = fit(tmp_path / "first", epochs=1)
    bare = [f for f in (rock_salt("Fe Fe Fe Fe O O O O", k) for k in range(3))]
    for f in bare:
        f.calc = SinglePointCalculator(f, energy=-30.0, forces=np.zeros((8, 3)), stress=np.zeros(6))
        f.info = {"config": "bare", "step": 0}
    path = fit(tmp_path / "second", bare[:2], bare[2:], epochs=1, start_from=first)
    weights = read_weights(path, "cpainn")
    assert weights is not None and weights.symbols == AWARE
    predict(load_potential("cpainn", path, LABELS), TRAINING[0])
    poor = fit(tmp_path / "poor", bare[:2], bare[2:], epochs=1)
    with pytest.raises(RedoxError, match="start_from: .*some.model does not know Ga, Na"):
        fit(tmp_path / "third", epochs=1, start_from=poor)
    with pytest.raises(RedoxError, match="Ga, Na occurs only in frames of validation"):
        fit(tmp_path / "fourth", bare, VALIDATION, epochs=1)


@pytest.mark.runs
def test_chgnet_goes_on_from_its_published_weights(tmp_path: Path) -> None:
    path = fit(tmp_path, TRAINING[:2], VALIDATION[:1], model="chgnet", settings={}, epochs=2, learning_rate=1e-3)
    assert len(read_curve(tmp_path / "curve.csv")["epoch"]) == 2
    found = predict(load_potential("chgnet", path, LABELS), TRAINING[0])
    assert abs(found.energy_eV - TRAINING[0].get_potential_energy()) / 8 < 0.5 and found.moments_muB is not None
    weights = read_weights(path, "chgnet")
    assert weights is not None
    table = weights.state["atom_embedding.embedding.weight"]
    apart = float(torch.linalg.vector_norm(table[atomic_numbers["Ga"] - 1] - table[atomic_numbers["Fe"] - 1]))
    assert 0.1 < apart < 2.0, "the proxy leaves its real element; at the rate of the other weights it would be 0.01"
