"""README's "bring your own DFT", run as it is written, on OUTCARs made from shipped reference cells."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from .conftest import ROOT
from .vasp_files import write_outcar

MARK = re.compile(r"<!-- own dft -->\s*```yaml\n(.*?)```", re.S)


def own_input() -> str:
    found = MARK.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    return found.group(1)


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


def test_from_outcars_to_a_phase_diagram(tmp_path: Path) -> None:
    shutil.copy(ROOT / "inputs/structures/NaFePO4.cif", tmp_path / "NaFePO4.cif")
    cells = read(ROOT / "inputs/nafepo4/reference.extxyz", ":")
    for cell in cells:
        folder = tmp_path / "dft" / cell.info["config"]
        folder.mkdir(parents=True)
        write_outcar(folder / "OUTCAR", [by_element(cell)])
    blurred = by_element(cells[len(cells) // 2])
    blurred.calc.results["magmoms"] = np.where(blurred.symbols == "Fe", 4.1, 0.0)
    (tmp_path / "dft" / "blurred").mkdir()
    write_outcar(tmp_path / "dft" / "blurred" / "OUTCAR", [blurred])
    (tmp_path / "own.yaml").write_text(own_input(), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "own.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "blurred" in (tmp_path / "own" / "refused_cells.txt").read_text()
    assert "4.10" in (tmp_path / "own" / "refused_cells.txt").read_text()
    assert (tmp_path / "own" / "report.html").stat().st_size > 10_000
    with h5py.File(tmp_path / "own" / "results.h5") as results:
        assert np.isfinite(results["canonical/free_energy_eV"][()]).all()
        assert "phase_diagram" in results
        assert abs(results["canonical/closure_eV"][()]).max() < 0.01
