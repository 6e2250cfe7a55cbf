"""Effective samples of NaFePO4's expansion per million attempted moves, and per second, for several mixes of moves.

    python tests/benchmarks/ess.py outputs/nafepo4/cluster_expansion.ce [--x 0.2 0.67] [--temperature 250 800] [--json FILE]

One chain in a window about x (the count of ions varies by a few, which exchanges need), 1152 sites. Energy: what is left of it after
a straight line in the count; ions, electrons: their longest waves along the three axes, the slowest of these. Attempts are counted
whether or not they find sites; seconds are those of the processor. `-`: the chain is too short to tell.
"""

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from icet import ClusterExpansion
from machine import machine
from model import olivine
from numpy.typing import NDArray

from redoxmc.engine.diagnostics import autocorrelation_time
from redoxmc.engine.hamiltonian.clusters import from_icet
from redoxmc.engine.hamiltonian.terms import Hamiltonian
from redoxmc.engine.moves import Mix
from redoxmc.engine.neutrality import random_neutral_state
from redoxmc.engine.sampling.chain import Chain, advance, start_chain
from redoxmc.engine.sampling.plan import empty_tally
from redoxmc.engine.system import System, build_system, inverse_temperature
from redoxmc.kernels.layout import Ensemble
from redoxmc.kernels.random import new_stream

CELL = (4, 6, 6)
SIGMA = 6.0  # of the window, ions
HOT_K = 1000.0
SLOW_K, SLOW_SWEEPS = 400.0, 4  # records every sweep, at and below SLOW_K every so many
TIMED_SWEEPS = 500
COOLING, COOLING_SWEEPS = 80, 60  # steps in temperature, sweeps at each
MOST_STEP = 0.3  # of the window's slope at once: a count that hardly moves must not drive it away
MIXES = {
    "swaps": Mix(1, 0, 0, 0),
    "+ near exchanges": Mix(0.5, 0, 0.5, 0),
    "+ pair hops": Mix(0.5, 0, 0, 0.5),
    "+ neutral exchanges": Mix(0.5, 0.5, 0, 0),
    "auto": Mix(),
}
KINDS = ("energy", "ions", "electrons")
LEAST = 20.0  # autocorrelation times that a chain must hold
Float = NDArray[np.float64]
Figures = dict[str, float]  # nan: the chain is too short to tell


@dataclass(frozen=True)
class Window:
    """Weight exp[slope n - (n - centre)^2 / (2 SIGMA^2)] on the count n of the ion, after the line between the ends of energy."""

    temperature_K: float
    centre: int
    slope: float

    def ensemble(self, system: System) -> Ensemble:
        tally, beta = empty_tally(system), inverse_temperature(self.temperature_K)
        n = np.arange(len(tally.sums))
        weight = (self.slope + beta * tally.slope) * n - (n - self.centre) ** 2 / (2 * SIGMA**2)
        return Ensemble(beta, np.zeros(1), weight, np.zeros(len(n)), system.step)


def waves(system: System) -> Float:
    """(6, n_sites): cosines of the longest waves along the axes, of the ions' sites, then of the electrons'."""
    atoms = system.supercell.to_atoms(np.zeros(system.supercell.n_sites, np.int8))
    lattice = system.lattice
    positions = atoms.get_scaled_positions().reshape(system.supercell.n_cells, -1, 3)[:, lattice.site_atom].reshape(-1, 3)
    phases = np.cos(2 * np.pi * positions).T
    return np.concatenate([phases * (system.supercell.site_sublattice == g) for g in (0, 1)])


def prepare(system: System, x: float, temperature_K: float) -> tuple[Chain, Window]:
    """An equilibrated chain, and the window's slope that keeps the count about its centre."""
    low, high = system.n_range
    window = Window(HOT_K, round(low + x * (high - low)), 0.0)
    species = random_neutral_state(system.supercell, "Na+", window.centre, np.random.default_rng(3))
    chain, tally = start_chain(system, species, new_stream(3, 0)), empty_tally(system)
    for t in np.geomspace(HOT_K, temperature_K, COOLING):
        window = Window(float(t), window.centre, window.slope)
        record = advance(chain, system, system.moves, window.ensemble(system), tally, COOLING_SWEEPS)
        off = float(record.ions.mean() - window.centre) / SIGMA**2
        window = Window(float(t), window.centre, window.slope - float(np.clip(off, -MOST_STEP, MOST_STEP)))
    return chain, window


