"""Faults of files and disks: one readable message, the right exit code, and nothing lost that was committed.

Where the message names a cure, it is followed, and the results are those of an undisturbed run. What happens to processes is in
test_interruptions.py.
"""

import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime import storage
from redoxmc.engine.runtime.storage import SEAL_LENGTH, read_h5, read_json, write_h5, write_json

from ..helpers.command import LABELLED_LATTICE, SMALL, go, hashes
from ..helpers.paths import STRUCTURE

LABELLED = f"""\
{LABELLED_LATTICE}  supercell: [1, 1, 1]
potential: {{model: tests.helpers.toy_calculator.Springs, options: {{structure: {STRUCTURE}}}}}
relaxation: {{largest_force_eV_per_A: 5.0}}
label: {{configurations: 12, supercells: [[1, 1, 1], [1, 2, 1]]}}
energy: {{cluster_expansion: {{cutoffs_A: [3.5]}}}}
"""
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels and a fit."""
    folder = tmp_path_factory.mktemp("fitted")
    (folder / "input.yaml").write_text(LABELLED + SMALL[SMALL.index("sampling:") :].replace("MEASURE", "40"))
    assert go(folder, "--until", "fit") == 0
    return folder


# What damage does.


def flip(name: str) -> Change:
    """One bit in the middle of a file."""

    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 4
        (folder / name).write_bytes(content)

    return change


def cut(name: str) -> Change:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size * 2 // 3)


def gone(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def replaced(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def of_a_newer_program(name: str) -> Change:
    def change(folder: Path) -> None:
        data, attributes = read_h5(folder / name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "FORMAT_VERSION", storage.FORMAT_VERSION + 1)
            write_h5(folder / name, data, {k: v for k, v in attributes.items() if k != "format_version"})

    return change


def edited(folder: Path) -> None:
    replaced("out/labelled.extxyz", "Properties", "note=edited Properties")(folder)


@dataclass(frozen=True)
class Fault:
    """code: of the same command afterwards; says: in its message. removed: the cure is to remove the file that the message
    names.
    """

    change: Change
    code: int
    says: tuple[str, ...]
    removed: bool = False


SEGMENT = "out/samples/replica_001/segment_0001.h5"
MADE_ANEW = ("is damaged", "remove it and start the run again")
SAMPLES = {
    "bit flipped in a segment": Fault(flip(SEGMENT), 2, (SEGMENT, *MADE_ANEW), True),
    "segment cut short": Fault(cut(SEGMENT), 2, (SEGMENT, *MADE_ANEW), True),
    "segment emptied": Fault(lambda folder: os.truncate(folder / SEGMENT, 0), 2, (SEGMENT, *MADE_ANEW), True),
    "bit flipped in the newest segment": Fault(flip(SEGMENT.replace("1.h5", "2.h5")), 2, MADE_ANEW, True),
    "bit flipped in the first segment": Fault(flip(SEGMENT.replace("1.h5", "0.h5")), 2, MADE_ANEW, True),
    "bit flipped where segments are committed": Fault(flip("out/samples/exchange/segment_0001.h5"), 2, MADE_ANEW, True),
    "segment gone": Fault(gone(SEGMENT), 0, ("a file of segment 1 is missing", "1 of 3 are kept")),
    "bit flipped in the ladder": Fault(flip("out/samples/ladder.h5"), 2, ("ladder.h5", *MADE_ANEW), True),
    "ladder gone": Fault(gone("out/samples/ladder.h5"), 0, ("ladder:",)),
    "bit flipped in conditional entropies": Fault(flip("out/samples/split/rung_000.h5"), 2, MADE_ANEW, True),
    "record of the input cut short": Fault(cut("out/samples/identity.json"), 2, ("identity.json", *MADE_ANEW), True),
    "bit flipped in the results": Fault(flip("out/results.h5"), 0, ("wrote ",)),
    "results cut short": Fault(cut("out/results.h5"), 0, ("wrote ",)),
    "results of another program": Fault(lambda folder: (folder / "out/results.h5").write_text("x = 3"), 0, ("wrote ",)),
    "segment of a newer program": Fault(of_a_newer_program(SEGMENT), 2, (SEGMENT, "has format 4, of a newer RedoxMC")),
    "ladder of a newer program": Fault(of_a_newer_program("out/samples/ladder.h5"), 2, ("has format 4, of a newer RedoxMC",)),
    "input changed half-way": Fault(
        replaced("input.yaml", "-0.03}", "-0.04}"), 2, ("belong to another input", "-0.03", "-0.04", "--fresh")
    ),
    "seed changed half-way": Fault(replaced("input.yaml", "seed: 3", "seed: 4"), 2, ("seed: 3 -> 4", "--fresh")),
}


@pytest.mark.runs
@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str, sampled: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    """After the cure the results are those of the undisturbed run, bit for bit; segments before the damage are the same files."""
    fault, folder = SAMPLES[name], tmp_path / "copy"
    shutil.copytree(sampled, folder)
    fault.change(folder)
    before = {p: p.read_bytes() for p in (folder / "out/samples").rglob("segment_*.h5")}
    assert go(folder, "--until", "analyse") == fault.code
    message = said()
    assert all(word in message for word in fault.says), message
    if fault.code:
        assert {p: p.read_bytes() for p in before} == before
    if fault.removed:
        named = re.search(r"(/\S+) is damaged", message)
        assert named
        Path(named[1]).unlink()
        assert go(folder, "--until", "analyse") == 0, said()
    if fault.removed or fault.code == 0:
        assert hashes(folder / "out/results.h5") == hashes(sampled / "out/results.h5")
        kept = [p for p in before if p.name < ("segment_0001.h5" if "first" not in name else "segment_0000.h5")]
        assert all(p.read_bytes() == before[p] for p in kept)


@pytest.mark.runs
def test_only_report_names_damaged_results(sampled: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(sampled, folder)
    flip("out/results.h5")(folder)
    assert go(folder, "--only", "report") == 2
    message = said()
    assert all(word in message for word in ("results.h5", *MADE_ANEW)), message
    assert go(folder, "--until", "analyse") == 0
    gone("out/results.h5")(folder)
    said()
    assert go(folder, "--only", "report") == 2 and "results.h5 is missing; start the run again, without --only" in said()


@pytest.mark.runs
def test_fresh_is_the_way_out_of_a_changed_input(sampled: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(sampled, folder)
    replaced("input.yaml", "-0.03}", "-0.04}")(folder)
    assert go(folder, "--until", "analyse", "--fresh") == 0
    assert hashes(folder / "out/results.h5") != hashes(sampled / "out/results.h5")


FILES = {
    "bit flipped in the fit": Fault(flip("out/fit.json"), 0, ("fit.json is damaged", "validation error")),
    "fit cut short": Fault(cut("out/fit.json"), 0, ("fit.json is damaged", "validation error")),
    "bit flipped in the expansion": Fault(
        flip("out/cluster_expansion.ce"), 0, ("cluster_expansion.ce is damaged and is made again", "validation error")
    ),
    "label edited": Fault(edited, 0, ("12 of 12 configurations",)),
    "labels cut short": Fault(cut("out/labelled.extxyz"), 0, ("12 of 12 configurations",)),
}


@pytest.mark.runs
@pytest.mark.parametrize("name", FILES)
def test_labels_and_fit(name: str, fitted: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    """What can be made again from what is whole is, and is the same."""
    fault, folder = FILES[name], tmp_path / "copy"
    shutil.copytree(fitted, folder)
    fault.change(folder)
    assert go(folder, "--until", "fit") == fault.code
    message = said()
    assert all(word in message for word in fault.says), message
    ours, theirs = (read_json(p / "out/fit.json") for p in (folder, fitted))
    assert {**ours, "expansion": None} == {**theirs, "expansion": None}  # a tar file holds the time
    assert (folder / "out/labelled.extxyz").read_bytes() == (fitted / "out/labelled.extxyz").read_bytes()


@pytest.mark.runs
def test_a_damaged_relaxation(fitted: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    """A digit of one position; met when the labels are put together again."""
    folder = tmp_path / "copy"
    shutil.copytree(fitted, folder)
    victim = sorted((folder / "out/relaxations").iterdir())[3]
    text = victim.read_text()
    place = text.rindex(".") + 3
    victim.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
    (folder / "out/label.mark").unlink()
    assert go(folder, "--until", "label") == 2
    message = said()
    assert f"{victim}: damaged" in message and "digest" in message and "delete it and run again" in message
    victim.unlink()
    assert go(folder, "--until", "label") == 0
    assert (folder / "out/labelled.extxyz").read_bytes() == (fitted / "out/labelled.extxyz").read_bytes()


GIVEN = {
    "data set cut short": ("dataset", cut("given"), ("line", "energy.cluster_expansion.dataset", "given")),
    "data set empty": ("dataset", lambda f: os.truncate(f / "given", 0), ("energy.cluster_expansion.dataset", "empty")),
    "model cut short": ("model", cut("given"), ("energy.cluster_expansion.model", "given: unreadable cluster expansion")),
    "model of noise": (
        "model",
        lambda f: (f / "given").write_bytes(b"\x00\xff" * 99),
        ("energy.cluster_expansion.model", "given"),
    ),
    "model gone": ("model", gone("given"), ("energy.cluster_expansion.model", "no such file")),
}


@pytest.mark.runs
@pytest.mark.parametrize("name", GIVEN)
def test_files_that_the_input_names(name: str, fitted: Path, tmp_path: Path, said: Callable[[], str]) -> None:
    """Refused, with line and key, before anything is made."""
    key, change, words = GIVEN[name]
    source = {"dataset": "labelled.extxyz", "model": "cluster_expansion.ce"}[key]
    shutil.copy(fitted / "out" / source, tmp_path / "given")
    change(tmp_path)
    cutoffs = "cutoffs_A: [3.5], " if key == "dataset" else ""
    energy = f"energy: {{cluster_expansion: {{{cutoffs}{key}: given}}}}\n"
    (tmp_path / "input.yaml").write_text(
        LABELLED_LATTICE + "  supercell: [1, 1, 1]\n" + energy + SMALL[SMALL.index("sampling:") :].replace("MEASURE", "40")
    )
    assert go(tmp_path) == 2
    message = said()
    assert all(word in message for word in words), message
    assert not (tmp_path / "out").exists()


# Digests.


@pytest.mark.runs
def test_every_flipped_bit_and_every_cut_of_a_segment_is_noticed(sampled: Path, tmp_path: Path) -> None:
    """Or changes nothing of what is read (the digest itself may be what is hit)."""
    whole, draw = (sampled / SEGMENT).read_bytes(), random.Random(1)
    path, good = tmp_path / "segment.h5", read_h5(sampled / SEGMENT)
    places = {*draw.sample(range(8 * len(whole)), 400), *range(8 * (len(whole) - SEAL_LENGTH), 8 * len(whole), 5)}
    noticed = 0
    flipped, shorter = [_flipped(whole, bit) for bit in sorted(places)], [whole[:n] for n in draw.sample(range(len(whole)), 100)]
    both = [content[:-5] for content in flipped]  # the digest is damaged too
    for damaged in (*flipped, *shorter, *both):
        path.write_bytes(damaged)
        try:
            data, attributes = read_h5(path)
        except RedoxError as error:
            assert "is damaged" in str(error)
            noticed += 1
        else:
            assert attributes == good[1] and all(np.array_equal(data[k], v) for k, v in good[0].items())
    assert noticed > 800


def _flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_records_notice_a_changed_number(tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", {"draws": [0.1, 0.25], "none": float("nan")})
    assert read_json(tmp_path / "record.json")["draws"] == [0.1, 0.25]
    replaced("record.json", "0.25", "0.26")(tmp_path)
    with pytest.raises(RedoxError, match=r"record.json is damaged .*; remove it"):
        read_json(tmp_path / "record.json")


# Older and newer formats.


# Disks.
