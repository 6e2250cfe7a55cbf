"""Routes to the free energy that must notice when the others are wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redoxmc.engine.input.reader import read_input
from redoxmc.engine.input.schema import AnalysisInput
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.samples import Samples, read_samples
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.thermodynamics.analysis import analyse_samples

from ..helpers import shared
from ..helpers.shared import made_once

pytestmark = pytest.mark.runs


@pytest.fixture(scope="module")
def sampled(common: Path) -> tuple[AnalysisInput, System, Samples]:
    path = made_once(common, "sampled", shared.sampled) / "input.yaml"
    given, _ = prepare(read_input(path))
    system = build_system(given.user_terms, given.matrix, given.ions)
    return given.config.analysis, system, read_samples(SampleStore(Path(path.parent / "out/samples")))


def disagreements(sampled: tuple[AnalysisInput, System, Samples], samples: Samples) -> list[str]:
    analysis = analyse_samples(samples, sampled[1], sampled[0], 3)
    canonical = analysis.results.canonical
    assert canonical is not None and canonical.checks is not None
    found = [note for note in analysis.notes if note.startswith("free energies")]
    assert bool(found) == bool((~canonical.checks.routes_agree).any())
    return found


def test_sound_samples_agree(sampled: tuple[AnalysisInput, System, Samples]) -> None:
    assert disagreements(sampled, sampled[2]) == []


def test_ratios_that_are_off_are_noticed_by_all(sampled: tuple[AnalysisInput, System, Samples]) -> None:
    """Mutant: a Hastings factor lost at one count shows in no closure of its own if another makes up for it."""
    tallies = sampled[2].tallies.astype(float)
    tallies[..., 3, 1] *= 1.6
    tallies[..., 5, 1] /= 1.6
    found = disagreements(sampled, replace(sampled[2], tallies=np.rint(tallies).astype(np.int64)))
    assert len(found) == 3
    assert "the least-squares F(T, n)" in found[0] and "by integration over beta" in found[1] and "by MBAR" in found[2]


def test_energies_that_are_off_are_noticed(sampled: tuple[AnalysisInput, System, Samples]) -> None:
    """Mutant: 20 % too much excess energy in the tallies, as a slip of its unit would give."""
    tallies = sampled[2].tallies.astype(float)
    tallies[..., 4] *= 1.2
    found = disagreements(sampled, replace(sampled[2], tallies=np.rint(tallies).astype(np.int64)))
    assert len(found) == 2 and "the least-squares F(T, n)" in found[0] and "by integration over beta" in found[1]
