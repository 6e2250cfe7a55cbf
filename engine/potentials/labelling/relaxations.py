"""Relaxed configurations on disk, each under the hash of everything that its result depends on."""

import hashlib
import io
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from ...crystal.lattice import Lattice, Supercell
from ...crystal.symmetry import canonical, site_permutations
from ...errors import RedoxError
from ...input.schema import RelaxationInput
from ...runtime.hashes import fingerprint
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import remove_partial, write_text
from ...runtime.task_farm import farm
from ..potential import LabelledCalculator
from ..relax import Relaxed, relax, start
from .configurations import Configuration, key

SEAL = re.compile(r" sha256=[0-9a-f]{64}(?=\n)")


@dataclass(frozen=True)
class Done:
    """A finished relaxation. cell: relaxed, labelled, energy attached; arrays `by_bond`, `by_moment` if known, moments in the calculator."""

    cell: Atoms
    steps: int
    seconds: float
    problem: str | None


@dataclass(frozen=True)
class Relaxations:
    """Relaxations of one lattice with one potential (`mark`: hash of its weights) and one set of settings."""

    folder: Path
    lattice: Lattice
    settings: RelaxationInput
    mark: str

    def path(self, configuration: Configuration) -> Path:
        name = fingerprint(
            key(configuration, self.lattice), self.mark, self.settings.model_dump(mode="json"), _lattice_mark(self.lattice)
        )
        return self.folder / f"{name}.extxyz"

    def run(self, configuration: Configuration, calculator: LabelledCalculator) -> None:
        """Relax its symmetry representative, so that equivalent ones have one energy, and keep it, unless it is there already."""
        path = self.path(configuration)
        if path.exists():
            return
        begin = time.monotonic()
        supercell = Supercell(self.lattice, configuration.supercell(self.lattice).hermite)
        occupation = np.frombuffer(canonical(configuration.occupation(), site_permutations(supercell)), np.int8)
        atoms = start(supercell, occupation, calculator.labels, self.settings)
        found = relax(atoms, calculator, self.settings)
        cell = _to_frame(found, configuration.name, time.monotonic() - begin)
        text = io.StringIO()
        write(text, cell, format="extxyz")
        write_text(path, _sealed(text.getvalue()))

    def read(self, configuration: Configuration) -> Done:
        """Raises RedoxError if the file is damaged; deleting it makes it anew."""
        path = self.path(configuration)
        try:
            text = path.read_text(encoding="utf-8")
            if SEAL.search(text) and _sealed(SEAL.sub("", text)) != text:
                raise ValueError("its digest is not that of its content")
            cell: Any = read(io.StringIO(text), format="extxyz")
            info = cell.info
            return Done(cell, int(info["steps"]), float(info["seconds"]), str(info["problem"]) if "problem" in info else None)
        except Exception as error:  # ase raises whatever its parsers raise
            raise RedoxError(f"{path}: damaged ({type(error).__name__}: {error}); delete it and run again") from None


def relax_all(
    jobs: Sequence[tuple[Relaxations, Configuration]],
    calculators: dict[str, LabelledCalculator],
    comm: Any,
    watch: StopWatch,
    what: str,
) -> None:
    """Relax what is not there yet, a relaxation to a rank at a time; calculators by the mark of their potential. Collective."""
    todo = bcast_from_root(comm, lambda: _missing(jobs))

    def work(number: int) -> None:
        store, configuration = jobs[todo[number]]
        store.run(configuration, calculators[store.mark])

    farm(len(todo), work, comm, watch, what)


def _missing(jobs: Sequence[tuple[Relaxations, Configuration]]) -> list[int]:
    """Numbers of the jobs that are not there yet; of equivalent ones the first. Clears what a killed run left."""
    for folder in {store.folder for store, _ in jobs}:
        remove_partial(folder)
    paths: dict[Path, int] = {}
    for k, (store, configuration) in enumerate(jobs):
        paths.setdefault(store.path(configuration), k)
    return [k for path, k in paths.items() if not path.exists()]


def _sealed(text: str) -> str:
    """With the digest of the whole at the end of the line that holds the properties."""
    number, properties, rest = text.split("\n", 2)
    return f"{number}\n{properties} sha256={hashlib.sha256(text.encode()).hexdigest()}\n{rest}"


def _lattice_mark(lattice: Lattice) -> list[Any]:
    species = [[(sp.name, sp.charge, sp.symbol, sp.moment_muB) for sp in s.species] for s in lattice.sublattices]
    return [
        species,
        sorted(lattice.spectators.items()),
        lattice.atoms.positions.round(6).tolist(),
        np.asarray(lattice.atoms.cell).round(6).tolist(),
        str(lattice.atoms.symbols),
    ]


def _to_frame(found: Relaxed, name: str, seconds: float) -> Atoms:
    cell = found.cell.copy()
    cell.calc = SinglePointCalculator(cell, energy=found.energy_eV, magmoms=found.moments_muB)
    cell.arrays["by_bond"] = found.by_bond
    if found.by_moment is not None:
        cell.arrays["by_moment"] = found.by_moment
    cell.info = {"config": name, "steps": found.steps, "seconds": round(seconds, 2)}
    if found.problem:
        cell.info["problem"] = found.problem
    return cell
