"""What --check promises, and what it finds that the run would refuse."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from redoxmc.engine.errors import InputError, RedoxError, did_you_mean
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime import effort
from redoxmc.engine.runtime.mpi import StopWatch
from redoxmc.engine.runtime.sample_store import SampleStore
from redoxmc.engine.runtime.storage import write_json
from redoxmc.engine.sampling.chains.system import build_system
from redoxmc.engine.sampling.conditional_entropies.conditional_entropy_sampling import run_conditional_entropies
from redoxmc.engine.sampling.diagnostics import LEAST_UNITS
from redoxmc.engine.sampling.order_scans.order_scans import run_order_scans
from redoxmc.engine.sampling.order_scans.scan import MOVES
from redoxmc.engine.sampling.phases.phases import run_phases
from redoxmc.engine.sampling.replicas.segments import blocks_of
from redoxmc.engine.sampling.run import run_sampling
from redoxmc.engine.stages import sample
from redoxmc.engine.stages.check import cost
from redoxmc.engine.stages.check.check import check, plan_rows
from redoxmc.engine.stages.check.input_warnings import input_warnings
from redoxmc.engine.stages.check.outlook import missing_results
from redoxmc.engine.stages.prepare import prepare

from ..helpers.paths import STRUCTURE

INPUT = """\
output: out
seed: 5
lattice:
  structure: structure.cif
  sublattices:
    - {element: Na, species: {Na+: 1, Va: 0}}
    - {element: Fe, species: {Fe2+: 2, Fe3+: 3}}
  spectators: {P: 5, O: -2}
  supercell: [1, 2, 2]
energy: {pairs: [{species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.03}]}
sampling:
  temperature_K: [300, 600]
  walkers: 2
  sweeps: {equilibrate: 30, measure: 45}
analysis: {entropy_compositions: 3, reference_energy_eV: {Na: -1.3}}
"""


def prepared(folder: Path, text: str = INPUT) -> Any:
    (folder / "structure.cif").write_bytes(Path(STRUCTURE).read_bytes())
    (folder / "in.yaml").write_text(text)
    return prepare(read_input(folder / "in.yaml"))


@pytest.mark.runs
@pytest.mark.parametrize(
    "change",
    [
        ("{equilibrate: 30, measure: 45}", "{measure: 45}"),
        ("walkers: 2", "walkers: 5\n  rungs: 3"),
        ("walkers: 2", "walkers: 4\n  ensemble: canonical"),
        ("walkers: 2", "walkers: 2\n  second_supercell: [1, 1, 1]"),
        ("Fe3+: 3", "Fe3+: 3, Fe4+: 4"),
    ],
    ids=["as it is", "more walkers", "canonical", "second cell", "three species"],
)
def test_the_moves_promised_are_the_moves_made(change: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, stage by stage, but for the few that draw a chain to a composition; and the temperatures are those of the run."""
    for name in MOVES:
        monkeypatch.setitem(MOVES, name, MOVES[name] / 100)
    run, data = prepared(tmp_path, INPUT.replace(*change))
    promised = cost.cost_of(run, data)
    comm, before = MPI.COMM_WORLD, effort.EFFORT.moves
    systems = [build_system(run.user_terms, cell.system.supercell.matrix, run.ions) for cell in promised.cells]
    for k, system in enumerate(systems):
        run_sampling(system, run.config, SampleStore(tmp_path / f"samples_{k}"), comm, StopWatch(comm))
    stages = {name: work.moves for name, work in promised.by_stage.items()}
    assert effort.EFFORT.moves - before == sum(
        moves for name, moves in stages.items() if name not in ("conditional entropies", "order over temperature", "phases")
    )
    if len(systems) > 1:
        before, store = effort.EFFORT.moves, SampleStore(tmp_path / "samples_0")
        run_order_scans((systems[0], systems[1]), run.config.sampler.temperature_K, 1, store, comm, StopWatch(comm))
        at_most = stages["order over temperature"] + promised.cells[0].order_scans[1].moves
        assert stages["order over temperature"] / 2 <= effort.EFFORT.moves - before <= at_most
        before, both = effort.EFFORT.moves, (systems[0], systems[1])
        run_phases(both, run.config.sampler, list, lambda *_: [0.001, 0.002], 1, store, comm, StopWatch(comm))
        at_most = stages["phases"] + promised.cells[0].phases(systems[1])[1].moves
        assert stages["phases"] / 2 <= effort.EFFORT.moves - before <= at_most
    before = effort.EFFORT.moves
    run_conditional_entropies(systems[0], 3, run.config.seed, SampleStore(tmp_path / "samples_0"), comm, StopWatch(comm))
    assert stages["conditional entropies"] / 2 <= effort.EFFORT.moves - before <= stages["conditional entropies"]


