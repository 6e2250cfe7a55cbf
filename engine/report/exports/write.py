"""Writes outputs/NAME/exports."""

import logging
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...errors import RedoxError
from ...runtime.results import Results
from ...runtime.storage import write_text
from .calphad import J_PER_MOL, CalphadModel, fit_model
from .deviation import Deviation, deviation
from .formula import canonical_of, rows_asked_for
from .hull_entries import as_json, phase_diagrams
from .readback import pycalphad_energy_J_per_mol
from .redraw import check_redrawn
from .tdb import tdb_text

log = logging.getLogger("redoxmc")


def write_exports(results: Results, folder: Path) -> str:
    """Everything anew; returns in words what is there, how far it deviates, and why something is not there."""
    for old in (*folder.glob("phase_diagram_*K.json"), *folder.glob("*.tdb")):
        old.unlink()
    parts = [
        _or_why_not("pymatgen phase diagram", write_diagrams, results, folder),
        _or_why_not("TDB", write_tdb, results, folder),
    ]
    said = ". ".join(parts)
    log.info("exports: %s", said)
    return said + "."


def _or_why_not(what: str, write: Callable[[Results, Path], str], results: Results, folder: Path) -> str:
    try:
        return write(results, folder)
    except RedoxError as error:
        return f"No {what}: {error}"


def write_diagrams(results: Results, folder: Path) -> str:
    """phase_diagram_<T>K.json for monty's loadfn."""
    found = phase_diagrams(results)
    for t, diagram in found.items():
        write_text(folder / f"phase_diagram_{t:g}K.json", as_json(diagram))
    return f"pymatgen phase diagrams at {len(found)} temperatures"


def write_tdb(results: Results, folder: Path) -> str:
    """The database, with its deviation from the run in its header; as pycalphad reads it, if that is installed.

    Raises RedoxError, and leaves no file, if the two-phase regions of the model are not those of the run, or if pycalphad draws
    others.
    """
    model = fit_model(results)
    path, how_far = folder / f"{model.unit.name}.tdb", deviation(model, results)
    if other := how_far.other_regions:
        raise RedoxError(f"its diagram would have other two-phase regions than this run ({len(other)}; {other[0]}). {how_far}")
    write_text(path, tdb_text(model, how_far, results.attributes.title))
    said = f"CALPHAD database {path.name}: {how_far}"
    if not find_spec("pycalphad"):
        return f"{said}; not redrawn, since pycalphad is not installed"
    canonical = canonical_of(results)
    try:
        temperatures_K = canonical.temperature_K[rows_asked_for(canonical)].tolist()
        check_redrawn(path, model, temperatures_K, float(canonical.x[1] - canonical.x[0]))
    except RedoxError:
        path.unlink()
        raise
    return said + _as_pycalphad_reads(model, results, path)


def _as_pycalphad_reads(model: CalphadModel, results: Results, path: Path) -> str:
    who = f"; as pycalphad {version('pycalphad')} reads it: "
    try:
        back = _read_back(model, results, path)
    except Exception as error:  # anything: a check that fails must not cost the report
        return f"{who}not at all ({type(error).__name__}: {error})"
    return f"{who}RMS {1e3 * back.rms_eV:.2f}, largest {1e3 * back.largest_eV:.2f} meV/fu"


def _read_back(model: CalphadModel, results: Results, path: Path) -> Deviation:
    canonical = canonical_of(results)
    x, t = canonical.x, canonical.temperature_K[rows_asked_for(canonical)]
    energy = np.array([pycalphad_energy_J_per_mol(path, model, float(v), x) for v in t])
    return deviation(model, results, energy / J_PER_MOL + model.zero_line_eV(x))