def measure(system: System, start: Chain, window: Window, seconds: float) -> Figures:
    """Effective samples per million attempts by kind; attempts per second; share accepted."""
    stride = 1 if window.temperature_K > SLOW_K else SLOW_SWEEPS
    chain = Chain(start.species.copy(), start.energy, start.ions.copy(), new_stream(4, 0))
    tally, ensemble, projections = empty_tally(system), window.ensemble(system), waves(system)
    advance(chain, system, system.moves, ensemble, tally, 10 * stride)
    begin = time.process_time()
    record = advance(chain, system, system.moves, ensemble, tally, TIMED_SWEEPS)
    per_second = float(record.tried.sum()) / (time.process_time() - begin)
    rows, tried, accepted = [], 0, 0
    while time.process_time() - begin < seconds:
        record = advance(chain, system, system.moves, ensemble, tally, stride)
        tried, accepted = tried + int(record.tried.sum()), accepted + int(record.accepted.sum())
        rows.append([chain.energy, chain.ions[0], *(projections @ chain.species)])
    series = np.array(rows, float).T
    return {
        **_effective(series, tried / 1e6),
        "attempts_per_second": per_second,
        "accepted": accepted / tried,
        "x": series[1].mean() / system.n_range[1],
    }


def _effective(series: Float, million_attempts: float) -> Figures:
    energy, n, others = series[0], series[1], series[2:]
    if np.ptp(n):
        energy = energy - np.polyval(np.polyfit(n - n.mean(), energy, 1), n - n.mean())
    times = [autocorrelation_time(energy), autocorrelation_time(others[:3]).max(), autocorrelation_time(others[3:]).max()]
    moved = [np.ptp(energy) > 0, *(np.ptp(others[k : k + 3], axis=1).min() > 0 for k in (0, 3))]
    length = series.shape[1]
    return {
        kind: length / tau / million_attempts if ok and length > LEAST * tau else np.nan
        for kind, tau, ok in zip(KINDS, map(float, times), moved)
    }


def hamiltonian_of(path: Path) -> Hamiltonian:
    return from_icet(ClusterExpansion.read(str(path)), olivine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expansion", type=Path, help="of python run.py inputs/nafepo4.yaml --until fit")
    parser.add_argument("--x", type=float, nargs="+", default=[0.2, 0.67])
    parser.add_argument("--temperature", type=float, nargs="+", default=[350.0, 800.0], help="K")
    parser.add_argument("--seconds", type=float, default=2.0, help="per mix, x and temperature")
    parser.add_argument("--json", type=Path, default=Path("ess.json"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    hamiltonian = hamiltonian_of(args.expansion)
    systems = {name: build_system(hamiltonian, np.diag(CELL), ("Na+",), mix) for name, mix in MIXES.items()}
    rows = []
    for temperature_K in args.temperature:
        for x in args.x:
            chain, window = prepare(systems["auto"], x, temperature_K)
            print(f"\n{temperature_K:g} K, x = {x:g}: effective samples per million attempts (per second)")
            print(
                f"{'':22s}" + "".join(f"{kind:>22s}" for kind in KINDS) + f"{'M attempts/s':>16s}{'accepted':>10s}{'mean x':>8s}"
            )
            for name, system in systems.items():
                found = measure(system, chain, window, args.seconds)
                rows.append({"temperature_K": temperature_K, "asked_x": x, "mix": name, **found})
                rate = found["attempts_per_second"] / 1e6
                cells = ["-" if np.isnan(ess := found[kind]) else f"{ess:.3g} ({ess * rate:.3g})" for kind in KINDS]
                print(
                    f"{name:22s}"
                    + "".join(f"{c:>22s}" for c in cells)
                    + f"{rate:16.2f}{found['accepted']:10.2%}{found['x']:8.3f}",
                    flush=True,
                )
    args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    print(machine())


if __name__ == "__main__":
    main()
