"""Mistakes that people make: each is met by a message that names the cure, or by a warning under what to distrust."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from redoxmc.engine.errors import InputError, RedoxError
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.report.limitations import limitations
from redoxmc.engine.runtime.results import Attributes, Results
from redoxmc.engine.runtime.results.replicas import Exchange
from redoxmc.engine.stages.check.input_warnings import input_warnings
from redoxmc.engine.stages.prepare import prepare

from ..helpers.blank import blank
from ..helpers.command import run
from ..helpers.good_inputs import SECTION
from ..helpers.paths import ROOT, STRUCTURE

GOOD = (
    "seed: 7\n"
    + SECTION
    + """\
  supercell: [2, 2, 2]
energy:
  points: [{species: Na+, energy_eV: -4.0}]
  pairs:
    - {species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.03}
    - {species: [Na+, Na+], r_A: [0, 4.0], energy_eV: 0.015}
sampling:
  temperature_K: [300, 600]
"""
)
FITTED = re.sub(
    r"energy:\n.*?sampling",
    "energy:\n  cluster_expansion: {cutoffs_A: [5.0], dataset: data.extxyz, fit: {method: ridge, validation: 5-fold}}\nsampling",
    GOOD,
    flags=re.S,
)
IN_TYPED = {
    "quotes around a number": ("[300, 600]", '["300", 600]', "found '300'; allowed: number"),
    "a tab in the indentation": ("  temperature_K", "\ttemperature_K", "line 16, YAML: found character '\\t'"),
    "kT in eV for a temperature": ("[300, 600]", "[0.025, 0.05]",
        "temperature_K[1]: found 0.025; allowed: greater than or equal to 1"),
    "pair energies in meV": ("energy_eV: -0.03}", "energy_eV: -30}", "meV? divide by 1000"),
    "shells in nm": ("[0, 3.9]", "[0, 0.39]", "the nearest are 3.405 A apart (nm? multiply by 10)"),
    "a shell that holds no pair": ("[0, 4.0]", "[4.0, 4.1]", "no two sites for Na+ and Na+ are 4.0 to 4.1 A apart"),
    "shells that overlap": ("species: [Na+, Na+], r_A: [0, 4.0]", "species: [Na+, Fe2+], r_A: [3.5, 5]",
        "overlaps that of pairs[1]"),
    "a pair twice, species in the other order": ("[Na+, Na+], r_A: [0, 4.0]", "[Fe2+, Na+], r_A: [0, 3.9]",
        "overlaps that of pairs[1]"),
    "a point twice": ("energy_eV: -4.0}]", "energy_eV: -4.0}, {species: Na+, energy_eV: 1}]",
        "given twice; allowed: once, with the sum"),
    "a point for a species that is not there": ("species: Na+, energy_eV: -4", "species: Na, energy_eV: -4",
        "found Na; allowed: Fe2+, Fe3+, Na+, Va"),
    "a site named wrong": ("element: Na", "element: Li", "found Li; allowed: Fe, Na, O, P of the structure"),
    "species of two sublattices swapped": (
        "{element: Na, species: {Na+: 1, Va: 0}}\n    - {element: Fe, species: {Fe2+: 2, Fe3+: {charge: 3, proxy: Ga}}}",
        "{element: Na, species: {Fe2+: 2, Fe3+: 3}}\n    - {element: Fe, species: {Na+: 1, Va: 0}}",
        "are the species of the two sublattices swapped?",
    ),
    "charges swapped": ("Fe2+: 2, Fe3+: {charge: 3, proxy: Ga}", "Fe2+: 3, Fe3+: 2",
        "found charge +3, but the name says +2; correct one of them"),
    "charges that cannot be neutral": ("P: 5", "P: 2",
        "cannot add up to 0: spectators -24, Na+/Va +0 to +4, Fe2+/Fe3+ +8 to +12; correct the charge"),
    "charges that leave nothing to sample": ("Fe2+: 2, Fe3+: {charge: 3, proxy: Ga}", "Fe2+: 2",
        "a single neutral arrangement, and nothing to sample"),
    "a spectator forgotten": ("{P: 5, O: -2}", "{O: -2}", "P of the structure is neither on a sublattice nor a spectator"),
    "a proxy that the structure holds": ("proxy: Ga", "proxy: P",
        "found P, which is in the structure; allowed: an element that is not, e.g. Ga"),
    "a proxy that is no element": ("proxy: Ga", "proxy: Fe3", "found Fe3; allowed: a chemical symbol"),
    "a second cell that is not smaller": ("[300, 600]", "[300, 600]\n  second_supercell: [2, 2, 3]",
        "found 12 cells; allowed: fewer than the 8"),
    "weights of moves out of balance": ("[300, 600]", "[300, 600]\n  moves: {swap: 1, neutral_exchange: 1.0e-4}",
        "at least 1%, or moves: auto"),
    "one walker": ("[300, 600]", "[300, 600]\n  walkers: 1", "greater than or equal to 2"),
    "limits of mu the wrong way round": ("[300, 600]", "[300, 600]\n  chemical_potential_eV: {Na+: {min: -3, max: -4}}",
        "min must not exceed max"),
    "starting cells in nm": ("sampling:", "relaxation: {cell_lengths_A: {0: [0.99, 0.59, 0.49]}}\nsampling:",
        "lengths in A within 30%"),
    "the output among the inputs": ("output: out", "output: .", "which contains the input file; allowed: a folder of its own"),
    "the output where a file is": ("output: out", "output: structure.cif", "which is a file; allowed: a folder"),
    "its own diagram beside it": ("sampling:", "analysis: {beside: out}\nsampling:",
        "found the output folder of this run; allowed: that of another"),
}  # fmt: skip


def refusal(folder: Path, text: str) -> str:
    if not (folder / "structure.cif").exists():
        (folder / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (folder / "input.yaml").write_text(text)
    with pytest.raises((InputError, RedoxError)) as caught:
        prepare(read_input(folder / "input.yaml"))
    return str(caught.value)


@pytest.mark.parametrize("name", IN_TYPED)
def test_mistakes_in_the_input(name: str, tmp_path: Path) -> None:
    old, new, cure = IN_TYPED[name]
    assert GOOD.count(old) == 1
    assert cure in refusal(tmp_path, GOOD.replace(old, new))


@pytest.fixture(scope="module")
def cells() -> list[Atoms]:
    """Some of the shipped data set, cells of 4, 8 and 12 formula units, among them the lowest of each composition."""
    every = read(ROOT / "inputs/nafepo4/labelled.extxyz", ":")
    order = sorted(every, key=lambda c: c.get_potential_energy() / units(c))
    lowest = {(c.symbols == "Na").sum() / units(c): c for c in reversed(order)}
    return [*lowest.values(), *every[::15]]


def with_energy(cell: Atoms, energy_eV: float) -> Atoms:
    copy = cell.copy()
    copy.calc = SinglePointCalculator(copy, energy=energy_eV)
    return copy


def units(cell: Atoms) -> int:
    return int((cell.symbols == "P").sum())


def scaled(factor: Callable[[Atoms], float]) -> Callable[[list[Atoms]], list[Atoms]]:
    return lambda cells: [with_energy(c, c.get_potential_energy() * factor(c)) for c in cells]


def one_off(cells: list[Atoms]) -> list[Atoms]:
    return [with_energy(c, c.get_potential_energy() / (len(c) if k == 7 else 1)) for k, c in enumerate(cells)]


def other_symbols(old: str, new: str) -> Callable[[list[Atoms]], list[Atoms]]:
    def change(cells: list[Atoms]) -> list[Atoms]:
        found = scaled(lambda c: 1)(cells)
        for cell in found:
            cell.symbols[cell.symbols == old] = new
        return found

    return change


def another_polymorph(cells: list[Atoms]) -> list[Atoms]:
    """Na and Fe in each other's place, as in maricite."""
    found = scaled(lambda c: 1)(cells)
    for cell in found:
        sodium, iron = (np.flatnonzero([s in kinds for s in cell.symbols]) for kinds in (("Na",), ("Fe", "Ga")))
        for a, b in zip(sodium, iron):
            cell.positions[[a, b]] = cell.positions[[b, a]]
    return found


