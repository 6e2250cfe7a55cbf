"""Fixtures of the tests of faults: a finished run, and what the command has written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..helpers.command import SMALL, go


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three segments, without report."""
    folder = tmp_path_factory.mktemp("sampled")
    for measure in (40, 80, 120):
        (folder / "input.yaml").write_text(SMALL.replace("MEASURE", str(measure)))
        assert go(folder, "--until", "analyse") == 0
    assert len(list((folder / "out/samples/exchange").iterdir())) == 3
    return folder


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What has been written to stderr since; at most one error, and never a traceback."""

    def read() -> str:
        text = capsys.readouterr().err
        assert text.count("error:") <= 1 and "Traceback" not in text and "error on rank" not in text, text
        return text

    return read
