"""Output folders of older formats are read and extended."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from redoxmc.engine.runtime import storage
from redoxmc.engine.runtime.changes import differences, known_before
from redoxmc.engine.runtime.results import read_results
from redoxmc.engine.sampling import diagnostics

from ..helpers.command import go
from ..helpers.paths import ROOT
from .test_faults import replaced


@pytest.mark.runs
@pytest.mark.parametrize("version", [1, 2])
def test_a_run_of_an_older_format_goes_on(
    version: int, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Format 1: from before files had digests; 2: from before every use of random numbers had a stream of its own.

    Samples were left out up to the longest cut of any walker then.
    """
    now = diagnostics.equilibration
    each = lambda series: np.max([now(one) for one in np.split(series, series.shape[-2], axis=-2)], axis=0)  # noqa: E731
    monkeypatch.setattr(diagnostics, "equilibration", each)
    with tarfile.open(ROOT / f"tests/data/format_{version}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"format_{version}"
    old = read_results(folder / "out/results.h5")
    assert old.attributes.format_version == version
    assert old.canonical is not None and old.canonical.free_energy_eV.shape == (1, 5) and old.vcsgc is not None
    kept = {p: p.read_bytes() for p in (folder / "out/samples").rglob("segment_*.h5")}
    assert go(folder, "--until", "analyse") == 0
    with h5py.File(folder / "out/results.h5") as file:
        assert file.attrs["format_version"] == storage.FORMAT_VERSION
        for name in ("x", "energy_eV"):
            assert np.array_equal(file["vcsgc"][name][()], getattr(old.vcsgc, name)), name
    replaced("input.yaml", "measure: 80", "measure: 120")(folder)
    assert go(folder, "--until", "analyse") == 0, said()
    assert {p: p.read_bytes() for p in kept} == kept
    assert read_results(folder / "out/results.h5").attributes.sweeps_measured == 120


def test_keys_that_an_older_program_did_not_know_count_where_they_are_given() -> None:
    old = {"sampling": {"walkers": 2}, "terms": [{"species": "Na+"}]}
    new = {"sampling": {"walkers": 2, "added": 5}, "terms": [{"species": "Na+", "scale": 1.0}], "files": {}}
    assert differences(old, known_before(new, old, {"sampling": {"walkers": 2}, "terms": [{"species": "Na+"}]})) == []
    given = {"sampling": {"added": 5}, "terms": [{"species": "Na+"}]}
    assert differences(old, known_before(new, old, given)) == ["sampling.added: null -> 5"]
    assert differences({"seed": 1}, known_before({"seed": 2}, {"seed": 1}, {})) == ["seed: 1 -> 2"]