def wrong_labels(cells: list[Atoms]) -> list[Atoms]:
    found = scaled(lambda c: 1)(cells)
    for cell in found[: len(found) // 4]:
        iron = next(i for i, s in enumerate(cell.symbols) if s in ("Fe", "Ga"))
        cell.symbols[iron] = "Ga" if cell.symbols[iron] == "Fe" else "Fe"
    return found


IN_DATA = {
    "eV per atom": (scaled(lambda c: 1 / len(c)), "do not grow with the cells", "allowed: eV of the whole cell"),
    "eV per formula unit": (scaled(lambda c: 1 / units(c)), "do not grow with the cells", "allowed: eV of the whole cell"),
    "meV": (scaled(lambda c: 1000), "eV of the whole cell (meV? divide by 1000)"),
    "one cell of another unit": (one_off, "from those of the other cells", "correct their unit or reference, or leave them out"),
    "another material": (other_symbols("Na", "Li"), "found Li; allowed: Fe, Ga, Na, O, P"),
    "another structure": (another_polymorph, "is on a site of", "is it another structure of the same atoms?"),
    "labels that leave a charge": (wrong_labels, "has charge", "not 0"),
    "compositions never seen": (
        lambda cells: [c for c in cells if (c.symbols == "Na").sum() > units(c) / 2],
        "no cell of the data is near x = 0 to 0.", "add cells there",
    ),
    "too few cells": (lambda cells: cells[:4], "4 cells; allowed: at least 5 for 5-fold validation"),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_DATA)
def test_mistakes_in_the_data(name: str, cells: list[Atoms], tmp_path: Path) -> None:
    change, *cures = IN_DATA[name]
    write(tmp_path / "data.extxyz", change(cells), format="extxyz")
    said = refusal(tmp_path, FITTED)
    for cure in cures:
        assert cure in said, said


def test_cutoffs_beside_the_data(cells: list[Atoms], tmp_path: Path) -> None:
    """In nm; and longer than the cells of the data, which are all small."""
    write(tmp_path / "data.extxyz", cells, format="extxyz")
    assert "the nearest sites are 3.16 A apart (nm? multiply by 10)" in refusal(tmp_path, FITTED.replace("[5.0]", "[0.5]"))
    write(
        tmp_path / "data.extxyz",
        [c for c in read(ROOT / "inputs/nafepo4/labelled.extxyz", ":") if units(c) == 4],
        format="extxyz",
    )
    longer = FITTED.replace("[5.0]", "[7.0]")
    said = refusal(tmp_path, longer.replace("ridge", "least-squares"))
    assert "undetermined: no cell has" in said and " A apart" in said and "shorten the cutoffs, or take a regularised fit" in said
    (tmp_path / "input.yaml").write_text(longer)
    warned = input_warnings(*prepare(read_input(tmp_path / "input.yaml")))
    assert any("undetermined" in text and "ridge sets what is undetermined, not the data" in text for text in warned)


def test_a_data_set_in_the_output_folder(cells: list[Atoms], tmp_path: Path) -> None:
    """Where a run would write its own over it, and --fresh delete it."""
    (tmp_path / "out").mkdir()
    write(tmp_path / "out/labelled.extxyz", cells, format="extxyz")
    said = refusal(tmp_path, FITTED.replace("data.extxyz", "out/labelled.extxyz"))
    assert "which contains labelled.extxyz of energy.cluster_expansion.dataset; allowed: a folder of its own" in said


def cif(change: Callable[[Atoms], None], tmp_path: Path, edit: tuple[str, str] = ("", "")) -> str:
    atoms = read(STRUCTURE)
    change(atoms)
    write(tmp_path / "structure.cif", atoms)
    text = (tmp_path / "structure.cif").read_text()
    (tmp_path / "structure.cif").write_text(text.replace(*edit, 1) if edit[0] else text)
    return refusal(tmp_path, GOOD)


def test_mistakes_in_the_structure(tmp_path: Path) -> None:
    """In nm; a site filled in part; a site missing, which the CIF's own formula tells."""
    assert "are the lengths in nm" in cif(lambda a: a.set_cell(a.cell / 10, scale_atoms=True), tmp_path)
    nothing = lambda a: None  # noqa: E731
    said = cif(nothing, tmp_path, ("0.0  0.0  0.0  1.0000", "0.0  0.0  0.0  0.5000"))
    assert "found sites partially occupied by Na; allowed: the fully occupied cell" in said
    row = next(line for line in (tmp_path / "structure.cif").read_text().splitlines() if "Na2" in line)
    assert "its _chemical_formula_sum is Na4 Fe4 P4 O16, but its atoms are" in cif(nothing, tmp_path, (row + "\n", ""))


def said_before(folder: Path, text: str) -> str:
    (folder / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (folder / "input.yaml").write_text(text)
    return "\n".join(input_warnings(*prepare(read_input(folder / "input.yaml"))))


def test_warnings_before_a_run(cells: list[Atoms], tmp_path: Path) -> None:
    """Degrees Celsius; a cell within the range of the energy; one that cannot hold the orders of the data; energies per atom
    of cells of one size.
    """
    assert said_before(tmp_path, GOOD) == ""
    assert (
        "the lowest temperature_K is 25 K" in (said := said_before(tmp_path, GOOD.replace("[300, 600]", "[25, 200]")))
        and "add 273" in said
    )
    said = said_before(tmp_path, GOOD.replace("[2, 2, 2]", "[1, 1, 1]").replace("r_A: [0, 4.0]", "r_A: [0, 6.5]"))
    assert "repeats after 5.0 A, within the range of the energy, 6.5 A" in said and "should be [2, 3, 3] or larger" in said
    write(tmp_path / "data.extxyz", cells, format="extxyz")
    assert said_before(tmp_path, FITTED.replace("[2, 2, 2]", "[6, 12, 12]")) == ""
    said = said_before(tmp_path, FITTED.replace("[2, 2, 2]", "[6, 3, 3]"))
    assert "the ground state at x = 1/2 has the cell" in said and "does not fit into lattice.supercell" in said
    small = [with_energy(c, c.get_potential_energy() / len(c)) for c in cells if units(c) == 8]
    write(tmp_path / "data.extxyz", small, format="extxyz")
    assert "must be eV of the whole cell, not per atom" in said_before(tmp_path, FITTED)


@pytest.mark.runs
def test_what_to_distrust_after_a_run(tmp_path: Path) -> None:
    """A window of mu beside the transition, a reference energy of a whole cell, degrees Celsius: all in one report."""
    text = GOOD.replace("[2, 2, 2]", "[1, 2, 1]").replace(
        "[300, 600]", "[40, 900]\n  rungs: 2\n  vcsgc: {points: 9}\n  walkers: 2\n  refine: {temperatures: 0}"
    )
    text += "  sweeps: {equilibrate: 50, measure: 800}\n  chemical_potential_eV: {Na+: {min: -9.0, max: -8.5, points: 3}}\n"
    text += "analysis: {reference_energy_eV: {Na: -20.8}, entropy_compositions: 0, compositions: 9}\n"
    (tmp_path / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (tmp_path / "input.yaml").write_text(text)
    done = run(tmp_path / "input.yaml")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/report.html").read_text()
    distrust = page[page.index("Limitations of this run") : page.index("</div>", page.index("Limitations of this run"))]
    for cure in (
        "given chemical_potential_eV, -9 to -8.5 eV, reach only x = 0.00 to 0.00",
        "or auto",
        "must be the energy per atom of metallic Na",
        "if degrees Celsius were meant, add 273",
    ):
        assert cure in distrust, distrust


def test_temperatures_too_far_apart() -> None:
    """Replicas that hardly exchange."""
    for acceptance, said in ((0.001, True), (0.2, False)):
        exchange = blank(Exchange, pair=np.arange(3), axis=["temperature"] * 3, acceptance=np.full(3, acceptance))
        found = limitations(Results(Attributes(), exchange=exchange), None)
        assert any("the temperatures are too far apart; give more rungs, or rungs: auto" in text for text in found) == said


def test_thirty_mistakes_and_more() -> None:
    apart = 2 + 1 + 3 + 4 + 3  # in the tests that have no table: cutoffs, output, structure, before a run, after it
    assert len(IN_TYPED) + len(IN_DATA) + apart >= 30
