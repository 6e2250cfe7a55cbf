"""Attempted moves per second of the compiled chain on the benchmark model, and their ratio to icet's mchammer in the same run.

Olivine, pairs to 6.5 A and triplets to 4.5 A (30 pairs and 10.5 triplets per site), random start at half filling, 600 K
unless asked otherwise; --equilibrate: sweeps before the clock runs.

    python tests/benchmarks/kernel.py [--repeats 30 46 45] [--temperature_K 200 --equilibrate 500]
    python tests/benchmarks/kernel.py --matrix 6 1 0  0 10 1  1 0 12
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
from icet import ClusterExpansion

from redoxmc.engine.crystal.lattice import Species, Sublattice, build_lattice
from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.hamiltonian.clusters import cluster_space, from_icet
from redoxmc.engine.input.checks.structure import read_structure
from redoxmc.engine.sampling.chains.chain import advance, start_chain
from redoxmc.engine.sampling.chains.moves import Mix
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.units import inverse_temperature
from redoxmc.kernels.layout import Ensemble
from redoxmc.kernels.random import new_stream

STRUCTURE = Path(__file__).resolve().parents[2] / "inputs/structures/NaFePO4.cif"
MIXES = {
    "swaps": Mix(1, 0, 0, 0, 0),
    "neutral exchanges": Mix(0, 1, 0, 0, 0),
    "near exchanges": Mix(0, 0, 1, 0, 0),
    "pair hops": Mix(0, 0, 0, 1, 0),
    "default": Mix(),
}


def rate(system: System, seconds: float = 2.0, temperature_K: float = 600.0, equilibrate: int = 2) -> tuple[float, float]:
    """Attempted moves per second, median of five stretches, and the share accepted."""
    low, high = system.n_range
    species = random_neutral_state(system.supercell, "Na+", (low + high) // 2, np.random.default_rng(1))
    chain, tally = start_chain(system, species, new_stream(1, 0)), empty_tally(system)
    zeros = np.zeros(len(tally.sums))
    ensemble = Ensemble(inverse_temperature(temperature_K), np.zeros(1), zeros, zeros, system.step)
    advance(chain, system, system.moves, ensemble, tally, equilibrate)
    rates = []
    sweeps = max(1, int(seconds / 5 * 2e6 / system.supercell.n_sites))
    for _ in range(5):
        begin = time.perf_counter()
        record = advance(chain, system, system.moves, ensemble, tally, sweeps)
        rates.append(sweeps * system.supercell.n_sites / (time.perf_counter() - begin))
    return float(np.median(rates)), float(record.accepted.sum() / record.tried.sum())


def mchammer_rate(expansion: ClusterExpansion, system: System, steps: int = 4000) -> float | None:
    try:
        from mchammer.calculators import ClusterExpansionCalculator
        from mchammer.ensembles import CanonicalEnsemble
    except ImportError:
        return None
    state = random_neutral_state(system.supercell, "Na+", sum(system.n_range) // 2, np.random.default_rng(1))
    atoms = system.supercell.to_atoms(state)
    ensemble = CanonicalEnsemble(atoms, ClusterExpansionCalculator(atoms, expansion), temperature=600, random_seed=1)
    begin = time.perf_counter()
    ensemble.run(steps)
    return steps / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, nargs=3, default=[6, 10, 12])
    parser.add_argument("--matrix", type=int, nargs=9, help="rows of a supercell matrix, instead of repeats")
    parser.add_argument("--temperature_K", type=float, default=600.0)
    parser.add_argument("--equilibrate", type=int, default=2)
    args = parser.parse_args()
    matrix = np.reshape(args.matrix, (3, 3)) if args.matrix else np.diag(args.repeats)
    warnings.filterwarnings("ignore")
    sublattices = (
        Sublattice("Na", (Species("Na+", 1), Species("Va", 0))),
        Sublattice("Fe", (Species("Fe2+", 2), Species("Fe3+", 3, "Ga"))),
    )
    lattice = build_lattice(read_structure(STRUCTURE), sublattices, {"P": 5, "O": -2})
    space = cluster_space(lattice, (6.5, 4.5))
    expansion = ClusterExpansion(space, np.random.default_rng(1).normal(scale=0.01, size=len(space)))
    hamiltonian = from_icet(expansion, lattice)
    table = {}
    for name, mix in MIXES.items():
        system = build_system(hamiltonian, matrix, ("Na+",), mix)
        moves_per_second, accepted = rate(system, temperature_K=args.temperature_K, equilibrate=args.equilibrate)
        table[name] = {"moves_per_second": moves_per_second, "accepted": accepted}
    system = build_system(hamiltonian, matrix, ("Na+",))
    peer = mchammer_rate(expansion, system) if system.supercell.n_sites < 10_000 else None
    for name, row in table.items():
        ratio = f"{row['moves_per_second'] / peer:8.0f} x mchammer swaps" if peer else ""
        print(f"{name:20s} {row['moves_per_second'] / 1e6:6.2f} M/s, {row['accepted']:.0%} accepted {ratio}")
    print(json.dumps({"sites": system.supercell.n_sites, "load": os.getloadavg(), "mchammer_swaps_per_second": peer, **table}))


if __name__ == "__main__":
    main()
