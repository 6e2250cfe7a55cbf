"""Attempted moves per second of RedoxMC and of the peers that are installed, on the identical model, in the same run.

    python tests/benchmarks/run.py [--sizes 144 5760] [--peer smol=/path/to/its/python ...] [--json FILE]

Every code's energies of random occupations must agree with the model's, or its figures are refused. All run on one thread, and
seconds are those of the processor, so that a busy machine disturbs less. See README.md beside this file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from model import CELLS, CUTOFFS_A, benchmark_system, energy_eV, model, olivine
from numpy.typing import NDArray
from ours import DEFAULT, KINDS, equilibrated, lanes, single_chain

from redoxmc.engine.crystal.neutral_states import random_neutral_state

PEERS = ("mchammer", "smol", "clease", "casm")  # mchammer comes with icet, which this interpreter has
SCRIPTS = Path(__file__).resolve().parent / "peers"
TRAINING_SITES, TRAINING = 144, 80
CHECKED = 3
AGREE_EV = 1e-6  # per primitive cell
LANES_OF = ("swaps", "neutral exchanges", "near exchanges", "default")


@dataclass
class Figures:
    """Moves per second by (sites, run, kind of move), and whatever else is to be said of a code."""

    name: str
    rates: dict[tuple[int, str, str], float] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def text(species: NDArray[np.int8]) -> str:
    return "".join(map(str, species.tolist()))


def random_states(n_sites: int, number: int, seed: int) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(0, 2, (number, n_sites)).astype(np.int8)


def energies(n_sites: int, states: NDArray[np.int8]) -> list[float]:
    system = benchmark_system(n_sites, DEFAULT)
    return [energy_eV(system.supercell, model(system.lattice), s) for s in states]


def starts(n_sites: int) -> dict[str, tuple[float, NDArray[np.int8]]]:
    """Name of the run: temperature (K) and first state, half filled."""
    system = benchmark_system(n_sites, DEFAULT)
    half = random_neutral_state(system.supercell, "Na+", sum(system.n_range) // 2, np.random.default_rng(1))
    return {"600 K, random start": (600.0, half), "200 K, equilibrated": (200.0, equilibrated(system, half))}


def make_job(runs: dict[int, dict[str, tuple[float, NDArray[np.int8]]]], seconds: float, repeats: int) -> dict[str, Any]:
    lattice = olivine()
    training = random_states(TRAINING_SITES, TRAINING, 0)
    return {
        "cell": np.asarray(lattice.atoms.cell).tolist(),
        "fractional": lattice.atoms.get_scaled_positions()[lattice.site_atom].tolist(),
        "symbols": [[sp.symbol for sp in lattice.sublattices[g].species] for g in lattice.site_sublattice],
        "cutoffs_A": CUTOFFS_A,
        "training": {
            "repeats": CELLS[TRAINING_SITES],
            "occupations": [text(s) for s in training],
            "energies_eV": energies(TRAINING_SITES, training),
        },
        "sizes": [
            {
                "sites": n,
                "repeats": CELLS[n],
                "occupations": [text(s) for s in random_states(n, CHECKED, 1)],
                "runs": [{"name": k, "temperature_K": t, "occupation": text(s)} for k, (t, s) in by_name.items()],
            }
            for n, by_name in runs.items()
        ],
        "seconds": seconds,
        "repeats": repeats,
    }


def difference(n_sites: int, found: list[float]) -> float:
    """Largest difference from the model's energies of the random states, eV per primitive cell."""
    expected = np.array(energies(n_sites, random_states(n_sites, CHECKED, 1)))
    return float(np.abs(np.array(found) - expected).max() / np.prod(CELLS[n_sites]))


def measure_ours(runs: dict[int, dict[str, tuple[float, NDArray[np.int8]]]], seconds: float, repeats: int) -> list[Figures]:
    alone, together = Figures("RedoxMC"), Figures("RedoxMC, 64 lanes")
    whole = Figures("RedoxMC, whole cell", note="very large cells: not box by box")
    proposals = Figures(
        "  proposals", note="in lanes: of the proposals x replicas, the line above counts those that find what to exchange"
    )
    for n, by_name in runs.items():
        for kind, (mix, charged) in KINDS.items():
            system = benchmark_system(n, mix, charged)
            found_eV = [system.energy_neV(state) * 1e-9 for state in random_states(n, CHECKED, 1)]
            if not (worst := difference(n, found_eV)) < AGREE_EV:
                sys.exit(f"RedoxMC: energies of {n} sites differ from the clusters' sum by {worst:.2g} eV per cell")
            for run, (temperature_K, species) in by_name.items():
                found = single_chain(system, species, temperature_K, seconds, repeats)
                alone.rates[n, run, kind] = found["per_second"]
                alone.more[f"{n} sites, {run}, {kind}: accepted"] = found["accepted"]
                if system.domains:
                    found = single_chain(replace(system, domains=None), species, temperature_K, seconds, repeats)
                    whole.rates[n, run, kind] = found["per_second"]
                if kind in LANES_OF:
                    found = lanes(system, species, temperature_K, seconds, repeats)
                    together.rates[n, run, kind] = found["per_second"]
                    proposals.rates[n, run, kind] = found["proposals_per_second"]
    return [alone, whole, together, proposals] if whole.rates else [alone, together, proposals]


