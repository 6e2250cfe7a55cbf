"""The command line: of `redoxmc` and of run.py."""

import argparse
import os
from pathlib import Path

from . import __version__
from .input.options import STAGES, Options

DESCRIPTION = """\
Monte Carlo of ions and electrons together in mixed-valence materials: from a
Hamiltonian typed in, or from labelled cells, to free energies, entropies, the
phase diagram and the voltage. All that a run does stands in its input file.

The same command starts a run, continues an interrupted one, and does nothing
on a finished one.
"""
EPILOG = """\
stages, each done only if what it depends on has changed:
  train      potentials, from calculations
  evaluate   potentials, against held-out cells
  label      configurations, relaxed with a potential
  fit        the cluster expansion
  sample     the Monte Carlo itself, committed as it goes
  analyse    results.h5, from the samples
  report     figures and report.html, from results.h5

exit codes:
  0    done
  1    a fault; with REDOXMC_TRACEBACK=1 it says where it came from
  2    something you can mend; the message says what and where
  75   stopped by SIGTERM, SIGUSR1 or walltime_s with nothing lost: start the
       same command again to continue

examples:
  redoxmc inputs/tutorial/own.yaml --check
  mpirun -n 2 redoxmc inputs/nafepo4.yaml
  redoxmc inputs/nafepo4.yaml --until fit

All keys of the input file: docs/input_file.md, and inputs/schema.json for
editors.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="redoxmc", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("input", type=Path, help="input file (YAML); paths in it are relative to it")
    p.add_argument("--check", action="store_true", help="validate the input, print the plan and its cost, run nothing")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--only", choices=STAGES, metavar="STAGE", help="run this stage only")
    which.add_argument("--until", choices=STAGES, metavar="STAGE", help="stop after this stage")
    p.add_argument("--fresh", action="store_true", help="delete the results in the output folder of this input and start over")
    p.add_argument("--version", action="version", version=f"RedoxMC {__version__}")
    return p


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # ranks are the parallelism; read where numpy and torch are loaded
    os.environ["MPLBACKEND"] = "Agg"  # figures go to files, whatever a notebook around this command has set
    from .runtime.mpi import run_on_all_ranks
    from .workflow import run

    options = Options(args.check, args.only, args.until, args.fresh)
    return run_on_all_ranks(lambda: run(args.input, options))
