"""Effective samples of NaFePO4's expansion per thousand sweeps of a chain, and per second, for several mixes of moves.

    python tests/benchmarks/ess.py outputs/nafepo4/cluster_expansion.ce [--x 0.2 0.67] [--temperature 250 800] [--json FILE]

Chains run in lanes, as in the sampler, in a window about x of 1152 sites. The count of ions varies by a few, as exchanges need.
All mixes start from the same states, cooled together. Energy: its residual after a straight line in the count of ions. Ions,
electrons: their longest waves along the three axes, the slowest of these. Errors are those of the mean over chains.
Seconds are of the processor. `-`: most chains are too short to tell.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from icet import ClusterExpansion
from machine import machine
from model import olivine
from mpi4py import MPI
from numpy.typing import NDArray

from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.sampling.chains.chains import Chains, advance_together, ensembles_by_count, start_chains
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.sampling.diagnostics import autocorrelation_time
from redoxmc.engine.sampling.ladder.ladder import Ladder
from redoxmc.engine.sampling.ladder.plan import Plan
from redoxmc.engine.sampling.preparation.tune import tuned_mix
from redoxmc.engine.units import inverse_temperature
from redoxmc.kernels.layout import Ensembles, Record
from redoxmc.kernels.random import new_stream

CELL = (4, 6, 6)
SIGMA = 6.0  # of the window, ions
HOT_K = 1000.0
STRIDE = 4  # sweeps from record to record
COOLING, COOLING_SWEEPS = 80, 60  # steps in temperature, sweeps at each
MOST_STEP = 0.3  # of the window's slope at once: a count that hardly moves must not drive it away
FAMILIES = tuple(asdict(Mix()))
MIXES = {
    "no near swaps": Mix(0.2, 0.2, 0.4, 0.2, 0.0),
    **{f"mostly {name.replace('_', ' ')}s": Mix(**{f: 0.6 if f == name else 0.1 for f in FAMILIES}) for name in FAMILIES},
    "default": Mix(),
}
KINDS = ("energy", "count", "ions", "electrons")
LEAST = 20.0  # autocorrelation times that a chain must hold
Float = NDArray[np.float64]
Figures = dict[str, float]  # nan: most chains are too short to tell


@dataclass(frozen=True)
class Window:
    """Weight exp[slope n - (n - centre)^2 / (2 SIGMA^2)] on the count n of the ion, after the line between the ends of energy."""

    temperature_K: float
    centre: int
    slope: float

    def ensembles(self, system: System, number: int) -> Ensembles:
        tally, beta = empty_tally(system), inverse_temperature(self.temperature_K)
        n = np.arange(len(tally.sums))
        weight = (self.slope + beta * tally.slope) * n - (n - self.centre) ** 2 / (2 * SIGMA**2)
        return ensembles_by_count(system, beta, np.tile(weight, (number, 1)), np.zeros(len(n)))


def run(chains: Chains, system: System, window: Window, sweeps: int) -> Record:
    tally = empty_tally(system)
    ensembles = window.ensembles(system, len(chains))
    rows = np.zeros(len(chains), np.int64)
    return advance_together(chains, system, system.moves, ensembles, tally._replace(sums=tally.sums[None]), rows, sweeps)


def waves(system: System) -> Float:
    """(6, n_sites): cosines of the longest waves along the axes, of the ions' sites, then of the electrons'."""
    atoms = system.supercell.to_atoms(np.zeros(system.supercell.n_sites, np.int8))
    lattice = system.lattice
    positions = atoms.get_scaled_positions().reshape(system.supercell.n_cells, -1, 3)[:, lattice.site_atom].reshape(-1, 3)
    phases = np.cos(2 * np.pi * positions).T
    return np.concatenate([phases * (system.supercell.site_sublattice == g) for g in (0, 1)])


def prepare(system: System, x: float, temperatures_K: list[float], number: int) -> Iterator[tuple[Chains, Window]]:
    """Chains cooled from HOT_K to one temperature after the other, and the slope that holds the count at the window's centre."""
    low, high = system.n_range
    window = Window(HOT_K, round(low + x * (high - low)), 0.0)
    species = [random_neutral_state(system.supercell, "Na+", window.centre, np.random.default_rng([3, r])) for r in range(number)]
    chains = start_chains(system, np.array(species), [new_stream(3, 0, r) for r in range(number)], new_stream(3, 1))
    for t in np.unique(np.concatenate([np.geomspace(HOT_K, min(temperatures_K), COOLING), temperatures_K]))[::-1]:
        window = Window(float(t), window.centre, window.slope)
        record = run(chains, system, window, COOLING_SWEEPS)
        off = float(record.ions.mean() - window.centre) / SIGMA**2
        window = Window(float(t), window.centre, window.slope - float(np.clip(off, -MOST_STEP, MOST_STEP)))
        if t in temperatures_K:
            yield chains, window


