"""Training: split, best epoch, interruption, and the stage from an input file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.io import read, write
from ase.stress import full_3x3_to_voigt_6_stress
from mpi4py import MPI

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import LossWeightsInput, SplitInput, TrainedPotentialInput, TrainingInput
from redoxmc.engine.potentials.cpainn import CPaiNN
from redoxmc.engine.potentials.network import CPaiNNNetwork
from redoxmc.engine.potentials.potential import load_potential, predict
from redoxmc.engine.potentials.training.curve import CURVE_COLUMNS, read_curve
from redoxmc.engine.potentials.training.frames import Frames, split
from redoxmc.engine.potentials.training.loop import _epoch, train_network, weights_at
from redoxmc.engine.potentials.training.loss import target
from redoxmc.engine.potentials.training.train import train, train_all
from redoxmc.engine.potentials.weights import read_weights
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.train import labelled_frames

from ..helpers.command import run
from ..helpers.paths import ROOT
from .test_potentials import AWARE, LABELS, rock_salt

FRAMES = ROOT / "tests/data/frames.extxyz"
MOMENTS = {"Fe": 3.75, "Ga": 4.25}
TINY: dict[str, Any] = {"width": 8, "n_layers": 2, "cutoff_A": 3.5, "n_radial": 6}


def frame(seed: int, config: str = "") -> Atoms:
    """A cell with the forces of Lennard-Jones, moments by label, and 2 eV less for every Ga."""
    symbols = np.array("Na Fe Fe Ga".split())[np.random.default_rng(seed).permutation(4)]
    atoms = rock_salt(" ".join([*symbols, *"OOOO"]), seed)
    atoms.calc = LennardJones(sigma=1.9, epsilon=0.5, rc=4.0, smooth=True)
    results = {"energy": atoms.get_potential_energy() - 2, "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    results["magmoms"] = np.array([MOMENTS.get(s, 0.0) for s in atoms.symbols])
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info = {"config": config or f"c{seed}", "step": 0}
    return atoms


def entry(**given: Any) -> TrainedPotentialInput:
    return TrainedPotentialInput.model_validate({"name": "some", "model": "cpainn", "epochs": 6, "settings": TINY} | given)


def network() -> CPaiNNNetwork:
    torch.manual_seed(2)
    return CPaiNNNetwork(CPaiNN(AWARE, **TINY))


TRAINING, VALIDATION = [frame(k) for k in range(10)], [frame(k) for k in range(20, 24)]


def trained(
    folder: Path, settings: TrainedPotentialInput, stopped: Callable[[], bool] = lambda: False
) -> tuple[CPaiNNNetwork, bool]:
    net = network()
    return net, train_network(net, TRAINING, VALIDATION, settings, 4, folder, stopped)


# The split.


def parts(frames: list[Atoms], seed: int, **shares: float) -> list[list[str]]:
    found = split(frames, SplitInput(**shares), seed, LABELS)
    return [[f"{f.info['config']}/{f.info['step']}" for f in part] for part in (found.training, found.validation, found.test)]


def relaxations(n: int) -> list[Atoms]:
    """Three frames of each of n configurations, in turns."""
    found = []
    for k in range(3 * n):
        found.append(rock_salt(seed=k))
        found[-1].info = {"config": k % n, "step": k // n}
        found[-1].calc = SinglePointCalculator(found[-1], energy=0.1 * k)
    return found


def test_split_keeps_configurations_together() -> None:
    frames = relaxations(200)
    found = parts(frames, 1, validation=0.2, test=0.1)
    configs = [{name.split("/")[0] for name in p} for p in found]
    assert [len(p) for p in found] == [3 * len(c) for c in configs] and len(set.union(*configs)) == 200
    for n, share in zip((len(c) for c in configs), (0.7, 0.2, 0.1)):
        assert abs(n - 200 * share) < 3 * np.sqrt(200 * share * (1 - share))
    assert parts(frames, 1, validation=0.2, test=0.1) == found
    assert parts(frames, 2, validation=0.2, test=0.1) != found
    shuffled = parts(frames[::-1], 1, validation=0.2, test=0.1)
    assert [sorted(p) for p in shuffled] == [sorted(p) for p in found], "the order of the files does not matter"


def test_more_data_moves_no_configuration() -> None:
    few = [set(p) for p in parts(relaxations(200), 1, validation=0.2, test=0.1)]
    many = [set(p) for p in parts(relaxations(300), 1, validation=0.2, test=0.1)]
    steps = "/0"  # of relaxations(300), later frames have other names
    assert all({n for n in f if n.endswith(steps)} <= m for f, m in zip(few, many))


def test_ends_are_always_trained_on() -> None:
    """Cells with one charge state alone: a potential that never saw them extrapolates every formation energy."""
    frames = relaxations(40)
    for f in frames:
        k = f.info["config"]
        if k < 8:
            two, three = (np.flatnonzero(f.symbols == s) for s in ("Fe", "Ga"))
            f.symbols[two if k % 2 else three] = "Ga" if k % 2 else "Fe"
    training, validation, test = ({int(n.split("/")[0]) for n in p} for p in parts(frames, 1, validation=0.3, test=0.3))
    assert set(range(8)) <= training and len(validation) > 3 and len(test) > 3
    as_before = [{int(n.split("/")[0]) for n in p} for p in parts(relaxations(40), 1, validation=0.3, test=0.3)]
    assert validation == as_before[1] - set(range(8)) and as_before[1] & set(range(8))


def test_small_splits() -> None:
    assert [len(p) for p in parts(relaxations(2), 0, validation=0.001, test=0.0)] == [3, 3, 0]
    with pytest.raises(RedoxError, match="1 configurations are too few"):
        parts(relaxations(1), 0)


def test_mark_follows_frames_shares_and_seed() -> None:
    frames = relaxations(5)
    marks = {
        split(frames, SplitInput(), 0, LABELS).mark,
        split(frames, SplitInput(), 1, LABELS).mark,
        split(frames[1:], SplitInput(), 0, LABELS).mark,
    }
    marks |= {split(frames, SplitInput(validation=0.3), 0, LABELS).mark}
    assert len(marks) == 4 and split(relaxations(5), SplitInput(), 0, LABELS).mark in marks


def test_blind_potentials_are_shown_elements() -> None:
    frames = Frames(TRAINING, VALIDATION, [], "")
    assert frames.seen("training", LABELS, True) is TRAINING
    blind = frames.seen("training", LABELS, False)
    for plain, given in zip(blind, TRAINING, strict=True):
        assert "Ga" in given.symbols and "Ga" not in plain.symbols
        assert plain.get_potential_energy() == given.get_potential_energy() and plain.info == given.info
        assert np.array_equal(plain.get_magnetic_moments(), given.get_magnetic_moments())


# Training of networks.


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


def watch() -> StopWatch:
    return StopWatch(MPI.COMM_SELF, None)


def fit(folder: Path, training: list[Atoms] = TRAINING, validation: list[Atoms] = VALIDATION, **given: Any) -> Path:
    """Train one potential as the stage does; its weights."""
    train(entry(**given), Frames(training, validation, [], "mark"), LABELS, 4, folder, Path, watch())
    return folder / "some.model"


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


# The stage.


STAGE = f"""\
title: training only
seed: 1
output: out
lattice:
  structure: {ROOT}/inputs/structures/NaFePO4.cif
  sublattices:
    - {{element: Na, species: {{Na+: 1, Va: 0}}}}
    - {{element: Fe, species: {{Fe2+: 2, Fe3+: {{charge: 3, proxy: Ga}}}}}}
  spectators: {{P: 5, O: -2}}
