"""The split of frames into training, validation and test."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.input.schema import SplitInput
from redoxmc.engine.potentials.training.frames import Frames, split

from ..helpers.rock_salt import LABELS, rock_salt
from ..helpers.training import TRAINING, VALIDATION


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
