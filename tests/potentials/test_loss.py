"""The loss of training against sums by hand, and the mutants of it that must be caught."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from redoxmc.engine.input.schema import LossWeightsInput
from redoxmc.engine.potentials.training import loss as intact
from redoxmc.engine.potentials.training.loss import loss_and_errors, reference_energies, target


def two_frames() -> list[Atoms]:
    frames = []
    for n in (2, 4):
        atoms = Atoms("O" * n, positions=np.eye(4, 3)[:n], cell=np.eye(3) * 9, pbc=True)
        atoms.calc = SinglePointCalculator(
            atoms, energy=-3.0 * n, forces=np.full((n, 3), 0.5), stress=np.full(6, 0.01), magmoms=np.full(n, -4.0)
        )
        frames.append(atoms)
    return frames


def answers() -> dict[str, torch.Tensor]:
    """0.2 and 0.1 eV per atom, 0.3 eV/A, 0.02 eV/A^3 and 0.5 Bohr magnetons from `two_frames`."""
    return {
        "energy": torch.tensor([-6 + 0.4, -12 - 0.4], dtype=torch.float64),
        "forces": torch.full((6, 3), 0.8, dtype=torch.float64),
        "stress": torch.full((2, 3, 3), 0.03, dtype=torch.float64),
        "moments": torch.full((6,), 4.5, dtype=torch.float64),
        "bader": torch.full((6,), -1.0, dtype=torch.float64),
    }


WEIGHTS = LossWeightsInput(energy=2, forces=3, stress=5, moments=7)


def test_loss_by_hand() -> None:
    loss, sums = loss_and_errors(answers(), [target(f) for f in two_frames()], WEIGHTS)
    assert float(loss) == pytest.approx(2 * (0.04 + 0.01) / 2 + 3 * 0.09 + 5 * 0.0004 + 7 * 0.25, rel=1e-6)
    assert sums == pytest.approx([0.3, 2, 0.3 * 18, 18, 0.02 * 18, 18], rel=1e-6)


def test_what_the_reference_does_not_know_does_not_count() -> None:
    first, second = two_frames()
    del first.calc.results["stress"], first.calc.results["magmoms"]
    second.arrays["bader"] = np.array([np.nan, np.nan, -1.5, np.nan])
    found = answers()
    found["stress"][0] = 1e3
    found["moments"][:2] = 1e3
    for value in found.values():
        value.requires_grad_()
    loss, sums = loss_and_errors(found, [target(first), target(second)], WEIGHTS)
    assert float(loss.detach()) == pytest.approx(0.05 + 0.27 + 0.002 + 7 * (0.25 + 0.25), rel=1e-6)
    assert sums == pytest.approx([0.3, 2, 5.4, 18, 0.02 * 9, 9], rel=1e-6)
    loss.backward()
    for value in found.values():
        assert value.grad is not None and value.grad.isfinite().all()
    second.calc.results.pop("stress")
    nowhere, sums = loss_and_errors(answers(), [target(first), target(second)], WEIGHTS)
    assert nowhere.isfinite() and sums[4:].tolist() == [0, 0]


def test_noncollinear_moments_are_lengths() -> None:
    first = two_frames()[0]
    first.calc.results["magmoms"] = np.array([[0.0, 3.0, 4.0], [0.0, 0.0, -2.0]])
    assert target(first).moments.tolist() == [5, 2]


def test_reference_energies_explain_what_the_composition_does() -> None:
    frames = [Atoms("O" * a + "Fe" * b) for a, b in ((1, 2), (3, 1), (2, 2))]
    wanted = np.array([-3.0 * f.symbols.count("O") - 8.0 * f.symbols.count("Fe") for f in frames])
    assert reference_energies(frames, wanted) == pytest.approx({"O": -3, "Fe": -8})
    alike = [Atoms("OFe"), Atoms("O2Fe2")]  # only the sum is known; the least norm shares it
    assert reference_energies(alike, np.array([-11.0, -22.0])) == pytest.approx({"O": -5.5, "Fe": -5.5})


MUTANTS = {
    "energy per cell": ("for t in targets])) / sizes\n", "for t in targets]))\n"),
    "unknown stress counts": ('_known(found["stress"], tensor(', '(found["stress"] - tensor('),
    "sign of the moments": ('found[key].abs() if key == "moments" else found[key]', "found[key]"),
    "moments of the reference with their sign": ("sizes_muB(moments).astype", "np.asarray(moments).astype"),
    "NaN is known": ("known = ~torch.isnan(wanted)", "known = torch.ones_like(wanted, dtype=torch.bool)"),
}


def verdict(module: types.ModuleType) -> list[float]:
    first, second = two_frames()
    del first.calc.results["stress"]
    found = answers() | {"moments": -answers()["moments"]}
    loss, sums = module.loss_and_errors(found, [module.target(first), module.target(second)], WEIGHTS)
    return [float(loss), *sums]


@pytest.mark.parametrize("name", [None, *MUTANTS])
def test_mutants_of_the_loss_are_caught(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    right = [0.05 + 0.27 + 0.002 + 1.75, 0.3, 2, 5.4, 18, 0.02 * 9, 9]
    if name is None:
        assert verdict(intact) == pytest.approx(right, rel=1e-6)
        return
    source = Path(str(intact.__file__)).read_text()
    old, new = MUTANTS[name]
    assert source.count(old) == 1
    module = types.ModuleType("redoxmc.engine.potentials.mutant")
    module.__package__ = intact.__package__
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source.replace(old, new), f"<{name}>", "exec"), module.__dict__)
    assert verdict(module) != pytest.approx(right, rel=1e-6)
