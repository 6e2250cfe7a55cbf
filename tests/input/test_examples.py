"""`redoxmc init`: every example is whole beside its data, sound, and overwrites nothing."""

import tomllib
from pathlib import Path

import pytest

from redoxmc.engine.cli import main
from redoxmc.engine.input.examples import EXAMPLES, example_files
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.stages.prepare import prepare

from ..helpers.paths import ROOT


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_sound_where_it_is_written(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert main(["init", name, str(folder)]) == 0
    assert str(folder / f"{name}.yaml") in capsys.readouterr().out
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    assert "../" not in text and text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert (folder / "schema.json").read_bytes() == (ROOT / "inputs/schema.json").read_bytes()
    run, _ = prepare(read_input(folder / f"{name}.yaml"))
    assert run.output.folder == folder / name
    assert main(["init", name, str(folder)]) == 0  # all of it is there


def test_comments_stay_in_their_column() -> None:
    was = (ROOT / "inputs/tutorial/1_ising.yaml").read_text(encoding="utf-8").splitlines()
    for before, after in zip(was, example_files("ising")["ising.yaml"].decode().splitlines(), strict=True):
        assert before.find(" # ") == after.find(" # ")


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "square.cif").write_text("mine")
    assert main(["init", "ising"]) == 2
    assert "square.cif" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["square.cif"] and (tmp_path / "square.cif").read_text() == "mine"
    (tmp_path / "file").touch()
    assert main(["init", "ising", "file/in"]) == 2 and "file/in" in capsys.readouterr().err


def test_without_a_name_the_examples_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    shown = capsys.readouterr().out
    assert all(f"redoxmc init {name} " in shown for name in EXAMPLES) and not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        main(["init", "isng"])
    error = capsys.readouterr().err
    assert all(name in error for name in EXAMPLES)


def test_the_wheel_holds_every_file_of_the_examples() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["redoxmc"]
    names = {path.name for pattern in shipped for path in ROOT.glob(pattern)}
    for name, (source, _) in EXAMPLES.items():
        assert {source, *example_files(name)} - {f"{name}.yaml"} <= names