def tuned(system: System, chains: Chains, window: Window) -> Mix:
    """As the sampler tunes it, on these chains alone."""
    tally = empty_tally(system)
    steps = np.full((1, len(tally.sums)), window.slope + inverse_temperature(window.temperature_K) * tally.slope)
    temperature_K, centre = np.array([window.temperature_K]), np.array([float(window.centre)])
    plan = Plan(Ladder(temperature_K, temperature_K > 0), (), centre, SIGMA, (), steps, len(chains))
    return tuned_mix(system, plan, chains.species[None, None], 1, MPI.COMM_SELF)


def measure(system: System, start: Chains, window: Window, sweeps: int) -> Figures:
    """Effective samples per thousand sweeps by kind, with errors; milliseconds per sweep of a chain."""
    streams = [new_stream(4, 0, r) for r in range(len(start))]
    chains = start_chains(system, start.species, streams, new_stream(4, 1))
    projections, rows, spent = waves(system).T, [], 0.0
    run(chains, system, window, 10 * STRIDE)
    for _ in range(sweeps // STRIDE):
        begin = time.process_time()
        run(chains, system, window, STRIDE)
        spent += time.process_time() - begin
        rows.append(np.column_stack([chains.energy, chains.ions[:, 0], chains.species @ projections]))
    series = np.array(rows, float).transpose(1, 2, 0)
    ms = 1e3 * spent / (len(rows) * STRIDE) / len(start)
    return {**_effective(series), "ms_per_sweep": ms, "x": series[:, 1].mean() / system.n_range[1]}


def _effective(series: Float) -> Figures:
    """series (chains, 8, records): energy, count, three waves of the ions, three of the electrons."""
    found: Figures = {}
    n = series[:, 1] - series[:, 1].mean(axis=1, keepdims=True)
    slope = (n * series[:, 0]).sum(axis=1) / np.maximum((n**2).sum(axis=1), 1e-9)
    energy = series[:, 0] - slope[:, None] * n
    for kind, parts in zip(KINDS, (energy[:, None], series[:, 1:2], series[:, 2:5], series[:, 5:8])):
        tau = autocorrelation_time(parts).max(axis=1)
        rate = 1e3 / (tau * STRIDE)
        resolved = (series.shape[2] > LEAST * tau) & (np.ptp(parts, axis=2).min(axis=1) > 0)
        found[kind] = float(rate.mean()) if resolved.mean() > 0.5 else np.nan
        found[f"{kind}_error"] = float(rate.std(ddof=1) / np.sqrt(len(rate)))
    return found


def hamiltonian_of(path: Path) -> Hamiltonian:
    return from_icet(ClusterExpansion.read(str(path)), olivine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expansion", type=Path, help="of python run.py inputs/nafepo4.yaml --until fit")
    parser.add_argument("--x", type=float, nargs="+", default=[0.2, 0.5, 0.67])
    parser.add_argument("--temperature", type=float, nargs="+", default=[250.0, 350.0, 500.0], help="K")
    parser.add_argument("--chains", type=int, default=32)
    parser.add_argument("--sweeps", type=int, default=800, help="of each chain per mix, x and temperature")
    parser.add_argument("--json", type=Path, default=Path("ess.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    hamiltonian = hamiltonian_of(args.expansion)
    default, rows = build_system(hamiltonian, np.diag(CELL), ("Na+",)), []
    for x in args.x:
        for chains, window in prepare(default, x, args.temperature, args.chains):
            print(f"\n{window.temperature_K:g} K, x = {x:g}: effective samples per thousand sweeps (per second)")
            print(f"{'':26s}" + "".join(f"{kind:>26s}" for kind in KINDS) + f"{'ms/sweep':>10s}{'mean x':>8s}")
            mixes = {**MIXES, "auto": tuned(default, chains, window)}
            print(f"auto: {mixes['auto']}")
            for name, mix in mixes.items():
                found = measure(default.with_mix(mix), chains, window, args.sweeps)
                rows.append({"temperature_K": window.temperature_K, "asked_x": x, "mix": name, **asdict(mix), **found})
                cells = [_cell(found, kind) for kind in KINDS]
                print(
                    f"{name:26s}" + "".join(f"{c:>26s}" for c in cells) + f"{found['ms_per_sweep']:10.4f}{found['x']:8.3f}",
                    flush=True,
                )
                args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    print(machine())


def _cell(found: Figures, kind: str) -> str:
    if np.isnan(found[kind]):
        return "-"
    return f"{found[kind]:.3g} ± {found[f'{kind}_error']:.2g} ({found[kind] / found['ms_per_sweep']:.3g})"


if __name__ == "__main__":
    main()
