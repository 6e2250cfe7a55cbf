"""Nothing that a run reads brings code along, unless the input names it; nothing is written where it should not be; the
report shows text as text.
"""

import ast
import html
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import pytest
import torch
from ase import Atoms
from icet import ClusterExpansion
from PIL import Image

from redoxmc.engine.crystal.files import read_by_pymatgen, read_frames
from redoxmc.engine.errors import InputError, RedoxError
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import TrainedPotentialInput
from redoxmc.engine.potentials.calculations import read_calculations
from redoxmc.engine.potentials.training.mace import arguments
from redoxmc.engine.potentials.weights import read_weights
from redoxmc.engine.report.exports.formula import formula_unit
from redoxmc.engine.report.figures.style import plain, save_figures
from redoxmc.engine.report.page import Cell, Citations, Content, Table, write_page
from redoxmc.engine.stages.check.check import print_plan
from redoxmc.engine.stages.evaluate import potentials_to_evaluate
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.shared.options import Options
from redoxmc.engine.stages.shared.output import Output
from redoxmc.engine.stages.shared.run import Run

from ..helpers.command import run
from ..helpers.made_up import OLIVINE, made_up_results
from ..helpers.paths import ROOT, STRUCTURE
from ..input.test_mistakes import FITTED, GOOD

READERS = {
    "pickle.load",
    "pickle.loads",
    "torch.load",
    "np.load",
    "eval",
    "exec",
    "import_module",
    "__import__",
    "ClusterExpansion.read",
    "ClusterSpace.read",
}
ALLOWED = {  # each opens what the input names, but for our own modules, and for what mace-torch has just written
    "engine/api/__init__.py": ["import_module(f'redoxmc._{_HOMES[name]}')"],
    "engine/potentials/architecture.py": ["import_module(f'.{name}', __package__)"],
    "engine/potentials/mace.py": ["torch.load(str(file), map_location='cpu', weights_only=False)"],
    "engine/potentials/potential.py": ["import_module(module)"],
    "engine/potentials/training/mace.py": ["torch.load(final, map_location='cpu', weights_only=False)"],
    "engine/hamiltonian/importers/read.py": ["ClusterExpansion.read(str(paths[0]))"],
}  # fmt: skip

SCRIPT = "<script>alert(1)</script>"


