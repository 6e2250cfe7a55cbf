"""Measured points: what is wrong in a file is told by its line; those that are shipped are sound."""

from pathlib import Path

import pytest

from redoxmc.engine.errors import InputError, RedoxError
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.report.experiment import read_experiment
from redoxmc.engine.stages.prepare import prepare

from ..helpers.command import write_input
from ..helpers.paths import ROOT

HEAD = "# comment\n\nx, temperature_K, label, kind, x_error, source\n"
GOOD = '0.6, 473, Dodd 2006, boundary, , "a, b"\n'


def test_points_are_read(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(
        "\ufeff" + HEAD + GOOD + "# more\n0.5, 723, Delacourt, single-phase, 0.5,\n", encoding="utf-8"
    )
    found = read_experiment(tmp_path / "points.csv", 0.0, 1.0)
    first, second = found.points
    assert (first.x, first.temperature_K, first.label, first.kind, first.x_error, first.source) == (
        0.6,
        473,
        "Dodd 2006",
        "boundary",
        0,
        "a, b",
    )
    assert (second.x_error, second.temperature_error_K, second.source) == (0.5, 0, "")
    group = found.group()
    assert group.x.tolist() == [0.6, 0.5] and group.temperature_K_error.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + GOOD.replace("0.6", "1.2"), ["line 4, x: found '1.2'; allowed: ions per formula unit, 0 to 1 in this lattice"]),
        (HEAD + GOOD.replace("0.6", "nan"), ["line 4, x: found 'nan'"]),
        (HEAD + GOOD.replace("473", ""), ["line 4, temperature_K: found ''; allowed: a temperature"]),
        (HEAD + GOOD.replace("473", "200 C"), ["line 4, temperature_K: found '200 C'"]),
        (HEAD + GOOD + GOOD.replace("473", "-1").replace("boundary", "eutectoid"), ["line 5, temperature_K: found '-1'",
            "line 5, kind: found 'eutectoid'; allowed: boundary, single-phase, two-phase"]),
        (HEAD + GOOD.replace("Dodd 2006", ""), ["line 4, label: found ''"]),
        (HEAD + GOOD.replace("Dodd 2006", "_Dodd"), ["line 4, label: found '_Dodd'"]),
        (HEAD + GOOD.replace(", ,", ", -0.1,"), ["line 4, x_error: found '-0.1'; allowed: 0 or more"]),
        (HEAD + "0.6, 473, Dodd, 2006, boundary, , a, b\n", ["line 4, row: found 8 cells; allowed: 6"]),
        (HEAD.replace("kind", "phase") + GOOD,
            ["line 3, columns: found x, temperature_K, label, phase, x_error, source; allowed: x, "]),
        (HEAD.replace("kind", "kind, kind") + GOOD, ["line 3, columns"]),
        (HEAD, ["line 3, rows: found none"]),
        ("", ["columns: found none"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_line(text: str, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_experiment(tmp_path / "points.csv", 0.0, 1.0)
    problems = [str(p) for p in caught.value.problems]
    assert len(problems) == len(told) and all(want in found for want, found in zip(told, problems)), problems


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'x,temperature_K,label,kind\n0.1,300,"a,boundary\n'])
def test_unreadable_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    with pytest.raises(RedoxError, match="cannot read"):
        read_experiment(tmp_path / "points.csv", 0.0, 1.0)


def test_the_input_file_names_line_and_key(tmp_path: Path) -> None:
    path = write_input(tmp_path, 40)
    text = path.read_text()
    path.write_text(text.replace("compositions: 9}", "compositions: 9, experiment: points.csv}"))
    (tmp_path / "points.csv").write_text(HEAD + GOOD.replace("0.6", "2") + GOOD.replace("boundary", "gap"))
    with pytest.raises(InputError) as caught:
        prepare(read_input(path))
    line = 1 + [k for k, row in enumerate(path.read_text().splitlines()) if row.startswith("analysis")][0]
    assert [(p.line, p.key) for p in caught.value.problems] == [(line, "analysis.experiment")] * 2
    assert "points.csv, line 4, x: found '2'" in str(caught.value) and "points.csv, line 5, kind: found 'gap'" in str(
        caught.value
    )
    (tmp_path / "points.csv").unlink()
    with pytest.raises(InputError, match=r"analysis\.experiment: cannot read .*points\.csv"):
        prepare(read_input(path))


@pytest.mark.parametrize(("name", "points"), [("lifepo4", 4), ("nafepo4", 3)])
def test_shipped_points(name: str, points: int) -> None:
    """As DESIGN gives them; each says that it is stated, none being digitised."""
    source = read_input(ROOT / f"inputs/{name}.yaml")
    assert source.config.analysis.experiment is not None
    found = read_experiment(source.resolve(source.config.analysis.experiment), 0.0, 1.0).points
    assert len(found) == points and all(p.source.startswith("stated; ") for p in found)
    if name == "lifepo4":
        assert {(p.x, p.temperature_K, p.kind) for p in found} == {
            (0.6, 473, "boundary"), (0.5, 723, "single-phase"), (0.05, 298, "boundary"), (0.89, 298, "boundary")
        }  # fmt: skip
    else:
        assert [p.kind for p in found] == ["two-phase", "boundary", "single-phase"] and abs(found[1].x - 2 / 3) < 1e-3
