"""Data sets: duplicates, frames that are left out, outliers, what is undetermined; the table that --data prints."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from redoxmc.engine.cli import main
from redoxmc.engine.crystal.lattice import Lattice
from redoxmc.engine.errors import InputError
from redoxmc.engine.hamiltonian.fit import Fit, _leverages, fit_expansion
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.potentials.dataset import DataSet, duplicate_spread_eV, read_frame_table
from redoxmc.engine.potentials.mapping_cache import MappingCache
from redoxmc.engine.potentials.site_mapping import SiteMapping
from redoxmc.engine.report.energy_tables import fit_tables
from redoxmc.engine.report.limitations import limitations
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.stages.fit import useless
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.prepare.undetermined import missing_pairs
from redoxmc.engine.stages.shared.fit_record import fit_record
from redoxmc.engine.stages.shared.run import FitData

from ..helpers.good_inputs import SECTION
from ..helpers.paths import ROOT, STRUCTURE
from ..helpers.systems import olivine_lattice

CHARGES = "electrostatics: {charges: {Na+: 1, Fe2+: 2, Fe3+: 3}}"
INPUT = (
    SECTION
    + """\
  supercell: [1, 2, 1]
energy:
  cluster_expansion: {cutoffs_A: [3.5], dataset: cells.extxyz, fit: {method: ridge, validation: 3-fold}}
