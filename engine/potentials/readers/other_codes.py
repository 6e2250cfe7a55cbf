"""Records of outputs of Quantum ESPRESSO and FHI-aims; what CP2K's says."""

import re
from pathlib import Path

import numpy as np
from ase.io.formats import open_with_compression
from numpy.typing import NDArray

from .record import Record

ESPRESSO_STARTS = ("Program PWSCF", "ATOMIC_POSITIONS")  # of a configuration, as in ase.io.espresso
ESPRESSO_RESULTS = (
    "!    total energy", "Forces acting on atoms", "total   stress", "Magnetic moment per site",
    "End of self-consistent calculation", "End of band structure calculation",
)  # fmt: skip
HUBBARD = (
    re.compile(r"\bU\(([A-Z][a-z]?)\d*-\d[spdf]\) *= *([\d.]+)"),  # pw.x 7.1 and later
    re.compile(r"^ +([A-Z][a-z]?)\d* +[0-3] +(\d+\.\d{4}) +\d+\.\d{4} +\d+\.\d{4}", re.MULTILINE),  # earlier
)
MAGNETIC_SITE = re.compile(r"magn[=:]((?: *-?\d+\.\d+)+)")


def espresso_record(path: Path, elements: set[str]) -> Record:
    """The record of an output of pw.x. ASE takes the first table of moments of a step; here it is the last."""
    lines = _lines(path)
    starts = [k for k, line in enumerate(lines) if any(s in line for s in ESPRESSO_STARTS)]
    parts = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)])]
    parts = [p for p in parts if any(r in line for line in p for r in ESPRESSO_RESULTS)]
    failed = tuple(next((line.strip() for line in p if "convergence NOT achieved" in line), None) for p in parts)
    text = "".join(lines)
    settings = {f"U of {e}": "U = 0" for e in elements}
    settings |= {f"U of {e}": f"U = {float(u):g} eV" for table in HUBBARD for e, u in table.findall(text)}
    moments = tuple(_espresso_moments(p) for p in parts)
    return Record(failed, _espresso_unfinished(text, len(parts)), moments, settings, "total magnetization" in text)


def _espresso_unfinished(text: str, n_steps: int) -> str | None:
    if "Molecular Dynamics Calculation" in text:
        return "molecular dynamics"
    relaxes = "BFGS Geometry Optimization" in text or "Damped Dynamics" in text or "FIRE:" in text
    if not relaxes or "bfgs converged in" in text or "convergence achieved" in text:
        return None
    stop = "nstep was reached" if "maximum number of steps has been reached" in text else "it was stopped or killed"
    return f"the relaxation did not converge in {n_steps} steps: {stop}"


def _espresso_moments(lines: list[str]) -> NDArray[np.float64]:
    """The moments of the last table; empty if there is none."""
    tables: list[list[list[float]]] = []
    for line in lines:
        if "Magnetic moment per site" in line:
            tables.append([])
        elif tables and (site := MAGNETIC_SITE.search(line)):
            tables[-1].append([float(v) for v in site[1].split()])
    moments = np.array(tables[-1] if tables else [])
    return moments[:, 0] if moments.ndim == 2 and moments.shape[1] == 1 else moments


def aims_record(path: Path, n_frames: int) -> Record:
    """The record of an output of FHI-aims, of which ASE reads only complete ones. It has no moments of the atoms."""
    text = "".join(_lines(path))
    last_cycle = text.rfind("Self-consistency cycle not yet converged")
    failed = None if last_cycle <= text.rfind("Self-consistency cycle converged") else "Self-consistency cycle not yet converged"
    relaxes = "Geometry relaxation:" in text or "Geometry optimization:" in text
    unfinished = None if not relaxes or "Present geometry is converged" in text else "'Present geometry is converged' is missing"
    channels = re.search(r"\| Number of spin channels *: *(\d)", text)
    return Record((None,) * (n_frames - 1) + (failed,), unfinished, (), {}, channels[1] == "2" if channels else None)


def cp2k_output(path: Path) -> str | None:
    """Why an output of CP2K cannot be read; None for another file."""
    content = path.read_bytes() if path.is_file() else b""
    if b"CP2K|" not in content:
        return None
    failed = "its SCF run did NOT converge; " if b"SCF run NOT converged" in content else ""
    return f"{failed}ASE reads no outputs of CP2K: write structures and energies, in eV, to an extxyz (1 Hartree = 27.2114 eV)"


def _lines(path: Path) -> list[str]:
    with open_with_compression(str(path)) as handle:
        return list(handle)
