"""Starting the real command, as a user does, on inputs of the tests' size."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import h5py

from .conftest import ROOT

LABELLED_LATTICE = f"""\
seed: 3
output: out
lattice:
  structure: {ROOT}/inputs/structures/NaFePO4.cif
  sublattices:
    - {{element: Na, species: {{Na+: 1, Va: 0}}}}
    - element: Fe
      species: {{Fe2+: {{charge: 2, moment_muB: 3.7}}, Fe3+: {{charge: 3, proxy: Ga, moment_muB: 4.3}}}}
  spectators: {{P: 5, O: -2}}
"""

TINY = f"""\
title: tiny
seed: 3
output: out
lattice:
  structure: {ROOT}/inputs/structures/NaFePO4.cif
  sublattices:
    - {{element: Na, species: {{Na+: 1, Va: 0}}}}
    - {{element: Fe, species: {{Fe2+: 2, Fe3+: 3}}}}
  spectators: {{P: 5, O: -2}}
  supercell: [1, 2, 1]
energy:
  points: [{{species: Na+, energy_eV: -4.0}}]
  pairs:
    - {{species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.03}}
    - {{species: [Na+, Na+], r_A: [0, 4.0], energy_eV: 0.015}}
sampling:
  temperature_K: [400, 900]
  chemical_potential_eV: {{Na+: {{min: -4.3, max: -3.9, points: 4}}}}
  walkers: 2
  sweeps: {{equilibrate: 50, measure: MEASURE}}
analysis: {{reference_energy_eV: {{Na: -1.3}}, compositions: 9}}
"""


def write_input(folder: Path, measure: int, extra: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "input.yaml"
    path.write_text(TINY.replace("MEASURE", str(measure)) + extra)
    return path


def mpirun() -> list[str]:
    """mpirun of this environment."""
    return [str(Path(sys.executable).parent / "mpirun")]


def command(path: Path, ranks: int = 1, *options: str) -> list[str]:
    return [*(mpirun() + ["-n", str(ranks)] if ranks > 1 else []), sys.executable, str(ROOT / "run.py"), str(path), *options]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **extra}


def run(path: Path, ranks: int = 1, *options: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(path, ranks, *options), capture_output=True, text=True, timeout=timeout, env=environment(**env), check=False
    )


def hashes(path: Path) -> dict[str, str]:
    """Of every dataset of a file; and its mix of moves, if it names one."""
    found: dict[str, str] = {}
    with h5py.File(path) as file:

        def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                value = item[()]
                found[name] = hashlib.sha256(
                    str(value.tolist()).encode() if value.dtype == object else value.tobytes()
                ).hexdigest()

        file.visititems(note)
        found["moves"] = str(file.attrs.get("moves"))
    return found
