"""Wrong input files are answered with line, key, what was found and what is allowed, before anything runs."""

import json
import pickle
from pathlib import Path

import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ruamel.yaml import YAML

from redoxmc.engine.cli import main
from redoxmc.engine.errors import InputError, RedoxError
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import json_schema
from redoxmc.engine.stages.prepare import prepare

from ..helpers.paths import ROOT

GOOD = f"""\
seed: 7
output: out
lattice:
  structure: {ROOT}/inputs/structures/NaFePO4.cif
  sublattices:
    - {{element: Na, species: {{Na+: 1, Va: 0}}}}
    - {{element: Fe, species: {{Fe2+: 2, Fe3+: {{charge: 3, proxy: Ga}}}}}}
  spectators: {{P: 5, O: -2}}
  supercell: [1, 1, 1]
energy:
  points: [{{species: Na+, energy_eV: -4.0}}]
sampling:
  temperature_K: [300, 600]
"""


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "input.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        prepare(read_input(path))
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(GOOD)
    run, _ = prepare(read_input(path))
    assert run.ions == ("Na+",)


@pytest.mark.parametrize("name", ["nafepo4.yaml", "small.yaml"])
def test_shipped_inputs_are_good_and_their_runs_can_be_sent(name: str) -> None:
    run, _ = prepare(read_input(ROOT / "inputs" / name))
    sent = pickle.loads(pickle.dumps(run))
    assert sent.config == run.config and sent.file_hashes == run.file_hashes and sent.point_charges == run.point_charges
    assert [c.energies_eV.tolist() for c in sent.user_terms.clusters] == [c.energies_eV.tolist() for c in run.user_terms.clusters]


