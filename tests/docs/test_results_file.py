"""results.h5: what its groups accept, what is written and read, older layouts, and the page that lists its contents."""

import tarfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from redoxmc.engine.errors import RedoxError
from redoxmc.engine.runtime.results import Attributes, Results, group_classes, read_results, write_results
from redoxmc.engine.runtime.results.canonical import Canonical, Scans
from redoxmc.engine.runtime.results.documentation import page
from redoxmc.engine.runtime.results.migration import MASKS, RENAMED
from redoxmc.engine.runtime.results.order import Dilute, DilutePair
from redoxmc.engine.runtime.results.phase_diagram import Boundaries, Hull, Invariants, PhaseDiagram
from redoxmc.engine.runtime.results.replicas import GrandPotential, Semigrand
from redoxmc.engine.runtime.storage import write_sealed_h5

from ..helpers.blank import blank
from ..helpers.paths import ROOT


def hull() -> Hull:
    values = np.arange(6.0).reshape(2, 3)
    return Hull(
        temperature_K=np.array([300.0, 400.0]),
        x=np.array([0.0, 0.5, 1.0]),
        energy_above_hull_eV=values,
        energy_above_hull_eV_error=values / 10,
        on_hull=values > 2,
    )


def test_shapes_and_types_are_checked() -> None:
    with pytest.raises(ValueError, match="Hull.on_hull: found the length 2 along x; allowed: 3"):
        replace(hull(), on_hull=np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="Hull.x: found the shape"):
        replace(hull(), x=np.zeros((3, 1)))
    with pytest.raises(TypeError, match="on_hull: found float64; allowed: bool"):
        replace(hull(), on_hull=np.zeros((2, 3)))
    with pytest.raises(TypeError, match="Hull.x is missing"):
        replace(hull(), x=None)  # type: ignore[arg-type]
    short = Scans(up_mixing_free_energy_eV=np.zeros((1, 1)), down_mixing_free_energy_eV=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="Canonical.scan_up_mixing_free_energy_eV: found the length 1 along x"):
        blank(Canonical, temperature_K=[300.0], x=[0.0, 1.0], scan=short)


def everything() -> Results:
    """A group of every kind, with parts, text, empty arrays and several ions."""
    ions = ("Na+", "Li+")
    axes = {ion: np.arange(2.0 + k) for k, ion in enumerate(ions)}
    x = {ion: np.full((1, 2, 3), k) for k, ion in enumerate(ions)}
    several = Semigrand(
        **{name: np.zeros((1, 2, 3)) for name in SERIES},
        temperature_K=np.array([300.0]),
        chemical_potential_by_ion_eV=axes,
        x_by_ion=x,
        x_by_ion_error=x,
        move=np.array(["swap"]),
        acceptance=np.ones((1, 2, 3, 1)),
        equilibrated_after_sweeps=np.zeros((1, 2, 3), int),
        trusted=np.ones((1, 2, 3), bool),
    )
    pair = DilutePair(
        pair="Na+ and Fe2+",
        distance_A=np.array([3.0]),
        random_probability=np.ones(1),
        binding_energy_eV=np.zeros(1),
        probability=np.ones((1, 1)),
    )
    attributes = Attributes(title="all", ion="", notes=["ΔF", "second"], formula_unit={"Na": 1, "O": 2})
    return Results(attributes, hull=hull(), semigrand=several, dilute=Dilute(temperature_K=np.array([300.0]), high=pair))