class Payload:
    """Pickled code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_no_other_line_can_run_code_of_a_file() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted([*(ROOT / "engine").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in READERS:
                safe = name == "torch.load" and any(
                    k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
                )
                if not safe:
                    found.setdefault(str(path.relative_to(ROOT)), []).append(ast.unparse(node))
    assert found == ALLOWED


def test_weights_stay_data_when_mace_has_changed_the_default(tmp_path: Path) -> None:
    """mace-torch asks torch, by the environment, to run what pickles hold; our readers say otherwise."""
    import mace  # noqa: F401

    torch.save({"format": "redoxmc-potential-1", "card": Payload(tmp_path / "touched")}, tmp_path / "evil.model")
    assert read_weights(tmp_path / "evil.model", "mace") is None
    assert not (tmp_path / "touched").exists()


def test_weights_in_the_output_folder_are_ours_or_refused(tmp_path: Path) -> None:
    """The input names the potential, not this file."""
    text = GOOD.replace(
        GOOD[GOOD.index("energy:") :], "training:\n  dataset: data.extxyz\n  potentials: [{name: some, model: mace}]\n"
    )
    (tmp_path / "input.yaml").write_text(text)
    source, output = read_input(tmp_path / "input.yaml"), Output(tmp_path / "out")
    run = Run(source, Options(), output, None, (), (), None, (), {}, None)  # type: ignore[arg-type]
    evil = tmp_path / "out/potentials/some/some.model"
    evil.parent.mkdir(parents=True)
    torch.save(Payload(tmp_path / "touched"), evil)
    with pytest.raises(RedoxError, match="not weights that this program wrote"):
        potentials_to_evaluate(run)
    assert not (tmp_path / "touched").exists()


def test_data_sets_and_structures_are_data(tmp_path: Path) -> None:
    """A pickle by any name; a folder, which ASE takes for a trajectory in pieces; JSON that names a class."""
    for name in ("data.extxyz", "data.traj", "data.db", "data.json", "data.cif", "OUTCAR", "data.pckl"):
        (tmp_path / name).write_bytes(pickle.dumps(Payload(tmp_path / "touched")))
        (found,) = read_calculations(tmp_path / name, False)
        assert found.atoms is None and found.left_out
        with pytest.raises(RedoxError):
            read_structure(tmp_path / name)
    (tmp_path / "data.bundle").mkdir()
    (tmp_path / "data.bundle/metadata.json").write_text('{"format": "BundleTrajectory"}')
    with pytest.raises(RedoxError, match="no such file"):
        read_frames(tmp_path / "data.bundle")
    (tmp_path / "input.yaml").write_text(FITTED.replace("data.extxyz", "data.bundle"))
    (tmp_path / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    with pytest.raises(InputError, match="not a file"):
        prepare(read_input(tmp_path / "input.yaml"))
    assert not (tmp_path / "touched").exists()
    pickle.loads((tmp_path / "data.traj").read_bytes())
    assert (tmp_path / "touched").exists(), "the payload does nothing: nothing is tested"


def test_json_of_pymatgen_loads_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "intruder.py").write_text("from pathlib import Path\nPath(__file__).with_name('touched').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    from pymatgen.core import Structure

    known = Structure.from_file(STRUCTURE).as_dict()
    for site in known["sites"]:
        site["properties"] = {"note": {"@module": "intruder", "@class": "Any", "@callable": "Any"}}
    (tmp_path / "structure.json").write_text(json.dumps(known))
    assert (
        read_by_pymatgen(tmp_path / "structure.json").get_chemical_formula()
        == read_structure(Path(STRUCTURE)).get_chemical_formula()
    )
    assert not (tmp_path / "touched").exists()


def test_a_name_with_an_at_is_a_name(tmp_path: Path) -> None:
    """ASE would take what follows for the number of a frame of another file."""
    for name, a in (("cell", 4.0), ("cell@0", 5.0)):
        ase.io.write(tmp_path / f"{name}.extxyz", Atoms("Na", cell=[a] * 3, pbc=True))
    assert read_structure(tmp_path / "cell@0.extxyz").cell[0, 0] == 5.0


@pytest.mark.runs
def test_our_own_files_need_no_pickle(tmp_path: Path) -> None:
    """A fit is read back from fit.json; the .ce file beside it, a pickle for icet's users, is not opened again.

    And config= of an extxyz is a name in messages and in fit.json: nothing is written under it.
    """
    cells = ase.io.read(ROOT / "inputs/nafepo4/labelled.extxyz", "::15")
    for k, cell in enumerate(cells):
        cell.info["config"] = f"../../evil{k}/{SCRIPT}"
    ase.io.write(tmp_path / "data.extxyz", cells)
    assert [c.name for c in read_calculations(tmp_path / "data.extxyz", False)] == [c.info["config"] for c in cells]
    (tmp_path / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (tmp_path / "input.yaml").write_text(FITTED.replace("[5.0]", "[4.0]"))
    assert run(tmp_path / "input.yaml", 1, "--only", "fit").returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"data.extxyz", "structure.cif", "input.yaml", "out"}
    assert not list(tmp_path.parent.glob("evil*"))
    record = json.loads((tmp_path / "out/fit.json").read_text())
    assert record["names"][0].startswith("../../evil0/")
    made = ClusterExpansion.read(str(tmp_path / "out/cluster_expansion.ce"))
    assert made.parameters.tolist() == record["parameters"]
    again = run(tmp_path / "input.yaml", 1, "--only", "fit")
    assert again.returncode == 0 and "validation error" not in again.stderr, "the fit was not taken from fit.json"
    (tmp_path / "out/cluster_expansion.ce").write_bytes(pickle.dumps(Payload(tmp_path / "touched")))
    again = run(tmp_path / "input.yaml", 1, "--only", "fit")
    assert again.returncode == 0 and "is damaged and is made again" in again.stderr
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/x", ".hidden", "", "a\\b", "a b", "x" * 200, "a\n", "é"])
def test_names_of_potentials_are_names_of_folders(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        TrainedPotentialInput(name=name, model="mace")


@pytest.mark.parametrize(
    "key", ["log_dir", "model_dir", "checkpoints_dir", "results_dir", "downloads_dir", "wandb_dir", "work_dir"]
)
def test_mace_writes_into_the_run_s_folder(key: str, tmp_path: Path) -> None:
    entry = TrainedPotentialInput(name="some", model="mace", settings={key: "/elsewhere"})
    with pytest.raises(RedoxError, match=f"found {key}; allowed: options that no other key"):
        arguments(entry, 0, tmp_path, 1)


@pytest.mark.parametrize("name", ["../Na+", "Na/+", "<b>Na+", "Na'+", "$x$", "Na+ ", "[red]", "", "N" * 40])
def test_names_of_species_are_plain(name: str, tmp_path: Path) -> None:
    (tmp_path / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (tmp_path / "input.yaml").write_text(GOOD.replace("Na+: 1", f"{json.dumps(name)}: 1").replace("Na+", "Va"))
    with pytest.raises(InputError, match="found the name"):
        prepare(read_input(tmp_path / "input.yaml"))


def test_a_results_file_names_no_file() -> None:
    """The TDB file bears the name of the formula unit, which results.h5 holds."""
    results = made_up_results(OLIVINE, lambda t, x: 0 * (t + x))
    assert formula_unit(results).name == "NaFePO4"
    for evil in ({"../../Na": 1, "Fe": 1}, {"/tmp/x": 1}, {"Na": "1/../../x"}):
        changed = replace(results, attributes=replace(results.attributes, formula_unit=evil))
        with pytest.raises((RedoxError, ValueError)):
            formula_unit(changed)


def test_fresh_deletes_no_more_than_a_run_made(tmp_path: Path) -> None:
    """Not through links, and not what bears another name."""
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep/kept").touch()
    out.mkdir()
    for name in ("samples", "figures", "relaxations"):
        (out / name).symlink_to(elsewhere)
    (out / "fit.json").symlink_to(elsewhere / "deep/kept")
    (out / "notes.txt").touch()
    Output(out).clear()
    assert (elsewhere / "deep/kept").exists() and (out / "notes.txt").exists() and not (out / "fit.json").is_symlink()


STRANGE = [
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "'; --",
    "&lt;b&gt;",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "</pre></table>",
    "$\\frac{",
    "[/bold][red]",
    "%s {x} \\",
    "🙂 ∞ <",
]


@pytest.mark.parametrize("text", STRANGE)
def test_the_report_shows_text_as_text(text: str, tmp_path: Path) -> None:
    """Wherever text comes from: title, what to distrust, captions, tables, facts, citations, the input itself."""
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "figures/one.png")
    table = Table(text, [text], [[text], [Cell(text, "bad")]], text)
    content = Content(
        text, text, [text], text, [table], [(text, text)], text, "numbers", table, Citations([(text, text)], text, [text])
    )
    write_page(tmp_path / "report.html", {"one": text}, "0", content)
    shown = (tmp_path / "report.html").read_text()
    plain_page = re.sub(r"<style>.*?</style>", "", shown, flags=re.S)
    assert html.unescape(plain_page).count(text) >= 15
    tags = re.findall(r"<\s*/?\s*([a-zA-Z]+)", plain_page)
    assert "script" not in tags and tags.count("img") == 1 and "49" not in plain_page.replace(text, "").replace("2049", "")


@pytest.mark.parametrize("text", STRANGE)
def test_figures_and_the_plan_show_text_as_text(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The title of the run beside is drawn, into SVG too; that of this run is printed."""
    import matplotlib.pyplot as plt

    def draw() -> Any:
        figure, axes = plt.subplots()
        axes.set(title=plain(text))
        return figure

    save_figures({"one": (draw, "")}, tmp_path / "figures")
    svg = (tmp_path / "figures/one.svg").read_text()
    assert "<script" not in svg and "<img" not in svg
    (tmp_path / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (tmp_path / "input.yaml").write_text(f"title: {json.dumps(text, ensure_ascii=False)}\n" + GOOD, encoding="utf-8")
    print_plan(*prepare(read_input(tmp_path / "input.yaml")), 1)
    assert text in capsys.readouterr().out