CASES = {
    "unknown key": ("seed: 7", "seed: 7\ntemprature: 3", ["line 2", "temprature", "unknown key", "sampling"]),
    "unknown nested key": (
        "temperature_K: [300, 600]",
        "temperature_K: [300, 600]\n  sweep: {measure: 3}",
        ["line 14", "sampling.sweep", "sweeps"],
    ),
    "negative temperature": ("[300, 600]", "[300, -5]", ["line 13", "temperature_K[2]", "-5", "greater than or equal to 1"]),
    "temperature as a word": ("[300, 600]", "[300, warm]", ["'warm'", "number"]),
    "temperature twice": ("[300, 600]", "[300, 300]", ["temperature is given twice"]),
    "nan": ("[300, 600]", "[300, .nan]", ["finite"]),
    "missing lattice key": ("  supercell: [1, 1, 1]\n", "", ["lattice.supercell", "missing"]),
    "species twice": ("{Na+: 1, Va: 0}", "{Na+: 1, Na+: 1}", ["line 6", "twice"]),
    "charges cannot balance": ("{P: 5, O: -2}", "{P: 9, O: -2}", ["cannot add up to 0", "spectators +"]),
    "no structure": ("NaFePO4.cif", "nothing.cif", ["line 4", "lattice.structure", "no such file"]),
    "element not in the structure": ("element: Na,", "element: Li,", ["Li", "allowed: Fe, Na, O, P of the structure"]),
    "forgotten spectator": ("{P: 5, O: -2}", "{O: -2}", ["P of the structure is neither"]),
    "element used twice": ("{P: 5, O: -2}", "{P: 5, O: -2, Na: 1}", ["found Na, which is also a spectator"]),
    "flat supercell": ("[1, 1, 1]", "[[1, 0, 0], [2, 0, 0], [0, 0, 1]]", ["line 9", "linearly dependent"]),
    "zero repeats": ("[1, 1, 1]", "[1, 0, 1]", ["line 9", "supercell"]),
    "charged vacancy": ("Va: 0", "Va: 1", ["Va is the vacancy"]),
    "unknown species in a term": ("species: Na+, energy", "species: K+, energy", ["line 11", "K+", "Fe2+, Fe3+, Na+, Va"]),
    "empty shell": (
        "energy_eV: -4.0}]",
        "energy_eV: -4.0}]\n  pairs: [{species: [Na+, Na+], r_A: [0, 1], energy_eV: 1}]",
        ["no two sites"],
    ),
    "shell upside down": (
        "energy_eV: -4.0}]",
        "energy_eV: -4.0}]\n  pairs: [{species: [Na+, Na+], r_A: [4, 1], energy_eV: 1}]",
        ["lo < hi"],
    ),
    "no energy": ("  points: [{species: Na+, energy_eV: -4.0}]", "  points: []", ["at least one of"]),
    "wrong mu key": ("[300, 600]", "[300, 600]\n  chemical_potential_eV: {Li+: auto}", ["Li+", "allowed: Na+"]),
    "wrong reference": ("[300, 600]", "[300, 600]\nanalysis: {reference_energy_eV: {Fe: -8}}", ["Fe", "allowed: Na"]),
    "swaps switched off": ("[300, 600]", "[300, 600]\n  moves: {swap: 0, neutral_exchange: 1}", ["greater than 0"]),
    "one walker": ("[300, 600]", "[300, 600]\n  walkers: 1", ["greater than or equal to 2"]),
    "a key that is no word": ("Fe2+: 2", "~: 2", ["line 7", "a key that is not a word"]),
    "not YAML": ("seed: 7", "seed: [7", ["YAML", "line"]),
    "data set and model": (
        "  points: [{species: Na+, energy_eV: -4.0}]",
        "  cluster_expansion: {cutoffs_A: [5.0], dataset: none.xyz, model: none.ce}",
        ["line 11", "energy.cluster_expansion", "either dataset or model"],
    ),
    "neither data set nor model": (
        "  points: [{species: Na+, energy_eV: -4.0}]",
        "  cluster_expansion: {cutoffs_A: [5.0]}",
        ["line 11", "energy.cluster_expansion", "neither dataset nor model", "potential"],
    ),
    "no sampling": ("sampling:\n  temperature_K: [300, 600]\n", "", ["sampling is missing"]),
    "no data set": (
        "  points: [{species: Na+, energy_eV: -4.0}]",
        "  cluster_expansion: {cutoffs_A: [5.0], dataset: none.xyz}",
        ["line 11", "no such file"],
    ),
    "ambiguous symbols": ("{charge: 3, proxy: Ga}", "3", []),
}


@pytest.mark.parametrize("name", CASES)
def test_wrong_input(name: str, tmp_path: Path) -> None:
    old, new, words = CASES[name]
    if name == "ambiguous symbols":
        text = GOOD.replace(old, new).replace(
            "  points: [{species: Na+, energy_eV: -4.0}]", "  cluster_expansion: {cutoffs_A: [5.0], dataset: none.xyz}"
        )
        words = ["Fe3+", "Fe2+", "proxy"]
    else:
        assert GOOD.count(old) == 1
        text = GOOD.replace(old, new)
    message = problems(tmp_path, text)
    for word in words:
        assert word in message, message


def test_all_problems_at_once(tmp_path: Path) -> None:
    message = problems(
        tmp_path, GOOD.replace("[300, 600]", "[-1, 600]\n  walkers: no\n  colour: red").replace("seed: 7", "seed: -7")
    )
    assert message.startswith("4 problems")


def test_missing_file_and_unreadable_structure(tmp_path: Path) -> None:
    with pytest.raises(RedoxError, match="cannot read the input file"):
        read_input(tmp_path / "none.yaml")
    (tmp_path / "broken.cif").write_text("this is no structure")
    assert "unreadable structure" in problems(tmp_path, GOOD.replace(f"{ROOT}/inputs/structures/NaFePO4.cif", "broken.cif"))


def frames() -> list[Atoms]:
    return read(ROOT / "inputs/nafepo4/labelled.extxyz", ":")


