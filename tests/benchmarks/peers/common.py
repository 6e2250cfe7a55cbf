"""What every peer's script shares: reading the job, finding its sites, fitting its couplings, timing it.

Needs numpy only, since it runs in the peers' own environments. The job is what tests/benchmarks/run.py writes:
the primitive cell (cell 3x3, A; fractional; symbols that each site may hold), the cutoffs, a cell of random occupations with
their energies from which a code finds the couplings of its own basis, and the sizes to run. An occupation is a string with one
digit per site, the place of its species in `symbols`; sites are numbered cell by cell.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORST_EV = 1e-7  # of a fit to energies that the couplings can hold exactly
Job = dict[str, Any]
Rates = dict[str, list[float]]


def read_job() -> Job:
    return json.loads(Path(sys.argv[1]).read_text())


def digits(occupation: str) -> NDArray[np.int64]:
    return np.frombuffer(occupation.encode(), np.uint8).astype(np.int64) - ord("0")


def symbols_of(job: Job, occupation: str) -> list[str]:
    """Per site of a cell that holds the occupation."""
    allowed = job["symbols"]
    return [allowed[k % len(allowed)][d] for k, d in enumerate(digits(occupation))]


def positions(job: Job, repeats: list[int]) -> NDArray[np.float64]:
    """(n_sites, 3), A."""
    cells = np.array(np.unravel_index(np.arange(np.prod(repeats)), repeats)).T
    return ((cells[:, None] + np.array(job["fractional"])[None]) @ np.array(job["cell"])).reshape(-1, 3)


def places(job: Job, repeats: list[int], theirs: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each of the sites its place among theirs (sites, 3), A, up to the supercell's periods."""
    inverse = np.linalg.inv(np.array(job["cell"]))

    def keys(x: NDArray[np.float64]) -> list[tuple[int, ...]]:
        period = 10000 * np.array(repeats)
        return [tuple(k) for k in (np.rint(x @ inverse * 10000).astype(int) % period).tolist()]

    found = {key: k for k, key in enumerate(keys(theirs))}
    return np.array([found[key] for key in keys(positions(job, repeats))])


def fit(features: NDArray[np.float64], energies: list[float]) -> NDArray[np.float64]:
    """Couplings (p,) of features (cells, p); exits unless they reproduce the energies, eV."""
    target = np.array(energies)
    couplings = np.linalg.lstsq(features, target, rcond=1e-11)[0]
    worst = np.abs(features @ couplings - target).max()
    if not worst < WORST_EV:
        sys.exit(f"its basis misses the energies of the model by {worst:.2g} eV a cell")
    return couplings


def rates(job: Job, run: Callable[[int], object]) -> list[float]:
    """Steps per second of processor time of run(steps), one figure per repeat.

    The time of a call of a single step, which long runs pay once, is taken off.
    """

    def seconds(steps: int) -> float:
        begin = time.process_time()
        run(steps)
        return time.process_time() - begin

    start_s = min(seconds(1) for _ in range(3))
    stretch, steps, spent = job["seconds"] / job["repeats"], 8, 0.0
    while spent < max(stretch / 4, start_s):
        steps *= 4
        spent = seconds(steps) - start_s
    steps = max(1, int(steps * max(stretch, 4 * start_s) / spent))
    return [steps / (seconds(steps) - start_s) for _ in range(job["repeats"])]


def answer(version: str, size: Job, setup_s: float, energies_eV: list[float], found: dict[str, Rates]) -> None:
    """One JSON line per size. found: by the name of the run, then by the kind of move."""
    line = {"version": version, "sites": size["sites"], "setup_s": setup_s, "energies_eV": energies_eV, "rates": found}
    print("ANSWER " + json.dumps(line), flush=True)
