"""CLEASE: canonical swaps, semigrand flips; one basis function per cluster, the first, on which the sites bear 2, 1, -1, -2."""

import random
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
from ase import Atoms
from clease.calculator import attach_calculator
from clease.corr_func import CorrFunction
from clease.datastructures import SystemChange
from clease.montecarlo import Montecarlo, RandomFlipWithinBasis, RandomSwap, TrialMoveGenerator
from clease.settings import CECrystal, Concentration
from clease.tools import wrap_and_sort_by_position
from common import Job, answer, fit, positions, rates, read_job, symbols_of

WIDER = 2 / 3**0.5  # CLEASE's diameter of a triplet is twice its largest distance from the centre


def settings_of(job: Job, folder: Path) -> CECrystal:
    bases = list(dict.fromkeys(map(tuple, job["symbols"])))
    groups = [[k for k, s in enumerate(job["symbols"]) if tuple(s) == basis] for basis in bases]
    cellpar = Atoms(cell=job["cell"]).cell.cellpar().tolist()
    pairs, triplets = job["cutoffs_A"]
    return CECrystal(
        Concentration(basis_elements=job["symbols"], grouped_basis=groups),
        spacegroup=1,
        basis=job["fractional"],
        cellpar=cellpar,
        size=[1, 1, 1],
        db_name=str(folder / "clease.db"),
        max_cluster_dia=[pairs, triplets * WIDER],
        basis_func_type="polynomial",
    )


def atoms_of(job: Job, repeats: list[int], occupation: str) -> Atoms:
    cell = np.array(job["cell"]) * np.array(repeats)[:, None]
    return Atoms(symbols_of(job, occupation), positions=positions(job, repeats), cell=cell, pbc=True)


def couplings_of(job: Job, settings: CECrystal) -> dict[str, float]:
    """Without those of the wider triplets that the model has not."""
    names = [n for n in settings.all_cf_names if set(n.split("_")[-1]) == {"0"}]
    training, functions, rows = job["training"], CorrFunction(settings), []
    for occupation in training["occupations"]:
        atoms = wrap_and_sort_by_position(atoms_of(job, training["repeats"], occupation))
        found = functions.get_cf_by_names(atoms, names)
        rows.append([len(atoms) * found[name] for name in names])
    couplings = fit(np.array(rows), training["energies_eV"])
    return {name: float(c) for name, c in zip(names, couplings) if abs(c) > 1e-9}


class SwapWithinBasis(TrialMoveGenerator):
    """CLEASE's own swaps, on one of the sublattices drawn at random: its RandomSwap would mix them."""

    def __init__(self, atoms: Atoms, sublattices: list[list[int]]) -> None:
        super().__init__()
        self.swappers = [RandomSwap(atoms, sites) for sites in sublattices]
        self.last = self.swappers[0]

    def get_single_trial_move(self) -> Sequence[SystemChange]:
        self.last = random.choice(self.swappers)
        return self.last.get_single_trial_move()

    def on_move_accepted(self, changes: Sequence[SystemChange]) -> None:
        self.last.on_move_accepted(changes)


def timed(job: Job, atoms: Atoms, temperature_K: float, move: str) -> list[float]:
    bases = list(dict.fromkeys(map(tuple, job["symbols"])))
    sublattices = [[k for k, s in enumerate(atoms.symbols) if s in basis] for basis in bases]
    if move == "swaps":
        generator: TrialMoveGenerator = SwapWithinBasis(atoms, sublattices)
    else:
        generator = RandomFlipWithinBasis(bases, atoms, sublattices)
    steps = Montecarlo(atoms, temperature_K, generator=generator).irun(10**12, call_observers=False)
    return rates(job, lambda number: deque(islice(steps, number), maxlen=0))


def main() -> None:
    job = read_job()
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(job, Path(folder))
        couplings = couplings_of(job, settings)
        for size in job["sizes"]:
            begin = time.perf_counter()
            atoms = attach_calculator(settings, atoms_of(job, size["repeats"], size["occupations"][0]), couplings)
            setup_s = time.perf_counter() - begin

            def occupied(occupation: str, atoms: Atoms = atoms, size: Job = size) -> Atoms:
                atoms.numbers[:] = wrap_and_sort_by_position(atoms_of(job, size["repeats"], occupation)).numbers
                atoms.calc.set_atoms(atoms)
                return atoms

            energies = [float(occupied(o).calc.calculate_energy_from_scratch()) for o in size["occupations"]]
            found = {
                run["name"]: {
                    move: timed(job, occupied(run["occupation"]), run["temperature_K"], move) for move in ("swaps", "flips")
                }
                for run in size["runs"]
            }
            answer("clease " + version("clease"), size, setup_s, energies, found)


if __name__ == "__main__":
    main()