def with_data(tmp_path: Path, cells: list[Atoms], cutoffs: str = "[5.0]") -> str:
    write(tmp_path / "data.extxyz", cells, format="extxyz")
    return GOOD.replace(
        "  points: [{species: Na+, energy_eV: -4.0}]", f"  cluster_expansion: {{cutoffs_A: {cutoffs}, dataset: data.extxyz}}"
    )


DETERMINED = "dataset: data.extxyz, fit: {method: least-squares, validation: 3-fold}"


def test_clusters_that_no_cell_can_tell_apart(tmp_path: Path) -> None:
    cells = [c for c in frames() if len(c) <= 28]
    text = with_data(tmp_path, cells, "[6.5]").replace("dataset: data.extxyz", DETERMINED)
    message = problems(tmp_path, text)
    assert "undetermined: no cell has" in message and "it would take, for example, the cell [[" in message


def test_wrong_data_sets(tmp_path: Path) -> None:
    """More than a fifth of the frames are wrong; fewer are left out."""
    cells = frames()[:12]
    (tmp_path / "data.extxyz").write_text("")
    text = with_data(tmp_path, cells)
    (tmp_path / "data.extxyz").write_text("")
    message = problems(tmp_path, text)
    assert "line 11, energy.cluster_expansion.dataset" in message and "data.extxyz: the file is empty" in message

    other = [c.copy() for c in cells]
    for c, o in zip(cells, other):
        o.calc = SinglePointCalculator(o, energy=c.get_potential_energy())
    for k in (3, 5, 6):
        other[k].symbols[0] = "K"
    message = problems(tmp_path, with_data(tmp_path, other))
    assert "3 of 12 frames cannot be used: 3: found K; allowed" in message and "allow_left_out: true" in message
    assert cells[3].info["config"] in message

    charged = [c.copy() for c in cells]
    for c, o in zip(cells, charged):
        o.calc = SinglePointCalculator(o, energy=c.get_potential_energy())
    for wrong in charged[2:5]:
        iron = next(i for i, s in enumerate(wrong.symbols) if s in ("Fe", "Ga"))
        wrong.symbols[iron] = "Ga" if wrong.symbols[iron] == "Fe" else "Fe"
    assert "has charge" in problems(tmp_path, with_data(tmp_path, charged))

    silent = [c.copy() for c in cells]
    assert "no energy" in problems(tmp_path, with_data(tmp_path, silent))
    assert "at least 10" in problems(tmp_path, with_data(tmp_path, cells[:5]))


def test_command_line_reports_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(GOOD.replace("[300, 600]", "[300, -5]"))
    assert main([str(path)]) == 2
    assert "temperature_K[2]" in capsys.readouterr().err
    path.write_text(GOOD)
    assert main([str(path), "--check"]) == 0
    shown = capsys.readouterr().out
    for word in ("8 active sites", "Na+ (+1)", "Na+→Va with Fe2+→Fe3+", "replicas", "memory"):
        assert word in shown
    assert not (tmp_path / "out").exists()


def test_schema_is_current() -> None:
    """To renew it: python -c "from redoxmc.engine.input.schema import json_schema; print(json_schema(), end='')" >
    inputs/schema.json
    """
    shipped = (ROOT / "inputs/schema.json").read_text()
    assert shipped == json_schema()
    assert json.loads(shipped)["properties"]["sampling"]


def test_every_key_of_the_schema_is_described() -> None:
    schema = json.loads(json_schema())
    for name, model in {"Config": schema, **schema["$defs"]}.items():
        assert model["description"], name
        assert [key for key, value in model["properties"].items() if not value.get("description")] == [], name


def test_schema_accepts_the_shipped_inputs() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for name in ("nafepo4.yaml", "small.yaml"):
        document = YAML(typ="safe").load((ROOT / "inputs" / name).read_text())
        jsonschema.validate(document, json.loads(json_schema()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "colour": "red"}, json.loads(json_schema()))
