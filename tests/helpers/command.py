"""Starting the real command, as a user does, on inputs of the tests' size."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py

from redoxmc.engine.cli import main
from redoxmc.engine.runtime.sample_store import SampleStore

from .paths import ROOT

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


SMALL = f"""\
seed: 3
output: out
lattice:
  structure: {ROOT}/inputs/structures/NaFePO4.cif
  sublattices:
    - {{element: Na, species: {{Na+: 1, Va: 0}}}}
    - {{element: Fe, species: {{Fe2+: 2, Fe3+: 3}}}}
  spectators: {{P: 5, O: -2}}
  supercell: [1, 1, 1]
energy:
  pairs:
    - {{species: [Na+, Fe2+], r_A: [0, 3.9], energy_eV: -0.03}}
sampling:
  temperature_K: [500]
  chemical_potential_eV: {{Na+: {{min: -0.2, max: 0.0, points: 2}}}}
  walkers: 2
  sweeps: {{equilibrate: 20, measure: MEASURE}}
  refine: {{temperatures: 0}}
analysis: {{compositions: 5, entropy_compositions: 2}}
"""


def write_input(folder: Path, measure: int, extra: str = "", text: str = TINY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "input.yaml"
    path.write_text(text.replace("MEASURE", str(measure)) + extra)
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


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Process numbers of the Python ranks below mpirun."""
    parent, arguments = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                arguments[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
    below, found = {process.pid}, []
    while grown := {child for child, p in parent.items() if p in below} - below:
        below |= grown
    for number in sorted(below - {process.pid}):
        words = arguments.get(number, [])
        if any(w.endswith("run.py") for w in words) and "python" in Path(words[0]).name:
            found.append(number)
    return found


def start(path: Path, ranks: int = 2, *options: str, **env: str) -> subprocess.Popen[str]:
    """A run that commits often."""
    return subprocess.Popen(
        command(path, ranks, *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**{"REDOXMC_COMMIT_S": "0.05", **env}),
    )


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9 of mpirun, if there is one, and of all ranks; nothing if it has ended."""
    for victim in {process.pid, *ranks_of(process)} if process.poll() is None else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    process.communicate(timeout=60)


def wait_for_samples(folder: Path, process: subprocess.Popen[str], segments: int = 1) -> None:
    store = SampleStore(folder / "out/samples")
    while store.committed() < segments and process.poll() is None:
        time.sleep(0.02)


def go(folder: Path, *options: str) -> int:
    """Run the command on the folder's input.yaml in this process; its exit code."""
    return main([str(folder / "input.yaml"), *options])
