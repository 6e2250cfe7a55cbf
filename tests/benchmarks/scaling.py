"""Replicas over MPI ranks: parallel efficiency of the sampling loop from 1 to 2 ranks, and what exchange costs beside it.

    python tests/benchmarks/scaling.py [--replicas 64 256 1024] [--ranks 1 2] [--json FILE]

The plan is the same on every number of ranks: windows along x at several temperatures, 1152 sites, exchange every 5 sweeps. The
fastest of the repeats counts, since others may use the machine. Where they use it all the time, processor time still tells.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import machine
from model import model, olivine
from mpi4py import MPI
from numpy.typing import NDArray

from redoxmc.engine.crystal.neutral_states import random_neutral_state
from redoxmc.engine.sampling.chains.system import System, build_system
from redoxmc.engine.sampling.chains.tally import empty_tally
from redoxmc.engine.sampling.ladder.ladder import Ladder
from redoxmc.engine.sampling.ladder.plan import Plan
from redoxmc.engine.sampling.ladder.planning import place_slots, window_targets
from redoxmc.engine.sampling.ladder.slots import EnsembleKind
from redoxmc.engine.sampling.replicas.replicas import Replicas, build_replicas
from redoxmc.kernels.layout import Tally

Float = NDArray[np.float64]
CELL = (4, 6, 6)
WINDOWS, BLOCK_SWEEPS = 16, 5
HOTTEST_K, COLDEST_K = 1000.0, 500.0
SHARED_BLOCKS = 2048  # blocks x replicas of a repeat


def make_plan(system: System, replicas: int) -> Plan:
    """Chains: one walker in each window at each rung."""
    targets, sigma = window_targets(system, WINDOWS)
    temperatures = np.geomspace(COLDEST_K, HOTTEST_K, max(2, replicas // WINDOWS))
    reference = np.zeros((len(temperatures), len(empty_tally(system).sums)))
    plan = Plan(Ladder(temperatures, np.ones(len(temperatures), bool)), (), targets, sigma, (), reference, walkers=1)
    return replace(plan, slots=place_slots(system, plan, [EnsembleKind.VCSGC]))


def blocks_of(replicas: Replicas, tally: Tally, number: int) -> Float:
    """Seconds per block: all of it, advancing, waiting for the slowest rank, exchange; of processor time: advancing and exchange.

    The slowest rank's of each. Collective.
    """
    sums = np.zeros((len(replicas.plan.ladder), 1, *tally.sums.shape), np.int64)
    comm, parts, busy = replicas.comm, np.zeros(3), 0.0
    comm.Barrier()
    begin = time.perf_counter()
    for _ in range(number):
        clock, own = [time.perf_counter()], [time.process_time()]
        replicas.advance(tally, sums, BLOCK_SWEEPS)
        clock.append(time.perf_counter())
        own.append(time.process_time())
        comm.Barrier()
        clock.append(time.perf_counter())
        own.append(time.process_time())
        replicas.exchange_configurations()
        clock.append(time.perf_counter())
        own.append(time.process_time())
        busy += own[3] - own[2] + own[1] - own[0]
        replicas.block += 1
        parts += np.diff(clock)
    comm.Barrier()
    mine = np.array([time.perf_counter() - begin, *parts, busy]) / number
    slowest = np.empty_like(mine)
    comm.Allreduce(mine, slowest, op=MPI.MAX)
    return slowest


def work(counts: list[int], repeats: int) -> list[dict[str, float]]:
    """One row per number of replicas: the least of the repeats. Collective."""
    system = build_system(model(olivine()), np.diag(CELL), ("Na+",))
    rows = []
    for number in counts:
        plan = make_plan(system, number)
        starts = np.array([_start(system, round(s.n_expected), k) for k, s in enumerate(plan.slots)])[:, None]
        replicas, tally = build_replicas(plan, starts, system, 1, (), MPI.COMM_WORLD), empty_tally(system)
        blocks_of(replicas, tally, 1)  # compiles
        found = [blocks_of(replicas, tally, max(2, SHARED_BLOCKS // number)) for _ in range(repeats)]
        tried, accepted = np.sum(np.concatenate(replicas.exchange.counters), axis=0)
        best = np.min(found, axis=0)
        names = ("block_s", "advance_s", "waiting_s", "exchange_s", "busy_s")
        rows.append({"replicas": len(plan.slots), "accepted": accepted / tried, **dict(zip(names, best.tolist()))})
    return rows


def _start(system: System, n: int, k: int) -> NDArray[np.int8]:
    return random_neutral_state(system.supercell, "Na+", n, np.random.default_rng(k))


def launch(ranks: int, args: argparse.Namespace) -> list[dict[str, float]]:
    mpirun = [str(Path(sys.executable).parent / "mpirun"), "-n", str(ranks)] if ranks > 1 else []
    command = [*mpirun, sys.executable, __file__, "--worker", "--repeats", str(args.repeats), "--replicas"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *map(str, args.replicas)], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{ranks} ranks: {done.stderr.strip()}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[{")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, default=Path("scaling.json"))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        rows = work(args.replicas, args.repeats)
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(rows), flush=True)
        return
    found = {ranks: launch(ranks, args) for ranks in args.ranks}
    print("replicas ranks  ms per block: all   advance   waiting  exchange (us per replica)  efficiency  by processor time")
    for k in range(len(args.replicas)):
        for ranks, rows in found.items():
            row, alone = rows[k], found[args.ranks[0]][k]
            for name, part in (("efficiency", "block_s"), ("efficiency_busy", "busy_s")):
                row[name] = alone[part] * args.ranks[0] / row[part] / ranks
            ms = [f"{1e3 * row[part]:9.2f}" for part in ("block_s", "advance_s", "waiting_s", "exchange_s")]
            each = 1e6 * row["exchange_s"] / row["replicas"]
            efficiencies = f"{row['efficiency']:11.0%} {row['efficiency_busy']:18.0%}"
            print(f"{row['replicas']:8d} {ranks:5d}          {' '.join(ms)} ({each:15.2f}) {efficiencies}")
    args.json.write_text(json.dumps({"machine": machine(), "by_ranks": found}, indent=1))
    print(machine())


if __name__ == "__main__":
    main()
