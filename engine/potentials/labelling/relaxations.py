"""Finished relaxations on disk; a file is named by the hash of everything that its result depends on."""

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
from ...runtime.task_farm import run_tasks
from ..potential import LabelledCalculator
from ..relax import FailureKind, RelaxationFailure, Relaxed, relax, start
from .configurations import Configuration, key

SEAL = re.compile(r" sha256=[0-9a-f]{64}(?=\n)")


@dataclass(frozen=True)
class FinishedRelaxation:
    """A relaxation read from its file.

    cell: the relaxed, labelled structure with energy and, if known, moments attached; its arrays `by_bond` and, if known,
    `by_moment` are charges (atoms,). failure: None if the structure can be used.
    """

    cell: Atoms
    steps: int
    seconds: float
    failure: RelaxationFailure | None

    @property
    def is_minimum(self) -> bool:
        """Whether the energy belongs to a relaxed structure of this crystal, with the prepared charge order or another one."""
        return self.failure is None or self.failure.kind is FailureKind.CHARGE_ORDER_LOST


@dataclass(frozen=True)
class Relaxations:
    """Relaxations of one lattice with one set of settings and one potential; `mark` is the hash of its weights."""

    folder: Path
    lattice: Lattice
    settings: RelaxationInput
    mark: str

    def path(self, configuration: Configuration) -> Path:
        """File of the relaxation of a configuration, existing or to be written."""
        name = fingerprint(
            key(configuration, self.lattice), self.mark, self.settings.model_dump(mode="json"), _lattice_mark(self.lattice)
        )
        return self.folder / f"{name}.extxyz"

    def run(self, configuration: Configuration, calculator: LabelledCalculator) -> None:
        """Relax the symmetry representative of a configuration and write its file, unless the file exists.

        Equivalent configurations have the same representative, and so the same energy.
        """
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

    def read(self, configuration: Configuration) -> FinishedRelaxation:
        """Raises RedoxError if the file is damaged; the next run replaces a deleted file."""
        path = self.path(configuration)
        try:
            text = path.read_text(encoding="utf-8")
            if SEAL.search(text) and _sealed(SEAL.sub("", text)) != text:
                raise ValueError("its content does not match its SHA-256 digest")
            cell: Any = read(io.StringIO(text), format="extxyz")
            info = cell.info
            return FinishedRelaxation(cell, int(info["steps"]), float(info["seconds"]), _failure(info))
        except Exception as error:  # ase raises whatever its parsers raise
            raise RedoxError(f"{path}: damaged ({type(error).__name__}: {error}); delete it and run again") from None


def relax_all(
    jobs: Sequence[tuple[Relaxations, Configuration]],
    calculators: dict[str, LabelledCalculator],
    comm: Any,
    watch: StopWatch,
    what: str,
) -> None:
    """Do all relaxations that have no file yet, as a task farm; calculators are keyed by the mark of their store. Collective."""
    todo = bcast_from_root(comm, lambda: _missing(jobs))

    def work(number: int) -> None:
        store, configuration = jobs[todo[number]]
        store.run(configuration, calculators[store.mark])

    run_tasks(len(todo), work, comm, watch, what)


def _missing(jobs: Sequence[tuple[Relaxations, Configuration]]) -> list[int]:
    """Numbers of the jobs that have no file, one for each file. Removes partial files of a killed run."""
    for folder in {store.folder for store, _ in jobs}:
        remove_partial(folder)
    paths: dict[Path, int] = {}
    for k, (store, configuration) in enumerate(jobs):
        paths.setdefault(store.path(configuration), k)
    return [k for path, k in paths.items() if not path.exists()]


def _sealed(text: str) -> str:
    """Extended XYZ text with its SHA-256 digest added to the line of properties."""
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
    if found.failure:
        cell.info |= {"failure": found.failure.kind.value, "failure_detail": found.failure.detail}
    return cell


def _failure(info: dict[str, Any]) -> RelaxationFailure | None:
    """The failure in the properties of a file. Raises ValueError for an unknown kind."""
    if "failure" in info:
        return RelaxationFailure(FailureKind(info["failure"]), str(info["failure_detail"]))
    return _failure_of_text(str(info["problem"])) if "problem" in info else None


def _failure_of_text(text: str) -> RelaxationFailure:
    """The failure in a file of an earlier version, which held one sentence instead of a kind and a detail."""
    beginnings = {
        "charge order lost: ": FailureKind.CHARGE_ORDER_LOST,
        "the relaxation broke down: ": FailureKind.CALCULATION_FAILED,
        "not converged ": FailureKind.NOT_CONVERGED,
    }
    for beginning, kind in beginnings.items():
        if text.startswith(beginning):
            return RelaxationFailure(kind, text.removeprefix(beginning))
    return RelaxationFailure(FailureKind.LEFT_SITE, text)
