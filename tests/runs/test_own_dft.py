"""Section "Bring your own DFT" of docs/own_material.md, run as written, on OUTCARs made from shipped reference cells."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from ..helpers.paths import ROOT
from ..helpers.vasp_files import write_outcar

pytestmark = pytest.mark.runs

SECTION = re.compile(r"^## Bring your own DFT\n(.*?)(?=^## |\Z)", re.S | re.M)
SMALL_NETWORK = "{r_max: 5.0, hidden_irreps: 8x0e, max_ell: 1, correlation: 1, num_interactions: 1, num_radial_basis: 4}"
BLOCK = re.compile(r"```yaml\n(.*?)```", re.S)


def readme_blocks() -> list[str]:
    """The input file, what is added to train a potential, what is added to label with it."""
    section = SECTION.search((ROOT / "docs/own_material.md").read_text(encoding="utf-8"))
    assert section
    return BLOCK.findall(section.group(1))


def run(folder: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def by_element(frame: Atoms) -> Atoms:
    """As VASP writes it: grouped by element, with forces and stress."""
    order = np.argsort(frame.get_chemical_symbols(), kind="stable")
    sorted_frame = Atoms(frame.symbols[order], positions=frame.positions[order], cell=frame.cell, pbc=True)
    sorted_frame.calc = SinglePointCalculator(
        sorted_frame,
        energy=frame.get_potential_energy(),
        forces=np.zeros((len(frame), 3)),
        stress=np.zeros(6),
        magmoms=frame.get_magnetic_moments()[order],
    )
    return sorted_frame


def write_outcars(folder: Path, cells: list[Atoms]) -> None:
    shutil.copy(ROOT / "inputs/structures/NaFePO4.cif", folder / "NaFePO4.cif")
    for cell in cells:
        (folder / "dft" / cell.info["config"]).mkdir(parents=True)
        write_outcar(folder / "dft" / cell.info["config"] / "OUTCAR", [by_element(cell)])


def test_from_outcars_to_a_phase_diagram(tmp_path: Path) -> None:
    cells = read(ROOT / "inputs/nafepo4/reference.extxyz", ":")
    write_outcars(tmp_path, cells)
    blurred = by_element(cells[len(cells) // 2])
    blurred.calc.results["magmoms"] = np.where(blurred.symbols == "Fe", 4.1, 0.0)
    (tmp_path / "dft" / "blurred").mkdir()
    write_outcar(tmp_path / "dft" / "blurred" / "OUTCAR", [blurred])
    (tmp_path / "own.yaml").write_text(readme_blocks()[0], encoding="utf-8")
    run(tmp_path, "own.yaml")
    left_out = [line for line in (tmp_path / "own" / "dataset.csv").read_text().splitlines() if "blurred" in line]
    assert len(left_out) == 1 and "4.10" in left_out[0]
    assert (tmp_path / "own" / "report.html").stat().st_size > 10_000
    with h5py.File(tmp_path / "own" / "results.h5") as results:
        assert np.isfinite(results["canonical/free_energy_eV"][()]).all()
        assert "phase_diagram" in results
        assert abs(results["canonical/closure_eV"][()]).max() < 0.01


def test_with_a_potential_in_between(tmp_path: Path) -> None:
    """Its additions, with fewer epochs and configurations and a small network; the shipped weights stand in for its training."""
    write_outcars(tmp_path, [c for c in read(ROOT / "inputs/nafepo4/reference.extxyz", ":") if len(c) <= 60])
    whole, to_train, to_label = readme_blocks()
    head = whole[: whole.index("energy:")]
    short = replaced(replaced(to_train, "epochs: 100", "epochs: 1"), "{r_max: 5.0}", SMALL_NETWORK)
    (tmp_path / "train.yaml").write_text(head + short, encoding="utf-8")
    run(tmp_path, "train.yaml")
    weights = tmp_path / "own/potentials/mine/mine.model"
    shutil.copy(ROOT / "inputs/nafepo4/mace.model", weights)

    without = replaced(re.sub(r"\n    dataset: .*", "", whole), "output: own", "output: labels")
    (tmp_path / "label.yaml").write_text(
        without + replaced(to_label, "configurations: 300", "configurations: 4"), encoding="utf-8"
    )
    run(tmp_path, "label.yaml", "--until", "label")
    assert len(read(tmp_path / "labels/labelled.extxyz", ":")) >= 3


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)