def test_the_plan_names_moves_shells_and_what_is_missing(tmp_path: Path) -> None:
    rows = plan_rows(*prepared(tmp_path), 1)
    plan = dict(rows)
    assert "attempted" in plan["moves"] and "more if phase boundaries are uncertain" in plan["moves"]
    shells = [value for key, value in rows if key == "shells"]
    assert shells[0].startswith("Na around Na, A (number): 3.161 (2), 5.018 (2)") and len(shells) == 3
    assert "not included" not in plan
    run, _ = prepared(
        tmp_path, INPUT.replace("reference_energy_eV: {Na: -1.3}", "beside: nowhere").replace("[300, 600]", "[300]")
    )
    voltage, slopes, beside = missing_results(run)
    assert "no voltage: analysis.reference_energy_eV has no Na" in voltage and "one temperature_K" in slopes
    assert beside.endswith("nowhere holds no results.h5; run that input first")
    run, _ = prepared(tmp_path, INPUT.replace("walkers: 2", "walkers: 2\n  ensemble: canonical"))
    assert "no free energies" in missing_results(run)[0] and "canonical" in missing_results(run)[0]


@pytest.mark.parametrize(("walkers", "enough"), [(2, 360), (4, 200), (10, 40)])
def test_too_few_independent_parts_are_said_before_the_run(walkers: int, enough: int, tmp_path: Path) -> None:
    """The estimator drops half of the bins at most: from the number of sweeps that is named, enough parts are left."""

    def said(measure: int) -> str:
        text = INPUT.replace("walkers: 2", f"walkers: {walkers}\n  exchange_every: 4").replace(
            "measure: 45", f"measure: {measure}"
        )
        return " ".join(input_warnings(*prepared(tmp_path, text)))

    bin_sweeps = blocks_of(4).bin_sweeps
    bins = enough // bin_sweeps
    assert walkers * (bins - bins // 2) >= LEAST_UNITS > walkers * (bins - 2 - (bins - 2) // 2)
    assert "independent parts" not in said(enough)
    if enough > 2 * bin_sweeps:
        assert f"sweeps.measure should be {enough} or more" in said(enough - 2 * bin_sweeps)


def test_a_data_set_without_an_end_is_said(tmp_path: Path) -> None:
    run, data = prepared(tmp_path)
    known = SimpleNamespace(
        fraction=lambda symbol: np.array([0.25, 0.5, 1.0]), energies_eV=-np.ones(3), cells=[], n_formula_units=[]
    )
    fit_data: Any = SimpleNamespace(data=known, warnings=())
    said = " ".join(input_warnings(run, replace(data, fit_data=fit_data)))
    assert "no cell at x = 0, which the run samples" in said and "from x = 0.25 to 1" in said


def test_a_folder_that_the_run_would_refuse_is_found(tmp_path: Path) -> None:
    run, _ = prepared(tmp_path)
    store = run.output.store
    write_json(store.identity, sample.written_identity(run))
    store.ladder.touch()
    check(tmp_path / "in.yaml")
    (tmp_path / "in.yaml").write_text(INPUT.replace("seed: 5", "seed: 6"))
    with pytest.raises(RedoxError, match=r"belong to another input:\n  seed: 5 -> 6"):
        check(tmp_path / "in.yaml")
    check(tmp_path / "in.yaml", fresh=True)
    (tmp_path / "in.yaml").write_text(INPUT.replace("output: out", "output: /proc/out"))
    if os.access("/proc", os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(RedoxError, match="cannot write to the output folder /proc/out"):
        check(tmp_path / "in.yaml")


def test_what_was_probably_meant(tmp_path: Path) -> None:
    assert did_you_mean("temperature", ["temperature_K", "walkers"]) == " (did you mean temperature_K?)"
    assert did_you_mean("xyz", ["temperature_K"]) == ""
    for wrong, said in (
        ("walkers: 2", r"sampling.walker: unknown key; allowed: .* \(did you mean walkers\?\)"),
        ("species: [Na+, Fe2+]", r"found Fe\+2; allowed: Fe2\+, Fe3\+, Na\+, Va \(did you mean Fe2\+\?\)"),
        ("element: Fe", r"found fe; allowed: .* of the structure \(did you mean Fe\?\)"),
    ):
        new = {"walkers: 2": "walker: 2", "species: [Na+, Fe2+]": "species: [Na+, Fe+2]", "element: Fe": "element: fe"}[wrong]
        with pytest.raises(InputError, match=said):
            prepared(tmp_path, INPUT.replace(wrong, new))


def test_rates_of_earlier_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same energy first, then a similar size; another machine, or a damaged file, says nothing."""
    monkeypatch.setattr(effort, "user_cache", lambda: tmp_path)
    monkeypatch.setattr(effort, "EFFORT", effort.Effort())
    effort.record_rate("a", 100, 3.0)
    assert effort.known_rate("a", 100) is None, "nothing was sampled"
    effort.EFFORT.alone.add(10, 100.0)
    effort.EFFORT.alone.add(4_000_000, 2.0)
    effort.record_rate("a", 100, 3.0)
    rate = effort.known_rate("a", 100)
    assert rate is not None and (rate.alone_per_s, rate.rest_s, rate.moves) == (2e6, 1.0, 4_000_010), "the first call loads"
    assert effort.known_rate("b", 150) == rate and effort.known_rate("b", 500) is None
    records = json.loads((tmp_path / "rates.json").read_text())
    (tmp_path / "rates.json").write_text(json.dumps([records[0] | {"host": "another"}]))
    assert effort.known_rate("a", 100) is None
    (tmp_path / "rates.json").write_text("damaged")
    assert effort.known_rate("a", 100) is None
