"""The stages are of one shape, and `workflow` names each of them."""

import ast
from pathlib import Path

from redoxmc.engine.stages.shared.options import STAGES

from ..helpers.paths import ROOT

HOME = ROOT / "engine/stages"
PARTS = {"learn", "refine", "split", "correct"}  # of the stages label and sample
WITHOUT_IDENTITY = {"train", "evaluate", "split", "correct", "report"}  # what they make is kept, piece by piece, under marks


def source(name: str) -> Path:
    file, folder = HOME / f"{name}.py", HOME / name / "__init__.py"
    assert file.exists() != folder.exists(), f"stages/{name}: one module, or one folder"
    return file if file.exists() else folder


def functions(path: Path) -> dict[str, list[str]]:
    """Names of the functions at the top of a module, and of their parameters."""
    found = ast.parse(path.read_text(encoding="utf-8")).body
    return {f.name: [a.arg for a in f.args.args] for f in found if isinstance(f, ast.FunctionDef)}


def test_every_stage_has_a_module_of_the_same_shape() -> None:
    for name in {*STAGES, *PARTS}:
        found = functions(source(name))
        assert found["run"][0] == "run", name
        assert ("identity" in found) != (name in WITHOUT_IDENTITY), name
        assert found.get("identity", ["run"])[0] == "run", name
        assert ast.get_docstring(ast.parse(source(name).read_text(encoding="utf-8")))


def test_the_workflow_runs_every_stage() -> None:
    tree = ast.parse((ROOT / "engine/workflow.py").read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inside = {"learn"}  # called by label
    assert called >= {f"{name}.run" for name in {*STAGES, *PARTS} - inside}