def measure_peer(name: str, python: str | None, job: Path, limit_s: float) -> Figures:
    figures = Figures(name)
    if python is None:
        figures.note = "not installed"
        return figures
    try:
        done = subprocess.run(
            [python, str(SCRIPTS / f"with_{name}.py"), str(job)],
            capture_output=True,
            text=True,
            timeout=limit_s,
            cwd=job.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        output, figures.note = done.stdout, "" if done.returncode == 0 else f"failed: {done.stderr.strip().splitlines()[-1:]}"
    except subprocess.TimeoutExpired as late:
        output = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        figures.note = f"stopped after {limit_s:g} s"
    except OSError as error:
        output, figures.note = "", f"not installed: {error}"
    for line in output.splitlines():
        if line.startswith("ANSWER "):
            _take(figures, json.loads(line.removeprefix("ANSWER ")))
    return figures


def _take(figures: Figures, found: dict[str, Any]) -> None:
    n = found["sites"]
    worst = difference(n, found["energies_eV"])
    figures.more["version"] = found["version"]
    figures.more[f"{n} sites: set-up, s"] = found["setup_s"]
    figures.more[f"{n} sites: energies differ by, eV per cell"] = worst
    if not worst < AGREE_EV:
        figures.note = f"refused: not the same model, energies of {n} sites differ by {worst:.2g} eV per cell"
        return
    for run, kinds in found["rates"].items():
        figures.rates |= {(n, run, kind): float(np.median(rates)) for kind, rates in kinds.items()}


def interpreters(given: list[str]) -> dict[str, str | None]:
    """Interpreter of each peer: --peer NAME=PYTHON, else the environment's REDOXMC_BENCH_NAME, else none."""
    found = {name: os.environ.get(f"REDOXMC_BENCH_{name.upper()}") for name in PEERS}
    found["mchammer"] = found["mchammer"] or sys.executable
    for pair in given:
        name, _, python = pair.partition("=")
        if name not in PEERS or not python:
            sys.exit(f"--peer {pair}: found no NAME=PYTHON with NAME one of {', '.join(PEERS)}")
        found[name] = python
    return found


def table(everything: list[Figures], reference: Figures) -> str:
    """One block per size and run: moves per second, and how many times the peer's our figure is."""
    lines = []
    for n, run in dict.fromkeys((n, run) for n, run, _ in reference.rates):
        lines += ["", f"{n} sites, {run}: moves per second (RedoxMC's single chain / this code)"]
        lines.append(f"{'':24s}" + "".join(f"{kind:>24s}" for kind in KINDS))
        for code in everything:
            cells = []
            for kind in KINDS:
                rate, best = code.rates.get((n, run, kind)), reference.rates[n, run, kind]
                times = "" if code.name.startswith(("RedoxMC", " ")) or not rate else f" ({best / rate:.4g} x)"
                cells.append(f"{'-' if rate is None else f'{rate:,.0f}{times}':>24s}")
            lines.append(f"{code.name:24s}" + "".join(cells) + ("" if any(n == k[0] for k in code.rates) else f"   {code.note}"))
    lines += ["", *(f"{code.name.strip()}: {code.note}" for code in everything if code.note)]
    return "\n".join(lines)


def as_json(everything: list[Figures], reference: Figures) -> dict[str, Any]:
    return {
        "machine": machine(),
        "codes": [
            {
                "name": code.name.strip(),
                "note": code.note,
                **code.more,
                "rates": [
                    {
                        "sites": n,
                        "run": run,
                        "move": kind,
                        "per_second": rate,
                        "ours_over_this": reference.rates[n, run, kind] / rate,
                    }
                    for (n, run, kind), rate in code.rates.items()
                ],
            }
            for code in everything
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[144, 5760], choices=CELLS, help="numbers of sites")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--seconds", type=float, default=0.4, help="per figure")
    parser.add_argument("--repeats", type=int, default=3, help="the figure is their median")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds that a peer may take, set-up included")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    before = machine()["load"]
    runs = {n: starts(n) for n in args.sizes}
    everything = measure_ours(runs, args.seconds, args.repeats)
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps(make_job(runs, args.seconds, args.repeats)))
        for name, python in interpreters(args.peer).items():
            everything.append(measure_peer(name, python, job, args.limit))
    document = {"load_before": before, **as_json(everything, everything[0])}
    args.json.write_text(json.dumps(document, indent=1))
    print(table(everything, everything[0]))
    print(f"\n{document['machine']}; load before {before}; more in {args.json}")


if __name__ == "__main__":
    main()
