"""Files of weights: the same energy when read again, no code run, and what is refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.mace import weights_of
from redoxmc.engine.potentials.potential import LabelledCalculator, calculator_of, load_potential, predict
from redoxmc.engine.potentials.weights import FORMAT, read_weights, write_weights

from ..helpers.rock_salt import AWARE, BLIND, LABELS, OURS, potential, rock_salt, tiny_mace, weights


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_weights(tmp_path / "aware.model", weights("cpainn", AWARE))
    return tmp_path / "aware.model"


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
