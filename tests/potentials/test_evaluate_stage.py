"""The evaluate stage: held-out errors, and the stage from an input file."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.input.schema import RelaxationInput
from redoxmc.engine.potentials.labelling.configurations import (
    choose_configurations,
)
from redoxmc.engine.potentials.labels import Labels
from redoxmc.engine.potentials.potential import LabelledCalculator
from redoxmc.engine.potentials.relax import relax, start
from redoxmc.engine.stages.evaluate.held_out import held_out_errors
from redoxmc.engine.stages.evaluate.page import tables_of
from redoxmc.engine.stages.evaluate.reference import (
    ReferenceCell,
)

from ..helpers.paths import STRUCTURE
from ..helpers.toy_calculator import Springs
from .test_evaluation import UNIT
from .test_labelling import INPUT, write_input


def frames_of(olivine: Lattice, calculator: LabelledCalculator, shape: np.ndarray = UNIT) -> list[Atoms]:
    frames = []
    for k, c in enumerate(choose_configurations(olivine, [shape], 5, 6)):
        atoms = start(c.supercell(olivine), c.occupation(), calculator.labels, RelaxationInput())
        atoms.rattle(0.05, seed=k)
        calculator.calculate(atoms)
        found = {name: np.copy(calculator.results[name]) for name in ("forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, energy=calculator.results["energy"], **found)
        atoms.info["config"] = c.name
        frames.append(atoms)
    return frames


@pytest.mark.runs
def test_held_out_errors(olivine: Lattice, labels: Labels, springs: LabelledCalculator) -> None:
    frames = frames_of(olivine, springs)
    exact = held_out_errors(springs, frames)
    assert (exact["frames"], exact["configurations"]) == (5, 5)
    assert [exact[k] for k in exact if "mae" in k] == [0, 0, 0]
    shifted = held_out_errors(LabelledCalculator(Springs(STRUCTURE, shift_eV=-0.02), labels, True), frames)
    assert shifted["energy_mae_eV_per_atom"] == pytest.approx(0.02)
    assert shifted["forces_mae_eV_per_A"] == shifted["stress_mae_eV_per_A3"] == 0
    for frame in frames:
        frame.calc.results["forces"] += 0.1 * np.array([1, 0, -1])
        frame.calc.results["stress"] += 0.003 * np.array([1, 1, 1, 0, 0, 0])
    apart = held_out_errors(springs, frames)
    assert apart["forces_mae_eV_per_A"] == pytest.approx(0.2 / 3)
    assert apart["stress_mae_eV_per_A3"] == pytest.approx(0.001)
    for frame in frames:
        del frame.calc.results["stress"]
    assert held_out_errors(springs, frames)["stress_mae_eV_per_A3"] is None


@pytest.mark.runs
def test_evaluate_stage(
    olivine: Lattice,
    springs: LabelledCalculator,
    reference: list[ReferenceCell],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("chgnet")
    from redoxmc.engine.cli import main

    labels, cells = springs.labels, []
    for r in reference[:6]:
        c = r.configuration
        frame = relax(start(c.supercell(olivine), c.occupation(), labels, RelaxationInput()), springs, RelaxationInput()).cell
        frame.calc = SinglePointCalculator(frame, energy=r.energy_eV * c.supercell(olivine).n_formula_units)
        frame.info["config"] = c.name
        cells.append(frame)
    write(tmp_path / "reference.extxyz", cells, format="extxyz")
    text = INPUT[: INPUT.index("label:")] + "evaluation: {reference: reference.extxyz, orders: 3, dilute: 1}\n"
    path, out = write_input(tmp_path, text), tmp_path / "out"
    assert main([str(path)]) == 0
    shown = capsys.readouterr()
    assert "potential" in shown.out and "100.00 %" in shown.out
    record = json.loads((out / "evaluation.json").read_text())
    found = record["potentials"]["potential"]
    assert (
        record["orders"] == 3
        and found["retention"]["bond_lengths"]["labels"] == 12
        and found["retention"]["failed_relaxations"] == 0
    )
    assert found["retention"]["bond_lengths"]["kept"] == 12 and found["retention"]["moments"]["kept"] <= 12
    assert found["held_out"] is None and found["reference"]["formation_energy_mae_eV"] < 1e-6
    assert len(record["reference"]["x"]) == 6
    for name in ("retention", "hull", "formation_energies"):
        for ending in ("png", "svg"):
            assert (out / f"figures/{name}.{ending}").stat().st_size > 1000
    assert not (out / "figures/held_out.png").exists()
    page = (out / "evaluation.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "Wilson" in page
    *_, (_, _, corners) = tables_of(record)
    assert [name for name, _ in corners] == ["reference", "potential"] and corners[0][1] == corners[1][1]
    assert corners[0][1].startswith("0.000, ") and corners[0][1].endswith(", 1.000")
    finished = {p: p.stat().st_mtime_ns for d in ("relaxations", "moments") for p in (out / d).iterdir()}
    assert len([p for p in finished if p.suffix == ".json"]) == 3
    assert main([str(path)]) == 0
    assert finished == {p: p.stat().st_mtime_ns for d in ("relaxations", "moments") for p in (out / d).iterdir()}
