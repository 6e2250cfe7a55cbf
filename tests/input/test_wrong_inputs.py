"""Thousands of wrong inputs: each is refused in words or gives the plan that was asked for; no traceback, no hang."""

import contextlib
import io
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from redoxmc.engine.crystal.files import read_frames
from redoxmc.engine.input.reader import read_input
from redoxmc.engine.runtime.mpi import run_on_all_ranks
from redoxmc.engine.stages.check.check import print_plan
from redoxmc.engine.stages.prepare import prepare
from redoxmc.engine.stages.shared.run import RootData, Run

from ..helpers.good_inputs import DOCUMENTS, as_yaml, write_good_files
from ..helpers.wrong_bytes import CIF_WORDS, XYZ_WORDS, YAML_WORDS, mutated_bytes
from ..helpers.wrong_inputs import mutated_documents, schema_documents

LONGEST_S = 60.0  # of one check, of a tenth of a second, on a machine that does much else
MOST_MEMORY = 6 * 2**30  # beyond what is mapped already
MOST_WORDS = 20_000
Plan = tuple[Run, RootData]


class TooLong(Exception):
    """Not one that a user could mend: it ends a check as a fault."""


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """A check that hangs, or eats the memory, ends with an exception."""

    def ring(*_: Any) -> None:
        raise TooLong(f"after {LONGEST_S} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MOST_MEMORY, hard))
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def check(path: Path) -> tuple[int, str, Plan | None]:
    """What run.py --check does, in this process: exit code, what it said, and the plan if there is one."""
    found: list[Plan] = []

    def work() -> None:
        found.append(prepare(read_input(path)))
        print_plan(*found[0], 1)

    said = io.StringIO()
    with limits(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = run_on_all_ranks(work)
    return code, said.getvalue(), found[0] if found else None


def judge(folder: Path) -> Plan | None:
    """The plan, if there is one; else it was refused in words that a person can read. Nothing was written either way."""
    before = sorted(p.name for p in folder.iterdir())
    code, said, plan = check(folder / "input.yaml")
    assert sorted(p.name for p in folder.iterdir()) == before
    assert "Traceback" not in said
    if code == 0:
        assert plan is not None and said.rstrip().endswith("The input is valid. Nothing was run.")
        _holds(plan)
        return plan
    assert code == 2 and said.startswith("error: ") and 10 < len(said) < MOST_WORDS, said[-2000:]
    return None


def _leaves(node: Any) -> Iterator[Any]:
    """Keys and values of a document, none of them a container."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from _leaves(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _leaves(value)
    elif node is not None:
        yield node


def _holds(plan: Plan) -> None:
    """All that the file says is in the plan as it stands there, and the plan can be carried out."""
    said = set(map(_comparable, _leaves(YAML(typ="safe", pure=True).load(plan[0].source.text))))
    taken = set(map(_comparable, _leaves(plan[0].config.model_dump(mode="json"))))
    assert said <= taken | {("str", "auto")}, said - taken
    assert np.isfinite(plan[0].lattice.atoms.positions).all()
    if (known := plan[1].fit_data) is not None:
        assert np.isfinite(known.vectors).all() and np.isfinite(known.data.energies_eV).all()


def _comparable(value: Any) -> tuple[str, Any]:
    """true is not 1, and "1" is not 1; but 1.0 is, as a key may be either."""
    try:
        return ("number", float(value)) if not isinstance(value, bool) else ("bool", value)
    except (TypeError, ValueError):
        return ("str", str(Path(value)) if value else value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    write_good_files(folder)
    return folder


def try_documents(folder: Path, contents: st.SearchStrategy[bytes], n: int) -> Counter[str]:
    def one(content: bytes) -> bool:
        (folder / "input.yaml").write_bytes(content)
        return judge(folder) is not None

    return _try(one, contents, n)


def try_structures(folder: Path, n: int) -> Counter[str]:
    good = (folder / "good.cif").read_bytes()
    formula = b'_chemical_formula_sum              "Na4 Fe4 P4 O16"'
    assert formula in good

    def one(content: bytes) -> bool:
        (folder / "good.cif").write_bytes(content)
        plan = judge(folder)
        if plan and formula in content:  # else there is nothing to tell a missing site by
            counts = Counter(plan[0].lattice.atoms.get_chemical_symbols())
            assert {e: c // gcd(*counts.values()) for e, c in counts.items()} == {"Na": 1, "Fe": 1, "P": 1, "O": 4}
        return plan is not None

    (folder / "input.yaml").write_bytes(as_yaml(DOCUMENTS["typed"]))
    try:
        return _try(one, mutated_bytes(good, CIF_WORDS), n)
    finally:
        (folder / "good.cif").write_bytes(good)


def try_data_sets(folder: Path, n: int) -> Counter[str]:
    good = (folder / "good.extxyz").read_bytes()

    def one(content: bytes) -> bool:
        (folder / "good.extxyz").write_bytes(content)
        plan = judge(folder)
        if plan:
            assert plan[1].fit_data is not None
            frames = {f.info.get("config", k): f for k, f in enumerate(read_frames(folder / "good.extxyz")[1])}
            data, table = plan[1].fit_data.data, plan[1].fit_data.table
            assert len(table.frames) == len(frames) and len(data.cells) == len(table.used)
            if len(table.used) == len(table.frames):
                energies = [f.get_potential_energy() for f in frames.values()]
                assert np.allclose(sorted(data.energies_eV * data.n_formula_units), sorted(energies))
        return plan is not None

    (folder / "input.yaml").write_bytes(as_yaml(DOCUMENTS["fitted"]))
    try:
        return _try(one, mutated_bytes(good, XYZ_WORDS), n)
    finally:
        (folder / "good.extxyz").write_bytes(good)


def _try(one: Callable[[bytes], bool], contents: st.SearchStrategy[bytes], n: int) -> Counter[str]:
    """How many different ones were accepted and refused."""
    seen: dict[bytes, bool] = {}

    @settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(contents)
    def run(content: bytes) -> None:
        if content not in seen:
            seen[content] = one(content)

    run()
    return Counter("accepted" if accepted else "refused" for accepted in seen.values())


def try_all(folder: Path, thousandths: int) -> Counter[str]:
    """Of documents mutated and drawn from the schema, and of the bytes of input files, structures and data sets."""
    text = st.sampled_from(sorted(DOCUMENTS)).flatmap(lambda name: mutated_bytes(as_yaml(DOCUMENTS[name]), YAML_WORDS))
    return (
        try_documents(folder, mutated_documents(), 2200 * thousandths // 1000)
        + try_documents(folder, schema_documents(), 1300 * thousandths // 1000)
        + try_documents(folder, text, 1300 * thousandths // 1000)
        + try_structures(folder, 700 * thousandths // 1000)
        + try_data_sets(folder, 250 * thousandths // 1000)
    )


def test_the_good_documents_are_good(folder: Path) -> None:
    """Else nothing would be learned from their mutants."""
    for document in DOCUMENTS.values():
        (folder / "input.yaml").write_bytes(as_yaml(document))
        assert judge(folder) is not None


@pytest.mark.parametrize(
    ("number", "least"),
    [(15, 50), pytest.param(1250, 5000, marks=pytest.mark.validate)],
)
def test_many_wrong_inputs(folder: Path, number: int, least: int) -> None:
    found = try_all(folder, number)
    print(dict(found))
    assert found.total() >= least and found["refused"] > found["accepted"] > 0


def test_a_fault_is_not_taken_for_a_refusal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: a bug, a hang and a number that is dropped are all seen."""
    (folder / "input.yaml").write_bytes(as_yaml(DOCUMENTS["typed"]))

    def stumble(*_: Any) -> None:
        raise KeyError("a bug")

    def hang(*_: Any) -> None:
        while True:
            pass

    for wrong in (stumble, hang):
        monkeypatch.setattr("tests.input.test_wrong_inputs.LONGEST_S", 0.5)
        monkeypatch.setattr("tests.input.test_wrong_inputs.prepare", wrong)
        with pytest.raises(AssertionError):
            judge(folder)
    monkeypatch.undo()
    source = read_input(folder / "input.yaml")
    plan = prepare(source)
    _holds(plan)
    object.__setattr__(source, "text", source.text.replace("-0.03", "-0.04"))
    with pytest.raises(AssertionError):
        _holds(plan)