SERIES = (
    "energy_eV",
    "energy_eV_error",
    "autocorrelation_sweeps",
    "ess",
    "r_hat",
    "heat_capacity_mu_kB",
    "heat_capacity_mu_kB_error",
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = everything()
    write_results(tmp_path / "results.h5", written)
    read = read_results(tmp_path / "results.h5")
    assert read.groups.keys() == written.groups.keys() and read.canonical is None
    assert replace(read.attributes, format_version=None).file_attributes() == written.attributes.file_attributes()
    for name, group in written.groups.items():
        found = read.groups[name]
        assert found.file_attributes() == group.file_attributes() and found.datasets().keys() == group.datasets().keys()
        for key, variable in group.datasets().items():
            other = found.datasets()[key]
            assert other.dims == variable.dims and np.array_equal(other.values, variable.values), (name, key)
    with h5py.File(tmp_path / "results.h5") as file:
        assert set(file["dilute"]) == {"temperature_K", "high_shell", *(f"high_{n}" for n in PAIR)}
        x = file["semigrand/x_Li+"]
        assert [d[0].name for d in x.dims] == [f"/semigrand/{n}" for n in SEVERAL] and "Li+" in x.attrs["long_name"]
        assert file["hull/energy_above_hull_eV_error"].attrs["units"] == "eV/fu"
        assert not file.attrs["ion"] and "seed" not in file.attrs


PAIR = ("distance_A", "random_probability", "binding_energy_eV", "probability")
SEVERAL = ("temperature_K", "chemical_potential_Na+_eV", "chemical_potential_Li+_eV")


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_older_formats_are_read(version: int, tmp_path: Path) -> None:
    """What they do not have is nan: where the barrier of a region vanishes, and (format 1) temperatures of pairs of replicas."""
    with tarfile.open(ROOT / f"tests/data/format_{version}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    read = read_results(tmp_path / f"format_{version}/out/results.h5")
    assert read.attributes.format_version == version and read.attributes.formula_unit == {"Na": 1, "Fe": 1, "P": 1, "O": 4}
    assert read.canonical is not None and read.canonical.split is not None and read.canonical.checks is not None
    assert read.phase_diagram is not None and read.phase_diagram.invariant.height_vanishes_K.shape[1] == 2
    assert read.exchange is not None and np.isnan(read.exchange.pair_temperature_K).all() == (version == 1)
    write_results(tmp_path / "again.h5", read)
    assert read_results(tmp_path / "again.h5").groups.keys() == read.groups.keys()


GRAND = ("grand_potential_eV", "grand_potential_eV_error", "x_from_free_energy", "x_from_free_energy_error")


def test_names_of_older_layouts_are_read(tmp_path: Path) -> None:
    """Layout 4 called the uncertainty by the fit `couplings`; layout 5 had no masks of the grand potential."""
    points = blank(Boundaries, x=[0.1, 0.9], x_fit_uncertainty=[0.01, 0.02])
    kelvin = blank(Invariants, temperature_K=[300.0], temperature_K_fit_uncertainty=[2.0])
    mixing = np.full((1, 2), 1e-3)
    canonical = blank(Canonical, temperature_K=[300.0], x=[0.0, 1.0], mixing_free_energy_eV_fit_uncertainty=mixing)
    grand = {name: np.ones((1, 2)) for name in GRAND} | {name: np.ones((1, 2), bool) for name in MASKS}
    semigrand = blank(Semigrand, temperature_K=[300.0], chemical_potential_eV=[0.0, 1.0], grand=GrandPotential(**grand))
    diagram = blank(PhaseDiagram, boundary=points, invariant=kelvin)
    results = Results(Attributes(), canonical=canonical, semigrand=semigrand, phase_diagram=diagram)
    write_results(tmp_path / "results.h5", results)
    old_names = {new: old for old, new in RENAMED.items()}

    def as_before(target: h5py.File) -> None:
        with h5py.File(tmp_path / "results.h5") as source:
            for group in source:
                source.copy(group, target)
                for new in set(target[group]) & set(old_names):
                    target[group].move(new, old_names[new])
            for name in MASKS:
                del target["semigrand"][name]

    write_sealed_h5(tmp_path / "old.h5", as_before)
    read = read_results(tmp_path / "old.h5")
    assert read.canonical is not None and read.phase_diagram is not None and read.canonical.criteria is None
    assert read.semigrand is not None and read.semigrand.grand is not None
    assert not any(getattr(read.semigrand.grand, name).any() for name in MASKS), "what nothing is known of is not trusted"
    for found, wanted in (
        (read.canonical.mixing_free_energy_eV_fit_uncertainty, mixing),
        (read.phase_diagram.boundary.x_fit_uncertainty, [0.01, 0.02]),
        (read.phase_diagram.invariant.temperature_K_fit_uncertainty, [2.0]),
    ):
        assert found is not None and np.array_equal(found, wanted)


def test_a_layout_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_group("hull").create_dataset("x", data=np.zeros(2))

    write_sealed_h5(tmp_path / "results.h5", fill)
    with pytest.raises(RedoxError, match="older RedoxMC.*temperature_K.*run the stage analyse again"):
        read_results(tmp_path / "results.h5")


def test_the_page_is_current() -> None:
    text = page()
    assert (ROOT / "docs/results_file.md").read_text(encoding="utf-8") == text
    assert all(f"`/{name}`" in text for name in group_classes())
