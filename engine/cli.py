"""The command line."""

import argparse
from pathlib import Path

from . import __version__
from .parallel import run_on_all_ranks
from .workflow import STAGES, Options, run


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="redoxmc",
        description="Monte Carlo of ions and electrons together: from a charge-labelled data set or a typed-in Hamiltonian "
        "to free energies, hull, phase diagram and voltage. The same command starts a run, continues it, or finds it done.",
        epilog="exit codes: 0 done, 2 something you can mend, 75 stopped by a signal or the walltime (start again to continue), 1 a fault",
    )
    p.add_argument("input", type=Path, help="input file (YAML); inputs/schema.json gives completion in editors")
    p.add_argument("--check", action="store_true", help="validate the input, print the plan and its cost, run nothing")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--only", choices=STAGES, help="run this stage only")
    which.add_argument("--until", choices=STAGES, help="stop after this stage")
    p.add_argument("--fresh", action="store_true", help="delete the results of this input's output folder and start over")
    p.add_argument("--version", action="version", version=f"RedoxMC {__version__}")
    return p


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    options = Options(args.check, args.only, args.until, args.fresh)
    return run_on_all_ranks(lambda: run(args.input, options))
