"""Training of MACE by mace-torch's own command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.schema import SplitInput
from redoxmc.engine.potentials.calculations import label_calculation, read_calculations
from redoxmc.engine.potentials.labels import labels_of
from redoxmc.engine.potentials.mace_options import arguments
from redoxmc.engine.potentials.potential import load_potential, predict
from redoxmc.engine.potentials.training.curve import read_curve
from redoxmc.engine.potentials.training.frames import split
from redoxmc.engine.potentials.training.mace import curve as mace_curve
from redoxmc.engine.potentials.training.train import train

from ..helpers.rock_salt import LABELS
from ..helpers.training import FRAMES, TRAINING, entry, fit, watch

MACE: dict[str, Any] = {
    "r_max": 3.5,
    "hidden_irreps": "8x0e",
    "max_ell": 1,
    "correlation": 1,
    "num_interactions": 1,
    "num_radial_basis": 4,
}


@pytest.mark.runs
@pytest.mark.parametrize("with_stress", [True, False])
def test_mace_by_its_own_command(tmp_path: Path, olivine: Lattice, with_stress: bool) -> None:
    labels = labels_of(olivine)
    found = [label_calculation(c, labels).atoms for c in read_calculations(FRAMES, True)]
    for f in found:
        if f is not None and not with_stress:
            f.calc.results.pop("stress")
    frames = split([f for f in found if f is not None], SplitInput(), 0, labels)
    train(entry(model="mace", epochs=2, settings=MACE), frames, labels, 4, tmp_path, Path, watch())
    rows = read_curve(tmp_path / "curve.csv")
    assert rows["epoch"].tolist() == [1, 2] and all(
        np.isfinite(column).all() == (with_stress or "stress" not in name) for name, column in rows.items()
    )
    found = predict(load_potential("mace", tmp_path / "some.model", labels), frames.training[0])
    assert np.isfinite(found.energy_eV) and found.moments_muB is None


def test_curve_without_stress(tmp_path: Path) -> None:
    records = [
        {"mode": "opt", "epoch": 0, "loss": 2.0},
        {"mode": "eval", "epoch": 0, "loss": 1.0, "mae_e_per_atom": 0.1, "mae_f": 0.2},
    ]
    (tmp_path / "results.txt").write_text("".join(json.dumps(r) + "\n" for r in records))
    assert np.array_equal(mace_curve(tmp_path / "results.txt"), [[1, 2.0, 1.0, 0.1, 0.2, np.nan]], equal_nan=True)


@pytest.mark.runs
def test_minutes_end_mace_after_an_epoch_and_another_goes_on(tmp_path: Path) -> None:
    path = fit(tmp_path, model="mace", epochs=500, minutes=0.001, settings=MACE)
    assert read_curve(tmp_path / "curve.csv")["epoch"].tolist() == [1]
    before = predict(load_potential("mace", path, LABELS), TRAINING[0]).energy_eV
    second = tmp_path / "second"  # goes on from these weights, too slowly to move
    path = fit(second, model="mace", epochs=1, learning_rate=1e-9, settings=MACE, start_from=path)
    assert predict(load_potential("mace", path, LABELS), TRAINING[0]).energy_eV == pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hiden_irreps": "8x0e"}, "some: settings: .*hiden_irreps"),
        ({"r_max": "far"}, "some: settings: .*r_max"),
        ({"batch_size": 3}, "some: settings: found batch_size; allowed: options that no other key"),
        ({"seed": 3, "lr": 1}, "some: settings: found lr, seed; allowed: options that no other key"),
    ],
)
def test_mace_options_are_checked_first(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(RedoxError, match=message):
        arguments(entry(model="mace", settings=settings), 0, tmp_path, 1)


@pytest.mark.runs
def test_mace_wants_a_whole_batch(tmp_path: Path) -> None:
    with pytest.raises(RedoxError, match="found 2 frames to train; allowed: at least batch_size, 3"):
        fit(tmp_path, TRAINING[:2], model="mace", batch_size=3, settings=MACE)


@pytest.mark.runs
def test_mace_has_its_own_last_weights(tmp_path: Path) -> None:
    with pytest.raises(RedoxError, match="some: found last_weights; allowed for mace: stage_two"):
        arguments(entry(model="mace", last_weights={"energy": 1}), 0, tmp_path, 1)


def test_mace_curve_counts_repeated_epochs_once(tmp_path: Path) -> None:
    record = '{{"mode": "eval", "epoch": {}, "loss": {}, "mae_e_per_atom": 0.1, "mae_f": 0.2, "mae_stress": 0.3}}'
    lines = [record.format("null", 9), '{"mode": "opt", "epoch": 0, "loss": 4}', '{"mode": "opt", "epoch": 0, "loss": 2}',
             record.format(0, 5), '{"mode": "opt", "epoch": 1, "loss": 1}', record.format(1, 8),
             '{"mode": "opt", "epoch": 1, "loss": 0.5}', record.format(1, 4)]  # fmt: skip
    (tmp_path / "record.txt").write_text("\n".join(lines) + "\n")
    assert mace_curve(tmp_path / "record.txt") == [[1, 3, 5, 0.1, 0.2, 0.3], [2, 0.5, 4, 0.1, 0.2, 0.3]]
