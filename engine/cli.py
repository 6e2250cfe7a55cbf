"""The command line: of `redoxmc` and of run.py."""

import argparse
import os
import sys
from pathlib import Path

from . import __version__
from .input.examples import init
from .stages.shared.options import STAGES, Options

DESCRIPTION = """\
Monte Carlo of ions and electrons together in mixed-valence materials: from a
user-specified Hamiltonian or from labelled cells to free energies, entropies,
the phase diagram and the voltage. The input file describes the whole run.

The same command starts a run, continues an interrupted one, and does nothing
if the run is finished.
"""
EPILOG = f"""\
stages; each is skipped if nothing that it depends on has changed:
{chr(10).join(f"  {name:10} {stage.makes}" for name, stage in STAGES.items())}

exit codes:
  0    done
  1    internal error; REDOXMC_TRACEBACK=1 prints the traceback
  2    an error that you can fix; the message says what and where
  75   stopped by SIGTERM, SIGUSR1 or walltime_s with nothing lost: start the
       same command again to continue

examples:
  redoxmc init                     lists the examples that come with RedoxMC
  redoxmc init own                 writes own.yaml and its data into this folder
  redoxmc own.yaml --check
  redoxmc own.yaml --data > frames.csv
  mpirun -n 2 redoxmc own.yaml
  redoxmc own.yaml --until sample

All keys of the input file are in schema.json, which `redoxmc init` writes
beside the example: an editor completes, explains and checks them.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="redoxmc", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("input", type=Path, help="input file (YAML); paths in it are relative to it")
    p.add_argument("--check", action="store_true", help="validate the input, print the plan and its cost, run nothing")
    p.add_argument(
        "--data", action="store_true", help="print a row for every frame of the data set, used or left out; run nothing"
    )
    which = p.add_mutually_exclusive_group()
    which.add_argument("--only", choices=STAGES, metavar="STAGE", help="run this stage only")
    which.add_argument("--until", choices=STAGES, metavar="STAGE", help="stop after this stage")
    p.add_argument("--fresh", action="store_true", help="delete the results in the output folder of this input and start over")
    p.add_argument("--version", action="version", version=f"RedoxMC {__version__}")
    return p


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["init"]:
        return init(arguments[1:])
    args = parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # ranks are the parallelism; read where numpy and torch are loaded
    os.environ["MPLBACKEND"] = "Agg"  # figures go to files, whatever a notebook around this command has set
    from .runtime.mpi import run_on_all_ranks

    if args.check:
        from .stages.check.check import check

        return run_on_all_ranks(lambda: check(args.input, args.fresh))
    if args.data:
        from .stages.check.data import print_data

        return run_on_all_ranks(lambda: print_data(args.input))
    options = Options(args.only, args.until, args.fresh)
    return run_on_all_ranks(lambda: _run(args.input, options))


def _run(path: Path, options: Options) -> None:
    from .runtime.caches import prepare_folders

    prepare_folders()
    from .workflow import run  # slow to import: all that a run may need

    run(path, options)
