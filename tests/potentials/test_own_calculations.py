"""Data sets from a user's own calculations: VASP runs that are labelled and fitted."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from redoxmc.engine.cli import main

from ..helpers.vasp_files import write_outcar
from .test_labelling import INPUT, write_input

pytestmark = pytest.mark.runs


@pytest.fixture
def calculations(relaxed: list[Atoms], tmp_path: Path) -> Path:
    """A folder dft/NAME/OUTCAR for every cell, two steps each; in two of them both kinds of iron have like moments."""
    for k, frame in enumerate(relaxed):
        folder = tmp_path / f"dft/cell_{k:02d}"
        folder.mkdir(parents=True)
        first = frame.copy()
        first.calc = SinglePointCalculator(first, **{**frame.calc.results, "energy": frame.get_potential_energy() + 1})
        last = frame.copy()
        last.calc = SinglePointCalculator(last, **frame.calc.results)
        if k in (5, 9):
            last.calc.results["magmoms"] = np.where(frame.symbols == "Fe", 4.0, 0.0)
        write_outcar(folder / "OUTCAR", [first, last])
    return tmp_path


def test_outcars_are_labelled_and_fitted(calculations: Path, relaxed: list[Atoms]) -> None:
    text = INPUT.replace("{cutoffs_A: [3.5]}", "{cutoffs_A: [3.5], dataset: dft/*/OUTCAR}")
    text = "".join(
        line + "\n" for line in text.splitlines() if not line.startswith(("potential", "  model", "  options", "relax", "label"))
    )
    path = write_input(calculations, text)
    assert main([str(path), "--until", "fit"]) == 0
    with open(calculations / "out/dataset.csv") as handle:
        refused = [row for row in csv.DictReader(handle) if row["left_out"]]
    both = [len({"Fe", "Ga"} & set(relaxed[k].info["labelled"].symbols)) == 2 for k in (5, 9)]
    assert both == [True, True]
    assert [row["name"] for row in refused] == ["cell_05", "cell_09"]
    assert all("4.00" in row["left_out"] and "moments" in row["left_out"] for row in refused)
    frames = read(calculations / "out/labelled.extxyz", ":")
    kept = [k for k in range(len(relaxed)) if k not in (5, 9)]
    assert [f.info["config"] for f in frames] == [f"cell_{k:02d}" for k in kept] and len(kept) >= 16
    for frame, k in zip(frames, kept):
        assert frame.get_chemical_symbols() == relaxed[k].info["labelled"].get_chemical_symbols()
        assert frame.get_potential_energy() == pytest.approx(relaxed[k].get_potential_energy(), abs=1e-6)
    fit = json.loads((calculations / "out/fit.json").read_text())
    assert 0 < fit["validation_rmse_eV"] < 0.1


@pytest.mark.parametrize("pattern, words", [("dft/*/CONTCAR", "no such file"), ("dft/cell_0?/OUTCAR", "allowed: at least 10")])
def test_patterns_that_name_too_little(calculations: Path, pattern: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = INPUT.replace("{cutoffs_A: [3.5]}", f"{{cutoffs_A: [3.5], dataset: {pattern}}}")
    assert main([str(write_input(calculations, text)), "--until", "fit"]) == 2
    message = capsys.readouterr().err
    assert words in message and "line 17, energy.cluster_expansion.dataset" in message
