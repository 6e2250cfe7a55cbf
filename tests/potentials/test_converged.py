"""Runs of VASP that did not converge or relax are left out with the reason; so are settings that differ."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.potentials.calculations import Calculation, label_calculation, read_all, read_calculations
from redoxmc.engine.potentials.readers.record import vasp_settings

from ..helpers.vasp_files import DONE, EDIFF_NOT_REACHED, VaspRun, write_outcar, write_vasprun
from .test_calculations import relaxation
from .test_charges import FE

STATIC = VaspRun(nsw=0, ibrion=-1, finished=False)


def last(path: Path) -> Calculation:
    (found,) = read_calculations(path, every_step=False)
    return found


@pytest.mark.parametrize(
    "run, n_steps, reason",
    [
        (DONE, 3, None),
        (replace(DONE, finished=False), 1, "after 1 ionic steps: it was stopped or killed"),
        (replace(DONE, finished=False), 3, "after 3 ionic steps: it was stopped or killed"),
        (replace(DONE, finished=False, nsw=3), 3, "it ended at NSW = 3"),
        (replace(DONE, nsw=3), 3, None),  # it converged in the last step that was allowed
        (replace(DONE, electronic=(12, 12, 60)), 3, "60 electronic steps, and NELM = 60"),  # VASP 5: "EDIFF is reached"
        (replace(DONE, stop=EDIFF_NOT_REACHED), 3, "EDIFF was not reached in 12 electronic steps"),
        (replace(DONE, electronic=(60, 12)), 3, None),  # only the step that is used counts
        (replace(DONE, stop="--- aborting loop because hard stop was set ---"), 3, "stopped by hand"),
        (STATIC, 1, None),
        (replace(STATIC, nsw=1, ibrion=2), 1, None),
        (replace(STATIC, electronic=(60,)), 1, "NELM = 60"),
        (replace(DONE, ibrion=0, finished=False), 3, "molecular dynamics (IBRION = 0)"),
        (replace(DONE, ibrion=6, finished=False), 3, "finite differences (IBRION = 6)"),
    ],
)
def test_outcars_that_are_used(tmp_path: Path, run: VaspRun, n_steps: int, reason: str | None) -> None:
    write_outcar(tmp_path / "OUTCAR", relaxation()[:n_steps], run=run)
    found = last(tmp_path / "OUTCAR")
    assert found.index == n_steps and found.atoms is not None
    assert (found.left_out is None) if reason is None else (reason in str(found.left_out))
    labelled = label_calculation(found, FE)
    assert labelled.left_out == found.left_out and (labelled.atoms is None) == (reason is not None)


@pytest.mark.parametrize(
    "run, scale, cut, reason",
    [
        (DONE, 1e-3, None, None),
        (DONE, 1, None, r"the largest force is \d\.\d+ eV/A, and EDIFFG = -0.02"),  # stopped by a STOPCAR
        (replace(DONE, nsw=3), 1, None, "the largest force is"),
        (replace(DONE, nsw=3), 1e-3, None, None),
        (DONE, 1e-3, -5, "the file ends in the middle: the relaxation was killed after 3 ionic steps"),
        (DONE, 1e-3, -20, "the file ends in the middle of this step"),
        (replace(STATIC, electronic=(60,)), 1, -5, "NELM = 60"),
        (STATIC, 1, -20, "the file ends in the middle of this step"),
        (replace(DONE, ediffg=1e-3), 1, None, "the energy changed by 1.0e[+]00 eV in the last one, and EDIFFG = 0.001"),
        (replace(DONE, ediffg=2.0), 1, None, None),
        (replace(DONE, ediffg=0.0, nsw=3), 1, None, "it ended at NSW = 3"),
        (replace(DONE, electronic=(12, 12, 60)), 1e-3, None, "NELM = 60"),
        (replace(STATIC, electronic=(60,)), 1, None, "NELM = 60"),
        (STATIC, 1, None, None),
    ],
)
def test_vaspruns_that_are_used(tmp_path: Path, run: VaspRun, scale: float, cut: int | None, reason: str | None) -> None:
    frames = relaxation()[: 1 if run.nsw == 0 else 3]
    for frame in frames:
        frame.calc.results["forces"] = frame.get_forces() * scale
    write_vasprun(tmp_path / "vasprun.xml", frames, run, cut)
    found = last(tmp_path / "vasprun.xml")
    assert (found.left_out is None) if reason is None else re.search(reason, str(found.left_out))
    if cut == -5 and run is DONE:  # the OUTCAR beside it says what the file cannot
        write_vasprun(tmp_path / "vasprun.xml", frames, run)
        write_outcar(tmp_path / "OUTCAR", frames, run=replace(run, finished=False))
        assert "stopped or killed" in str(last(tmp_path / "vasprun.xml").left_out)


def test_training_uses_the_converged_steps(tmp_path: Path) -> None:
    write_outcar(tmp_path / "OUTCAR", relaxation(), run=replace(DONE, electronic=(12, 60, 12), finished=False))
    assert [c.left_out for c in read_calculations(tmp_path / "OUTCAR", True)] == [
        None,
        "60 electronic steps, and NELM = 60",
        None,
    ]


def test_runs_without_spin(tmp_path: Path) -> None:
    for name, write in (("OUTCAR", write_outcar), ("vasprun.xml", write_vasprun)):
        (tmp_path / name[:3]).mkdir()
        write(tmp_path / name[:3] / name, relaxation()[:1], run=replace(STATIC, ispin=1))
        assert "without spin polarisation (ISPIN or nspin = 1) charges of Fe cannot localise" in str(
            label_calculation(last(tmp_path / name[:3] / name), FE).left_out
        )


@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
@pytest.mark.parametrize(
    "other, words",
    [
        (replace(STATIC, hubbard_eV={"Fe": 4.0}), r"U of Fe: U = 5.3 eV, J = 0 eV .*/a/.* and 1 more; U = 4 eV, J = 0 eV .*/c/"),
        (replace(STATIC, hubbard_eV={}), r"U of Fe: U = 5.3 eV, .*; U = 0 in .*/c/"),
        (replace(STATIC, hubbard_eV={"Fe": 5.3}, encut_eV=400.0), r"ENCUT: 520 eV in .*; 400 eV in .*/c/"),
    ],
)
def test_settings_that_differ(tmp_path: Path, name: str, other: VaspRun, words: str) -> None:
    frames, first = relaxation()[:1], replace(STATIC, hubbard_eV={"Fe": 5.3})
    for folder, run in (("a", first), ("b", first), ("c", other)):
        (tmp_path / folder).mkdir()
        (write_outcar if name == "OUTCAR" else write_vasprun)(tmp_path / folder / name, frames, run=run)
    paths = [tmp_path / folder / name for folder in "abc"]
    assert [c.left_out for c in read_all(paths[:2], False)] == [None, None]
    with pytest.raises(RedoxError, match=words):
        read_all(paths, False)
    write_outcar(tmp_path / "c/OUTCAR", frames, run=replace(other, electronic=(60,)))  # what is left out does not count
    assert [bool(c.left_out) for c in read_all([*paths[:2], tmp_path / "c/OUTCAR"], False)] == [False, False, True]


def test_hubbard_parameters_of_species() -> None:
    titles = ["PAW_PBE Fe 06Sep2000", "PAW_PBE Fe 06Sep2000", "PAW_PBE O_s 07Sep2000"]
    tags = {"LDAUL": "2 2 -1", "LDAUU": "5.3 0.0 0.0", "LDAUJ": "0.0 0.0 0.0", "GGA": "--", "LHFCALC": ".FALSE."}
    found = vasp_settings(titles, tags)
    assert found["U of Fe"] == "U = 5.3 eV, J = 0 eV (l = 2, LDAUTYPE = 2) and U = 0" and found["U of O"] == "U = 0"
    assert (found["GGA"], found["LHFCALC"]) == ("PE", "F")
    assert vasp_settings(titles, tags | {"LDAU": "F"})["U of Fe"] == "U = 0"


def test_the_copy_of_the_incar_is_not_believed(tmp_path: Path) -> None:
    """VASP 6 prints the INCAR at the top of the OUTCAR, with LDAUU even if LDAU is off, and the POTCAR titles twice."""
    write_outcar(tmp_path / "OUTCAR", relaxation()[:1], run=STATIC)
    text = (tmp_path / "OUTCAR").read_text()
    (tmp_path / "OUTCAR").write_text(
        " INCAR:\n   LDAU = .FALSE.\n   LDAUL = 2 -1 -1 -1\n   LDAUU = 5 0 0 0\n   ENCUT = 400\n" + text
    )
    settings = last(tmp_path / "OUTCAR").settings
    assert settings["ENCUT"] == "520 eV" and {v for k, v in settings.items() if k.startswith("U of")} == {"U = 0"}
    assert settings["POTCAR of Fe"] == "PAW_PBE Fe 01Jan2000"