training:
  dataset: DATASET
  potentials:
    - {{name: tiny, model: cpainn, epochs: 2, settings: {{width: 8, n_layers: 1, cutoff_A: 3.5, n_radial: 4}}}}
"""


def stage_input(folder: Path, dataset: Path = FRAMES, extra: str = "") -> Path:
    path = folder / "input.yaml"
    path.write_text(STAGE.replace("DATASET", str(dataset)) + extra)
    return path


@pytest.mark.runs
def test_stage_from_an_input_file(tmp_path: Path) -> None:
    path = stage_input(tmp_path)
    first = run(path)
    assert first.returncode == 0, first.stderr
    model = tmp_path / "out/potentials/tiny/tiny.model"
    assert read_weights(model, "cpainn") is not None
    assert len(read_curve(model.parent / "curve.csv")["epoch"]) == 2
    refused = (tmp_path / "out/refused_frames.txt").read_text().splitlines()
    assert len(refused) == 3 and all(line.startswith("config ") and "muB" in line for line in refused)
    assert "3 of 12 frames refused" in first.stderr
    written = model.stat().st_mtime_ns
    second = run(path)
    assert second.returncode == 0 and "tiny is already trained" in second.stderr
    assert model.stat().st_mtime_ns == written


MORE = """\
    - {name: blind, model: cpainn, charge_aware: false, epochs: 2, settings: {width: 8, n_layers: 1, cutoff_A: 3.5, n_radial: 4}}
    - {name: other, model: mace, epochs: 1, settings: {r_max: 3.5, hidden_irreps: 8x0e, max_ell: 1, correlation: 1,
       num_interactions: 1, num_radial_basis: 4}}
"""


@pytest.mark.runs
def test_ranks_share_the_potentials_and_change_nothing(tmp_path: Path) -> None:
    """Three trainings on one rank and on two: the same weights, bit for bit."""
    found = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        done = run(stage_input(folder, extra=MORE), ranks)
        assert done.returncode == 0, done.stderr
        files = {n: folder / f"out/potentials/{n}/{n}.model" for n in ("tiny", "blind", "other")}
        found.append({n: read_weights(f, "mace" if n == "other" else "cpainn") for n, f in files.items()})
    for name, alone in found[0].items():
        shared = found[1][name]
        assert alone is not None and alone.state and shared is not None
        assert all(torch.equal(value, shared.state[key]) for key, value in alone.state.items()), name


@pytest.mark.parametrize(
    "given, message",
    [
        ({"settings": {"widht": 8}}, "bad: settings: found widht; allowed: width, n_layers, cutoff_A, n_radial"),
        ({"model": "chgnet", "settings": {"width": 8}}, "bad: settings: found width; allowed: none, since chgnet"),
        ({"model": "mace", "settings": {"colour": 8}}, "bad: settings: .*colour"),
    ],
)
def test_unknown_settings_are_refused_before_training(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    entries = (entry(epochs=1), entry(**{"name": "bad"} | given))
    frames = Frames(TRAINING, VALIDATION, [], "mark")
    with pytest.raises(RedoxError, match=message):
        train_all(TrainingInput(dataset=("none",), potentials=entries), frames, LABELS, 0, tmp_path, Path, MPI.COMM_SELF, watch())
    assert not list(tmp_path.iterdir()), "nothing was begun"


def test_frames_without_forces_are_refused(tmp_path: Path) -> None:
    frames: Any = read(FRAMES, ":")
    frames[4].calc.results.pop("forces")
    write(tmp_path / "frames.extxyz", frames)
    source = read_input(stage_input(tmp_path, tmp_path / "frames.extxyz"))
    run, _ = prepare(source)
    with pytest.raises(RedoxError, match=f"frame {frames[4].info['config']} step {frames[4].info['step']} has no energy or no"):
        labelled_frames(run)