sampling: {temperature_K: [300]}
"""
)


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redoxmc.engine.hamiltonian.fit.DRAWS", 3)  # the bootstrap is not what these tests are about


@pytest.fixture(scope="module")
def cells() -> list[Atoms]:
    return read(ROOT / "inputs/nafepo4/labelled.extxyz", ":16")


def copied(cell: Atoms, energy_eV: float, name: str) -> Atoms:
    copy = cell.copy()
    copy.calc = SinglePointCalculator(copy, energy=energy_eV)
    copy.info = {"config": name}
    return copy


def again(cell: Atoms, k: int, more_eV: float) -> Atoms:
    """The same arrangement: another orientation and order of atoms, and twice the cell."""
    other = make_supercell(cell, np.array([[1, 0, 0], [1, 2, 0], [0, 0, 1]]))
    other.rotate(40, "x", rotate_cell=True)
    other = other[np.random.default_rng(k).permutation(len(other))]
    return copied(other, 2 * cell.get_potential_energy() + more_eV, f"again-{k}")


def written(folder: Path, cells: list[Atoms], change: Callable[[str], str] = lambda text: text) -> Path:
    (folder / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    write(folder / "cells.extxyz", cells, format="extxyz")
    (folder / "input.yaml").write_text(change(INPUT))
    return folder / "input.yaml"


def fitted(path: Path) -> FitData:
    found = prepare(read_input(path))[1].fit_data
    assert found is not None
    return found


def fit_of(data: FitData, method: str = "ridge", energies_eV: np.ndarray | None = None) -> Fit:
    known = data.data if energies_eV is None else replace(data.data, energies_eV=energies_eV)
    return fit_expansion(data.space, data.vectors, known, data.null, data.ends, method, 5, 1)


def test_copies_change_nothing(cells: list[Atoms], tmp_path: Path) -> None:
    """Neither the cells that are fitted nor the folds; a copy of lower energy takes the place of its cell."""
    (tmp_path / "copies").mkdir()
    once = fitted(written(tmp_path, cells))
    copies = [again(c, k, 0.004 * k if k != 5 else -0.01) for k, c in enumerate(cells)]
    twice = fitted(written(tmp_path / "copies", [*cells, *copies]))
    lowest = [c.info["config"] if k != 5 else "again-5" for k, c in enumerate(cells)]
    assert len(twice.table.frames) == 32 and sorted(twice.data.names) == sorted(lowest)
    assert [f.duplicate_of for f in twice.table.frames[16:] if f.duplicate_of] == [n for n in lowest if n != "again-5"]
    assert twice.table.frames[5].duplicate_of == "again-5"
    units = [(c.symbols == "P").sum() for c in cells]
    spreads = [0.004 * k / (2 * n) if k != 5 else 0.01 / (2 * n) for k, n in enumerate(units)]
    assert duplicate_spread_eV(twice.table) == pytest.approx(max(spreads))
    kept = [twice.data.names.index(name) for name in lowest]
    assert np.abs(twice.vectors[kept] - once.vectors).max() < 1e-9
    off = np.where(np.arange(16) == 5, 0.005 / units[5], 0)
    assert np.allclose(twice.data.energies_eV[kept], once.data.energies_eV - off, atol=1e-9)


def spoiled(cells: list[Atoms], n: int) -> list[Atoms]:
    """n cells with a foreign element, a charge, too much strain, in turn."""
    found = [copied(c, c.get_potential_energy(), c.info["config"]) for c in cells]
    for k, cell in enumerate(found[3 : 3 + n]):
        if k % 3 == 0:
            cell.symbols[0] = "K"
        elif k % 3 == 1:
            iron = next(i for i, s in enumerate(cell.symbols) if s in ("Fe", "Ga"))
            cell.symbols[iron] = "Ga" if cell.symbols[iron] == "Fe" else "Fe"
        else:
            cell.set_cell(np.asarray(cell.cell) @ np.diag([1.2, 1 / 1.2, 1]), scale_atoms=True)
    return found


def test_bad_frames_are_left_out_and_listed(cells: list[Atoms], tmp_path: Path) -> None:
    data = fitted(written(tmp_path, spoiled(cells, 3)))
    assert len(data.data.cells) == 13 and [f.calculation.index for f in data.table.left_out] == [4, 5, 6]
    for frame, word in zip(data.table.left_out, ("found K", "has charge", "strained by")):
        assert word in (frame.left_out or "")
    assert data.table.left_out[2].strain > 0.1


def test_a_set_of_which_much_is_left_out_is_refused(
    cells: list[Atoms], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With reasons, counts and names; --data prints it all the same; allow_left_out goes on."""
    path = written(tmp_path, spoiled(cells, 6))
    with pytest.raises(InputError, match="6 of 16 frames cannot be used") as caught:
        prepare(read_input(path))
    for words in ("2: found K", "2: its cell is strained by", cells[3].info["config"], "allow_left_out: true"):
        assert words in str(caught.value)
    assert main([str(path), "--data"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 16 and sum(bool(row["left_out"]) for row in rows) == 6 and not (tmp_path / "out").exists()
    assert all("Ga" not in row["composition"] for row in rows if row["charges"])
    assert float(rows[0]["shift_A"]) < 0.6 and "Fe" in rows[0]["charges"] and rows[0]["charges_from"] == "proxy"
    allowed = written(tmp_path, spoiled(cells, 6), lambda text: text.replace("fit:", "allow_left_out: true, fit:"))
    assert len(fitted(allowed).data.cells) == 10


def test_electrostatics_beside_a_data_set_count_twice(cells: list[Atoms], tmp_path: Path) -> None:
    path = written(tmp_path, cells, lambda text: text.replace("sampling", f"  {CHARGES}\nsampling"))
    with pytest.raises(InputError, match="line 11, energy.electrostatics: .*leave electrostatics out"):
        prepare(read_input(path))


@pytest.fixture(scope="module")
def data(cells: list[Atoms], tmp_path_factory: pytest.TempPathFactory) -> FitData:
    return fitted(written(tmp_path_factory.mktemp("data"), cells))


def test_an_outlier_is_named(data: FitData) -> None:
    """And only that one; cells at the ends, which have no such error, do not hide it."""
    energies = data.data.energies_eV.copy()
    k = int(np.argmax((data.data.fraction("Na") > 0.3) & (data.data.fraction("Na") < 0.7)))
    energies[k] += 1.0
    found = fit_of(data, energies_eV=energies)
    assert set(found.outliers()) == {k} and found.outliers()[k] > 4 and found.is_end.any()
    assert np.isnan(found.leave_one_out_eV[found.is_end]).all()


def test_leave_one_out_errors_of_least_squares_are_exact(data: FitData) -> None:
    few = [0, 1, 2, *(i for i, row in enumerate(data.space.as_list) if row["order"] == 2)][:4]
    columns = data.vectors[:, few]
    fit = fit_of(replace(data, ends=data.ends[:0]), "least-squares")
    assert fit.leave_one_out_eV.shape == fit.reference_eV.shape
    alone = []
    for k in range(len(columns)):
        rest = np.arange(len(columns)) != k
        alone.append(columns[k] @ np.linalg.lstsq(columns[rest], fit.reference_eV[rest], rcond=None)[0] - fit.reference_eV[k])
    residual = columns @ np.linalg.lstsq(columns, fit.reference_eV, rcond=None)[0] - fit.reference_eV
    assert np.allclose(residual / (1 - _leverages(columns)), alone, atol=1e-9)


def test_a_fit_that_is_worse_than_the_mean_is_refused(data: FitData) -> None:
    good = fit_of(data)
    assert useless(good, "ridge") is None
    noise = np.random.default_rng(3).normal(size=len(data.data.cells))
    bad = useless(fit_of(replace(data, ends=data.ends[:0]), "least-squares", noise), "least-squares") or ""
    assert "predicts worse than the mean" in bad and "shorten cutoffs_A, add cells, or take a regularised fit" in bad


def test_pairs_that_no_cell_has_are_named(data: FitData, olivine: Lattice) -> None:
    """Fe2+ and Na+ are neighbours in every cell with both, except if no cell has both."""
    known, reach_A = data.data, 3.5
    apart = [k for k, c in enumerate(known.cells) if not {"Na", "Fe"} <= set(c.symbols)]
    few = DataSet(tuple(known.cells[k] for k in apart), known.names, known.energies_eV, known.n_formula_units)
    missing = missing_pairs(few, olivine, reach_A)
    assert any(text.startswith("Fe2+ and Na+") for text in missing)
    assert not any(text.startswith("Fe3+ and Va") for text in missing)
    assert not any("Fe2+ and Na+" in text for text in missing_pairs(known, olivine, reach_A))


def test_mappings_are_kept_by_content(
    cells: list[Atoms], olivine: Lattice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed cell and a changed lattice are mapped anew; a damaged file is no error."""
    monkeypatch.setattr("redoxmc.engine.potentials.mapping_cache.LEAST_S", 0.0)
    path = tmp_path / "mapped.json"
    write(tmp_path / "cells.extxyz", cells, format="extxyz")
    first = read_frame_table([tmp_path / "cells.extxyz"], olivine, path)

    def fails(*_: object) -> None:
        raise AssertionError("mapped again")

    with monkeypatch.context() as patch:
        patch.setattr(SiteMapping, "__call__", fails)
        second = read_frame_table([tmp_path / "cells.extxyz"], olivine, path)
        assert [replace(f, calculation=g.calculation, relaxed=None, ideal=None) for f, g in zip(first.frames, second.frames)] == [
            replace(f, relaxed=None, ideal=None) for f in second.frames
        ]
        assert all(f.ideal == g.ideal for f, g in zip(first.frames, second.frames))
        moved = cells[0].copy()
        moved.positions[0] += 0.01
        for frame, lattice in ((moved, olivine), (cells[0], replace(olivine, atoms=make_supercell(olivine.atoms, np.eye(3))))):
            lattice.atoms.positions[0] += 0.001 if lattice is not olivine else 0
            with pytest.raises(AssertionError, match="mapped again"):
                MappingCache(path, lattice)(frame, SiteMapping(olivine))
    path.write_text("{")
    assert len(read_frame_table([tmp_path / "cells.extxyz"], olivine, path).used) == 16


def test_the_same_file_by_two_patterns_counts_once(cells: list[Atoms], olivine: Lattice, tmp_path: Path) -> None:
    write(tmp_path / "cells.extxyz", cells, format="extxyz")
    table = read_frame_table([tmp_path / "cells.extxyz", tmp_path / "../" / tmp_path.name / "cells.extxyz"], olivine)
    assert len(table.frames) == 16


def test_the_report_says_what_was_used(data: FitData, cells: list[Atoms], tmp_path: Path) -> None:
    mixed = fitted(written(tmp_path, [*spoiled(cells, 2), again(cells[0], 0, 0.5)]))
    assert any("2 of 17 frames are left out, see dataset.csv: 1: found K" in text for text in mixed.warnings)
    assert any("frames of one arrangement differ by up to" in text and "again-0" in text for text in mixed.warnings)
    assert data.warnings == () or all("frames" not in text for text in data.warnings)
    energies = mixed.data.energies_eV.copy()
    energies[8] += 1.0
    fit = fit_of(mixed, energies_eV=energies)
    record = fit_record(fit, mixed, olivine_lattice(), ("Na+",))
    shown = {row[0]: row[1] for row in next(t for t in fit_tables(record) if t.heading == "Data set").rows}
    assert shown["frames, used"] == "17, 14" and shown["duplicates merged: 1"].startswith("up to ")
    assert any(key.startswith("left out: 1") for key in shown) and f"outlier: {mixed.data.names[8]}" in shown
    assert any(mixed.data.names[8] in text for text in limitations(Results(Attributes()), record))
    assert fit_tables({k: v for k, v in record.items() if k not in ("data_set", "outliers", "spread_eV")})
